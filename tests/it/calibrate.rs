//! `calibrate`: two real processes, and what their comparison says. How small the errors are is not a test's business: that
//! depends on the machine.

use serde_json::Value;

use crate::support::monitor::Setup;

#[tokio::test]
async fn it_compares_the_records_with_the_servers_own_log() {
    let setup = Setup::new();
    let ended = setup
        .run(&["calibrate", "--concurrency", "1,4", "--samples", "8", "--max-ttft-error-ms", "60000", "--json"])
        .await;
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let json: Value = serde_json::from_str(&ended.stdout).expect("JSON and nothing else");
    let levels = json["levels"].as_array().expect("levels");
    assert_eq!(
        levels.iter().map(|level| level["concurrency"].as_u64()).collect::<Vec<_>>(),
        [Some(1), Some(4)],
        "{json}"
    );
    for level in levels {
        assert_eq!(level["failed"], 0, "{level}");
        assert!(level["probes"].as_u64().is_some_and(|probes| probes >= 8), "all were compared: {level}");
        for figure in ["ttft", "tpot"] {
            assert!(level[figure]["p99_ms"].as_f64().is_some_and(|ms| ms >= 0.0), "{figure} of {level}");
        }
    }
}

#[tokio::test]
async fn an_error_above_the_bound_makes_it_exit_1_and_say_so() {
    let setup = Setup::new();
    // No clock is as exact as that.
    let ended =
        setup.run(&["calibrate", "--concurrency", "2", "--samples", "4", "--max-ttft-error-ms", "0.0000001"]).await;
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("above"), "{}", ended.stdout);
}
