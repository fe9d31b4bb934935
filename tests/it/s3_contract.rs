//! The store's guarantees in S3: on a server in this process, and on one by other people.

use llm_monitor_core::aws::AwsKeys;
use llm_monitor_core::store::{
    AppendMode, S3Options, S3Store, Scope, Store as _,
    contract::{self, Load},
};

use crate::support::{
    moto,
    s3_faults::{Fault, Faults},
    s3_places::{Prefixes, long_after, options},
    s3_server::{InProcess, Quirks},
};

const LOAD: Load = Load { writers: 8, appends: 12 };
const LIGHT: Load = Load { writers: 4, appends: 4 };

async fn keeps_the_guarantees(quirks: Quirks, append: AppendMode, load: Load) {
    let server = InProcess::start_with(quirks).await;
    let options = S3Options { append, ..options(server.address) };
    contract::every_guarantee(&Prefixes::new(options), load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guarantees_hold_by_compare_and_swap() {
    keeps_the_guarantees(Quirks::default(), AppendMode::Auto, LOAD).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guarantees_hold_with_one_object_for_each_cycle() {
    keeps_the_guarantees(Quirks::default(), AppendMode::Objects, LIGHT).await;
}

/// The guarantees that how an append is made can break.
async fn keeps_what_appends_can_break(places: &Prefixes) {
    contract::what_is_appended_is_read_back(places).await;
    contract::a_repeat_adds_nothing(places).await;
    contract::rows_without_a_cycle_are_always_added(places).await;
    contract::no_row_is_lost_or_doubled(places, LOAD).await;
    contract::readers_never_see_half(places, LIGHT).await;
    contract::a_listed_segment_reads_as_it_was_listed(places).await;
    contract::order_is_kept(places).await;
    contract::usage_and_catalog_are_kept(places).await;
    contract::rollups_are_kept(places).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guarantees_hold_on_a_server_that_ignores_conditions() {
    let quirks = Quirks { ignores_if_match: true, ignores_if_none_match: true, ..Quirks::default() };
    let server = InProcess::start_with(quirks).await;
    keeps_what_appends_can_break(&Prefixes::new(options(server.address))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guarantees_hold_on_a_server_that_refuses_conditions() {
    let server = InProcess::start().await;
    let layer = Faults::before(server.address, |seen, _| {
        let is_conditional = seen.if_match.is_some() || seen.if_none_match.is_some();
        if is_conditional { Fault::Answer(501, "NotImplemented") } else { Fault::None }
    })
    .await;
    keeps_what_appends_can_break(&Prefixes::new(options(layer.address))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guarantees_hold_where_etags_are_bare_and_listings_have_none() {
    let quirks = Quirks { wants_bare_etags: true, lists_no_etags: true, ..Quirks::default() };
    let server = InProcess::start_with(quirks).await;
    keeps_what_appends_can_break(&Prefixes::new(options(server.address))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guarantees_hold_for_hours_long_closed() {
    let server = InProcess::start().await;
    let places = Prefixes { clock: long_after, ..Prefixes::new(options(server.address)) };
    keeps_what_appends_can_break(&places).await;
}

/// On moto, or on the server that `S3_TEST_ENDPOINT` names.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guarantees_hold_on_an_independent_server_that_checks_signatures() {
    let server = tokio::task::spawn_blocking(moto::server).await.expect("the server starts");
    let options =
        S3Options { access: server.access.clone(), writer: "suite".to_owned(), ..S3Options::new(&server.bucket) };
    contract::every_guarantee(&Prefixes::new(options), LIGHT).await;
}

/// What the test above shows means nothing on a server that takes anybody's word.
#[tokio::test]
async fn the_independent_server_refuses_a_wrong_signature() {
    let server = tokio::task::spawn_blocking(moto::server).await.expect("the server starts");
    let mut access = server.access.clone();
    let id = access.keys.as_ref().map_or("nobody", |keys| &keys.id).to_owned();
    access.keys = Some(AwsKeys { id, secret: "not-the-secret".into(), session_token: None });
    let store = S3Store::new(S3Options { access, ..S3Options::new(&server.bucket) });
    let error = store.segments(&Scope::default()).await.expect_err("refused");
    let text = error.to_string();
    assert!(text.contains("AWS_SECRET_ACCESS_KEY") || text.contains("AWS_ACCESS_KEY_ID"), "{text}");
}
