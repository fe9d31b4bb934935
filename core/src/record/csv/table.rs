//! CSV -> [`Table`](crate::record::Table), for the long way through a history: rows that are like rows before them.
//!
//! The cells that tell a probe's circumstances are the same in row after row, and rows come in the same order cycle after
//! cycle. So their text is compared with what followed last time, as it stands, and only numbers are read. Whatever does not
//! fit this goes the way of [`Rows`](super::Rows), which also finds the words for what is wrong.

use std::collections::HashMap;

use super::{
    layout::{Column, Layout},
    number::{parse_amount, parse_count, parse_cycle_time, parse_micros, parse_time_after},
    row::Row,
    split::Bounds,
};
use crate::record::{
    CycleId, Metric,
    table::{Amount, Duration, Label, Numbers, TableBuilder},
};

/// Texts that are remembered: many times what a segment holds. Beyond it, all are forgotten.
const TEXTS_MAX: usize = 4_096;

/// A table in the making, and what was learnt from the rows so far.
#[derive(Debug)]
pub(super) struct Filling {
    pub(super) builder: TableBuilder,
    places: Option<Places>,
    texts: Vec<Text>,
    by_text: HashMap<Vec<u8>, u32>,
    /// The text of the row before.
    previous: Option<u32>,
    /// The cycle of the row before, as it stands and as it was read.
    cycle: (Vec<u8>, Option<CycleId>),
    /// The minute of the row before, as it stands and as milliseconds since 1970.
    minute: ([u8; 17], i64),
}

/// Circumstances as they stand in rows.
#[derive(Debug)]
struct Text {
    cells: Vec<u8>,
    label: u32,
    /// What came after it, the last two of these that differ: an answer may end in one way or another.
    next: [u32; 2],
}

/// Where the cells of a layout lie.
#[derive(Debug)]
struct Places {
    len: usize,
    /// First and last of each run of neighbouring cells that are a label's.
    runs: Vec<(usize, usize)>,
    status: usize,
    timestamp: usize,
    cycle_id: Option<usize>,
    durations: [Option<usize>; Metric::ALL.len()],
    tokens: [Option<usize>; 4],
    cost: Option<usize>,
}

/// What a row of ours takes at least, more or less.
const BYTES_PER_ROW: usize = 180;

const LABELLED: [Column; 14] = [
    Column::ModelName,
    Column::Environment,
    Column::ContextWindow,
    Column::IsCloud,
    Column::Status,
    Column::Provider,
    Column::Simulated,
    Column::Location,
    Column::TokenSource,
    Column::HttpStatus,
    Column::ErrorKind,
    Column::ErrorMessage,
    Column::ServedModel,
    Column::FinishReason,
];

const TOKENS: [Column; 4] =
    [Column::InputTokens, Column::OutputTokens, Column::CachedInputTokens, Column::ReasoningTokens];

impl Places {
    /// `None` for files whose rows need a closer look: the predecessor's, and those with columns that are not ours.
    fn of(layout: &Layout) -> Option<Self> {
        let all_known = Column::ALL.iter().filter(|column| layout.position(**column).is_some()).count() == layout.len();
        if !all_known {
            return None;
        }
        let mut columns: Vec<usize> = LABELLED.iter().filter_map(|column| layout.position(*column)).collect();
        columns.sort_unstable();
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for at in columns {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == at => *last = at,
                _ => runs.push((at, at)),
            }
        }
        layout.position(Column::Environment)?;
        Some(Self {
            len: layout.len(),
            runs,
            status: layout.position(Column::Status)?,
            timestamp: layout.position(Column::Timestamp)?,
            cycle_id: layout.position(Column::CycleId),
            durations: Metric::ALL.map(|metric| layout.position(Column::of_metric(metric))),
            tokens: TOKENS.map(|column| layout.position(column)),
            cost: layout.position(Column::Cost),
        })
    }
}

/// A row's cells as they stand.
#[derive(Debug, Clone, Copy)]
struct Cells<'a> {
    row: &'a [u8],
    bounds: &'a [Bounds],
}

