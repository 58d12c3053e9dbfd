//! What the black-box tests share: the real binary as a child process, subscribers that record, and waiting for
//! conditions. Nothing here knows the inside of Weir.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::process::{Child, Command};

pub(crate) mod journal;
pub(crate) mod subscriber;

pub(crate) use subscriber::{Answer, Subscriber};

/// How long a condition may take before a test gives up: far beyond any promise, since CI machines stall.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test.
pub(crate) const WEIR: &str = env!("CARGO_BIN_EXE_weir");

/// A running `weir run`, on ports of its own.
pub(crate) struct Weir {
    child: Child,
    dir: Arc<tempfile::TempDir>,
    data_dir: PathBuf,
    stderr: PathBuf,
    pub(crate) api: String,
    pub(crate) data_plane: String,
    pub(crate) kubeconfig: PathBuf,
}

/// How to start `weir run`.
pub(crate) struct Start {
    dir: Arc<tempfile::TempDir>,
    data_dir: PathBuf,
    api_listen: String,
    args: Vec<String>,
}

impl Weir {
    /// Starts on a fresh data directory and waits until it is ready.
    pub(crate) async fn start() -> Self {
        Start::fresh().go().await
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("weir is running")
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// What `weir` wrote to stderr so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Kills with SIGKILL and returns what is needed to start again on the same data.
    pub(crate) async fn kill(mut self) -> Start {
        self.child.start_kill().expect("kill");
        self.child.wait().await.expect("reap");
        self.again()
    }

    /// Stops with SIGTERM; the exit status and what is needed to start again.
    pub(crate) async fn stop(mut self) -> (ExitStatus, Start) {
        self.signal(rustix::process::Signal::TERM);
        let status = tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .unwrap_or_else(|_| panic!("weir did not stop after SIGTERM; its log:\n{}", self.log()))
            .expect("wait");
        (status, self.again())
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid().cast_signed()).expect("pid");
        rustix::process::kill_process(pid, signal).expect("signal");
    }

    fn again(&self) -> Start {
        Start { dir: self.dir.clone(), data_dir: self.data_dir.clone(), ..Start::fresh() }
    }

    /// Runs `weir ARGS… --server API` with `stdin`; the output whatever the exit code.
    pub(crate) async fn cli_with(&self, args: &[&str], stdin: &str) -> Output {
        run(Command::new(WEIR).args(args).args(["--server", &self.api]), stdin).await
    }

    /// Runs `weir ARGS…`, requires success and returns stdout.
    pub(crate) async fn cli(&self, args: &[&str]) -> String {
        let output = self.cli_with(args, "").await;
        self.expect_success(args, &output);
        String::from_utf8(output.stdout).expect("stdout is UTF-8")
    }

    /// Applies manifests.
    pub(crate) async fn apply(&self, yaml: &str) {
        let args = ["apply", "-f", "-"];
        let output = self.cli_with(&args, yaml).await;
        self.expect_success(&args, &output);
    }

    fn expect_success(&self, args: &[&str], output: &Output) {
        assert!(
            output.status.success(),
            "weir {args:?} failed with {}\nstdout: {}\nstderr: {}\nlog of weir run:\n{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            self.log()
        );
    }

    /// Creates a Broker and returns its URL once it is Ready.
    pub(crate) async fn broker(&self, name: &str) -> String {
        self.broker_with(name, "").await
    }

    /// Creates a Broker with annotations (`key: value` lines) and returns its URL once it is Ready.
    pub(crate) async fn broker_with(&self, name: &str, annotations: &str) -> String {
        self.apply(&format!(
            "apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata:\n  name: {name}\n  annotations: {{{annotations}}}\n"
        ))
        .await;
        self.ready(&format!("broker/{name}")).await;
        self.broker_url(name).await
    }

    /// `status.address.url` of a Broker.
    pub(crate) async fn broker_url(&self, name: &str) -> String {
        self.cli(&["get", "broker", name, "-o", "jsonpath={.status.address.url}"]).await.trim().to_owned()
    }

    /// Creates a Trigger on `broker` with `spec` (YAML in flow style after subscriber) and waits until it is Ready.
    pub(crate) async fn trigger(&self, name: &str, broker: &str, subscriber: &str, annotations: &str, spec: &str) {
        self.apply(&format!(
            "apiVersion: eventing.knative.dev/v1\nkind: Trigger\nmetadata:\n  name: {name}\n  annotations: {{{annotations}}}\nspec:\n  broker: {broker}\n  subscriber: {{uri: \"{subscriber}\"}}\n{spec}"
        ))
        .await;
        self.ready(&format!("trigger/{name}")).await;
    }

    /// Waits until `what` (kind/name) is Ready.
    pub(crate) async fn ready(&self, what: &str) {
        self.cli(&["wait", what, "--for=condition=Ready", "--timeout=60s"]).await;
    }

    /// Dead letters of the namespace `default`, as JSON.
    pub(crate) async fn dead_letters(&self) -> Vec<serde_json::Value> {
        let text = self.cli(&["dead", "list", "-o", "json"]).await;
        let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e} in {text}"));
        value["items"].as_array().unwrap_or_else(|| panic!("no items in {text}")).clone()
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        let _ = self.child.start_kill();
        if std::thread::panicking() {
            eprintln!("log of weir run ({}):\n{}", self.stderr.display(), self.log());
        }
    }
}

impl Start {
    pub(crate) fn fresh() -> Self {
        let dir = Arc::new(tempfile::tempdir().expect("temporary directory"));
        let data_dir = dir.path().join("data");
        Self { dir, data_dir, api_listen: "127.0.0.1:0".to_owned(), args: Vec::new() }
    }

