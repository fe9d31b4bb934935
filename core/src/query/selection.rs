use crate::{history::Rows, store::Scope};

/// Which rows figures are made of.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Environments and time.
    pub scope: Scope,
    /// Only these models; `None` for all.
    pub models: Option<Vec<String>>,
    /// Derived rows count like measured ones; else they are left out and counted apart.
    pub include_simulated: bool,
    /// Most rows that are gone through.
    pub rows_at_most: u64,
}

impl Selection {
    /// The rows, as the history takes them.
    pub(super) fn rows(&self) -> Rows<'_, impl Fn(&str) -> bool> {
        let wants = |model: &str| self.models.as_ref().is_none_or(|models| models.iter().any(|wanted| wanted == model));
        Rows { scope: &self.scope, wants, at_most: self.rows_at_most }
    }
}
