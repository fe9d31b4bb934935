use std::str::FromStr;

use crate::history::Row;

/// How a probe ended, as a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It succeeded.
    Success,
    /// It failed.
    Error,
}

/// The word is neither `success` nor `error`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a status is success or error")]
pub struct UnknownStatus;

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "success" => Ok(Self::Success),
            "error" => Ok(Self::Error),
            _ => Err(UnknownStatus),
        }
    }
}

/// Which rows of a scope are wanted. `None` lets all through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Exactly this model.
    pub model: Option<String>,
    /// Only what ended so.
    pub status: Option<Status>,
}

impl Filter {
    /// Whether `row` is wanted.
    pub fn matches(&self, row: &Row) -> bool {
        self.status.is_none_or(|status| row.is_success() == (status == Status::Success))
            && self.model.as_deref().is_none_or(|model| row.model_name() == model)
    }
}
