//! Adding rows to the CSV of an object.

use std::collections::HashMap;

use bytes::Bytes;
use memchr::memmem;

use super::{
    large::{self, MAX_OBJECT_BYTES},
    swap::Edit,
};
use crate::record::{
    CycleId, Environment, Record,
    csv::{self, BOM, RowReader, Rows},
};

/// What became of rows that were to be added to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    Written,
    /// The cycle's rows are in it.
    AlreadyThere,
    /// It is not for our rows: its header lacks columns that we write (an older version's, a stranger's).
    OtherColumns,
    /// With them it would be larger than what is read.
    Full,
}

/// Adds `records`, all of `environment`, unless the cycle is there.
pub(super) fn add(
    current: Option<&[u8]>,
    cycle_id: Option<CycleId>,
    environment: &Environment,
    records: &[&Record],
) -> Edit<Added> {
    let Some(current) = current.filter(|current| !current.is_empty()) else {
        return Edit::Put(new(records).into(), Added::Written);
    };
    if cycle_id.is_some_and(|cycle_id| has_cycle(current, cycle_id, environment)) {
        return Edit::Leave(Added::AlreadyThere);
    }
    let mut reader = RowReader::default();
    let header = reader.take_header(current.strip_prefix(BOM).unwrap_or(current));
    if header.is_none() || !reader.layout().is_complete() {
        return Edit::Leave(Added::OtherColumns);
    }
    let mut body = with_line_end(current);
    for record in records {
        csv::encode_row(record, reader.layout(), &mut body);
    }
    if large::check(body.len() as u64, MAX_OBJECT_BYTES).is_err() {
        return Edit::Leave(Added::Full);
    }
    Edit::Put(body, Added::Written)
}

/// Puts `csv`, which the object holds in another place, where there is less of it; where there are other rows too, adds those
/// that are not there.
pub(super) fn merge(current: Option<&[u8]>, csv: &[u8]) -> Edit<Added> {
    let current = current.unwrap_or_default();
    if csv.len() > current.len() && csv.starts_with(current) {
        return Edit::Put(csv.to_vec(), Added::Written);
    }
    if current.starts_with(csv) {
        return Edit::Leave(Added::AlreadyThere);
    }
    let mut there: HashMap<Vec<u8>, u32> = HashMap::new();
    for record in csv::decode(current, 2).records {
        *there.entry(encoded(&record)).or_default() += 1;
    }
    let wanted = csv::decode(csv, 2);
    let is_missing = |record: &&Record| match there.get_mut(&encoded(record)) {
        Some(copies) if *copies > 0 => {
            *copies -= 1;
            false
        }
        _ => true,
    };
    let missing: Vec<_> = wanted.records.iter().filter(is_missing).collect();
    match missing.first() {
        // They would be lost.
        _ if !wanted.problems.is_empty() => Edit::Leave(Added::OtherColumns),
        None => Edit::Leave(Added::AlreadyThere),
        Some(first) => add(Some(current), None, &first.environment, &missing),
    }
}

fn encoded(record: &Record) -> Vec<u8> {
    let mut row = Vec::with_capacity(512);
    csv::encode(record, &mut row);
    row
}

/// The CSV of an object that holds `records` alone.
pub(super) fn new(records: &[&Record]) -> Bytes {
    let mut body = (csv::header_line() + "\n").into_bytes();
    for record in records {
        csv::encode(record, &mut body);
    }
    Bytes::from(body)
}

/// Whether a row of the cycle is in `body`.
pub(super) fn has_cycle(body: &[u8], cycle_id: CycleId, environment: &Environment) -> bool {
    // A text search settles nearly every case: the cycle is a new one.
    memmem::find(body, cycle_id.to_string().as_bytes()).is_some()
        && Rows::new(body, 2).flatten().any(|row| row.cycle_id == Some(cycle_id) && row.environment == *environment)
}

/// Adds `rows` as they are, below `header_line` where there is nothing yet.
pub(super) fn add_text(current: Option<&[u8]>, header_line: &str, rows: &[u8]) -> Edit<()> {
    let mut body = match current.filter(|current| !current.is_empty()) {
        Some(current) => with_line_end(current),
        None => format!("{}\n", header_line.trim_end_matches(['\r', '\n'])).into_bytes(),
    };
    body.extend_from_slice(rows);
    Edit::Put(body, ())
}

