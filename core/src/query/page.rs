use super::{Cursor, Filter};
use crate::{
    history::{Direction, History, Row},
    record::Record,
    store::{Scope, StoreError},
};

/// Rows that are looked at in one go before other requests get their turn.
const ROWS_BETWEEN_YIELDS: u32 = 4096;

/// Which records are wanted, and which of them make the page.
#[derive(Debug, Clone)]
pub struct RecordQuery {
    /// Environments and time.
    pub scope: Scope,
    /// The rest.
    pub filter: Filter,
    /// Newest or oldest first.
    pub direction: Direction,
    /// Where the page before ended.
    pub after: Option<Cursor>,
    /// How many matching records to pass over.
    pub skip: u64,
    /// Most records on the page.
    pub limit: usize,
}

/// Some of the records that were asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// In the direction asked for.
    pub records: Vec<Record>,
    /// Where the next page begins; `None` when there is nothing more.
    pub next: Option<Cursor>,
}

/// Reads one page. Reads on until one matching record beyond the page is met, so that `next` is never a promise of nothing.
pub async fn page(history: &History, query: &RecordQuery) -> Result<Page, StoreError> {
    let position = query.after.clone().map(|cursor| cursor.0);
    // Without a filter every row counts, so that whole segments can be passed over.
    let all_at_once = if query.filter == Filter::default() { query.skip } else { 0 };
    let mut scan = history.scan(query.scope.clone(), query.direction, position).skipping(all_at_once);
    let mut to_skip = query.skip - all_at_once;
    let mut records = Vec::new();
    let mut last = None;
    let mut looked_at: u32 = 0;
    while let Some(row) = scan.next().await? {
        looked_at = looked_at.wrapping_add(1);
        if looked_at.is_multiple_of(ROWS_BETWEEN_YIELDS) {
            tokio::task::yield_now().await;
        }
        if !query.filter.matches(&row) {
            continue;
        }
        if to_skip > 0 {
            to_skip -= 1;
            continue;
        }
        if records.len() >= query.limit {
            return Ok(Page { records, next: last.map(|row: Row| Cursor(row.position())) });
        }
        records.push(row.to_record());
        last = Some(row);
    }
    Ok(Page { records, next: None })
}
