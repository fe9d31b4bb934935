//! The real `llm-monitor`, started as a user would.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr, Command},
};

use super::programs;

/// A test that hangs fails after this long; nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(60);

fn binary() -> PathBuf {
    programs::folder().join("llm-monitor")
}

/// A folder of its own, and the variables that the program will see; none of the machine's own.
pub(crate) struct Setup {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// How a program ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Setup {
    /// An empty folder, no variables.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), variables: Vec::new() }
    }

    /// For a `serve` that probes nothing but what is refused at once, once an hour: it is about what was stored before.
    pub(crate) fn quiet() -> Self {
        let nowhere = "http://127.0.0.1:9";
        Self::new().with([
            ("DEV_USAGE_ENDPOINT", nowhere),
            ("OLLAMA_BASE_URL", nowhere),
            ("MONITOR_INTERVAL", "3600"),
            ("LLM_API_TIMEOUT", "1"),
        ])
    }

    /// With these variables added; later ones win.
    pub(crate) fn with<N: Into<String>, V: Into<String>>(mut self, pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        self.variables.extend(pairs.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The default CSV file.
    pub(crate) fn csv_path(&self) -> PathBuf {
        self.folder().join("latency_data.csv")
    }

    pub(crate) fn csv(&self) -> String {
        std::fs::read_to_string(self.csv_path()).expect("the CSV file")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.command_by(&[], args)
    }

    /// As [`command`](Self::command), started by another program, which is given it and its arguments.
    fn command_by(&self, by: &[&str], args: &[&str]) -> Command {
        let program = binary();
        let program = program.to_str().expect("UTF-8");
        let mut line = by.iter().copied().chain([program]).chain(args.iter().copied());
        let mut command = Command::new(line.next().expect("a program"));
        command
            .args(line)
            .current_dir(self.folder())
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("TMPDIR", self.folder())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs it to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> Ended {
        self.run_by(&[], args).await
    }

    /// As [`run`](Self::run), started by another program: [`limits`](super::limits) has some.
    pub(crate) async fn run_by(&self, by: &[&str], args: &[&str]) -> Ended {
        let output = tokio::time::timeout(PATIENCE, self.command_by(by, args).output()).await;
        let output = output.expect("the program ends").expect("the program runs");
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// Nothing is wrong with any record: by `verify` itself.
    pub(crate) async fn assert_verified(&self) {
        let verified = self.run(&["verify"]).await;
        assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
    }

    /// Runs one of `tests/examples` to its end, however long that takes; gives what it printed.
    pub(crate) async fn example(&self, name: &str, args: &[&str]) -> String {
        let program = programs::folder().join("examples").join(name);
        let mut command = Command::new(program);
        command.args(args).current_dir(self.folder()).env_clear();
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).kill_on_drop(true);
        let output = command.output().await.expect("it runs");
        let (stdout, stderr) =
            (String::from_utf8(output.stdout).expect("UTF-8"), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{name}: {stderr}");
        stdout
    }

    /// Starts it; whoever is given it reads what it prints.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        self.command(args).spawn().expect("the program starts")
    }

    /// Starts it at a terminal of this many columns and lines (by `script`, of util-linux); its keyboard is the child's stdin.
    pub(crate) fn start_at_terminal(&self, args: &[&str], columns: u16, lines: u16) -> Child {
        let program = binary();
        let program = program.display();
        let line = format!("stty cols {columns} rows {lines}; exec {program} {}", args.join(" "));
        let mut command = Command::new("script");
        command
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .current_dir(self.folder())
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        command.spawn().expect("script, of util-linux, starts")
    }

    /// Runs it, reads one line of its output, and closes the pipe.
    pub(crate) async fn run_until_first_line(&self, args: &[&str]) -> (String, Option<i32>) {
        let mut child = self.command(args).spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let line = lines.next_line().await.expect("UTF-8").expect("a line");
        drop(lines);
        let ended = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it stops");
        (line, ended.expect("it ended").code())
    }

    /// Starts `serve` on a free port and waits until it listens.
    pub(crate) async fn serve(&self) -> Serving {
        self.serve_by(&[]).await
    }

    /// As [`serve`](Self::serve), started by another program.
    pub(crate) async fn serve_by(&self, by: &[&str]) -> Serving {
        let mut command = self.command_by(by, &["serve"]);
        command.env("LISTEN", "127.0.0.1:0");
        let mut child = command.spawn().expect("the program starts");
        let stderr = BufReader::new(child.stderr.take().expect("piped")).lines();
        let mut serving = Serving { child, stderr, url: String::new(), log: Vec::new() };
        let line = serving.wait_for("listening on ").await;
        let url = line.split("listening on ").nth(1).and_then(|rest| rest.split_whitespace().next());
        url.expect("the URL").clone_into(&mut serving.url);
        serving
    }
}

/// A running `serve`.
pub(crate) struct Serving {
    child: Child,
    stderr: Lines<BufReader<ChildStderr>>,
    url: String,
    log: Vec<String>,
}

impl Serving {
    /// `path` on it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Reads its log up to the line that holds `text`, and returns that.
    pub(crate) async fn wait_for(&mut self, text: &str) -> String {
        loop {
            let line = tokio::time::timeout(PATIENCE, self.stderr.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("no line with {text:?} after {:#?}", self.log));
            let Some(line) = line.expect("UTF-8") else { panic!("it ended before {text:?}: {:#?}", self.log) };
            self.log.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Waits until one more cycle has been written.
    pub(crate) async fn cycle(&mut self) -> String {
        self.wait_for("rows written").await
    }

    /// What it logged so far, as far as it was read.
    pub(crate) fn log(&self) -> String {
        self.log.join("\n")
    }

    /// The names of its threads.
    #[cfg(target_os = "linux")]
    pub(crate) fn threads(&self) -> Vec<String> {
        let tasks = format!("/proc/{}/task", self.child.id().expect("it runs"));
        let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).ok();
        let names = std::fs::read_dir(tasks).expect("its threads").flatten().filter_map(name);
        names.map(|name| name.trim_end().to_owned()).collect()
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("killed");
    }

    /// `kill -TERM`, as many times at once.
    pub(crate) fn ask_to_stop(&self, signals: usize) {
        let pid = self.child.id().expect("it runs").to_string();
        let status = std::process::Command::new("kill").arg("-TERM").args(vec![pid; signals]).status();
        assert!(status.expect("kill runs").success());
    }

    /// `kill -TERM`, and its exit code.
    pub(crate) async fn terminate(self) -> Option<i32> {
        self.terminate_times(1).await
    }

    /// `kill -TERM`, as many times at once, and its exit code.
    pub(crate) async fn terminate_times(mut self, signals: usize) -> Option<i32> {
        self.ask_to_stop(signals);
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it stops");
        ended.expect("it ended").code()
    }
}
