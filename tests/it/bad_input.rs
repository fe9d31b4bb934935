//! Files and objects that were cut, that are something else, or in another form: the rest is read, and what is wrong is named.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use super::{
    imports::in_bucket,
    support::{
        http::get_json,
        monitor::{Serving, Setup},
        s3_server::InProcess,
    },
};

const HUGE_BYTES: usize = 100_000_000;
/// Still over the longest row that is read.
const LARGE_BYTES: usize = 1_000_000;
/// Over the largest object that is read.
const GIANT_BYTES: u64 = 65 * 1024 * 1024;

/// What a day's file or an hour's object holds.
struct Content {
    /// Of its rows, which are of the hour after midnight, and of one environment.
    date: &'static str,
    bytes: Vec<u8>,
    /// A part of each row that can be read.
    good: Vec<String>,
    /// What `verify` says of the others: line, kind and a part of the reason.
    bad: &'static [(u64, &'static str, &'static str)],
}

/// Good and bad contents; one holds a cell of `cell_bytes`.
async fn contents(setup: &Setup, cell_bytes: usize) -> Vec<Content> {
    let made_up = ["mock-history", "--days", "1", "--models", "1", "--environments", "dev", "--until", "2026-11-24"];
    assert_eq!(setup.run(&[made_up.as_slice(), &["--out", "old.csv"]].concat()).await.code, Some(0));
    let old = fs::read_to_string(setup.folder().join("old.csv")).expect("a file");
    let lines: Vec<_> = old.split_inclusive('\n').take(5).collect();
    let (header, rows) = (lines[0], &lines[1..]);
    let of_day = |row: &str, day: &str| {
        row.replace("2026-11-24", &format!("2026-11-{day}")).replace("20261124", &format!("202611{day}"))
    };
    let good = |rows: &[&str]| rows.iter().map(|row| row.trim_end().to_owned()).collect();

    let of_19 = of_day(rows[0], "19");
    let of_22 = of_day(rows[0], "22");
    let utf_16 = lines[..3].concat().encode_utf16().flat_map(u16::to_le_bytes).collect();
    // Line by line: a header in the middle, Latin-1, a cell that is too long.
    let but_the_name = rows[2].trim_start_matches(|char| char != ',').as_bytes();
    let latin_1 = [b"r\xe9sum\xe9", but_the_name].concat();
    let huge = [&vec![b'x'; cell_bytes], but_the_name].concat();
    let mixed = [
        header.as_bytes(),
        rows[0].as_bytes(),
        header.as_bytes(),
        rows[1].as_bytes(),
        &latin_1,
        &huge,
        rows[3].as_bytes(),
    ];

    vec![
        Content { date: "2026-11-19", bytes: format!("{header}{of_19}").into(), good: good(&[&of_19]), bad: &[] },
        Content {
            date: "2026-11-20",
            bytes: vec![0xff, 0x00, 0x12, b'\n', 0x80, 0x81],
            good: Vec::new(),
            bad: &[(1, "unreadable_row", ""), (2, "torn_end", "")],
        },
        Content {
            date: "2026-11-21",
            bytes: utf_16,
            good: Vec::new(),
            bad: &[
                (1, "unreadable_row", ""),
                (2, "unreadable_row", ""),
                (3, "unreadable_row", ""),
                (4, "torn_end", ""),
            ],
        },
        Content {
            date: "2026-11-22",
            bytes: format!("{header}{of_22}{}", &of_22[..60]).into(),
            good: good(&[&of_22]),
            bad: &[(3, "torn_end", "ends within this row")],
        },
        Content {
            date: "2026-11-23",
            bytes: b"latency_ms,timestamp,model_name,environment\n1,2026-11-23T00:00:00Z,m,dev\n".to_vec(),
            good: vec!["2026-11-23T00:00:00.000Z".to_owned()],
            bad: &[],
        },
        Content {
            date: "2026-11-24",
            bytes: mixed.concat(),
            good: good(&[rows[0], rows[1], rows[3]]),
            bad: &[(5, "unreadable_row", "not UTF-8"), (6, "unreadable_row", "longer than 256 KiB")],
        },
    ]
}

/// `verify`, `export` and `/api/latency` give every good row, and `verify` names each bad one; `name` is the file's of a date.
async fn assert_good_is_served_and_bad_named(
    setup: &Setup,
    contents: &[Content],
    name: impl Fn(&str) -> String,
) -> Serving {
    let good = || contents.iter().flat_map(|content| &content.good);
    let verified = setup.run(&["verify", "--json"]).await;
    assert_eq!(verified.code, Some(1), "{}", verified.stderr);
    let report: Value = serde_json::from_str(&verified.stdout).expect("JSON");
    assert_eq!(report["rows"], good().count());
    let mut named: BTreeMap<String, Vec<(u64, String, String)>> = BTreeMap::new();
    for problem in report["problems"].as_array().expect("a list") {
        let text = |field: &str| problem[field].as_str().expect("text").to_owned();
        let what = (problem["line"].as_u64().expect("a line"), text("kind"), text("reason"));
        named.entry(text("file")).or_default().push(what);
    }
    for content in contents {
        let file = name(content.date);
        // A path may have folders before that.
        let key = named.keys().find(|key| key.ends_with(&file)).cloned().unwrap_or_default();
        let of_file = named.remove(&key).unwrap_or_default();
        let is_as_expected = of_file.len() == content.bad.len()
            && of_file
                .iter()
                .zip(content.bad)
                .all(|(told, (line, kind, reason))| told.0 == *line && told.1 == *kind && told.2.contains(reason));
        assert!(is_as_expected, "{file}: {of_file:#?}");
    }
    assert!(named.is_empty(), "{named:#?}");

    let exported = setup.run(&["export"]).await;
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    assert_eq!(exported.stdout.lines().count(), 1 + good().count(), "{}", exported.stdout);
    for row in good() {
        assert!(exported.stdout.contains(row), "{row} is not in {}", exported.stdout);
    }

    let mut serving = setup.serve().await;
    serving.cycle().await;
    let window = "from=2026-11-19T00:00:00Z&to=2026-11-25T00:00:00Z";
    let page = get_json(&serving.url(&format!("/api/latency?{window}"))).await;
    assert_eq!(page.as_array().map(Vec::len), Some(good().count()), "{page:#}");
    serving
}

