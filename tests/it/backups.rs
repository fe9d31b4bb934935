//! `backup`, as a person uses it: every copy is a store.

use std::fs;

use hyper::Method;
use serde_json::Value;

use llm_monitor_core::usage::KEPT_HEADER;

use super::{
    imports::in_bucket,
    support::{
        http::get_json,
        monitor::{Ended, Setup},
        s3_faults::{Fault, Faults},
        s3_server::{BUCKET, InProcess, Quirks},
    },
};

pub(crate) const MADE_UP: [&str; 9] =
    ["mock-history", "--days", "2", "--models", "2", "--interval", "1800", "--until", "2026-11-24"];
/// 2 days, every half hour, 2 models, 4 environments.
pub(crate) const ROWS: usize = 768;

pub(crate) async fn run(setup: &Setup, args: &[&str]) -> Ended {
    let ended = setup.run(args).await;
    assert_eq!(ended.code, Some(0), "{args:?}: {} {}", ended.stdout, ended.stderr);
    ended
}

/// Everything in the store, header and all, sorted.
pub(crate) async fn stored(setup: &Setup) -> Vec<String> {
    let exported = run(setup, &["export"]).await.stdout;
    let mut rows: Vec<_> = exported.lines().map(str::to_owned).collect();
    rows.sort_unstable();
    rows
}

pub(crate) async fn verified(setup: &Setup) -> Value {
    serde_json::from_str(&run(setup, &["verify", "--json"]).await.stdout).expect("JSON")
}

#[tokio::test]
async fn a_copy_of_files_made_while_serve_runs_is_a_store_and_the_next_copies_what_is_new() {
    let setup = Setup::quiet().with([("MONITOR_INTERVAL", "1")]);
    run(&setup, &MADE_UP).await;
    // What an endpoint said; the monitor itself keeps catalogs.
    let usage = setup.folder().join("latency_data.d/usage/environment=dev/date=2026-11-23.csv");
    fs::create_dir_all(usage.parent().expect("a folder")).expect("made");
    fs::write(&usage, "a,b\n1,2\n").expect("written");
    let mut serving = setup.serve().await;
    serving.cycle().await;
    run(&setup, &["backup", "copy"]).await;
    serving.cycle().await;
    serving.cycle().await;
    run(&setup, &["backup", "copy"]).await;
    assert_eq!(serving.terminate().await, Some(0));
    run(&setup, &["backup", "copy"]).await;

    let rows = stored(&setup).await;
    assert!(rows.len() > ROWS + 1);
    let unchanged = run(&setup, &["backup", "copy"]).await.stdout;
    assert!(unchanged.starts_with("0 records copied, 0 there already"), "nothing is read: {unchanged}");
    assert!(unchanged.contains("LATENCY_DATA_CSV=copy/latency_data.csv"), "{unchanged}");
    let read = |path: &str| fs::read_to_string(setup.folder().join(path)).expect("a copy");
    assert_eq!(read("copy/latency_data.d/usage/environment=dev/date=2026-11-23.csv"), "a,b\n1,2\n");
    // As it stands when a backup was killed while it wrote it.
    fs::write(setup.folder().join("copy/latency_data.d/usage/environment=dev/date=2026-11-23.csv"), "a,b\n1,")
        .expect("torn");
    for said in ["a,b\n1,2\n", "a,b\n1,2\n3,4\n", "a,b\n1,2\n3,4\n5,6\n"] {
        fs::write(&usage, said).expect("written");
        run(&setup, &["backup", "copy"]).await;
        let copied = read("copy/latency_data.d/usage/environment=dev/date=2026-11-23.csv");
        assert_eq!(copied.replacen("\n1,\n", "\n", 1), said);
    }
    let catalog = "latency_data.d/catalog/environment=qa.json";
    assert_eq!(read(&format!("copy/{catalog}")), read(catalog));
    // Without what tells which days are the same, they are compared; nothing is doubled.
    fs::remove_file(setup.folder().join("copy/latency_data.d/backup.json")).expect("removed");
    let compared = run(&setup, &["backup", "copy"]).await.stdout;
    assert!(compared.starts_with(&format!("0 records copied, {} there already", rows.len() - 1)), "{compared}");

    let copy = setup.with([("LATENCY_DATA_CSV", "copy/latency_data.csv")]);
    assert_eq!(stored(&copy).await, rows);
    assert_eq!(verified(&copy).await["rows"], rows.len() - 1);
    let mut serving = copy.serve().await;
    serving.cycle().await;
    assert_eq!(serving.terminate().await, Some(0));
}

