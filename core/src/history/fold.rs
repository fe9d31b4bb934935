//! Every row of a scope, in no order: for sums and samples, which need none.

use futures_util::{StreamExt, stream};

use super::History;
use crate::{
    record::Record,
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
    /// longer than they are looked at. More than `limit` rows are an error.
    pub async fn fold<T>(
        &self,
        scope: &Scope,
        limit: u64,
        start: impl Fn() -> T,
        mut add: impl FnMut(&mut T, &Record),
    ) -> Result<T, FoldError> {
        let mut attempt = 1;
        loop {
            match self.fold_once(scope, limit, start(), &mut add).await {
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
        mut total: T,
        add: &mut impl FnMut(&mut T, &Record),
    ) -> Result<T, FoldError> {
        let segments = self.segments(scope).await?;
        let mut loads = stream::iter(segments).map(async |segment| self.load(&segment).await).buffered(READ_AHEAD);
        let mut seen = 0;
        while let Some(parsed) = loads.next().await {
            let parsed = parsed?;
            for record in parsed.between(scope.from, scope.to) {
                if scope.environments.as_ref().is_none_or(|wanted| wanted.contains(&record.environment)) {
                    seen += 1;
                    if seen > limit {
                        return Err(FoldError::TooMany { limit });
                    }
                    add(&mut total, record);
                }
            }
            // Other requests get their turn.
            tokio::task::yield_now().await;
        }
        Ok(total)
    }
}
