//! Days of simulated time: both clocks are the test's, waiting takes none, and what is logged is read.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    io::{self, Write},
    sync::{Arc, Mutex},
};

use super::*;

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// What happens to the machine once it has run for `after`, by its monotonic clock.
#[derive(Debug, Clone, Copy)]
struct Event {
    after: Duration,
    /// How far the wall clock leaps.
    wall: TimeDelta,
    /// How far the monotonic clock leaps: nothing runs meanwhile.
    monotonic: Duration,
}

/// The wall clock is set.
fn set(after_s: u64, by_s: i64) -> Event {
    Event { after: Duration::from_secs(after_s), wall: TimeDelta::seconds(by_s), monotonic: Duration::ZERO }
}

/// The machine sleeps, as on Linux: its monotonic clock stands still.
fn sleeps(after_s: u64, for_s: u64) -> Event {
    set(after_s, for_s.cast_signed())
}

/// The machine sleeps, or a hypervisor pauses it, and the monotonic clock leaps when it goes on.
fn sleeps_and_counts_it(after_s: u64, for_s: u64) -> Event {
    Event { monotonic: Duration::from_secs(for_s), ..set(after_s, for_s.cast_signed()) }
}

/// Waiting takes no time; cycles take what the test says.
struct Machine {
    begin: Instant,
    /// By the monotonic clock.
    passed: Cell<Duration>,
    wall: Cell<DateTime<Utc>>,
    events: RefCell<Vec<Event>>,
    /// Seconds by which the wall clock is ahead for each second of the monotonic one.
    drift: f64,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A cycle that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Started {
    /// Seconds since the beginning, by the monotonic clock.
    at: u64,
    /// The wall clock then, and what the cycle is named after, both in seconds since the beginning.
    wall: i64,
    scheduled: i64,
}

impl Machine {
    fn new(events: impl Into<Vec<Event>>) -> Self {
        Self {
            begin: Instant::now(),
            passed: Cell::default(),
            wall: Cell::new(begin()),
            events: RefCell::new(events.into()),
            drift: 0.0,
        }
    }

    fn run_until(&self, end: Duration) {
        loop {
            let next = self.events.borrow().first().copied().filter(|event| event.after <= end);
            let until = next.map_or(end, |event| event.after);
            let time = until.saturating_sub(self.passed.get());
            self.passed.set(self.passed.get() + time);
            self.wall.set(self.wall.get() + TimeDelta::from_std(time.mul_f64(1.0 + self.drift)).expect("small"));
            let Some(event) = next else { return };
            self.events.borrow_mut().remove(0);
            self.passed.set(self.passed.get() + event.monotonic);
            self.wall.set(self.wall.get() + event.wall);
        }
    }

    /// The cycles of `for_s` seconds by the monotonic clock, the n-th of which takes `took(n)`, and the warnings.
    async fn cycles(
        &self,
        interval_s: u64,
        for_s: u64,
        took: impl Fn(usize) -> Duration,
    ) -> (Vec<Started>, Vec<String>) {
        let stop = CancellationToken::new();
        let seen = RefCell::new(Vec::new());
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
        let guard = tracing::subscriber::set_default(subscriber);
        every(Duration::from_secs(interval_s), self, &stop, async |due| {
            let since = |time: DateTime<Utc>| (time - begin()).num_seconds();
            let late = self.monotonic() - due.at;
            assert!(late < Duration::from_secs(interval_s), "a cycle that is due is as late as the next: {late:?}");
            seen.borrow_mut().push(Started {
                at: self.passed.get().as_secs(),
                wall: since(self.wall.get()),
                scheduled: since(due.scheduled),
            });
            if self.passed.get().as_secs() + interval_s >= for_s {
                stop.cancel();
            }
            self.run_until(self.passed.get() + took(seen.borrow().len() - 1));
        })
        .await;
        drop(guard);
        let log = String::from_utf8(log.0.lock().expect("not poisoned").clone()).expect("text");
        (seen.into_inner(), log.lines().map(str::to_owned).collect())
    }
}

impl Clock for Machine {
    fn wall(&self) -> DateTime<Utc> {
        self.wall.get()
    }

    fn monotonic(&self) -> Instant {
        self.begin + self.passed.get()
    }

    async fn sleep_until(&self, at: Instant) {
        self.run_until(at - self.begin);
    }
}

/// 2026-10-24 13:37:11.9: before the night in which Europe's clocks go back, and no round time.
fn begin() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_792_849_031_900).expect("in range")
}

fn quick(_: usize) -> Duration {
    Duration::from_millis(800)
}

