//! What an environment's usage endpoint says: which models are in use today, how much, and at what rates.

mod client;
mod forbidden;
mod kept;
mod report;

pub use client::{UsageClient, UsageError};
pub use kept::{KEPT_HEADER, Kept, KeptRow, read_kept};
pub use report::{Report, UsageEntry, parse};
