//! Bytes -> rows -> fields: where a row ends and where its fields lie.

use std::sync::LazyLock;

/// Longest row that is read, in bytes. Ours are below 1 kB; the limit keeps one broken quote, or one cell of 100 MB, from
/// taking the rest of a file with it.
pub(crate) const MAX_ROW_BYTES: usize = 256 * 1024;

/// Where a field lies in its row: start and end, quotes included.
pub(crate) type Bounds = (u32, u32);

/// What stands at the start of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Split {
    /// Nothing.
    End,
    /// The beginning of a row whose end is not there yet.
    NeedMore,
    /// An empty line.
    Blank {
        /// Its bytes, line end included.
        used: usize,
    },
    /// A row; its fields' bounds have been noted.
    Row {
        /// Its bytes without the line end.
        len: usize,
        /// Its bytes with the line end.
        used: usize,
        /// How many lines it covers: a quoted field may hold line ends.
        lines: u64,
        /// Bytes of its first line, line end included: what to give up when the row turns out to be none.
        first_line: usize,
    },
    /// A line that is no row. The next line is looked at afresh.
    Malformed {
        /// Its bytes, line end included.
        used: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A line over [`MAX_ROW_BYTES`] whose end is not there yet.
    Endless,
}

pub(super) static TOO_LONG: LazyLock<String> =
    LazyLock::new(|| format!("the row is longer than {} KiB", MAX_ROW_BYTES / 1_024));
pub(crate) const UNCLOSED_QUOTE: &str = "a quote is opened and never closed";
const AFTER_QUOTE: &str = "a closing quote is followed by something other than a comma or the line's end";

/// Finds the row at the start of `bytes` and the bounds of its fields. `is_last`: nothing follows `bytes`.
pub(crate) fn split(bytes: &[u8], is_last: bool, bounds: &mut Vec<Bounds>) -> Split {
    bounds.clear();
    // Most lines hold no quote: then it is not looked for again.
    let end_or_quote = memchr::memchr2(b'\n', b'"', bytes);
    let is_plain = end_or_quote.is_none_or(|at| bytes.get(at) == Some(&b'\n'));
    let end = if is_plain { end_or_quote } else { memchr::memchr(b'\n', bytes) };
    let (line, used) = match end {
        Some(at) => (bytes.get(..at).unwrap_or_default(), at + 1),
        None if bytes.is_empty() && is_last => return Split::End,
        None if is_last => (bytes, bytes.len()),
        None if bytes.len() > MAX_ROW_BYTES => return Split::Endless,
        None => return Split::NeedMore,
    };
    if line.len() > MAX_ROW_BYTES {
        return Split::Malformed { used, reason: &TOO_LONG };
    }
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.trim_ascii().is_empty() {
        return Split::Blank { used };
    }
    if is_plain {
        split_plain(line, bounds);
        Split::Row { len: line.len(), used, lines: 1, first_line: used }
    } else {
        split_quoted(bytes, used, is_last, bounds)
    }
}

/// Notes the fields of a line without quotes, eight bytes at a time: every byte of a long history passes here.
fn split_plain(line: &[u8], bounds: &mut Vec<Bounds>) {
    let mut start = 0;
    let (words, rest) = line.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let mut commas = bytes_equal_to(u64::from_le_bytes(*word), b',');
        while commas != 0 {
            let at = index as u32 * 8 + commas.trailing_zeros() / 8;
            bounds.push((start, at));
            start = at + 1;
            commas &= commas - 1;
        }
    }
    for (at, byte) in (words.len() as u32 * 8..).zip(rest) {
        if *byte == b',' {
            bounds.push((start, at));
            start = at + 1;
        }
    }
    bounds.push((start, line.len() as u32));
}

/// The high bit of every byte of `word` that is `byte`.
fn bytes_equal_to(word: u64, byte: u8) -> u64 {
    const LOW_BITS: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let difference = word ^ u64::from_ne_bytes([byte; 8]);
    // A byte that is not zero carries into its high bit, or has it already.
    !(((difference & LOW_BITS) + LOW_BITS) | difference | LOW_BITS)
}

/// As [`split`], for a row with a quote in its first line, which ends at `first_line`.
fn split_quoted(bytes: &[u8], first_line: usize, is_last: bool, bounds: &mut Vec<Bounds>) -> Split {
    bounds.clear();
    let window = bytes.get(..MAX_ROW_BYTES).unwrap_or(bytes);
    let is_cut = window.len() < bytes.len();
    let short_of_bytes = |reason| {
        if is_last || is_cut { Split::Malformed { used: first_line, reason } } else { Split::NeedMore }
    };
    let mut at = 0;
    let mut lines = 1;
    loop {
        let start = at;
        if window.get(at) == Some(&b'"') {
            let Some(end) = closing_quote(window, at + 1) else { return short_of_bytes(UNCLOSED_QUOTE) };
            if end + 1 == window.len() && (is_cut || !is_last) {
                // The next byte decides whether this quote closes the field.
                return short_of_bytes(UNCLOSED_QUOTE);
            }
            lines += window.get(start..end).map_or(0, |field| memchr::memchr_iter(b'\n', field).count() as u64);
            at = end + 1;
        } else {
            let rest = window.get(at..).unwrap_or_default();
            at += memchr::memchr2(b',', b'\n', rest).unwrap_or(rest.len());
        }
        // A field that is not quoted may end in the carriage return of the line's end.
        let field_end = match window.get(at) {
            Some(b'\n') | None if at > start && window.get(at - 1) == Some(&b'\r') => at - 1,
            _ => at,
        };
        match window.get(at..).unwrap_or_default() {
            [b',', ..] => {
                bounds.push((start as u32, at as u32));
                at += 1;
            }
            [b'\n', ..] => {
                bounds.push((start as u32, field_end as u32));
                return Split::Row { len: field_end, used: at + 1, lines, first_line };
            }
            [b'\r', b'\n', ..] => {
                bounds.push((start as u32, at as u32));
                return Split::Row { len: at, used: at + 2, lines, first_line };
            }
            [] | [b'\r'] if is_last && !is_cut => {
                bounds.push((start as u32, field_end as u32));
                return Split::Row { len: field_end, used: window.len(), lines, first_line };
            }
            [] | [b'\r'] => return short_of_bytes(&TOO_LONG),
            _ => return Split::Malformed { used: first_line, reason: AFTER_QUOTE },
        }
    }
}

/// Where the quote stands that closes the field whose text begins at `from`; doubled quotes are text.
fn closing_quote(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += memchr::memchr(b'"', bytes.get(at..)?)?;
        if bytes.get(at + 1) != Some(&b'"') {
            return Some(at);
        }
        at += 2;
    }
}