    /// On a data directory elsewhere.
    pub(crate) fn on(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_owned(), ..Self::fresh() }
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub(crate) fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Where the API listens, if not on loopback.
    pub(crate) fn api_listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.api_listen);
        self
    }

    fn command(&self, ready: &Path) -> Command {
        let mut command = Command::new(WEIR);
        command
            .args(["run", "--listen", "127.0.0.1:0", "--api-listen", &self.api_listen, "--ready-file"])
            .arg(ready)
            .arg("--data-dir")
            .arg(&self.data_dir)
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Where the tests keep objects in PostgreSQL, a database of its own for each data directory.
    async fn on_postgres(mut self) -> Self {
        let Ok(server) = std::env::var("WEIR_TEST_POSTGRES") else { return self };
        if !self.args.iter().any(|arg| arg == "--store") {
            let note = self.dir.path().join("database");
            let url = match std::fs::read_to_string(&note) {
                Ok(known) => known,
                Err(_) => create_database(&server).await,
            };
            std::fs::write(note, &url).expect("written");
            self = self.arg("--store").arg(url);
        }
        self
    }

    /// Starts and waits until it is ready.
    pub(crate) async fn go(self) -> Weir {
        let this = self.on_postgres().await;
        this.go_on().await
    }

    async fn go_on(self) -> Weir {
        let ready = self.dir.path().join("ready.json");
        let _ = std::fs::remove_file(&ready);
        let stderr = self.dir.path().join("stderr.log");
        let log = std::fs::File::options().create(true).append(true).open(&stderr).expect("log file");
        let mut child = self.command(&ready).stderr(log).spawn().expect("start weir");
        let show = || std::fs::read_to_string(&stderr).unwrap_or_default();
        let started = Instant::now();
        let text = loop {
            if let Ok(text) = std::fs::read_to_string(&ready) {
                break text;
            }
            if let Some(status) = child.try_wait().expect("wait") {
                panic!("weir run ended with {status}; its log:\n{}", show());
            }
            assert!(started.elapsed() < PATIENCE, "weir run is not ready; its log:\n{}", show());
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let json: serde_json::Value = serde_json::from_str(&text).expect("ready file is JSON");
        let field = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("no {name} in {text}")).to_owned();
        Weir {
            child,
            dir: self.dir,
            data_dir: self.data_dir,
            stderr,
            api: field("api"),
            data_plane: field("data_plane"),
            kubeconfig: field("kubeconfig").into(),
        }
    }

    /// Runs to the end, for starts that must be refused.
    pub(crate) async fn refused(&self) -> Output {
        let ready = self.dir.path().join("ready.json");
        let mut command = self.command(&ready);
        tokio::time::timeout(PATIENCE, command.stderr(Stdio::piped()).output())
            .await
            .expect("weir run should have refused to start")
            .expect("start weir")
    }
}

/// Runs a command to its end with `stdin`.
pub(crate) async fn run(command: &mut Command, stdin: &str) -> Output {
    use tokio::io::AsyncWriteExt as _;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|e| panic!("start {command:?}: {e}"));
    let mut input = child.stdin.take().expect("stdin");
    // A program that does not read its input is fine.
    let _ = input.write_all(stdin.as_bytes()).await;
    drop(input);
    tokio::time::timeout(PATIENCE * 2, child.wait_with_output())
        .await
        .unwrap_or_else(|_| panic!("{command:?} did not end"))
        .expect("wait")
}

/// Waits until `look` returns something; `describe` says what was seen when it never does.
pub(crate) async fn eventually<T, D: Debug>(what: &str, mut look: impl AsyncFnMut() -> Result<T, D>) -> T {
    let started = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) => assert!(started.elapsed() < PATIENCE, "never happened: {what}; last seen: {seen:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Posts an event in binary mode; the status code.
pub(crate) async fn post(client: &reqwest::Client, url: &str, id: &str, ty: &str, data: &str) -> reqwest::Result<u16> {
    post_with(client, url, id, ty, &[], data).await
}

/// Posts an event in binary mode with extensions; the status code.
pub(crate) async fn post_with(
    client: &reqwest::Client,
    url: &str,
    id: &str,
    ty: &str,
    extensions: &[(&str, &str)],
    data: &str,
) -> reqwest::Result<u16> {
    let mut request = client
        .post(url)
        .header("ce-specversion", "1.0")
        .header("ce-id", id)
        .header("ce-source", "/tests")
        .header("ce-type", ty)
        .header("content-type", "application/json")
        .body(data.to_owned());
    for (name, value) in extensions {
        request = request.header(format!("ce-{name}"), *value);
    }
    Ok(request.send().await?.status().as_u16())
}

/// An empty database on a PostgreSQL server.
pub(crate) async fn create_database(server: &str) -> String {
    use sqlx::Connection as _;
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(&format!("{server}/postgres")).await.expect("a server");
    let name = format!("weir_test_{}", uuid::Uuid::now_v7().simple());
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::raw_sql(create).execute(&mut connection).await.expect("a database");
    format!("{server}/{name}")
}

/// A client that never follows redirects and gives up on a silent server.
pub(crate) fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE).build().expect("client")
}

/// The environment variable that `tests/run` sets when it could get a part; without it the test is skipped, loudly.
pub(crate) fn part(variable: &str, what: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        eprintln!("skipped: {what} is not there ({variable} is not set; run tests/run)");
    }
    found
}

pub(crate) type Shared<T> = Arc<Mutex<T>>;
