use std::sync::LazyLock;

use crate::provider::Provider;

/// What is known of a model apart from the usage endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KnownModel {
    pub(super) name: String,
    pub(super) provider: Provider,
    pub(super) context_window: Option<u64>,
    pub(super) arena_score: Option<u32>,
    pub(super) built_in: bool,
}

static KNOWN: LazyLock<Vec<KnownModel>> = LazyLock::new(|| read(include_str!("known_models.csv")));

/// The models that are monitored where the usage endpoint never answered.
pub(super) fn built_in() -> impl Iterator<Item = &'static KnownModel> {
    KNOWN.iter().filter(|model| model.built_in)
}

/// The facts of `name`: its own, else those of the longest known name that it dates or tags
/// (`gpt-4o-mini-2024-07-18`, `claude-sonnet-4-5@20250929`, `ollama-llama3:8b`).
pub(super) fn find(name: &str) -> Option<&'static KnownModel> {
    let is_edition = |rest: &str| {
        rest.strip_prefix(['-', '@', ':']).is_some_and(|edition| {
            rest.starts_with(':') || edition == "latest" || edition.starts_with(|c: char| c.is_ascii_digit())
        })
    };
    let fits = |known: &&KnownModel| {
        name.strip_prefix(known.name.as_str()).is_some_and(|rest| rest.is_empty() || is_edition(rest))
    };
    KNOWN.iter().filter(fits).max_by_key(|known| known.name.len())
}

fn read(table: &str) -> Vec<KnownModel> {
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(table.as_bytes());
    let row = |record: csv::StringRecord| {
        Some(KnownModel {
            name: record.get(0)?.to_owned(),
            provider: record.get(1)?.parse().ok()?,
            context_window: record.get(2)?.parse().ok(),
            arena_score: record.get(3)?.parse().ok(),
            built_in: record.get(4)?.parse().ok()?,
        })
    };
    reader.records().flatten().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_can_be_read() {
        let rows = include_str!("known_models.csv").lines().filter(|line| !line.starts_with('#')).count() - 1;
        assert_eq!(KNOWN.len(), rows);
        assert_eq!(built_in().count(), 7);
    }

    #[test]
    fn a_dated_id_takes_the_facts_of_its_model_and_a_relative_does_not() {
        let window = |name| find(name).and_then(|known| known.context_window);
        assert_eq!(window("gpt-4o-mini-2024-07-18"), Some(128_000));
        assert_eq!(window("gpt-4-0613"), Some(8_192));
        assert_eq!(window("gpt-4.1-2025-04-14"), Some(1_047_576));
        assert_eq!(window("ollama-llama3:8b"), Some(4_096));
        assert_eq!(window("gpt-4-vision-preview"), None);
    }
}
