//! `backup` that is killed half way, and `backup` of what is being written: the next run, or the same, makes a whole copy.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::atomic::{AtomicUsize, Ordering},
};

use hyper::Method;
use llm_monitor::mock::{Behaviour, Mock, MockConfig};
use llm_monitor_core::{
    provider::Provider,
    record::{Environment, csv},
};

use super::{
    backups::{MADE_UP, ROWS, run, stored, verified},
    imports::in_bucket,
    support::{
        limits::NoFileOver,
        monitor::Setup,
        s3_faults::{Fault, Faults, Seen},
        s3_server::{BUCKET, InProcess},
    },
};

/// The copy holds `rows`, each as often as they do, and nothing is wrong with it.
async fn assert_is_copy(copy: &Setup, rows: &[String]) {
    assert_eq!(stored(copy).await, rows);
    assert_eq!(verified(copy).await["rows"], rows.len() - 1);
}

fn through(setup: Setup, layer: &Faults) -> Setup {
    setup.with([("AWS_ENDPOINT_URL_S3", format!("http://{}", layer.address))])
}

#[tokio::test]
async fn a_copy_into_a_folder_that_is_killed_half_way_is_whole_after_the_next_run() {
    let server = InProcess::start().await;
    let bucket = in_bucket(Setup::new(), &server, "store");
    let file = Setup::new();
    run(&file, &MADE_UP).await;
    fs::copy(file.csv_path(), bucket.folder().join("old.csv")).expect("copied");
    run(&bucket, &["import", "old.csv"]).await;
    let rows = stored(&file).await;
    for mut source in [file, bucket] {
        // In the first day, once more on what is there by then, in the second, and twice while the first moves.
        for (round, blocks) in [100, 100, 250, 120, 120].into_iter().enumerate() {
            let killed = source.run_by(&NoFileOver::or_death(blocks).by(), &["backup", "copy"]).await;
            assert_eq!(killed.code, None, "round {round} ended by itself: {}{}", killed.stdout, killed.stderr);
        }
        run(&source, &["backup", "copy"]).await;
        source = source.with([("STORE", "file"), ("LATENCY_DATA_CSV", "copy/latency_data.csv")]);
        assert_is_copy(&source, &rows).await;
    }
}

#[tokio::test]
async fn a_copy_into_a_bucket_that_is_killed_half_way_is_whole_after_the_next_run() {
    const OBJECTS: usize = 50;
    let server = InProcess::start().await;
    let file = Setup::new();
    run(&file, &MADE_UP).await;
    let rows = stored(&file).await;
    let mut source = in_bucket(file, &server, "").with([("STORE", "file")]);
    for (from, to) in [("file", "first"), ("first", "second")] {
        let puts = AtomicUsize::new(0);
        let layer = Faults::before(server.address, move |seen, _| {
            let is_record = seen.method == Method::PUT && seen.target.contains("/records/environment");
            let is_beyond = is_record && puts.fetch_add(1, Ordering::Relaxed) >= OBJECTS;
            if is_beyond { Fault::Held } else { Fault::None }
        })
        .await;
        let to_bucket = format!("s3://{BUCKET}/{to}");
        source = through(source, &layer);
        let mut half_way = source.start(&["backup", &to_bucket]);
        layer.held(1).await;
        half_way.kill().await.expect("killed");
        let written = || server.keys().into_iter().filter(|key| key.starts_with(&format!("{to}/records/"))).count();
        assert!((1..=OBJECTS).contains(&written()), "{from} → {to}: {}", written());
        drop(layer);

        source = in_bucket(source, &server, if from == "file" { "" } else { from });
        source = source.with([("STORE", if from == "file" { "file" } else { "s3" })]);
        let done = run(&source, &["backup", &to_bucket]).await.stdout;
        assert!(!done.contains(" 0 there already") && !done.contains(" 0 the same already"), "{done}");
        assert_eq!(written(), 192);
        source = in_bucket(source, &server, to);
        assert_is_copy(&source, &rows).await;
    }
    assert_eq!(rows.len(), ROWS + 1);
}

const MODELS: [&str; 3] = ["gpt-live-a", "gpt-live-b", "gpt-live-c"];

