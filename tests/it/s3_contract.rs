//! The store's guarantees in S3: on a server in this process, and on one by other people.

use llm_monitor_core::store::{
    AppendMode, S3Options,
    contract::{self, Load},
};

use crate::support::{
    moto,
    s3_places::{Prefixes, long_after, options},
    s3_server::{InProcess, Quirks},
};

const LOAD: Load = Load { writers: 8, appends: 25 };

async fn keeps_the_guarantees(quirks: Quirks, append: AppendMode) {
    let server = InProcess::start_with(quirks).await;
    let options = S3Options { append, ..options(server.address) };
    contract::every_guarantee(&Prefixes::new(options), LOAD).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guarantees_hold_by_compare_and_swap() {
    keeps_the_guarantees(Quirks::default(), AppendMode::Auto).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guarantees_hold_with_one_object_for_each_cycle() {
    keeps_the_guarantees(Quirks::default(), AppendMode::Objects).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guarantees_hold_on_a_server_that_ignores_conditions() {
    let quirks = Quirks { ignores_if_match: true, ignores_if_none_match: true, ..Quirks::default() };
    keeps_the_guarantees(quirks, AppendMode::Auto).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guarantees_hold_where_etags_are_bare_and_listings_have_none() {
    let quirks = Quirks { wants_bare_etags: true, lists_no_etags: true, ..Quirks::default() };
    keeps_the_guarantees(quirks, AppendMode::Auto).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guarantees_hold_for_hours_long_closed() {
    let server = InProcess::start().await;
    let mut places = Prefixes::new(options(server.address));
    places.clock = long_after;
    contract::every_guarantee(&places, LOAD).await;
}

/// On moto, or on the server that `S3_TEST_ENDPOINT` names.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guarantees_hold_on_an_independent_server_that_checks_signatures() {
    let server = tokio::task::spawn_blocking(moto::server).await.expect("the server starts");
    let options =
        S3Options { access: server.access.clone(), writer: "suite".to_owned(), ..S3Options::new(&server.bucket) };
    contract::every_guarantee(&Prefixes::new(options), Load { writers: 4, appends: 10 }).await;
}