/// A file that a person has edited may lack the last line's end.
fn with_line_end(text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    if text.last() != Some(&b'\n') {
        text.push(b'\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(cycle_id: CycleId) -> Record {
        let mut record = Record::new("m", Environment::dev(), cycle_id.scheduled());
        record.cycle_id = Some(cycle_id);
        record
    }

    fn ids() -> (CycleId, CycleId) {
        ("20261124T165400Z".parse().expect("an id"), "20261124T165500Z".parse().expect("an id"))
    }

    fn added(current: &[u8], record: &Record) -> (Option<String>, Added) {
        match add(Some(current), record.cycle_id, &record.environment, &[record]) {
            Edit::Put(body, outcome) => (Some(String::from_utf8(body).expect("text")), outcome),
            Edit::Leave(outcome) => (None, outcome),
        }
    }

    #[test]
    fn a_cycle_is_told_by_its_column_not_by_text_that_looks_so() {
        let (first, second) = ids();
        let mut named_so = record(first);
        named_so.model_name = second.to_string();
        let body = new(&[&named_so]);
        assert!(has_cycle(&body, first, &Environment::dev()));
        assert!(!has_cycle(&body, second, &Environment::dev()));
        assert!(!has_cycle(&body, first, &"prod".parse().expect("a name")));
    }

    #[test]
    fn rows_go_below_a_header_of_any_order_and_never_below_one_that_lacks_columns() {
        let (first, second) = ids();
        let newer = csv::header_line() + ",tomorrow\n";
        let (body, outcome) = added(newer.as_bytes(), &record(second));
        assert_eq!(outcome, Added::Written);
        let body = body.expect("a body");
        assert!(body.starts_with(&newer) && body.ends_with(",\n"), "{body}");
        assert!(has_cycle(body.as_bytes(), second, &Environment::dev()));
        let older = b"model_name,environment,timestamp,latency_ms,input_tokens,output_tokens,cost,context_window,is_cloud,status\n";
        assert_eq!(added(older, &record(first)), (None, Added::OtherColumns));
        assert_eq!(added(b"<html>", &record(first)), (None, Added::OtherColumns));
    }

    #[test]
    fn an_object_of_two_places_has_the_rows_of_both_each_as_often_as_the_one_that_has_it_more_often() {
        let [a, b, c] =
            ["20261124T165400Z", "20261124T165500Z", "20261124T165600Z"].map(|id| record(id.parse().expect("an id")));
        let merged = |current: Option<&[&Record]>, csv: &[&Record]| match merge(current.map(new).as_deref(), &new(csv))
        {
            Edit::Put(body, outcome) => (Some(Bytes::from(body)), outcome),
            Edit::Leave(outcome) => (None, outcome),
        };
        let put = |records: &[&Record]| (Some(new(records)), Added::Written);
        assert_eq!(merged(None, &[&a, &b]), put(&[&a, &b]));
        assert_eq!(merged(Some(&[&a]), &[&a, &b]), put(&[&a, &b]));
        assert_eq!(merged(Some(&[&a, &b]), &[&a]), (None, Added::AlreadyThere));
        assert_eq!(merged(Some(&[&a, &b]), &[&b]), (None, Added::AlreadyThere));
        assert_eq!(merged(Some(&[&c]), &[&a, &b]), put(&[&c, &a, &b]));
        assert_eq!(merged(Some(&[&c, &a]), &[&a, &a, &b]), put(&[&c, &a, &a, &b]));
        let unreadable = [&new(&[&a])[..], b"nonsense\n"].concat();
        assert!(matches!(merge(Some(&new(&[&b])), &unreadable), Edit::Leave(Added::OtherColumns)));
    }

    #[test]
    fn an_object_does_not_grow_beyond_what_is_read_and_still_tells_what_is_in_it() {
        let (first, second) = ids();
        let mut body = new(&[&record(first)]).to_vec();
        body.resize(MAX_OBJECT_BYTES as usize - 40, b'\n');
        assert_eq!(added(&body, &record(second)), (None, Added::Full));
        assert_eq!(added(&body, &record(first)), (None, Added::AlreadyThere));
    }

    #[test]
    fn a_missing_last_line_end_costs_no_row() {
        let (first, second) = ids();
        let body = new(&[&record(first)]);
        let cut = body.strip_suffix(b"\n").expect("ends in a line feed");
        let (body, _) = added(cut, &record(second));
        let decoded = csv::decode(body.expect("a body").as_bytes(), 2);
        assert_eq!((decoded.records.len(), decoded.problems.len()), (2, 0));
    }

    #[test]
    fn a_usage_header_is_written_once_however_it_ends() {
        for header in ["a,b", "a,b\n"] {
            let Edit::Put(body, ()) = add_text(None, header, b"1,2\n") else { panic!("nothing is put") };
            let Edit::Put(body, ()) = add_text(Some(&body), header, b"3,4\n") else { panic!("nothing is put") };
            assert_eq!(body, b"a,b\n1,2\n3,4\n");
        }
    }
}