/// What is wanted however the clocks behave: no two cycles of one name, each at a time of the grid and named after the wall
/// clock that it saw, and each time without a cycle told, once.
fn assert_sound((cycles, warnings): &(Vec<Started>, Vec<String>), interval_s: u64, set_by_s: i64) {
    let names: HashSet<i64> = cycles.iter().map(|cycle| cycle.scheduled).collect();
    assert_eq!(names.len(), cycles.len(), "two cycles of one name");
    for cycle in cycles {
        assert_eq!(cycle.at % interval_s, 0, "not on the grid: {cycle:?}");
        assert!((cycle.scheduled - cycle.wall).abs() <= 1, "named after another time than the clock's: {cycle:?}");
    }
    // By the wall clock, as a reader of the records sees it; where it was only set, there was nothing to miss or to find.
    let (first, last) = (cycles.first().expect("cycles"), cycles.last().expect("cycles"));
    let slots = (last.wall - set_by_s - first.wall) / interval_s.cast_signed() + 1;
    assert_eq!(counted(cycles) + told_missed(warnings), slots, "{warnings:#?}");
}

fn counted(cycles: &[Started]) -> i64 {
    i64::try_from(cycles.len()).expect("few")
}

/// The sum of the cycles that the log says were missed.
fn told_missed(warnings: &[String]) -> i64 {
    let told = |line: &String| {
        let number = line.split("missed=").nth(1)?.split_whitespace().next()?;
        assert!(line.contains(&format!(" {number} cycle(s) were missed")), "{line}");
        Some(number.parse::<i64>().expect("a number"))
    };
    warnings.iter().filter_map(told).sum()
}

#[tokio::test]
async fn the_first_is_at_once_and_the_others_stay_on_the_grid_for_days() {
    // One divides a day, the others do not.
    for interval_s in [60, 7, 23 * 60, 86_399] {
        let for_s = (10 * DAY).min(10_000 * interval_s).max(5 * interval_s);
        let took = |n: usize| Duration::from_millis(17 * (n as u64 % 400));
        let seen = Machine::new([]).cycles(interval_s, for_s, took).await;
        assert_eq!(seen.0.len() as u64, for_s.div_ceil(interval_s), "every {interval_s} s");
        assert_eq!(seen.0[0], Started { at: 0, wall: 0, scheduled: 0 });
        assert!(seen.1.is_empty(), "{:?}", seen.1);
        assert_sound(&seen, interval_s, 0);
    }
}

#[tokio::test]
async fn a_slow_cycle_never_overlaps_and_the_slots_that_it_covered_are_told_once() {
    let took = |n| Duration::from_secs(if n == 1 { 25 } else { 1 });
    let seen = Machine::new([]).cycles(10, 60, took).await;
    assert_eq!(seen.0.iter().map(|cycle| cycle.scheduled).collect::<Vec<_>>(), [0, 10, 40, 50]);
    assert_eq!(seen.1.len(), 1, "{:?}", seen.1);
    assert!(seen.1[0].contains("longer than MONITOR_INTERVAL: 2 cycle(s) were missed"), "{}", seen.1[0]);

    // For days each takes longer than the interval; one that takes it exactly misses none.
    let always = |n: usize| Duration::from_millis(if n.is_multiple_of(3) { 60_000 } else { 60_001 + 977 * n as u64 });
    assert_sound(&Machine::new([]).cycles(MINUTE, 3 * DAY, always).await, MINUTE, 0);
    let seen = Machine::new([]).cycles(MINUTE, DAY, |_| Duration::from_secs(MINUTE)).await;
    assert_eq!((seen.0.len() as u64, seen.1.len()), (DAY / MINUTE, 0));
}

#[tokio::test]
async fn a_clock_that_runs_at_another_pace_is_followed() {
    for drift in [0.002, -0.002] {
        let machine = Machine { drift, ..Machine::new([]) };
        let (cycles, warnings) = machine.cycles(MINUTE, 2 * DAY, quick).await;
        assert_eq!(cycles.len() as u64, 2 * DAY / MINUTE);
        assert_eq!(told_missed(&warnings), 0, "no cycle was missed");
        assert!(cycles.iter().all(|cycle| (cycle.scheduled - cycle.wall).abs() <= 1));
        assert!(cycles.is_sorted_by_key(|cycle| cycle.scheduled));
    }
}

#[tokio::test]
async fn a_clock_that_was_set_back_names_no_cycle_twice_and_the_pace_is_kept() {
    // By whole hours, as who sets a clock in local time does: every time of the grid comes again. And by a second or two.
    for back_s in [3600, 7200, 86_400, 60, 1, 2, 3601] {
        let machine = Machine::new([set(2 * HOUR + 30, -back_s), set(5 * HOUR, -back_s)]);
        let seen = machine.cycles(MINUTE, 8 * HOUR, quick).await;
        assert_eq!(seen.0.len() as u64, 8 * HOUR / MINUTE, "set back by {back_s} s");
        let names: HashSet<i64> = seen.0.iter().map(|cycle| cycle.scheduled).collect();
        assert_eq!(names.len(), seen.0.len(), "set back by {back_s} s: two cycles of one name");
        assert!(seen.0.iter().all(|cycle| (cycle.scheduled - cycle.wall).abs() <= 2), "set back by {back_s} s");
        assert_eq!(told_missed(&seen.1), 0);
        if back_s > 2 {
            let told = seen.1.iter().filter(|line| line.contains(&format!("set back by {back_s} s"))).count();
            assert_eq!((told, seen.1.len()), (2, 2), "each time is told once: {:#?}", seen.1);
        }
    }
}