impl<'a> Cells<'a> {
    /// `None` for a quoted cell.
    #[inline]
    fn plain(&self, at: usize) -> Option<&'a [u8]> {
        let (start, end) = *self.bounds.get(at)?;
        let cell = self.row.get(start as usize..end as usize)?;
        (cell.first() != Some(&b'"')).then_some(cell)
    }

    /// The cells from `first` to `last`, with the comma behind them: so that runs put together can't be taken for others.
    fn run(&self, (first, last): (usize, usize)) -> &'a [u8] {
        let bounds = self.bounds.get(first).zip(self.bounds.get(last));
        let cells = bounds.and_then(|(first, last)| {
            let end = (last.1 as usize + 1).min(self.row.len());
            self.row.get(first.0 as usize..end)
        });
        cells.unwrap_or_default()
    }
}

impl Filling {
    /// For about so many bytes of rows that are laid out as `layout` says.
    pub(super) fn new(layout: &Layout, bytes: usize) -> Self {
        Self {
            builder: TableBuilder::for_rows(bytes / BYTES_PER_ROW),
            places: Places::of(layout),
            texts: Vec::new(),
            by_text: HashMap::new(),
            previous: None,
            cycle: (Vec::new(), None),
            minute: ([0; 17], 0),
        }
    }

    /// Goes on under another header.
    pub(super) fn follow(&mut self, layout: &Layout) {
        self.places = Places::of(layout);
        self.forget();
    }

    fn forget(&mut self) {
        self.texts.clear();
        self.by_text.clear();
        self.previous = None;
    }

    /// Adds the row if its circumstances are known and its numbers are written the way we write them.
    pub(super) fn take(&mut self, row: &[u8], bounds: &[Bounds]) -> bool {
        let Some((text, label)) = self.known(row, bounds) else { return false };
        let Some(numbers) = self.numbers(Cells { row, bounds }) else { return false };
        self.builder.push(label, &numbers);
        self.follow_up(text);
        true
    }

    /// Adds a row that was read the long way, and learns its circumstances where it is laid out as the header says.
    pub(super) fn add(&mut self, row: &Row<'_>, learn: Option<(&[u8], &[Bounds])>) {
        let label = self.builder.label(label_of(row));
        self.builder.push(label, &numbers_of(row));
        let Some((text, bounds)) = learn else { return };
        let cells = Cells { row: text, bounds };
        let Some(places) = self.places.as_ref().filter(|places| places.len == bounds.len()) else { return };
        // Without a status, the latency decides how the probe ended.
        if cells.plain(places.status).is_none_or(<[u8]>::is_empty) {
            return;
        }
        let key: Vec<u8> = places.runs.iter().flat_map(|run| cells.run(*run)).copied().collect();
        if self.texts.len() >= TEXTS_MAX {
            self.forget();
        }
        let number = self.texts.len() as u32;
        if self.by_text.insert(key.clone(), number).is_none() {
            self.texts.push(Text { cells: key, label, next: [0; 2] });
            self.follow_up(number);
        }
    }

    /// Remembers what came after what.
    fn follow_up(&mut self, text: u32) {
        if let Some(before) = self.previous.and_then(|before| self.texts.get_mut(before as usize))
            && before.next[0] != text
        {
            before.next = [text, before.next[0]];
        }
        self.previous = Some(text);
    }

    /// The row's circumstances, if they were met before: their text's number and their label's.
    fn known(&self, row: &[u8], bounds: &[Bounds]) -> Option<(u32, u32)> {
        let places = self.places.as_ref().filter(|places| places.len == bounds.len())?;
        let cells = Cells { row, bounds };
        let before = self.previous.and_then(|before| self.texts.get(before as usize));
        for expected in before.map_or([0; 2], |before| before.next) {
            if let Some(text) = self.texts.get(expected as usize)
                && is_text(places, cells, &text.cells)
            {
                return Some((expected, text.label));
            }
        }
        let key: Vec<u8> = places.runs.iter().flat_map(|run| cells.run(*run)).copied().collect();
        let number = *self.by_text.get(&key)?;
        Some((number, self.texts.get(number as usize)?.label))
    }

