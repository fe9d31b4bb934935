//! Which objects there are, and with how few requests they are found.

use chrono::TimeDelta;
use hyper::Method;
use llm_monitor_core::{
    record::csv,
    store::{
        AppendMode, Appended, Encryption, S3Options, S3Store, Scope, Store,
        contract::{all_rows, cycle, due, environment},
    },
};

use crate::support::{
    s3_faults::{Fault, Faults, Seen},
    s3_places::{Prefixes, long_after, options, store},
    s3_server::{InProcess, Quirks},
};

const HOUR: &str = "records/environment=dev/date=2026-11-24/hour=06";

fn scratch(seen: &[Seen]) -> Vec<(Method, Option<String>, bool)> {
    let of_scratch = seen.iter().filter(|seen| seen.target.contains("/scratch/"));
    of_scratch.map(|seen| (seen.method.clone(), seen.if_none_match.clone(), seen.if_match.is_some())).collect()
}

#[tokio::test]
async fn conditions_are_proven_once_and_the_scratch_object_is_removed() {
    let server = InProcess::start().await;
    let layer = Faults::before(server.address, |_, _| Fault::None).await;
    let store = store(options(layer.address));
    assert!(layer.seen().is_empty(), "making a store sends something");
    for minute in 0..3 {
        store.append(&cycle(minute, &["dev", "prod"], 1)).await;
    }
    let is_new = Some("*".to_owned());
    let expected = [
        (Method::PUT, is_new.clone(), false),
        (Method::PUT, is_new, false),
        (Method::PUT, None, true),
        (Method::PUT, None, true),
        (Method::DELETE, None, false),
    ];
    assert_eq!(scratch(&layer.seen()), expected);
    assert_eq!(
        server.keys(),
        [format!("{HOUR}/monitor-suite.csv"), HOUR.replace("dev", "prod") + "/monitor-suite.csv"]
    );
    let notes = store.health().await.notes.join("; ");
    assert!(notes.contains("honours conditional writes") && notes.contains(&layer.address.to_string()), "{notes}");
}

