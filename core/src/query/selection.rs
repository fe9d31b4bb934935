use crate::{record::Label, store::Scope};

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
    /// Whether rows of `label` are of a wanted model.
    pub fn wants(&self, label: &Label) -> bool {
        self.models.as_ref().is_none_or(|models| models.contains(&label.model_name))
    }
}
