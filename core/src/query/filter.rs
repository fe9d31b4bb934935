use std::str::FromStr;

use crate::history::{Counts, Row, RowFilter, SeriesName};

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
    /// Only these models, by their whole names.
    pub models: Option<Vec<String>>,
    /// Only what ended so.
    pub status: Option<Status>,
    /// No derived rows.
    pub leaves_out_simulated: bool,
}

impl RowFilter for Filter {
    fn matches(&self, row: &Row) -> bool {
        self.status.is_none_or(|status| row.is_success() == (status == Status::Success))
            && self.wants(row.model_name(), row.is_simulated())
    }

    fn count_in(&self, name: &SeriesName, counts: &Counts) -> u64 {
        if !self.wants(&name.model_name, name.simulated) {
            return 0;
        }
        self.status.map_or(counts.count, |status| status.count_in(counts))
    }
}

impl Filter {
    fn wants(&self, model: &str, is_simulated: bool) -> bool {
        !(self.leaves_out_simulated && is_simulated)
            && self.models.as_ref().is_none_or(|models| models.iter().any(|wanted| wanted == model))
    }
}

impl Status {
    /// How many of the probes that `counts` is made of ended so.
    fn count_in(self, counts: &Counts) -> u64 {
        match self {
            Self::Success => counts.successes,
            Self::Error => counts.count - counts.successes,
        }
    }
}