#[tokio::test]
async fn a_server_that_does_not_honour_conditions_gets_an_object_for_each_cycle() {
    let if_match = Quirks { ignores_if_match: true, ..Quirks::default() };
    let both = Quirks { ignores_if_none_match: true, ..if_match };
    for quirks in [if_match, both] {
        let server = InProcess::start_with(quirks).await;
        let store = store(options(server.address));
        for minute in [0, 1, 0] {
            store.append(&cycle(minute, &["dev"], 2)).await;
        }
        let expected = [format!("{HOUR}/monitor-suite.{}.csv", due(0)), format!("{HOUR}/monitor-suite.{}.csv", due(1))];
        assert_eq!(server.keys(), expected);
        assert_eq!(all_rows(&store).await.len(), 4);
        let notes = store.health().await.notes.join("; ");
        assert!(notes.contains("does not honour conditional writes"), "{notes}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_conditional_headers_gets_an_object_for_each_cycle() {
    let server = InProcess::start().await;
    let layer = Faults::before(server.address, |seen, _| {
        let is_conditional = seen.if_match.is_some() || seen.if_none_match.is_some();
        if is_conditional { Fault::Answer(501, "NotImplemented") } else { Fault::None }
    })
    .await;
    let store = store(options(layer.address));
    for minute in [0, 1, 0] {
        store.append(&cycle(minute, &["dev"], 2)).await;
    }
    assert_eq!(all_rows(&store).await.len(), 4);
    assert!(server.keys()[0].ends_with(&format!("monitor-suite.{}.csv", due(0))), "{:?}", server.keys());
}

#[tokio::test]
async fn a_proof_that_was_disturbed_is_made_again() {
    for fault in [Fault::CutAfter, Fault::Answer(412, "PreconditionFailed"), Fault::Answer(503, "SlowDown")] {
        let server = InProcess::start().await;
        let disturbing = fault.clone();
        let layer = Faults::before(server.address, move |seen, count| {
            if count == 0 && seen.method == Method::PUT { disturbing.clone() } else { Fault::None }
        })
        .await;
        let store = store(options(layer.address));
        store.append(&cycle(0, &["dev"], 1)).await;
        assert_eq!(server.keys(), [format!("{HOUR}/monitor-suite.csv")], "{fault:?}");
    }
}

#[tokio::test]
async fn a_cycle_that_comes_after_its_hour_gets_an_object_of_its_own_unless_it_is_there() {
    let server = InProcess::start().await;
    store(options(server.address)).append(&cycle(0, &["dev"], 2)).await;
    let late: std::sync::Arc<dyn Store> =
        std::sync::Arc::new(S3Store::new(options(server.address)).with_clock(long_after));
    let before = late.segments(&Scope::default()).await.expect("listed");
    assert!(!before[0].is_open && before[0].latest.is_some());
    let dev = environment("dev");
    for (minute, expected) in
        [(0, Appended::AlreadyThere), (1, Appended::Written { rows: 2 }), (1, Appended::AlreadyThere)]
    {
        let report = late.append(&cycle(minute, &["dev"], 2)).await;
        assert_eq!(report[&dev].clone().expect("no failure"), expected, "cycle {minute}");
    }
    let after = late.segments(&Scope::default()).await.expect("listed");
    assert_eq!(after.len(), 2);
    assert!(after.contains(&before[0]), "a closed segment has changed");
    assert_eq!(all_rows(&late).await.len(), 4);
}

#[tokio::test]
async fn an_object_of_an_older_version_is_left_as_it_is_and_read_with_the_new_one() {
    let server = InProcess::start().await;
    let older = server.bucket().join(HOUR).join("monitor-suite.csv");
    std::fs::create_dir_all(older.parent().expect("a folder")).expect("made");
    let text = "model_name,environment,timestamp,latency_ms,input_tokens,output_tokens,cost,context_window,is_cloud,status\n\
                old,dev,2026-11-24T06:10:00Z,12.5,1,2,,,,success\n";
    std::fs::write(&older, text).expect("written");
    let store = store(options(server.address));
    for _ in 0..2 {
        store.append(&cycle(0, &["dev"], 2)).await;
    }
    assert_eq!(std::fs::read_to_string(&older).expect("there"), text);
    let mut names: Vec<_> = all_rows(&store).await.into_iter().map(|record| record.model_name).collect();
    names.sort();
    assert_eq!(names, ["model-00000", "model-00001", "old"]);
}

#[tokio::test]
async fn where_an_object_is_too_large_to_be_read_cycles_go_beside_it_once() {
    let server = InProcess::start().await;
    let giant = server.bucket().join(HOUR).join("monitor-suite.csv");
    std::fs::create_dir_all(giant.parent().expect("a folder")).expect("made");
    std::fs::File::create(&giant).and_then(|file| file.set_len(65 * 1024 * 1024)).expect("made");
    let (open, late) = (store(options(server.address)), S3Store::new(options(server.address)).with_clock(long_after));
    let (first, second) = (cycle(0, &["dev"], 2), cycle(1, &["dev"], 2));
    let dev = environment("dev");
    for expected in [Appended::Written { rows: 2 }, Appended::AlreadyThere] {
        assert_eq!(open.append(&first).await[&dev].clone().expect("no failure"), expected);
        assert_eq!(late.append(&second).await[&dev].clone().expect("no failure"), expected);
    }
    assert_eq!(server.keys().len(), 3, "{:?}", server.keys());
    let problems = |health: llm_monitor_core::store::StoreHealth| health.problems.join("; ");
    open.segments(&Scope::default()).await.expect("listed");
    let told = problems(open.health().await);
    assert!(told.contains("monitor-suite.csv") && told.contains("68157440 bytes"), "{told}");
    // Once it is gone, there is nothing to tell.
    std::fs::remove_file(&giant).expect("removed");
    assert_eq!(all_rows(&open).await.len(), 4);
    assert_eq!(problems(open.health().await), "");
}

#[tokio::test]
async fn an_hour_is_found_with_one_request_an_environment_however_much_there_is() {
    let server = InProcess::start().await;
    let row = "m,dev,2026-11-24T06:00:00Z,1,,,,,,success";
    let text = format!("{}\n{row}\n", csv::COLUMNS[..10].join(","));
    for day in 1..=28 {
        for hour in 0..24 {
            for name in ["dev", "prod"] {
                let folder = format!("records/environment={name}/date=2026-10-{day:02}/hour={hour:02}");
                let folder = server.bucket().join(folder);
                std::fs::create_dir_all(&folder).expect("made");
                for file in ["monitor-a.csv", "monitor-b.csv", "notes.txt"] {
                    std::fs::write(folder.join(file), &text).expect("written");
                }
            }
        }
    }
    let layer = Faults::before(server.address, |_, _| Fault::None).await;
    let store = store(options(layer.address));
    let from = "2026-10-14T12:00:00Z".parse().expect("a time");
    let mut scope = Scope { environments: None, from: Some(from), to: Some(from + TimeDelta::hours(1)) };
    let names = |segments: &[llm_monitor_core::store::Segment]| {
        segments.iter().map(|segment| segment.name.replace("records/environment=", "")).collect::<Vec<_>>()
    };
    scope.environments = Some(vec![environment("dev")]);
    let found = store.segments(&scope).await.expect("listed");
    // The hour before can hold rows of a cycle that ran on.
    let expected = ["hour=11/monitor-a.csv", "hour=11/monitor-b.csv", "hour=12/monitor-a.csv", "hour=12/monitor-b.csv"];
    assert_eq!(names(&found), expected.map(|name| format!("dev/date=2026-10-14/{name}")));
    let [only] = layer.seen().try_into().expect("one request");
    assert!(
        only.target.contains("prefix=records%2Fenvironment%3Ddev%2Fdate%3D2026-10-14%2Fhour%3D1&"),
        "{}",
        only.target
    );
    scope.environments = None;
    assert_eq!(store.segments(&scope).await.expect("listed").len(), 8);
    assert_eq!(layer.seen().len(), 1 + 3, "one to find the environments, one for each");
    // Over the turn of a day, whose keys have little in common.
    let midnight = "2026-10-10T00:00:00Z".parse().expect("a time");
    let over = Scope {
        environments: Some(vec![environment("prod")]),
        from: Some(midnight),
        to: Some(midnight + TimeDelta::hours(1)),
    };
    assert_eq!(store.segments(&over).await.expect("listed").len(), 4);
    assert_eq!(layer.seen().len(), 4 + 1);
    // Everything, over several pages.
    let all = store.segments(&Scope::default()).await.expect("listed");
    assert_eq!(all.len(), 28 * 24 * 2 * 2);
    assert!(all.iter().map(|segment| segment.earliest).is_sorted());
}

#[tokio::test]
async fn writes_carry_a_checksum_and_the_encryption_that_was_set() {
    let server = InProcess::start().await;
    for (encryption, header) in [
        (None, None),
        (Some(Encryption::Managed), Some("AES256")),
        (Some(Encryption::Kms { key_id: Some("alias/records".to_owned()) }), Some("aws:kms")),
    ] {
        let layer = Faults::before(server.address, |_, _| Fault::None).await;
        let store = store(S3Options { encryption, append: AppendMode::Swap, ..options(layer.address) });
        store.save_catalog(&environment("dev"), "{}".into()).await.expect("written");
        let seen = layer.seen();
        let put = seen.iter().find(|seen| seen.method == Method::PUT).expect("a write");
        assert_eq!(put.encryption.as_deref(), header);
        assert!(put.has_checksum, "no checksum was sent");
    }
}

#[tokio::test]
async fn a_prefix_keeps_stores_in_one_bucket_apart() {
    let server = InProcess::start().await;
    let under = |prefix: &str| {
        let options = S3Options { prefix: prefix.to_owned(), ..options(server.address) };
        store(Prefixes::new(options).options)
    };
    let (one, other) = (under("team/one/"), under("team/other"));
    one.append(&cycle(0, &["dev"], 2)).await;
    assert_eq!(server.keys(), [format!("team/one/{HOUR}/monitor-suite.csv")]);
    assert_eq!(all_rows(&one).await.len(), 2);
    assert!(all_rows(&other).await.is_empty());
}
