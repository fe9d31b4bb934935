//! What becomes of an append when the server, or the way to it, fails.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hyper::Method;
use llm_monitor_core::store::{
    AppendMode, AppendReport, Appended, S3Options, S3Store, Store as _, StoreError,
    contract::{self, Load, all_rows, cycle, environment},
};

use crate::imports::in_bucket;
use crate::support::{
    monitor::Setup,
    s3_faults::{Fault, Faults},
    s3_places::{Prefixes, options, store},
    s3_server::{InProcess, SECRET},
};

/// No proof at the start: the requests are those of the append alone.
fn swapping(address: SocketAddr) -> S3Options {
    S3Options { append: AppendMode::Swap, ..options(address) }
}

fn dev(report: &AppendReport) -> Result<Appended, StoreError> {
    report[&environment("dev")].clone()
}

/// By the program itself.
async fn verify(server: &InProcess) {
    in_bucket(Setup::new(), server, &options(server.address).prefix).assert_verified().await;
}

/// Appends two cycles, `faults` happening to the first writes of the second, and says what requests that took.
async fn second_append(faults: impl IntoIterator<Item = Fault>) -> Vec<String> {
    let server = InProcess::start().await;
    let direct = store(swapping(server.address));
    dev(&direct.append(&cycle(0, &["dev"], 2)).await).expect("written");
    let layer = Faults::on_puts(server.address, faults).await;
    let store = store(swapping(layer.address));
    let outcome = dev(&store.append(&cycle(1, &["dev"], 2)).await);
    assert_eq!(outcome.expect("written"), Appended::Written { rows: 2 });
    assert_eq!(all_rows(&direct).await.len(), 4, "each row is there once");
    verify(&server).await;
    layer.methods("/records/")
}

#[tokio::test]
async fn an_append_takes_two_requests_however_long_the_history_is() {
    const HOURS: usize = 100;
    let server = InProcess::start().await;
    let direct = store(swapping(server.address));
    for hour in 0..HOURS {
        dev(&direct.append(&cycle(60 * hour, &["dev"], 2)).await).expect("written");
    }
    let layer = Faults::on_puts(server.address, []).await;
    let store = store(swapping(layer.address));
    for minute in 0..2 {
        let written = dev(&store.append(&cycle(60 * HOURS + minute, &["dev"], 2)).await);
        assert_eq!(written.expect("written"), Appended::Written { rows: 2 });
    }
    assert_eq!(layer.methods(""), ["GET", "PUT", "GET", "PUT"], "a new hour's first cycle, and its second");
}

#[tokio::test]
async fn an_object_for_each_cycle_takes_two_requests_however_long_the_history_is() {
    let server = InProcess::start().await;
    let objects = |address| S3Options { append: AppendMode::Objects, ..options(address) };
    let direct = store(objects(server.address));
    for hour in 0..20 {
        dev(&direct.append(&cycle(60 * hour, &["dev"], 2)).await).expect("written");
    }
    let layer = Faults::on_puts(server.address, []).await;
    let store = store(objects(layer.address));
    for minute in 0..2 {
        let written = dev(&store.append(&cycle(60 * 20 + minute, &["dev"], 2)).await);
        assert_eq!(written.expect("written"), Appended::Written { rows: 2 });
    }
    assert_eq!(layer.methods(""), ["HEAD", "PUT", "HEAD", "PUT"]);
}

#[tokio::test]
async fn reading_an_hour_takes_as_many_requests_whether_it_holds_one_cycle_or_sixty() {
    let mut requests = Vec::new();
    for cycles in [1, 60] {
        let server = InProcess::start().await;
        let direct = store(swapping(server.address));
        for minute in 0..cycles {
            dev(&direct.append(&cycle(minute, &["dev"], 2)).await).expect("written");
        }
        let layer = Faults::on_puts(server.address, []).await;
        let rows = all_rows(&store(swapping(layer.address))).await;
        assert_eq!(rows.len(), 2 * cycles);
        requests.push(layer.methods(""));
    }
    // Two lists, and the object.
    assert_eq!(requests, [["GET"; 3], ["GET"; 3]]);
}

#[tokio::test]
async fn a_conflict_is_read_and_tried_again() {
    for fault in [
        Fault::Answer(412, "PreconditionFailed"),
        Fault::Answer(409, "ConditionalRequestConflict"),
        // Some servers say so of If-Match on an object that went away.
        Fault::Answer(404, "NoSuchKey"),
    ] {
        assert_eq!(second_append([fault.clone()]).await, ["GET", "PUT", "GET", "PUT"], "{fault:?}");
    }
}

