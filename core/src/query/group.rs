//! Rows of one kind together.

use std::{collections::BTreeMap, fmt, str::FromStr};

use crate::{history::Cell, record::TableRow};

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

/// Groups by what their rows have in common.
#[derive(Debug, Clone)]
pub struct Groups<G> {
    columns: Vec<Column>,
    members: Vec<G>,
    by_key: BTreeMap<GroupKey, usize>,
    /// The table whose labels were looked at last, and by their numbers: in which group each is. Rows come table by table,
    /// so names are compared once for a table and not once for a row.
    table_serial: u64,
    by_label: Vec<Option<usize>>,
}

impl<G: Default> Groups<G> {
    /// No groups yet.
    pub fn by(columns: &[Column]) -> Self {
        let columns = columns.to_vec();
        Self { columns, members: Vec::new(), by_key: BTreeMap::new(), table_serial: 0, by_label: Vec::new() }
    }

    /// The group that `row` belongs to.
    pub fn of(&mut self, row: &TableRow<'_>) -> &mut G {
        let label = row.label();
        let names = || (label.environment.as_str(), label.model_name.as_str(), label.provider.as_deref());
        self.labelled(row.table_serial(), row.label_number(), names)
    }

    /// The group that the rows of `cell` belong to.
    pub fn of_cell(&mut self, cell: &Cell<'_>) -> &mut G {
        let name = cell.name();
        let names = || (cell.environment().as_str(), name.model_name.as_str(), name.provider.as_deref());
        self.labelled(cell.day_serial(), cell.name_number(), names)
    }

    /// The group of the label `number` of the table `serial`, which stands for `names`: environment, model and provider.
    fn labelled<'n>(
        &mut self,
        serial: u64,
        number: usize,
        names: impl Fn() -> (&'n str, &'n str, Option<&'n str>),
    ) -> &mut G {
        if self.table_serial != serial {
            self.table_serial = serial;
            self.by_label.clear();
        }
        if self.by_label.len() <= number {
            self.by_label.resize(number + 1, None);
        }
        let known = self.by_label.get(number).copied().flatten();
        let at = known.unwrap_or_else(|| {
            let at = self.find(names());
            if let Some(place) = self.by_label.get_mut(number) {
                *place = Some(at);
            }
            at
        });
        #[expect(clippy::expect_used, reason = "every number that is handed out is that of a group")]
        self.members.get_mut(at).expect("the group is there")
    }

    fn find(&mut self, (environment, model, provider): (&str, &str, Option<&str>)) -> usize {
        let word = |column, word: &str| self.columns.contains(&column).then(|| word.to_owned());
        let key = GroupKey {
            environment: word(Column::Environment, environment),
            model_name: word(Column::Model, model),
            provider: word(Column::Provider, provider.unwrap_or_default()),
        };
        *self.by_key.entry(key).or_insert_with(|| {
            self.members.push(G::default());
            self.members.len() - 1
        })
    }

    /// Every group with its key, in alphabetical order.
    pub fn into_groups(self) -> Vec<(GroupKey, G)> {
        let mut groups: Vec<Option<G>> = self.members.into_iter().map(Some).collect();
        let mut take = |at: usize| groups.get_mut(at).and_then(Option::take);
        self.by_key.into_iter().filter_map(|(key, at)| Some((key, take(at)?))).collect()
    }
}
