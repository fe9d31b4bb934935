/// What a [`FileStore`](super::FileStore) does with finished days, and keeps at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileOptions {
    /// Their rows move out of the file into files of their own.
    pub rotate: bool,
    /// What is older than so many days is deleted; `None` keeps all.
    pub retention_days: Option<u32>,
    /// How many bytes of rows that were decoded on opening are kept for the first reader, who would decode them again.
    pub keep_decoded_bytes: usize,
}

impl Default for FileOptions {
    fn default() -> Self {
        Self { rotate: true, retention_days: None, keep_decoded_bytes: 0 }
    }
}