#[tokio::test]
async fn every_second_a_clock_that_was_set_back_names_no_cycle_twice_either() {
    let (cycles, _) = Machine::new([set(500, -300)]).cycles(1, 1000, |_| Duration::ZERO).await;
    let names: HashSet<i64> = cycles.iter().map(|cycle| cycle.scheduled).collect();
    assert_eq!((cycles.len(), names.len()), (1000, 1000));
    assert_eq!(cycles[999].scheduled, 699 + 300, "named ahead of the clock, as every second of it is taken");
}

#[tokio::test]
async fn a_clock_that_leaps_ahead_is_followed_and_the_gap_is_told_once() {
    let seen = Machine::new([set(90, 3 * 3600)]).cycles(MINUTE, DAY, quick).await;
    assert_eq!(seen.0.len() as u64, DAY / MINUTE, "the pace is kept");
    assert_eq!(seen.1.len(), 1, "{:#?}", seen.1);
    assert!(seen.1[0].contains("180 cycle(s) were missed"), "{}", seen.1[0]);
    assert_sound(&seen, MINUTE, 0);
}

#[tokio::test]
async fn a_laptop_that_slept_goes_on_in_time_and_says_how_many_cycles_it_missed() {
    for sleep in [sleeps, sleeps_and_counts_it] {
        // Between two cycles, in the middle of one, and for less than an interval; then for a night.
        let nights =
            [sleep(100, 3 * HOUR), sleep(4 * HOUR, 2 * HOUR + 7), sleep(9 * HOUR + 30, 20), sleep(DAY, 9 * HOUR)];
        let seen = Machine::new(nights).cycles(MINUTE, 3 * DAY, quick).await;
        assert!(told_missed(&seen.1) >= 180 + 119 + 540, "{:#?}", seen.1);
        let gaps = seen.1.iter().filter(|line| line.contains("missed=")).count();
        assert_eq!(gaps, 3, "each gap is told once: {:#?}", seen.1);
        let waits = seen.0.windows(2).map(|two| two[1].wall - two[0].wall).filter(|wait| *wait > 60);
        let waits: Vec<_> = waits.collect();
        assert!(waits.len() <= 4 && waits.iter().all(|wait| *wait <= 9 * 3600 + 120), "on in a minute: {waits:?}");
        assert_sound(&seen, MINUTE, 0);
    }
}

#[tokio::test]
async fn whatever_the_clocks_do_for_days_nothing_is_doubled_and_no_gap_unsaid() {
    for seed in 0..60 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let interval_s = [5, 60, 97, 3600][rng.usize(..4)];
        let mut at_s = 0;
        let mut set_back = 0;
        let mut events = Vec::new();
        for _ in 0..rng.usize(1..8) {
            at_s += rng.u64(1..12 * HOUR);
            let hours = rng.i64(1..30);
            events.push(match rng.u8(..4) {
                0 => {
                    set_back += hours * 3600;
                    set(at_s, -hours * 3600)
                }
                1 => set(at_s, hours * 3600),
                2 => sleeps(at_s, rng.u64(1..2 * DAY)),
                _ => {
                    let for_s = rng.u64(1..2 * DAY);
                    let event = sleeps_and_counts_it(at_s, for_s);
                    at_s += for_s;
                    event
                }
            });
        }
        let slow = rng.u64(1..4 * interval_s * 1000);
        let took = |n: usize| Duration::from_millis(if n.is_multiple_of(50) { slow } else { n as u64 % 900 });
        let (cycles, warnings) = Machine::new(events.clone()).cycles(interval_s, at_s + 4 * interval_s, took).await;
        let names: HashSet<i64> = cycles.iter().map(|cycle| cycle.scheduled).collect();
        assert_eq!(names.len(), cycles.len(), "seed {seed}, every {interval_s} s: two cycles of one name; {events:?}");
        let (first, last) = (cycles.first().expect("cycles"), cycles.last().expect("cycles"));
        let slots = (last.wall + set_back - first.wall) / interval_s.cast_signed() + 1;
        let told = counted(&cycles) + told_missed(&warnings);
        // Parts of an interval that the clock leapt are no cycle: one an event at most.
        assert!((told..=told + 8).contains(&slots), "seed {seed}: {told} of {slots}; {events:?} {warnings:#?}");
    }
}
