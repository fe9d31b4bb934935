//! Rows of one kind together.

use std::{collections::BTreeMap, fmt, str::FromStr};

use crate::record::Record;

/// A column that rows are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Column {
    /// Where the model is used.
    Environment,
    /// The model.
    Model,
    /// Who serves it.
    Provider,
}

impl Column {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Model => "model",
            Self::Provider => "provider",
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The word names no column to group by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rows are grouped by environment, model or provider")]
pub struct UnknownColumn;

impl FromStr for Column {
    type Err = UnknownColumn;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Self::Environment, Self::Model, Self::Provider]
            .into_iter()
            .find(|column| column.as_str() == word)
            .ok_or(UnknownColumn)
    }
}

/// What the rows of a group have in common; `None` where they are not grouped by it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupKey {
    /// Where the model is used.
    pub environment: Option<String>,
    /// The model.
    pub model_name: Option<String>,
    /// Who serves it; empty where that is not known.
    pub provider: Option<String>,
}

/// Groups by what their rows have in common, in alphabetical order.
#[derive(Debug, Clone)]
pub struct Groups<G> {
    columns: Vec<Column>,
    /// By environment, model and provider; an empty word where rows are not grouped by it. Nested, so that a row's group is
    /// found without making a key of it.
    tree: BTreeMap<String, BTreeMap<String, BTreeMap<String, G>>>,
}

impl<G: Default> Groups<G> {
    /// No groups yet.
    pub fn by(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), tree: BTreeMap::new() }
    }

    /// The group that `record` belongs to.
    pub fn of(&mut self, record: &Record) -> &mut G {
        let word = |column, word| if self.columns.contains(&column) { word } else { "" };
        let environment = word(Column::Environment, record.environment.as_str());
        let model = word(Column::Model, record.model_name.as_str());
        let provider = word(Column::Provider, record.provider.as_deref().unwrap_or_default());
        below(below(below(&mut self.tree, environment), model), provider)
    }

    /// Every group with its key.
    pub fn into_groups(self) -> Vec<(GroupKey, G)> {
        let Self { columns, tree } = self;
        let word = |column, word: &str| columns.contains(&column).then(|| word.to_owned());
        let mut groups = Vec::new();
        for (environment, models) in tree {
            for (model, providers) in models {
                for (provider, group) in providers {
                    let key = GroupKey {
                        environment: word(Column::Environment, &environment),
                        model_name: word(Column::Model, &model),
                        provider: word(Column::Provider, &provider),
                    };
                    groups.push((key, group));
                }
            }
        }
        groups
    }
}

fn below<'a, T: Default>(map: &'a mut BTreeMap<String, T>, word: &str) -> &'a mut T {
    if !map.contains_key(word) {
        map.insert(word.to_owned(), T::default());
    }
    #[expect(clippy::expect_used, reason = "inserted above; `entry` would cost an allocation for every row")]
    map.get_mut(word).expect("the entry was just made")
}