#[tokio::test]
async fn a_busy_or_lost_server_is_asked_again() {
    for fault in [
        Fault::Answer(503, "SlowDown"),
        Fault::Answer(500, "InternalError"),
        Fault::CutBefore,
        Fault::Slow(Duration::from_millis(50)),
    ] {
        let requests = second_append([fault.clone(), fault.clone()]).await;
        assert_eq!(requests.iter().filter(|method| *method == "GET").count(), 1, "{fault:?}: {requests:?}");
    }
    // More often than the SDK tries.
    second_append(vec![Fault::Answer(503, "SlowDown"); 4]).await;
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_not_repeated() {
    // The SDK's own second try meets the changed object; what is read then begins with what was written.
    assert_eq!(second_append([Fault::CutAfter]).await, ["GET", "PUT", "PUT", "GET"]);
    second_append([Fault::CutAfter, Fault::CutAfter, Fault::CutAfter]).await;
}

#[tokio::test]
async fn a_post_whose_answer_was_lost_is_stored_once() {
    for append in [AppendMode::Swap, AppendMode::Auto, AppendMode::Objects] {
        let server = InProcess::start().await;
        let layer = Faults::on_puts(server.address, [Fault::CutAfter, Fault::None, Fault::CutAfter]).await;
        let store = store(S3Options { append, ..options(layer.address) });
        let mut batch = cycle(0, &["dev"], 1);
        batch.cycle_id = None;
        for posts in 1..=3 {
            assert_eq!(dev(&store.append(&batch).await).expect("written"), Appended::Written { rows: 1 });
            assert_eq!(all_rows(&store).await.len(), posts, "{append:?}");
        }
    }
}

#[tokio::test]
async fn an_object_that_vanishes_between_read_and_write_is_started_anew() {
    let server = InProcess::start().await;
    let bucket = server.bucket();
    let layer = Faults::before(server.address, move |seen, count| {
        if seen.method == Method::PUT && count == 3 {
            std::fs::remove_dir_all(bucket.join("records")).expect("the object is removed");
        }
        Fault::None
    })
    .await;
    let store = store(swapping(layer.address));
    for minute in 0..2 {
        dev(&store.append(&cycle(minute, &["dev"], 2)).await).expect("written");
    }
    let rows = all_rows(&store).await;
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.cycle_id == Some(contract::due(1))));
    verify(&server).await;
}

#[tokio::test]
async fn an_outage_ends_the_append_in_time_and_leaves_nothing_behind() {
    let server = InProcess::start().await;
    for (fault, said) in [
        (Fault::Answer(503, "SlowDown"), "status 503, SlowDown"),
        (Fault::CutBefore, "cannot be reached"),
        (Fault::Silence, "no answer within 2 s"),
    ] {
        let layer = Faults::before(server.address, move |_, _| fault.clone()).await;
        let store = S3Store::new(S3Options { append_budget: Duration::from_secs(600), ..swapping(layer.address) });
        store.set_append_budget(Duration::from_secs(2));
        let error = dev(&store.append(&cycle(0, &["dev"], 2)).await).expect_err("an outage");
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
        assert!(error.to_string().contains(said), "{error}");
        let health = store.health().await;
        assert_eq!(health.problems, [error.to_string()]);
    }
    assert_eq!(server.keys(), [""; 0]);
    let store = store(swapping(server.address));
    dev(&store.append(&cycle(0, &["dev"], 2)).await).expect("written once it is over");
    assert!(store.health().await.problems.is_empty());
    verify(&server).await;
}

#[tokio::test]
async fn one_environments_failure_does_not_touch_the_others() {
    let server = InProcess::start().await;
    let layer = Faults::before(server.address, |seen, _| {
        if seen.target.contains("qa/date") { Fault::Answer(403, "AccessDenied") } else { Fault::None }
    })
    .await;
    let store = store(swapping(layer.address));
    let report = store.append(&cycle(0, &["dev", "qa", "prod"], 2)).await;
    assert!(report[&environment("qa")].is_err());
    for name in ["dev", "prod"] {
        assert_eq!(report[&environment(name)].clone().expect("written"), Appended::Written { rows: 2 });
    }
}

#[tokio::test]
async fn what_a_person_must_mend_is_said_in_one_line_and_not_tried_again() {
    let server = InProcess::start().await;
    let region = ("x-amz-bucket-region", "eu-central-1");
    let date = ("date", "Tue, 24 Nov 2026 16:00:00 GMT");
    for (fault, said) in [
        (Fault::Answer(403, "AccessDenied"), "s3:PutObject"),
        (Fault::Answer(403, ""), "access is denied"),
        (Fault::Answer(404, "NoSuchBucket"), "RECORDS_BUCKET"),
        (Fault::Answer(403, "InvalidAccessKeyId"), "AWS_ACCESS_KEY_ID"),
        (Fault::Answer(403, "SignatureDoesNotMatch"), "AWS_SECRET_ACCESS_KEY"),
        (Fault::Answer(400, "ExpiredToken"), "AWS_SESSION_TOKEN"),
        (Fault::AnswerWith(301, "PermanentRedirect", region), "set AWS_REGION=eu-central-1"),
        (Fault::AnswerWith(400, "AuthorizationHeaderMalformed", region), "set AWS_REGION=eu-central-1"),
        (Fault::AnswerWith(403, "RequestTimeTooSkewed", date), "Tue, 24 Nov 2026 16:00:00 GMT; set the clock"),
        (Fault::Answer(400, "KMS.DisabledException"), "RECORDS_KMS_KEY_ID"),
        (Fault::Answer(507, "XMinioStorageFull"), "no space left"),
        (Fault::Answer(418, "Teapot"), "status 418, Teapot"),
    ] {
        let answer = fault.clone();
        let layer = Faults::before(server.address, move |_, _| answer.clone()).await;
        let store = store(S3Options { append_budget: Duration::from_secs(600), ..swapping(layer.address) });
        let error = dev(&store.append(&cycle(0, &["dev"], 1)).await).expect_err("refused");
        let text = error.to_string();
        assert!(text.contains(said), "{fault:?}: {text}");
        assert!(!text.contains('\n') && !text.contains(SECRET), "{text}");
        assert!(!matches!(error, StoreError::Unavailable { .. }), "{fault:?} does not pass by itself: {error:?}");
        // Once to read, once to write where reading was denied; the SDK itself corrects a clock and tries again.
        let requests = layer.seen().len();
        assert!(requests <= 2 || said.contains("clock"), "{fault:?} took {requests} requests");
    }
}

