//! A long file is opened in bulk, and nobody can tell.

use std::fmt::Write as _;

use super::*;
use crate::store::file::load::{Pass, load};

/// No thread decodes segments: every line is looked at by itself.
const LINE_BY_LINE: Pass = Pass { threads: 0, keep_bytes: 0 };
const ENDS: [&[u8]; 4] = [b"", b"m,prod,2026-11-24T00:00:00Z", b"\n\n", b"\"never closed,\nand on"];

fn row(random: &mut fastrand::Rng, at: i64, model: &str) -> Vec<u8> {
    let time = DateTime::from_timestamp_millis(1_793_500_000_000 + at * 6_007).expect("a time");
    let mut record = Record::new(model, environment(["dev", "prod"][random.usize(..2)]), time);
    record.latency_ms = Some(f64::from(random.u32(..90_000)) / 8.0);
    record.cycle_id = random.bool().then(|| CycleId::at(time));
    record.location = Some("x".repeat(random.usize(..300)));
    let mut text = Vec::new();
    csv::encode(&record, &mut text);
    text
}

/// Several segments of rows, of which one in `odd` lines is something else.
fn text(random: &mut fastrand::Rng, odd: usize) -> Vec<u8> {
    let header = csv::header_line() + "\n";
    let mut text = header.clone().into_bytes();
    let mut at = 0;
    while text.len() < 3_500_000 {
        at += 1;
        if random.usize(..odd) > 0 {
            let model = if random.u8(..8) == 0 { "mistral \"large\"" } else { "gpt-4o" };
            text.extend(row(random, at, model));
            continue;
        }
        match random.u8(..8) {
            0 => text.extend(b"\n"),
            1 => text.extend(b"no row at all\n"),
            2 => text.extend(header.as_bytes()),
            3 => text.extend(b"timestamp,model_name,latency_ms,note\n2026-11-24T00:00:00Z,m,5,\"a\nb\"\n"),
            4 => text.extend(row(random, at, "two\nlines")),
            5 => text.extend(b"a \"quote, opened in mid-cell\n\"and one, opened\n"),
            6 => text.extend(b"\xff\xfe\n"),
            _ => text.extend("y".repeat(random.usize(..700_000)).into_bytes()),
        }
    }
    if odd == usize::MAX { text } else { [text, ENDS[random.usize(..ENDS.len())].to_vec()].concat() }
}

#[test]
fn it_finds_what_is_found_line_by_line_whatever_stands_in_the_file() {
    let mut kinds = String::new();
    for seed in 0..8 {
        let mut random = fastrand::Rng::with_seed(seed);
        let odd = [usize::MAX, 20_000, 3_000, 50][seed as usize % 4];
        let folder = Folder::with(text(&mut random, odd));
        let file = File::open(folder.csv()).expect("opens");
        let len = file.metadata().expect("there").len();
        let found = |threads| {
            let loaded = load(&folder.csv(), &file, len, "tag", Pass { threads, ..LINE_BY_LINE }).expect("readable");
            let layout = loaded.layout.clone();
            format!("{:?}", (loaded.index, layout, loaded.skipped_rows, loaded.tail, loaded.is_outdated))
        };
        let expected = found(0);
        for threads in [1, 3] {
            assert!(found(threads) == expected, "seed {seed}, {threads} threads");
        }
        write!(kinds, "{}", u8::from(expected.contains("Torn"))).expect("written");
    }
    assert!(kinds.contains('0') && kinds.contains('1'), "all kinds of ends were there: {kinds}");
}

#[tokio::test]
async fn what_was_decoded_is_given_away_once_and_only_where_it_still_stands_so() {
    let mut random = fastrand::Rng::with_seed(7);
    let folder = Folder::with(text(&mut random, usize::MAX));
    let open = |keep_decoded_bytes| {
        FileStore::open_with(folder.csv(), FileOptions { keep_decoded_bytes, ..ONE_FILE }).expect("opens")
    };
    let store = open(usize::MAX);
    let segments = store.segments(&Scope::default()).await.expect("readable");
    let given = store.take_decoded().await;
    assert!(given.len() == segments.len() && given.len() >= 3, "{} of {}", given.len(), segments.len());
    for (segment, table) in &given {
        let bytes = store.read(segment).await.expect("readable");
        let expected = csv::decode(&bytes, segment.first_line).records;
        let rows: Vec<Record> = (0..table.len()).filter_map(|at| Some(table.row(at)?.to_record())).collect();
        assert!(segments.contains(segment) && rows == expected, "{}", segment.name);
    }
    assert!(store.take_decoded().await.is_empty(), "once");
    drop(store);

    // The newest, as far as there is room.
    let some: usize = given.iter().skip(2).map(|(_, table)| table.bytes()).sum();
    let store = open(some);
    let names: Vec<_> = store.take_decoded().await.into_iter().map(|(segment, _)| segment.name).collect();
    assert_eq!(names, given.iter().skip(2).map(|(segment, _)| segment.name.clone()).collect::<Vec<_>>());
    drop(store);

    let store = open(usize::MAX);
    let batch = Batch { cycle_id: None, records: vec![Record::new("m", environment("dev"), Utc::now())] };
    written(&store.append(&batch).await, "dev");
    assert_eq!(store.take_decoded().await.len(), given.len() - 1, "the segment that grew is another one now");
    drop(store);
    assert!(open(0).take_decoded().await.is_empty());
}