#[tokio::test]
async fn files_go_to_a_bucket_and_from_bucket_to_bucket_and_back_to_files() {
    let server = InProcess::start().await;
    let file = Setup::new();
    run(&file, &MADE_UP).await;
    let rows = stored(&file).await;
    let to_bucket = format!("s3://{BUCKET}/first");
    // The store is a file; the variables say only how the bucket is reached.
    let file = in_bucket(file, &server, "").with([("STORE", "file")]);
    for copied in ["768 records copied", "0 records copied, 0 there already"] {
        let done = run(&file, &["backup", &to_bucket]).await.stdout;
        assert!(done.starts_with(copied), "{done}");
        assert!(done.contains(&format!("STORE=s3 RECORDS_BUCKET={BUCKET} RECORDS_PREFIX=first")), "{done}");
    }
    let first = in_bucket(Setup::new(), &server, "first");
    assert_eq!(stored(&first).await, rows);
    assert_eq!(verified(&first).await["rows"], ROWS);

    let again = format!("s3://{BUCKET}/second");
    for copied in ["192 objects", "0 objects (0 B) copied, 192 the same already"] {
        let done = run(&first, &["backup", &again]).await.stdout;
        assert!(done.starts_with(copied), "{done}");
    }
    let second = in_bucket(Setup::new(), &server, "second");
    assert_eq!(stored(&second).await, rows);

    run(&second, &["backup", "files"]).await;
    // Opened again, the copy moves its finished days into files of their own: once more they are compared.
    run(&second, &["backup", "files"]).await;
    let unchanged = run(&second, &["backup", "files"]).await.stdout;
    assert!(unchanged.starts_with("0 records copied, 0 there already"), "{unchanged}");
    let files = second.with([("STORE", "file"), ("LATENCY_DATA_CSV", "files/latency_data.csv")]);
    assert_eq!(stored(&files).await, rows);
    assert_eq!(verified(&files).await["rows"], ROWS);
}

/// Of two stores that both went on, as when one was restored while the other was served.
#[tokio::test]
async fn a_backup_into_a_bucket_that_went_on_takes_nothing_from_it() {
    // Also where no size tells that the objects differ, and no ETag that they do not, as where each bucket has its own key.
    for (lists_no_etags, more_here) in [(false, &["30", "45"][..]), (false, &["30"]), (true, &["30"])] {
        let server = InProcess::start_with(Quirks { lists_no_etags, ..Quirks::default() }).await;
        let layer = Faults::before(server.address, |_, _| Fault::None).await;
        let made_up = ["mock-history", "--days", "1", "--models", "1", "--interval", "3600", "--until", "2026-11-24"];
        let first = in_bucket(Setup::new(), &server, "first");
        let first = first.with([("AWS_ENDPOINT_URL_S3", format!("http://{}", layer.address))]);
        run(&first, &[made_up.as_slice(), &["--out", "old.csv"]].concat()).await;
        run(&first, &["import", "old.csv"]).await;
        let to_second = format!("s3://{BUCKET}/second");
        run(&first, &["backup", &to_second]).await;
        let second = in_bucket(Setup::new(), &server, "second");
        let old = fs::read_to_string(first.folder().join("old.csv")).expect("a file");
        let lines: Vec<_> = old.lines().take(2).collect();
        let at = |minute: &str| {
            lines[1].replacen("T00:00:", &format!("T00:{minute}:"), 1).replacen("T0000", &format!("T00{minute}"), 1)
        };
        let here: Vec<_> = more_here.iter().map(|minute| at(minute)).collect();
        for (setup, rows) in [(&second, &[at("15")][..]), (&first, &here)] {
            let rows = format!("{}\n{}\n", lines[0], rows.join("\n"));
            fs::write(setup.folder().join("more.csv"), rows).expect("written");
            run(setup, &["import", "more.csv"]).await;
        }
        let mut all = stored(&first).await;
        all.push(at("15"));
        all.sort_unstable();
        for copied in ["1 objects", "0 objects (0 B) copied, 96 the same already"] {
            let done = run(&first, &["backup", &to_second]).await.stdout;
            assert!(done.starts_with(copied), "{more_here:?}: {done}");
            assert_eq!(stored(&second).await, all);
        }
        let of_records = || layer.seen().iter().filter(|seen| seen.is_of("/records/environment=")).count();
        let before = of_records();
        run(&first, &["backup", &to_second]).await;
        assert_eq!(of_records(), before, "what is the same is not read again");
        second.assert_verified().await;
        // And back, where less is.
        run(&second, &["backup", &format!("s3://{BUCKET}/first")]).await;
        assert_eq!(stored(&first).await, all);
    }
}

const USAGE_OF_DEV: &str = "latency_data.d/usage/environment=dev/date=2026-11-23.csv";
const USAGE_OF_PROD: &str = "latency_data.d/usage/environment=prod/date=2026-11-24.csv";

