//! Every row of a scope, in no order: for sums and samples, which need none.

use futures_util::{StreamExt, stream};

use super::History;
use crate::{
    record::{Label, TableRow},
    store::{Scope, StoreError},
};

/// Segments that are read at the same time.
const READ_AHEAD: usize = 4;

/// How often the whole is done again when segments change under it.
const ATTEMPTS: u32 = 8;

/// Why rows could not be gone through.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FoldError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There are more rows than the caller is ready for.
    #[error("more than {limit} records")]
    TooMany {
        /// What the caller said.
        limit: u64,
    },
}

impl History {
    /// Starts with `start()` and shows every row of `scope` to `add`, in no particular order, each once. Segments are not held
    /// longer than they are looked at. `wants` says which rows count, by what they have in common; more than `limit` of
    /// those are an error.
    pub async fn fold<T>(
        &self,
        scope: &Scope,
        limit: u64,
        wants: impl Fn(&Label) -> bool,
        start: impl Fn() -> T,
        mut add: impl FnMut(&mut T, &TableRow<'_>),
    ) -> Result<T, FoldError> {
        let mut attempt = 1;
        loop {
            match self.fold_once(scope, limit, &wants, start(), &mut add).await {
                // A part was counted already: only the whole anew counts every row once.
                Err(FoldError::Store(StoreError::Changed { .. })) if attempt < ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    async fn fold_once<T>(
        &self,
        scope: &Scope,
        limit: u64,
        wants: &impl Fn(&Label) -> bool,
        mut total: T,
        add: &mut impl FnMut(&mut T, &TableRow<'_>),
    ) -> Result<T, FoldError> {
        let segments = self.segments(scope).await?;
        let mut loads = stream::iter(segments).map(async |segment| self.load(&segment).await).buffered(READ_AHEAD);
        let mut seen = 0;
        while let Some(parsed) = loads.next().await {
            let parsed = parsed?;
            let is_wanted: Vec<bool> =
                parsed.labels().iter().map(|label| scope.has(&label.environment) && wants(label)).collect();
            for row in parsed.between(scope.from, scope.to).filter_map(|index| parsed.row(index)) {
                if is_wanted.get(row.label_number()) == Some(&true) {
                    seen += 1;
                    if seen > limit {
                        return Err(FoldError::TooMany { limit });
                    }
                    add(&mut total, &row);
                }
            }
            // Other requests get their turn.
            tokio::task::yield_now().await;
        }
        Ok(total)
    }
}