    fn numbers(&mut self, cells: Cells<'_>) -> Option<Numbers> {
        let places = self.places.as_ref()?;
        let timestamp_ms = parse_time_after(cells.plain(places.timestamp)?, &mut self.minute)?;
        let cycle_id = match places.cycle_id {
            None => None,
            Some(at) => {
                let cell = cells.plain(at)?;
                if cell != self.cycle.0 {
                    self.cycle = (cell.to_vec(), read_cycle(cell)?);
                }
                self.cycle.1
            }
        };
        let mut durations = [Duration::Unknown; Metric::ALL.len()];
        for (duration, at) in durations.iter_mut().zip(places.durations) {
            if let Some(at) = at {
                *duration = parse_micros(cells.plain(at)?)?;
            }
        }
        let mut tokens = [None; 4];
        for (token, at) in tokens.iter_mut().zip(places.tokens) {
            if let Some(at) = at {
                *token = parse_count(cells.plain(at)?)?;
            }
        }
        let cost = places.cost.map_or(Some(Amount::Unknown), |at| parse_amount(cells.plain(at)?))?;
        Some(Numbers { timestamp_ms, cycle_id, durations, tokens, cost })
    }
}

#[expect(
    clippy::option_option,
    reason = "the outer one: not written the way we write it; the inner one: an empty cell"
)]
fn read_cycle(cell: &[u8]) -> Option<Option<CycleId>> {
    if cell.is_empty() {
        return Some(None);
    }
    parse_cycle_time(std::str::from_utf8(cell).ok()?).map(|time| Some(CycleId::at(time)))
}

fn is_text(places: &Places, cells: Cells<'_>, text: &[u8]) -> bool {
    let mut rest = text;
    for run in &places.runs {
        match rest.strip_prefix(cells.run(*run)) {
            Some(behind) => rest = behind,
            None => return false,
        }
    }
    rest.is_empty()
}

fn label_of(row: &Row<'_>) -> Label {
    let owned = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(str::to_owned);
    Label {
        model_name: row.model_name.clone().into_owned(),
        environment: row.environment.clone(),
        context_window: row.context_window,
        is_cloud: row.is_cloud,
        is_success: row.is_success,
        provider: owned(&row.provider),
        simulated: row.simulated,
        location: owned(&row.location),
        token_source: row.token_source,
        http_status: row.http_status,
        error_kind: row.error_kind,
        error_message: owned(&row.error_message),
        served_model: owned(&row.served_model),
        finish_reason: owned(&row.finish_reason),
    }
}

fn numbers_of(row: &Row<'_>) -> Numbers {
    let ms = |metric| match metric {
        Metric::LatencyMs => row.latency_ms,
        Metric::TtftMs => row.ttft_ms,
        Metric::TtfaMs => row.ttfa_ms,
        Metric::TpotMs => row.tpot_ms,
        Metric::ConnectMs => row.connect_ms,
        Metric::DnsMs => row.dns_ms,
        Metric::TlsMs => row.tls_ms,
        Metric::TtfbMs => row.ttfb_ms,
        Metric::MaxGapMs => row.max_gap_ms,
        Metric::StartDelayMs => row.start_delay_ms,
        Metric::ClientDelayMs => row.client_delay_ms,
        Metric::LoadMs => row.load_ms,
    };
    Numbers {
        timestamp_ms: row.timestamp.timestamp_millis(),
        cycle_id: row.cycle_id,
        durations: Metric::ALL.map(|metric| Duration::of(ms(metric))),
        tokens: [row.input_tokens, row.output_tokens, row.cached_input_tokens, row.reasoning_tokens],
        cost: row.cost.map_or(Amount::Unknown, Amount::Exact),
    }
}
