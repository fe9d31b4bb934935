//! What readers ask of the history: filters, pages and where the next page begins.

mod cursor;
mod filter;
mod last_cycle;
mod page;

#[cfg(test)]
mod tests;

pub use cursor::{Cursor, InvalidCursor};
pub use filter::{Filter, Status};
pub use last_cycle::last_cycles;
pub use page::{Page, RecordQuery, page};
