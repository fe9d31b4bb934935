//! `demo`: real rows within seconds, with nothing set up and nothing left behind. And its mock alone.

use std::{collections::BTreeSet, process::Command};

use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::monitor::Setup;

#[tokio::test]
async fn it_shows_models_of_several_providers_in_four_environments_and_leaves_only_its_csv() {
    // Real variables take no part, so no real key can go anywhere and unusable ones do no harm.
    let setup = Setup::new().with([("OPENAI_API_KEY", "sk-real"), ("MONITOR_INTERVAL", "unusable")]);
    let ended = setup.run(&["demo", "--cycles", "1", "--listen", "127.0.0.1:0"]).await;
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("http://127.0.0.1:"), "{}", ended.stdout);

    let csv_text = setup.csv();
    let mut reader = csv::Reader::from_reader(csv_text.as_bytes());
    let mut pairs = BTreeSet::new();
    let mut providers = BTreeSet::new();
    for row in reader.records() {
        let row = row.expect("a row");
        pairs.insert((row[0].to_owned(), row[1].to_owned()));
        providers.insert(row[11].to_owned());
        assert!(ended.stdout.contains(&row[0]), "{} is shown", &row[0]);
    }
    let environments: BTreeSet<_> = pairs.iter().map(|(_, environment)| environment.as_str()).collect();
    assert_eq!(environments, BTreeSet::from(["dev", "test", "qa", "prod"]));
    for environment in environments {
        assert!(pairs.iter().filter(|(_, e)| e == environment).count() >= 3, "{pairs:?}");
    }
    assert!(providers.len() >= 3, "{providers:?}");

    let left: Vec<_> =
        std::fs::read_dir(setup.folder()).expect("the folder").map(|f| f.expect("a file").file_name()).collect();
    assert_eq!(left, ["latency_data.csv"]);
}

#[tokio::test]
async fn the_mock_alone_tells_what_to_set_and_ends_well_when_it_is_told_to() {
    for signal in ["-TERM", "-INT"] {
        let mut mock = Setup::new().start(&["mock", "--listen", "127.0.0.1:0"]);
        let mut lines = BufReader::new(mock.stdout.take().expect("piped")).lines();
        loop {
            let line = lines.next_line().await.expect("UTF-8").expect("it says what to set");
            if line.starts_with("PROD_USAGE_ENDPOINT=http://127.0.0.1:") {
                break;
            }
        }
        let pid = mock.id().expect("it runs").to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill runs").success());
        assert_eq!(mock.wait().await.expect("it ended").code(), Some(0), "{signal}");
    }
}
