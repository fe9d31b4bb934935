//! The probes against the server, in one process: that the figures are there, not how good they are on a busy machine.

#![allow(clippy::unwrap_used)]

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, Mutex},
    thread,
};

use llm_monitor_core::probe::Prober;
use url::Url;

use super::{
    clock::Anchor,
    level::{self, Level, Load},
    server,
};

#[tokio::test]
async fn every_probe_is_compared_with_the_servers_log() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let base_url = Url::parse(&format!("http://{}/v1", listener.local_addr().unwrap())).unwrap();
    let log = Arc::new(Mutex::new(Vec::new()));
    let accepted = Arc::clone(&log);
    thread::spawn(move || server::accept(&listener, &accepted));
    let prober = Arc::new(Prober::new("test"));
    let load = Load { concurrency: 2, samples: 4, same_instant: false };
    let anchor = Anchor::now();
    let probed = level::probe(&prober, &base_url, load).await;
    let sent = server::take(&log);
    assert!(sent.iter().all(|sent| sent.late_ns.len() == 20 && sent.last_ns > sent.first_ns));
    let level = Level::of(load, &probed, &sent, anchor, 1e9);
    assert_eq!((level.probes, level.failed, &level.failure), (4, 0, &None));
    assert!(level.is_good());
    // Nothing can arrive before it was written, beyond the rounding to microseconds.
    assert!(level.ttft.unwrap().bias_ms > -0.002, "{:?}", level.ttft);
    assert!(!Level::of(load, &probed, &sent[1..], anchor, 1e9).is_good(), "a stream that is not logged is a failure");
    assert!(!Level::of(load, &probed, &sent, anchor, 0.0).is_good(), "a bound of nothing is exceeded");
}
