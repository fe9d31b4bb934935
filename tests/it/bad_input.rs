//! Files that were cut, that are something else, or in another form: the rest is read, and what is wrong is named.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use super::support::{http::get_json, monitor::Setup};

const HUGE_BYTES: usize = 100_000_000;

#[tokio::test]
async fn a_store_full_of_bad_input_serves_all_that_can_be_read_and_names_the_rest() {
    let setup = Setup::quiet();
    let made_up = ["mock-history", "--days", "1", "--models", "1", "--interval", "3600", "--until", "2026-11-24"];
    assert_eq!(setup.run(&[made_up.as_slice(), &["--out", "old.csv"]].concat()).await.code, Some(0));
    let old = fs::read_to_string(setup.folder().join("old.csv")).expect("a file");
    let lines: Vec<_> = old.split_inclusive('\n').collect();
    let (header, rows) = (lines[0], &lines[1..]);

    let days = setup.folder().join("latency_data.d");
    fs::create_dir(&days).expect("a folder");
    let day = |date: &str, content: &[u8]| fs::write(days.join(format!("date={date}.csv")), content).expect("written");
    day("2026-11-20", &[0xff, 0x00, 0x12, b'\n', 0x80, 0x81]);
    let utf_16 = old.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    day("2026-11-21", &utf_16);
    let of_22 = rows[0].replace("2026-11-24", "2026-11-22").replace("20261124", "20261122");
    day("2026-11-22", format!("{header}{of_22}{}", &of_22[..60]).as_bytes());
    day("2026-11-23", b"latency_ms,timestamp,model_name,environment\n1,2026-11-23T00:00:00Z,m,dev\n");
    // Line by line: a header in the middle, Latin-1, a cell of 100 MB.
    let latin_1 = [b"r\xe9sum\xe9", rows[2].trim_start_matches(|char| char != ',').as_bytes()].concat();
    let huge = [&vec![b'x'; HUGE_BYTES], rows[2].trim_start_matches(|char| char != ',').as_bytes()].concat();
    let active = [
        header.as_bytes(),
        rows[0].as_bytes(),
        header.as_bytes(),
        rows[1].as_bytes(),
        &latin_1,
        &huge,
        rows[3].as_bytes(),
    ];
    fs::write(setup.csv_path(), active.concat()).expect("written");

    let verified = setup.run(&["verify", "--json"]).await;
    assert_eq!(verified.code, Some(1), "{}", verified.stderr);
    let report: Value = serde_json::from_str(&verified.stdout).expect("JSON");
    assert_eq!(report["rows"], 5);
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for problem in report["problems"].as_array().expect("a list") {
        let file = problem["file"].as_str().expect("a name").rsplit('/').next().expect("a name");
        let what = format!("{} {} {}", problem["line"], problem["kind"], problem["reason"]);
        named.entry(file.to_owned()).or_default().push(what);
    }
    assert!(named.keys().all(|file| file != "date=2026-11-23.csv"), "another order is no problem: {named:#?}");
    for file in ["date=2026-11-20.csv", "date=2026-11-21.csv"] {
        assert!(named[file][0].starts_with("1 \"unreadable_row\""), "{named:#?}");
    }
    assert!(named["date=2026-11-22.csv"][0].starts_with("3 \"torn_end\""), "{named:#?}");
    let of_active = &named["latency_data.csv"];
    assert!(of_active.len() == 2, "{of_active:#?}");
    assert!(of_active[0].starts_with("5 ") && of_active[0].contains("not UTF-8"), "{of_active:#?}");
    assert!(of_active[1].starts_with("6 ") && of_active[1].contains("longer than 256 KiB"), "{of_active:#?}");

    let exported = setup.run(&["export"]).await;
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    assert_eq!(exported.stdout.lines().count(), 1 + 5, "{}", exported.stdout);
    let mut serving = setup.serve().await;
    serving.cycle().await;
    let window = "from=2026-11-20T00:00:00Z&to=2026-11-25T00:00:00Z";
    let page = get_json(&serving.url(&format!("/api/latency?{window}"))).await;
    assert_eq!(page.as_array().map(Vec::len), Some(5), "{page:#}");
    let health = get_json(&serving.url("/health")).await.to_string();
    for named in ["date=2026-11-20.csv", "date=2026-11-21.csv"] {
        assert!(health.contains(named), "{health}");
    }
    assert_eq!(serving.terminate().await, Some(0));
    // Nothing of it was thrown away.
    assert!(fs::metadata(setup.csv_path()).expect("there").len() > HUGE_BYTES as u64);
    assert_eq!(fs::read(days.join("date=2026-11-21.csv")).expect("there"), utf_16);
}