#[tokio::test]
async fn a_wrong_secret_and_a_dead_endpoint_are_named() {
    let server = InProcess::start().await;
    let mut wrong = swapping(server.address);
    wrong.access.keys.as_mut().expect("keys").secret = "another-secret".into();
    let error = store(wrong).load_catalog(&environment("dev")).await.expect_err("refused");
    assert!(error.to_string().contains("AWS_SECRET_ACCESS_KEY"), "{error}");

    let address = server.address;
    drop(server);
    let mut dead = S3Options { append_budget: Duration::from_secs(4), ..swapping(address) };
    let with_password = format!("http://user:{SECRET}@{address}?key={SECRET}");
    dead.access.endpoint = Some(with_password.parse().expect("a URL"));
    assert!(!format!("{dead:?}").contains(SECRET), "{dead:?}");
    let error = dev(&store(dead).append(&cycle(0, &["dev"], 1)).await).expect_err("nobody is there");
    assert!(!error.to_string().contains(SECRET), "{error}");
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains(&format!("http://{address}/ cannot be reached")), "{error}");
}

/// Without the right to list, a missing object looks like one that may not be read.
#[tokio::test]
async fn the_right_to_list_is_not_needed_to_write() {
    let server = InProcess::start().await;
    let bucket = server.bucket();
    let layer = Faults::before(server.address, move |seen, _| {
        let is_missing = || !bucket.join("records").exists();
        if seen.method == Method::GET && is_missing() { Fault::Answer(403, "AccessDenied") } else { Fault::None }
    })
    .await;
    let store = store(swapping(layer.address));
    for minute in 0..2 {
        dev(&store.append(&cycle(minute, &["dev"], 2)).await).expect("written");
    }
    assert_eq!(all_rows(&store).await.len(), 4);
}

/// One request in about seven fails, in every way there is.
fn often(count: usize) -> Fault {
    match fastrand::Rng::with_seed(count as u64).u32(0..50) {
        0 => Fault::Answer(412, "PreconditionFailed"),
        1 => Fault::Answer(409, "ConditionalRequestConflict"),
        2 => Fault::Answer(503, "SlowDown"),
        3 => Fault::Answer(500, "InternalError"),
        4 => Fault::CutBefore,
        5 => Fault::CutAfter,
        6 => Fault::Slow(Duration::from_millis(20)),
        _ => Fault::None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_writers_with_faults_lose_and_double_no_row() {
    let server = InProcess::start().await;
    let layer = Faults::before(server.address, |seen, count| {
        // A conflict is an answer to a write.
        match often(count) {
            Fault::Answer(409 | 412, _) if seen.method != Method::PUT => Fault::None,
            fault => fault,
        }
    })
    .await;
    let places = Prefixes::new(S3Options { append_budget: Duration::from_secs(300), ..options(layer.address) });
    contract::no_row_is_lost_or_doubled(&places, Load { writers: 8, appends: 100 }).await;
    let faults = layer.seen().iter().filter(|seen| seen.fault != Fault::None).count();
    assert!(faults > 200, "only {faults} faults happened");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn posts_with_faults_are_stored_once_each() {
    let server = InProcess::start().await;
    let layer = Faults::before(server.address, |seen, count| match often(count) {
        Fault::Answer(409 | 412, _) if seen.method != Method::PUT => Fault::None,
        fault => fault,
    })
    .await;
    let store = store(S3Options { append_budget: Duration::from_secs(300), ..options(layer.address) });
    let mut writers = Vec::new();
    for writer in 0..4 {
        let store = Arc::clone(&store);
        writers.push(tokio::spawn(async move {
            for append in 0..25 {
                let mut batch = cycle(writer, &["dev"], 1);
                batch.cycle_id = None;
                batch.records.iter_mut().for_each(|record| record.model_name = format!("{writer}-{append}"));
                dev(&store.append(&batch).await).expect("written");
            }
        }));
    }
    for writer in writers {
        writer.await.expect("the writer finishes");
    }
    let mut names: Vec<_> = all_rows(&store).await.into_iter().map(|record| record.model_name).collect();
    assert_eq!(names.len(), 100);
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 100, "a row is there twice, and another is lost");
    verify(&server).await;
}
