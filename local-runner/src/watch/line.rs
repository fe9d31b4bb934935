//! One line of text that knows how wide it is, and the words and numbers that go on it.

use chrono::TimeDelta;
use console::{measure_text_width, truncate_str};

use super::{answers::Distribution, screen::Room, state::State};

/// What a text's colour says. Colour is never the only sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Strong,
    Faint,
    Good,
    Warning,
    Bad,
}

impl Paint {
    /// The parameters of its "select graphic rendition"; the terminal's own palette, which fits its background.
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("1"),
            Self::Faint => Some("2"),
            Self::Good => Some("32"),
            Self::Warning => Some("33"),
            Self::Bad => Some("1;31"),
        }
    }

    pub(super) fn of(state: State) -> Self {
        match state {
            State::Failing => Self::Bad,
            State::Unstable | State::Limited | State::Unknown => Self::Warning,
            State::Working => Self::Good,
            State::Off | State::Absent => Self::Faint,
        }
    }
}

/// A line, cut at the room's width.
#[derive(Debug)]
pub(super) struct Line {
    text: String,
    width: usize,
    room: Room,
}

impl Line {
    pub(super) fn new(room: Room) -> Self {
        Self { text: String::new(), width: 0, room }
    }

    /// Adds `text`, or as much of it as has room.
    #[must_use]
    pub(super) fn put(mut self, paint: Paint, text: impl AsRef<str>) -> Self {
        let clean = printable(text.as_ref());
        let free = self.room.width.saturating_sub(self.width);
        if free == 0 {
            return self;
        }
        let cut = truncate_str(&clean, free, "…");
        self.width += measure_text_width(&cut);
        match paint.code().filter(|_| self.room.is_coloured) {
            Some(code) => self.text.extend(["\u{1b}[", code, "m", &cut, "\u{1b}[0m"]),
            None => self.text.push_str(&cut),
        }
        self
    }

    /// Adds `text` so that it takes exactly `width` columns.
    #[must_use]
    pub(super) fn cell(self, paint: Paint, text: impl AsRef<str>, width: usize) -> Self {
        let clean = printable(text.as_ref());
        let cut = truncate_str(&clean, width, "…");
        let end = self.width + width;
        self.put(paint, &cut).to(end)
    }

    /// Adds `text` at the right of `width` columns.
    #[must_use]
    pub(super) fn number(self, paint: Paint, text: impl AsRef<str>, width: usize) -> Self {
        let column = self.width + width.saturating_sub(measure_text_width(text.as_ref()));
        self.to(column).put(paint, text)
    }

    /// Spaces up to `column`.
    #[must_use]
    pub(super) fn to(mut self, column: usize) -> Self {
        let column = column.min(self.room.width);
        if column > self.width {
            self.text.extend(std::iter::repeat_n(' ', column - self.width));
            self.width = column;
        }
        self
    }

    pub(super) fn end(self) -> String {
        self.text.trim_end_matches(' ').to_owned()
    }
}

/// `text` without what a terminal would obey: names and messages are other people's.
fn printable(text: &str) -> String {
    // Of the marks that no one sees, those that turn the direction of writing would move what stands beside them.
    let is_unseen = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if is_unseen(c) { '\u{fffd}' } else { c }).collect()
}

/// `412 / 512 ms`: p50 and p95, in one unit.
pub(super) fn pair(values: Distribution) -> String {
    let (Some(p50), Some(p95)) = (values.p50, values.p95) else { return "–".to_owned() };
    let (scale, unit) = if p95 < 999.5 { (1.0, "ms") } else { (1_000.0, "s") };
    format!("{} / {} {unit}", digits(p50 / scale), digits(p95 / scale))
}

/// Three significant digits.
fn digits(number: f64) -> String {
    match number {
        n if n < 9.995 => format!("{n:.2}"),
        n if n < 99.95 => format!("{n:.1}"),
        n => format!("{n:.0}"),
    }
}