/// The rows of all records, as the objects have them.
fn written(server: &InProcess) -> Vec<String> {
    let keys = server.keys().into_iter().filter(|key| key.starts_with("live/records/"));
    let text = |key| fs::read_to_string(server.bucket().join(key)).expect("an object");
    keys.flat_map(|key| text(key).lines().skip(1).map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// How many bytes the bucket has of what the monitor writes now.
fn growing(server: &InProcess) -> u64 {
    let keys = server.keys().into_iter().filter(|key| key.starts_with("live/") && key.contains("/monitor-"));
    keys.map(|key| fs::metadata(server.bucket().join(key)).map_or(0, |metadata| metadata.len())).sum()
}

/// Whether it reads one environment's hour that the monitor is writing.
fn reads_growing(seen: &Seen) -> bool {
    seen.method == Method::GET && seen.is_of("/live/records/environment=dev/") && seen.is_of("/monitor-")
}

/// Of each environment's cycles how many rows there are.
fn cycles(rows: &[String]) -> BTreeMap<(String, String), usize> {
    let text = format!("{}\n{}\n", csv::header_line(), rows.join("\n"));
    let mut cycles = BTreeMap::new();
    for record in csv::decode(text.as_bytes(), 2).records {
        let Some(cycle_id) = record.cycle_id.filter(|_| record.model_name.starts_with("gpt-live-")) else { continue };
        *cycles.entry((record.environment.to_string(), cycle_id.to_string())).or_default() += 1;
    }
    cycles
}

/// A backup, and `grow` each of so many times that it is held.
async fn backup_of_what_grows(source: &Setup, to: &str, layer: &Faults, times: usize, mut grow: impl AsyncFnMut()) {
    let args = ["backup", to];
    let mut copied = std::pin::pin!(run(source, &args));
    let mut time = 0;
    loop {
        tokio::select! {
            // Begun just before an hour ended, it is held less often: it reads what no longer grows.
            _ = &mut copied => return,
            () = layer.held(time + 1), if time < times => {
                time += 1;
                grow().await;
                layer.release(time);
            }
        }
    }
}

/// Whatever it takes: the hour that is written grows each time that it is about to be read.
#[tokio::test]
async fn a_bucket_that_a_monitor_writes_is_copied_with_all_that_was_there_and_whole_cycles() {
    const TIMES: usize = 6;
    let behaviour = Behaviour { ttft_ms: 2.0, pace_ms: 0.1, output_tokens: 4, ..Behaviour::default() };
    let models = MODELS.map(|name| (name, Provider::OpenAi, behaviour.clone()));
    let mock = Mock::start(MockConfig { listen: ([127, 0, 0, 1], 0).into(), ..MockConfig::of_models(models) });
    let mock = mock.expect("a mock");
    let environments = ["dev", "prod"].map(|name| name.parse::<Environment>().expect("a name"));
    let server = InProcess::start().await;
    let monitor = in_bucket(Setup::new().with(mock.settings(&environments)), &server, "live").with([
        ("MONITOR_INTERVAL", "1"),
        ("MULTI_ENV_MODE", "full"),
        ("ENVIRONMENTS", "dev,prod"),
    ]);
    run(&monitor, &[MADE_UP.as_slice(), &["--out", "old.csv"]].concat()).await;
    run(&monitor, &["import", "old.csv"]).await;
    let mut serving = monitor.serve().await;
    serving.cycle().await;

    let to_bucket = format!("s3://{BUCKET}/copy");
    for to in ["copy", &to_bucket] {
        let before = written(&server);
        let held = AtomicUsize::new(0);
        let layer = Faults::before(server.address, move |seen, _| {
            let is_held = reads_growing(seen) && held.fetch_add(1, Ordering::Relaxed) < TIMES;
            if is_held { Fault::Held } else { Fault::None }
        })
        .await;
        let source = through(in_bucket(Setup::new(), &server, "live"), &layer);
        backup_of_what_grows(&source, to, &layer, TIMES, async || {
            let size = growing(&server);
            while growing(&server) == size {
                serving.cycle().await;
            }
        })
        .await;
        assert!(layer.seen().iter().any(reads_growing), "{to}");
        let finished_hour = "/live/records/environment=dev/date=2026-11-23/hour=05/";
        let of_finished_hour = layer.seen().iter().filter(|seen| seen.is_of(finished_hour)).count();
        assert_eq!(of_finished_hour, 1, "what does not change is read once");

        let copy = match to {
            "copy" => source.with([("STORE", "file"), ("LATENCY_DATA_CSV", "copy/latency_data.csv")]),
            _ => in_bucket(source, &server, "copy"),
        };
        let rows = stored(&copy).await;
        let has: BTreeSet<_> = rows.iter().collect();
        assert!(before.len() > ROWS && before.iter().all(|row| has.contains(row)), "{to}");
        assert_eq!(verified(&copy).await["rows"], rows.len() - 1);
        let whole = cycles(&rows);
        assert!(whole.len() > 2 && whole.values().all(|rows| *rows == MODELS.len()), "{to}: {whole:#?}");
        let now: BTreeSet<_> = written(&server).into_iter().collect();
        assert!(rows.iter().filter(|row| !row.starts_with("model_name,")).all(|row| now.contains(row)), "{to}");
    }
    assert_eq!(serving.terminate().await, Some(0));
    let all = stored(&monitor).await;
    run(&monitor, &["backup", &to_bucket]).await;
    assert_is_copy(&in_bucket(monitor, &server, "copy"), &all).await;
}
