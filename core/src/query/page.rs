use std::sync::Arc;

use super::{Cursor, Filter};
use crate::{
    history::{Direction, History, Row},
    record::Record,
    store::{Scope, StoreError},
};

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
    let mut scan = history.scan(query.scope.clone(), query.direction, position).skipping(query.skip);
    if query.filter != Filter::default() {
        scan = scan.only(Arc::new(query.filter.clone()));
    }
    let mut records = Vec::new();
    let mut last = None;
    while let Some(row) = scan.next().await? {
        if records.len() >= query.limit {
            return Ok(Page { records, next: last.map(|row: Row| Cursor(row.position())) });
        }
        records.push(row.to_record());
        last = Some(row);
    }
    Ok(Page { records, next: None })
}