#[tokio::test]
async fn a_store_full_of_bad_input_serves_all_that_can_be_read_and_names_the_rest() {
    let setup = Setup::quiet();
    let contents = contents(&setup, HUGE_BYTES).await;
    let days = setup.folder().join("latency_data.d");
    fs::create_dir(&days).expect("a folder");
    let name = |date: &str| match date {
        "2026-11-24" => "latency_data.csv".to_owned(),
        date => format!("latency_data.d/date={date}.csv"),
    };
    for content in &contents {
        fs::write(setup.folder().join(name(content.date)), &content.bytes).expect("written");
    }
    let serving = assert_good_is_served_and_bad_named(&setup, &contents, name).await;
    let health = get_json(&serving.url("/health")).await.to_string();
    for named in ["date=2026-11-20.csv", "date=2026-11-21.csv"] {
        assert!(health.contains(named), "{health}");
    }
    assert_eq!(serving.terminate().await, Some(0));
    // Nothing of it was thrown away.
    assert!(fs::metadata(setup.csv_path()).expect("there").len() > HUGE_BYTES as u64);
    for content in contents.iter().filter(|content| content.date < "2026-11-24") {
        assert!(fs::read(setup.folder().join(name(content.date))).expect("there") == content.bytes, "{}", content.date);
    }
}

#[tokio::test]
async fn a_bucket_full_of_bad_input_serves_all_that_can_be_read_and_names_the_rest() {
    let server = InProcess::start().await;
    let setup = in_bucket(Setup::quiet(), &server, "");
    let contents = contents(&setup, LARGE_BYTES).await;
    let name = |date: &str| format!("records/environment=dev/date={date}/hour=00/monitor-local.csv");
    for content in &contents {
        let path = server.bucket().join(name(content.date));
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, &content.bytes).expect("written");
    }
    let serving = assert_good_is_served_and_bad_named(&setup, &contents, name).await;
    let health = get_json(&serving.url("/health")).await;
    assert_eq!(health["skipped_rows"], contents.iter().map(|content| content.bad.len()).sum::<usize>(), "{health:#}");
    let problems = health["problems"].to_string();
    for content in &contents {
        let (rows, name) = (content.bad.len(), name(content.date));
        assert_eq!(problems.contains(&format!("{rows} in {name}")), rows > 0, "{rows} in {name}: {problems}");
    }
    assert_eq!(serving.terminate().await, Some(0));
    for content in &contents {
        assert!(
            fs::read(server.bucket().join(name(content.date))).expect("there") == content.bytes,
            "{}",
            content.date
        );
    }
}

#[tokio::test]
async fn an_object_too_large_to_be_read_is_named_and_costs_no_other() {
    let server = InProcess::start().await;
    let setup = in_bucket(Setup::quiet(), &server, "");
    let contents = contents(&setup, 1).await;
    let whole = &contents[0];
    for (writer, is_giant) in [("monitor-giant", true), ("monitor-local", false)] {
        let path = format!("records/environment=dev/date={}/hour=00/{writer}.csv", whole.date);
        let path = server.bucket().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(&path, &whole.bytes).expect("written");
        if is_giant {
            // Takes no room on most disks.
            fs::File::options().write(true).open(&path).and_then(|file| file.set_len(GIANT_BYTES)).expect("grown");
        }
    }
    let giant = format!("records/environment=dev/date={}/hour=00/monitor-giant.csv", whole.date);

    let verified = setup.run(&["verify", "--json"]).await;
    assert_eq!(verified.code, Some(1), "{}", verified.stderr);
    let report: Value = serde_json::from_str(&verified.stdout).expect("JSON");
    let problem = &report["problems"][0];
    assert_eq!((&report["rows"], &problem["kind"]), (&1.into(), &"too_large".into()), "{report:#}");
    assert_eq!(problem["file"], giant);

    let exported = setup.run(&["export"]).await;
    assert_eq!((exported.code, exported.stdout.lines().count()), (Some(0), 2), "{}", exported.stderr);
    assert!(exported.stderr.contains(&giant), "{}", exported.stderr);

    let mut serving = setup.serve().await;
    serving.cycle().await;
    let page = get_json(&serving.url("/api/latency?to=2026-11-25T00:00:00Z")).await;
    assert_eq!(page.as_array().map(Vec::len), Some(1), "{page:#}");
    let summary = get_json(&serving.url("/api/summary?from=2026-11-19T00:00:00Z&to=2026-11-20T00:00:00Z")).await;
    assert_eq!(summary["groups"][0]["count"], 1, "{summary:#}");
    let problems = get_json(&serving.url("/health")).await["problems"].to_string();
    assert!(problems.contains(&giant) && problems.contains("64 MiB"), "{problems}");
    assert_eq!(serving.terminate().await, Some(0));

    // A copy without it would not be whole.
    let copied = setup.run(&["backup", "copy"]).await;
    assert!(copied.code != Some(0) && copied.stderr.contains(&giant), "{:?} {}", copied.code, copied.stderr);
}