/// What an endpoint said at that hour of 2026-11-23.
fn said(hour: u32, cost: f64) -> String {
    format!("2026-11-23T{hour:02}:00:00.000Z,gpt-4,{cost},100,10,3,0.0000001,0.0000002,,,,\n")
}

fn write_usage(setup: &Setup, file: &str, rows: &[&str]) {
    let path = setup.folder().join(file);
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(path, format!("{KEPT_HEADER}\n{}", rows.concat())).expect("written");
}

/// Its rows, sorted.
fn usage(setup: &Setup, file: &str) -> Vec<String> {
    let csv = fs::read_to_string(setup.folder().join(file)).expect("a usage file");
    assert_eq!(csv.lines().next(), Some(KEPT_HEADER));
    let mut rows: Vec<_> = csv.split_inclusive('\n').skip(1).map(str::to_owned).collect();
    rows.sort_unstable();
    rows
}

async fn cost_of_dev(setup: &Setup) -> Value {
    let serving = setup.serve().await;
    let costs = get_json(&serving.url("/api/costs?environment=dev&from=2026-11-23&to=2026-11-24")).await;
    assert_eq!(serving.terminate().await, Some(0));
    costs["usage"]["total"].clone()
}

/// As when the copy was served while the store was away, and the store goes on.
#[tokio::test]
async fn what_usage_endpoints_said_on_both_sides_is_on_both_after_a_backup_each_way() {
    let setup = Setup::quiet();
    run(&setup, &MADE_UP).await;
    let (start, here, there) = (said(8, 1.0), said(10, 2.0), said(11, 3.0));
    write_usage(&setup, USAGE_OF_DEV, &[&start, &start]);
    run(&setup, &["backup", "copy"]).await;
    let copied = |file: &str| format!("copy/{file}");
    assert_eq!(usage(&setup, &copied(USAGE_OF_DEV)), [start.clone(), start.clone()]);
    write_usage(&setup, &copied(USAGE_OF_DEV), &[&start, &there]);
    write_usage(&setup, USAGE_OF_DEV, &[&start, &start, &here]);
    write_usage(&setup, USAGE_OF_PROD, &[&start]);

    let mut both = vec![start.clone(), start.clone(), here, there];
    for _ in 0..2 {
        run(&setup, &["backup", "copy"]).await;
        assert_eq!(usage(&setup, &copied(USAGE_OF_DEV)), both);
        assert_eq!(usage(&setup, &copied(USAGE_OF_PROD)), std::slice::from_ref(&start), "and the files after it");
    }
    let restore = setup.with([("LATENCY_DATA_CSV", "copy/latency_data.csv")]);
    for _ in 0..2 {
        run(&restore, &["backup", "."]).await;
        assert_eq!(usage(&restore, USAGE_OF_DEV), both);
    }
    // The day's last is the latest, wherever it stands in the file.
    assert_eq!(cost_of_dev(&restore).await, 3.0);
    let setup = restore.with([("LATENCY_DATA_CSV", "latency_data.csv")]);
    assert_eq!(cost_of_dev(&setup).await, 3.0);
    // A day that is over is given more by a restore: the copy is, too.
    write_usage(&setup, USAGE_OF_DEV, &[&both.concat(), &said(12, 4.0)]);
    run(&setup, &["backup", "copy"]).await;
    both.push(said(12, 4.0));
    assert_eq!(usage(&setup, &copied(USAGE_OF_DEV)), both);
}

#[tokio::test]
async fn usage_of_other_columns_is_named_and_keeps_nothing_else_back() {
    let setup = Setup::new();
    run(&setup, &MADE_UP).await;
    write_usage(&setup, USAGE_OF_DEV, &[&said(8, 1.0)]);
    write_usage(&setup, USAGE_OF_PROD, &[&said(9, 1.0)]);
    let strange = setup.folder().join("copy").join(USAGE_OF_DEV);
    fs::create_dir_all(strange.parent().expect("a folder")).expect("made");
    fs::write(&strange, "mine,not yours\n1,2\n").expect("written");
    for _ in 0..2 {
        let ended = setup.run(&["backup", "copy"]).await;
        assert_eq!(ended.code, Some(2), "{}{}", ended.stdout, ended.stderr);
        let named = "usage/environment=dev/date=2026-11-23.csv in the copy begins with \"mine,not yours\"";
        assert!(ended.stderr.contains(named), "{}", ended.stderr);
        assert!(ended.stderr.contains(&format!("expected {KEPT_HEADER:?}")), "{}", ended.stderr);
        assert_eq!(fs::read_to_string(&strange).expect("a file"), "mine,not yours\n1,2\n");
    }
    assert_eq!(
        fs::read(setup.folder().join("copy").join(USAGE_OF_PROD)).ok(),
        fs::read(setup.folder().join(USAGE_OF_PROD)).ok()
    );
    fs::remove_file(&strange).expect("removed");
    run(&setup, &["backup", "copy"]).await;
    assert_eq!(usage(&setup, &format!("copy/{USAGE_OF_DEV}")), [said(8, 1.0)]);
}

