//! The quick way through a long file: whole segments that hold rows and nothing else, decoded on several threads.
//!
//! Where a segment holds anything else it is left to the way line by line, which finds out what that is.

use std::{
    fs::File,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use super::{disk::read_up_to, load::Pass};
use crate::{
    record::{
        Table,
        csv::{self, Layout, MAX_ROW_BYTES},
    },
    store::index::{RowsNote, SEGMENT_BYTES},
};

/// Segments that one thread decodes in one go: enough that none waits long for the others.
const PER_THREAD: usize = 16;

/// Line ends are looked for in windows of so many bytes.
const WINDOW_BYTES: usize = 4 * 1024;

/// A segment's worth of rows.
#[derive(Debug)]
pub(super) struct Bulk {
    /// Bytes, the last line end included.
    pub(super) len: u64,
    pub(super) lines: u64,
    pub(super) note: RowsNote,
    /// Where it is wanted.
    pub(super) table: Option<Table>,
}

/// The next segments of `file` that hold rows alone, which begin at `from`: some, and none where the first is not like that. Their
/// tables come with them if they are to be kept.
///
/// A file that cannot be read has none either: the way line by line says why.
pub(super) fn next(file: &File, from: u64, limit: u64, layout: &Layout, pass: Pass) -> Vec<Bulk> {
    let pieces = cut(file, from, limit, pass.threads * PER_THREAD);
    let (next, first_other) = (AtomicUsize::new(0), AtomicUsize::new(pieces.len()));
    let work = || {
        let mut done = Vec::new();
        let mut text = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(piece) = pieces.get(at).filter(|_| at < first_other.load(Ordering::Relaxed)) else { return done };
            match decode(file, *piece, layout, &mut text) {
                Some(mut bulk) => {
                    bulk.table.take_if(|_| pass.keep_bytes == 0);
                    done.push((at, bulk));
                }
                None => drop(first_other.fetch_min(at, Ordering::Relaxed)),
            }
        }
    };
    let mut done = thread::scope(|scope| {
        // Where the system has no thread left, this one does it all.
        let start = |_| thread::Builder::new().spawn_scoped(scope, work).ok();
        let others: Vec<_> = (1..pass.threads.min(pieces.len())).filter_map(start).collect();
        let mut done = work();
        for other in others {
            // One that panicked has done nothing: what is missing is read line by line.
            done.extend(other.join().unwrap_or_default());
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().enumerate().take_while(|(expected, (at, _))| expected == at).map(|(_, (_, bulk))| bulk).collect()
}

/// Where up to `count` segments begin and end, as the index cuts them; only the last may be shorter, which ends the file.
fn cut(file: &File, from: u64, limit: u64, count: usize) -> Vec<(u64, u64)> {
    let mut pieces = Vec::new();
    let mut start = from;
    while pieces.len() < count && start < limit {
        let Some(end) = line_end(file, start + SEGMENT_BYTES - 1, limit) else { break };
        pieces.push((start, end));
        start = end;
    }
    pieces
}

/// Behind the first line feed from `at` on, or `limit` where a line feed stands before it.
fn line_end(file: &File, at: u64, limit: u64) -> Option<u64> {
    let mut window = [0; WINDOW_BYTES];
    let mut at = at.min(limit - 1);
    let give_up = at + MAX_ROW_BYTES as u64;
    while at < limit.min(give_up) {
        let wanted = WINDOW_BYTES.min(usize::try_from(limit - at).unwrap_or(WINDOW_BYTES));
        let window = window.get_mut(..wanted)?;
        let filled = read_up_to(file, window, at).ok()?;
        match memchr::memchr(b'\n', window.get(..filled)?) {
            Some(found) => return Some(at + found as u64 + 1),
            None if filled < wanted => return None,
            None => at += filled as u64,
        }
    }
    None
}

fn decode(file: &File, (start, end): (u64, u64), layout: &Layout, text: &mut Vec<u8>) -> Option<Bulk> {
    let len = end - start;
    text.resize(usize::try_from(len).ok()?, 0);
    if read_up_to(file, text, start).ok()? < text.len() {
        return None;
    }
    let table = csv::decode_rows(text, layout)?;
    let lines = memchr::memchr_iter(b'\n', text).count() as u64;
    Some(Bulk { len, lines, note: RowsNote::of(&table), table: Some(table) })
}
