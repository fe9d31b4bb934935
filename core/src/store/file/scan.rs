//! A CSV file read row by row in bounded memory.

use std::{
    fs::File,
    io::{self, Read},
};

use super::disk::read_up_to;
use crate::record::csv::Reader;

/// Walks over a file's rows.
pub(super) type Scanner<'f> = Reader<Beginning<'f>>;

/// Begins below the header of `file`, if it has one. What lies behind its first `limit` bytes is not looked at.
///
/// # Errors
/// What reading gives, here and later: `UnexpectedEof` where the file turns out to be shorter.
pub(super) fn scan(file: &File, limit: u64) -> io::Result<Scanner<'_>> {
    Reader::new(Beginning { file, at: 0, limit })
}

/// Goes on at `offset`, where `line` begins.
pub(super) fn go_on<'f>(scanner: &mut Scanner<'f>, file: &'f File, limit: u64, offset: u64, line: u64) {
    scanner.go_on(Beginning { file, at: offset, limit }, offset, line);
}

/// The first bytes of a file, wherever its cursor stands.
#[derive(Debug)]
pub(super) struct Beginning<'f> {
    file: &'f File,
    at: u64,
    limit: u64,
}

impl Read for Beginning<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.limit.saturating_sub(self.at)).unwrap_or(usize::MAX).min(out.len());
        let out = out.get_mut(..wanted).unwrap_or_default();
        if read_up_to(self.file, out, self.at)? < wanted {
            // Somebody cuts the file while it is read.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += wanted as u64;
        Ok(wanted)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::record::csv::{BOM, Cell, MAX_ROW_BYTES};

    const HEADER: &str = "model_name,timestamp,latency_ms\n";
    const ROW: &str = "a,2026-11-24T00:00:00Z,1\n";

    fn file(parts: &[&[u8]]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&parts.concat()).unwrap();
        file
    }

    #[test]
    fn every_stretch_is_where_it_says_also_behind_a_line_that_is_too_long() {
        let long = "x".repeat(4 * MAX_ROW_BYTES) + "\n";
        let parts: [&[u8]; 6] = [BOM, HEADER.as_bytes(), ROW.as_bytes(), long.as_bytes(), b"\n", ROW.as_bytes()];
        let file = file(&parts);
        let mut scanner = scan(&file, file.metadata().unwrap().len()).unwrap();
        assert_eq!((scanner.header(), scanner.offset()), (Some(HEADER.as_bytes()), (BOM.len() + HEADER.len()) as u64));
        let mut at = scanner.offset();
        for (line, part) in (2..).zip(&parts[2..]) {
            let item = scanner.next_item().unwrap().unwrap();
            assert_eq!((item.offset, item.len, item.line, item.lines), (at, part.len() as u64, line, 1));
            let is_held = part.len() <= MAX_ROW_BYTES;
            assert_eq!(item.whole(), is_held.then_some(*part), "line {line}");
            assert!(item.has_line_end && item.text.len() <= MAX_ROW_BYTES);
            assert_eq!(matches!(item.cell, Cell::Problem(_)), !is_held);
            at += item.len;
        }
        assert!(scanner.next_item().unwrap().is_none());
    }

    #[test]
    fn what_lies_behind_the_limit_is_not_looked_at() {
        let file = file(&[HEADER.as_bytes(), ROW.as_bytes(), ROW.as_bytes()]);
        for (cut, has_line_end) in [(0, true), (1, false)] {
            let mut scanner = scan(&file, (HEADER.len() + ROW.len() - cut) as u64).unwrap();
            assert_eq!(scanner.next_item().unwrap().unwrap().has_line_end, has_line_end);
            assert!(scanner.next_item().unwrap().is_none());
        }
    }

    #[test]
    fn a_file_that_is_cut_while_it_is_read_does_not_pass_for_a_whole_one() {
        let file = file(&[HEADER.as_bytes(), ROW.as_bytes()]);
        let error = scan(&file, (HEADER.len() + 2 * ROW.len()) as u64).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