/// What is not changed is read neither in the files nor in the bucket, and nothing of it is written again.
#[tokio::test]
async fn a_bucket_is_given_what_is_new_and_asked_for_nothing_else() {
    let server = InProcess::start().await;
    let layer = Faults::before(server.address, |_, _| Fault::None).await;
    let file = Setup::new();
    run(&file, &[MADE_UP.as_slice(), &["--out", "old.csv"]].concat()).await;
    let file = in_bucket(file, &server, "").with([("STORE", "file")]);
    let file = file.with([("AWS_ENDPOINT_URL_S3", format!("http://{}", layer.address))]);
    // Opened again, the store moves its finished days into files of their own.
    for _ in 0..2 {
        run(&file, &["import", "old.csv"]).await;
    }
    write_usage(&file, USAGE_OF_DEV, &[&said(8, 1.0)]);
    write_usage(&file, USAGE_OF_PROD, &[&said(8, 1.0)]);
    let to_bucket = format!("s3://{BUCKET}/copy");
    run(&file, &["backup", &to_bucket]).await;
    let of_records = || layer.methods("/copy/records/environment").len();
    let of_usage = || layer.seen().iter().filter(|seen| seen.is_of("/copy/usage/environment=")).count();
    let first = [of_records(), of_usage()];
    assert!(first[0] >= 192 && first[1] >= 4, "{first:?}");
    run(&file, &["backup", &to_bucket]).await;
    assert_eq!([of_records(), of_usage()], first, "no object is read or written");

    // One more row of the first day.
    let late = fs::read_to_string(file.folder().join("old.csv")).expect("a file");
    let mut late: Vec<_> = late.lines().take(2).map(str::to_owned).collect();
    late[1] = late[1].replacen("T00:00:", "T00:15:", 1).replacen("T000000Z", "T001500Z", 1);
    fs::write(file.folder().join("late.csv"), late.join("\n") + "\n").expect("written");
    run(&file, &["import", "late.csv"]).await;
    let before = layer.seen().len();
    let done = run(&file, &["backup", &to_bucket]).await.stdout;
    assert!(done.starts_with("1 records copied, 384 there already"), "{done}");
    let since = layer.seen().split_off(before);
    let of_day = |day: &str| since.iter().filter(|seen| seen.is_of(&format!("/date={day}/"))).count();
    assert!(of_day("2026-11-23") > 0);
    assert_eq!(of_day("2026-11-24"), 0);
    let put = since.iter().filter(|seen| seen.method == Method::PUT && seen.target.contains("/records/environment"));
    assert_eq!(put.count(), 1);
    let rows = stored(&file).await;
    assert_eq!(stored(&in_bucket(file, &server, "copy")).await, rows);
}

#[tokio::test]
async fn a_copy_never_takes_the_place_of_the_store_and_says_what_it_lacks() {
    let setup = Setup::new();
    let none = setup.run(&["backup", "copy"]).await;
    assert_eq!(none.code, Some(2));
    assert!(none.stderr.contains("latency_data.csv does not exist") || none.stderr.contains("does not exist"));
    assert!(!setup.folder().join("copy").exists(), "no empty copy is left");
    run(&setup, &MADE_UP).await;
    let itself = setup.run(&["backup", "."]).await;
    assert_eq!(itself.code, Some(2));
    assert!(itself.stderr.contains("is the store itself"), "{}", itself.stderr);
    fs::write(setup.csv_path(), format!("{}nonsense\n", setup.csv())).expect("written");
    // One more row behind it: what stands last may be torn.
    let last = setup.csv().lines().nth(1).expect("a row").replacen("T00:00:", "T00:15:", 1);
    let last = last.replacen("T000000Z", "T001500Z", 1);
    fs::write(setup.csv_path(), format!("{}{last}\n", setup.csv())).expect("written");
    // Said again each time, whatever else did not change.
    for _ in 0..3 {
        let lacking = setup.run(&["backup", "copy"]).await;
        assert_eq!(lacking.code, Some(1), "{}{}", lacking.stdout, lacking.stderr);
        assert!(lacking.stdout.contains("1 rows cannot be read and are not in the copy"), "{}", lacking.stdout);
    }
    assert_eq!(setup.run(&["verify", "copy/latency_data.csv"]).await.code, Some(0));
}