/// A share of 0..1. Never rounded up to 100 %: one failure in a thousand is not perfection.
pub(super) fn percent(share: Option<f64>) -> String {
    let Some(share) = share else { return "–".to_owned() };
    match (share * 1_000.0 + 1e-9).floor() / 10.0 {
        100.0 => "100 %".to_owned(),
        percent => format!("{percent:.1} %"),
    }
}

/// Against 1: `+12 %`, `−8 %`, `2.4×`.
pub(super) fn against(ratio: f64) -> String {
    if ratio >= 2.0 {
        return format!("{}×", digits(ratio));
    }
    let change = ((ratio - 1.0) * 100.0).round();
    let sign = if change < 0.0 {
        '−'
    } else if change > 0.0 {
        '+'
    } else {
        '±'
    };
    format!("{sign}{:.0} %", change.abs())
}

/// `21 s`, `3 min`, `2 h 5 min`, `4 d 2 h`.
pub(super) fn age(span: TimeDelta) -> String {
    let (big, small) = match span.num_seconds().max(0) {
        seconds @ 0..60 => return format!("{seconds} s"),
        seconds @ 60..3_600 => return format!("{} min", seconds / 60),
        seconds @ 3_600..86_400 => ((seconds / 3_600, "h"), (seconds % 3_600 / 60, "min")),
        seconds => ((seconds / 86_400, "d"), (seconds % 86_400 / 3_600, "h")),
    };
    let rest = if small.0 > 0 { format!(" {} {}", small.0, small.1) } else { String::new() };
    format!("{} {}{rest}", big.0, big.1)
}

/// The values as bars from zero, the last `width` of them; a gap where there is none.
pub(super) fn spark(values: &[Option<f64>], width: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let shown = values.get(values.len().saturating_sub(width)..).unwrap_or_default();
    let most = shown.iter().flatten().copied().fold(0.0, f64::max);
    let bar = |value: f64| BARS.get((value / most * 7.0).round() as usize).copied().unwrap_or('▁');
    shown.iter().map(|value| value.map_or(' ', bar)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room { width: 10, height: None, is_coloured: false };

    #[test]
    fn a_line_is_cut_at_its_width_and_obeys_nobody() {
        assert_eq!(Line::new(ROOM).put(Paint::Bad, "0123456789ab").end(), "012345678…");
        assert_eq!(Line::new(ROOM).put(Paint::Bad, "0123456789").put(Paint::Bad, "ab").end(), "0123456789");
        assert_eq!(Line::new(ROOM).put(Paint::Plain, "\u{1b}[2Ja\nb").end(), "\u{fffd}[2Ja\u{fffd}b");
        assert_eq!(Line::new(ROOM).cell(Paint::Plain, "模型模型", 5).put(Paint::Plain, "x").end(), "模型…x");
        assert_eq!(Line::new(ROOM).number(Paint::Plain, "+5 %", 8).put(Paint::Plain, "!").end(), "    +5 %!");
        let coloured = Room { is_coloured: true, ..ROOM };
        assert_eq!(Line::new(coloured).put(Paint::Bad, "✕").end(), "\u{1b}[1;31m✕\u{1b}[0m");
    }

    #[test]
    fn numbers_have_units_and_promise_nothing() {
        let both = |p50, p95| pair(Distribution { p50: Some(p50), p95: Some(p95), enough: true });
        assert_eq!(both(412.4, 512.0), "412 / 512 ms");
        assert_eq!(both(412.4, 1_873.0), "0.41 / 1.87 s");
        assert_eq!(pair(Distribution::default()), "–");
        assert_eq!([0.9999, 1.0, 0.7125].map(|share| percent(Some(share))), ["99.9 %", "100 %", "71.2 %"]);
        assert_eq!([1.124, 0.92, 1.001, 2.4].map(against), ["+12 %", "−8 %", "±0 %", "2.40×"]);
        assert_eq!(
            [21, 185, 7_500, 352_800].map(|s| age(TimeDelta::seconds(s))),
            ["21 s", "3 min", "2 h 5 min", "4 d 2 h"]
        );
        assert_eq!(spark(&[Some(9.0), Some(1.0), None, Some(8.0)], 3), "▂ █");
        assert_eq!(spark(&[Some(0.0)], 3), "▁");
    }
}
