//! Bytes sorted into piles, in memory while they are few and in temporary files beyond that.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Cursor, Read, Write},
    path::PathBuf,
};

use llm_monitor_core::store::StoreError;
use tempfile::TempDir;

/// Bytes that all piles together hold in memory.
const IN_MEMORY_BYTES: usize = 32 * 1024 * 1024;

/// Piles by key. What is in files is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Spill<K> {
    piles: BTreeMap<K, Pile>,
    in_memory: usize,
    limit: usize,
    folder: Option<TempDir>,
    /// How many files there have been.
    files: u64,
}

#[derive(Debug, Default)]
struct Pile {
    file: Option<PathBuf>,
    memory: Vec<u8>,
}

impl<K: Ord + Clone> Spill<K> {
    pub(crate) fn new() -> Self {
        Self::with_limit(IN_MEMORY_BYTES)
    }

    fn with_limit(limit: usize) -> Self {
        Self { piles: BTreeMap::new(), in_memory: 0, limit, folder: None, files: 0 }
    }

    /// Adds `bytes` to the end of a pile.
    ///
    /// # Errors
    /// What writing to the temporary folder gives.
    pub(crate) fn push(&mut self, key: &K, bytes: &[u8]) -> io::Result<()> {
        let pile = match self.piles.get_mut(key) {
            Some(pile) => pile,
            None => self.piles.entry(key.clone()).or_default(),
        };
        pile.memory.extend_from_slice(bytes);
        self.in_memory += bytes.len();
        if self.in_memory > self.limit { self.flush().map_err(|error| named(&error)) } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let folder = match &mut self.folder {
            Some(folder) => folder,
            none => none.insert(tempfile::Builder::new().prefix("llm-monitor-").tempdir()?),
        };
        for pile in self.piles.values_mut() {
            if pile.memory.is_empty() {
                continue;
            }
            let path = pile.file.get_or_insert_with(|| {
                self.files += 1;
                folder.path().join(self.files.to_string())
            });
            OpenOptions::new().create(true).append(true).open(path)?.write_all(&pile.memory)?;
            pile.memory = Vec::new();
        }
        self.in_memory = 0;
        Ok(())
    }

    /// The piles' keys, in their order.
    pub(crate) fn keys(&self) -> Vec<K> {
        self.piles.keys().cloned().collect()
    }

    /// Takes a pile out, to be read from its start.
    ///
    /// # Errors
    /// Its file cannot be opened.
    pub(crate) fn take(&mut self, key: &K) -> io::Result<Box<dyn Read + Send>> {
        let Some(pile) = self.piles.remove(key) else { return Ok(Box::new(io::empty())) };
        self.in_memory = self.in_memory.saturating_sub(pile.memory.len());
        let memory = Cursor::new(pile.memory);
        let Some(path) = pile.file else { return Ok(Box::new(memory)) };
        let file = File::open(&path).map_err(|error| named(&error))?;
        // Where an open file can have no name it frees its room as soon as it is read; elsewhere at the end.
        let _ = std::fs::remove_file(&path);
        Ok(Box::new(file.chain(memory)))
    }
}

/// Says where it failed, and what to do.
fn named(error: &io::Error) -> io::Error {
    let why = StoreError::of_write(&std::env::temp_dir(), error);
    io::Error::new(error.kind(), format!("the temporary folder {why}; or set TMPDIR to another folder"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]

    use super::*;

    #[test]
    fn a_pile_gives_back_what_it_took_in_order_from_memory_and_from_files() {
        for limit in [10, usize::MAX] {
            let mut spill = Spill::with_limit(limit);
            for round in 0..20_u8 {
                for key in [3, 1, 2] {
                    spill.push(&key, &[round, key]).expect("takes");
                }
            }
            assert_eq!(spill.keys(), [1, 2, 3]);
            for key in [2, 3, 1] {
                let mut bytes = Vec::new();
                spill.take(&key).expect("opens").read_to_end(&mut bytes).expect("reads");
                assert!(bytes.chunks(2).map(<[u8]>::to_vec).eq((0..20).map(|round| vec![round, key])));
            }
        }
    }
}
