//! What readers ask of the history: filters, pages and where the next page begins; summaries, series and comparisons.

mod costs;
mod counters;
mod cursor;
mod difference;
mod filter;
mod group;
mod interval;
mod last_cycle;
mod page;
mod sample;
mod selection;
mod series;
mod side;
mod summary;

#[cfg(test)]
mod tests;

pub use costs::{
    MonitoringCosts, PriceChange, Probed, Rates, UsageCosts, UsageDay, Used, monitoring_costs, price_changes,
    usage_costs,
};
pub use counters::{BUCKET_BOUNDS_MS, COUNTED, Counter, Counters, Histogram, Labels, Names, OTHER};
pub use cursor::{Cursor, InvalidCursor};
pub use difference::{Difference, Verdict};
pub use filter::{Filter, Status};
pub use group::{Column, GroupKey, Groups, UnknownColumn};
pub use interval::{Share, wilson};
pub use last_cycle::last_cycles;
pub use page::{Page, RecordQuery, page};
pub use sample::{Distribution, ENOUGH_SAMPLES, Sample, Sorted, Statistic};
pub use selection::Selection;
pub use series::{Buckets, Figure, Series, series};
pub use side::{Side, side};
pub use summary::{Last, Phases, Summary, summaries};
