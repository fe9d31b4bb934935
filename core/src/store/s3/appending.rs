//! How rows come into a bucket, by what its server can do.

use super::{options::AppendMode, proof::Finding, swap::Conditions};

/// How appends are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Appending {
    /// To an object that all cycles of an hour share.
    Swap(Conditions),
    /// Each to an object of its own.
    Objects {
        /// Whether the server can be asked to write only what is not there.
        knows_new: bool,
    },
}

impl Appending {
    /// By what the server proved.
    pub(super) fn by(found: Finding) -> Self {
        match found.conditions {
            Conditions::None => Self::Objects { knows_new: found.knows_new },
            conditions => Self::Swap(conditions),
        }
    }

    /// To change an object that others may change too, as far as the server goes.
    pub(super) fn conditions(self) -> Conditions {
        match self {
            Self::Swap(conditions) => conditions,
            Self::Objects { .. } => Conditions::None,
        }
    }

    /// In words for a person.
    pub(super) fn describe(self, mode: AppendMode) -> &'static str {
        match (self, mode) {
            (Self::Swap(_), AppendMode::Auto) => {
                "the server honours conditional writes; rows are appended by compare-and-swap, one object an hour"
            }
            (Self::Objects { .. }, AppendMode::Auto) => {
                "the server does not honour conditional writes; each cycle is written to an object of its own"
            }
            (Self::Swap(_), _) => {
                "rows are appended by compare-and-swap, one object an hour; the server is trusted to honour conditional \
                 writes (RECORDS_APPEND=swap)"
            }
            (Self::Objects { .. }, _) => "each cycle is written to an object of its own (RECORDS_APPEND=objects)",
        }
    }
}
