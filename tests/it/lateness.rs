//! A monitor that is late says so, and does not blame the model.
#![cfg(target_os = "linux")] // elsewhere no kernel stamps what arrives

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use llm_monitor_core::{probe::Prober, provider::Provider, record::Record};

use crate::support::{
    probing::{due_now, target},
    scripted::{Step, end, event, finish, stream_head, text},
};

const BLOCKED: Duration = Duration::from_millis(300);

/// Attempts: the kernel starts stamping when it gets round to it.
const ATTEMPTS: usize = 10;

#[tokio::test]
async fn text_that_waits_for_a_blocked_monitor_is_not_late() {
    let prober = Prober::new("here");
    let mut errors_ms = Vec::new();
    for _ in 0..ATTEMPTS {
        let (record, sent) = probe_blocked(&prober).await;
        assert!(record.is_success(), "{record:?}");
        let blocked_ms = BLOCKED.as_secs_f64() * 1e3;
        assert!(record.client_delay_ms.is_some_and(|delay| delay > blocked_ms / 2.0), "{record:?}");
        let error_ms = record.ttft_ms.expect("measured") - sent.as_secs_f64() * 1e3;
        if error_ms < blocked_ms / 2.0 {
            return;
        }
        errors_ms.push(error_ms);
    }
    panic!("the first token was late by {errors_ms:?} ms");
}

/// A probe on a thread that is blocked from before the text arrives until long after; with it, when the text was sent.
async fn probe_blocked(prober: &Prober) -> (Record, Duration) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (blocked, is_blocked) = mpsc::channel();
    let (head_sent, is_head_sent) = mpsc::channel();
    let server = thread::spawn(move || {
        let mut socket = listener.accept().expect("a connection").0;
        let _ = socket.read(&mut [0; 8192]).expect("a request");
        let mut send = |step| {
            let Step::Send(bytes) = step else { unreachable!("a step that sends") };
            let at = Instant::now();
            socket.write_all(&bytes).expect("a client");
            at
        };
        send(stream_head());
        head_sent.send(()).expect("a test");
        is_blocked.recv().expect("a test");
        let sent = send(text("Hello"));
        for step in [finish("stop"), event("[DONE]"), end()] {
            send(step);
        }
        sent
    });

    let target = target(Provider::OpenAi, &format!("http://{address}/v1"));
    let schedule = due_now();
    let block = async {
        while is_head_sent.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        blocked.send(()).expect("a server");
        thread::sleep(BLOCKED);
    };
    let start = Instant::now();
    let (record, ()) = tokio::join!(prober.probe(&target, &schedule), block);
    (record, server.join().expect("the server's end").duration_since(start))
}
