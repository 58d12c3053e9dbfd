//! The acceptance checks of the standalone API, each run by the real kubectl: the oldest that Debian has, and a current
//! one. The numbers in the names are those of the list of checks in the reference on the Kubernetes API.

use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{Weir, part, run};

mod applying;
mod creating;
mod deleting;
mod older;
mod patching;
mod reading;
mod refusing;

/// One kubectl, working in a namespace of its own.
pub(crate) struct Kubectl {
    binary: String,
    /// The minor version: 20 for 1.20.
    pub(crate) minor: u32,
    pub(crate) namespace: String,
    kubeconfig: PathBuf,
    /// Its caches: what it learnt about one server must not be told of another.
    home: TempDir,
}

/// Runs `check` with every kubectl there is, each in a namespace of its own on one server.
async fn with_each_kubectl(check: impl AsyncFn(&Kubectl, &Weir)) {
    let binaries = kubectls();
    if binaries.is_empty() {
        return;
    }
    let weir = Weir::start().await;
    for binary in binaries {
        let kubectl = Kubectl::new(binary, &weir).await;
        eprintln!("with kubectl 1.{}", kubectl.minor);
        check(&kubectl, &weir).await;
    }
}

fn kubectls() -> Vec<String> {
    let wanted = [("WEIR_TEST_KUBECTL_OLD", "kubectl 1.20"), ("WEIR_TEST_KUBECTL_CURRENT", "a current kubectl")];
    wanted.into_iter().filter_map(|(variable, what)| part(variable, what)).collect()
}

/// Splits a command line at blanks that are not within single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match (c, words.last_mut()) {
            ('\'', _) => quoted = !quoted,
            (' ', Some(last)) if !quoted => {
                if !last.is_empty() {
                    words.push(String::new());
                }
            }
            (c, Some(last)) => last.push(c),
            (_, None) => {}
        }
    }
    words
}

impl Kubectl {
    pub(crate) async fn new(binary: String, weir: &Weir) -> Self {
        let version = run(Command::new(&binary).args(["version", "--client", "-o", "json"]), "").await;
        let version: Value = serde_json::from_slice(&version.stdout).expect("kubectl tells its version");
        let minor = version["clientVersion"]["minor"].as_str().unwrap_or_default();
        let minor = minor.trim_end_matches('+').parse().expect("a minor version");
        let home = tempfile::tempdir().expect("temporary directory");
        let namespace = format!("k{minor}");
        let kubectl = Self { binary, minor, namespace, kubeconfig: weir.kubeconfig.clone(), home };
        kubectl.apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {}}}}}", kubectl.namespace)).await;
        kubectl
    }

    /// Whether it is from before OpenAPI v3, server-side field validation and much else.
    pub(crate) fn is_old(&self) -> bool {
        self.minor < 27
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command.env("HOME", self.home.path()).env_remove("KUBECONFIG").env("KUBECTL_COMMAND_HEADERS", "false");
        command.arg("--kubeconfig").arg(&self.kubeconfig).arg("--namespace").arg(&self.namespace);
        command.args(words(line));
        command
    }

    /// Runs a command line with `stdin`, whatever comes of it.
    pub(crate) async fn with(&self, line: &str, stdin: &str) -> Output {
        // What begins with a brace it takes for JSON.
        let stdin = if stdin.starts_with('{') { format!("---\n{stdin}") } else { stdin.to_owned() };
        run(&mut self.command(line), &stdin).await
    }

    /// Runs a command line that has to succeed; what it printed to both outputs.
    pub(crate) async fn ok(&self, line: &str) -> String {
        self.ok_with(line, "").await
    }

    /// As [`Self::ok`], with `stdin`.
    pub(crate) async fn ok_with(&self, line: &str, stdin: &str) -> String {
        let output = self.with(line, stdin).await;
        let text = text(&output);
        assert!(output.status.success(), "kubectl 1.{} {line}\n{stdin}\n{text}", self.minor);
        text
    }

    /// Runs a command line that has to fail with code 1; what it printed.
    pub(crate) async fn fails(&self, line: &str, stdin: &str) -> String {
        let output = self.with(line, stdin).await;
        let text = text(&output);
        assert_eq!(output.status.code(), Some(1), "kubectl 1.{} {line}\n{stdin}\n{text}", self.minor);
        text
    }

    pub(crate) async fn apply(&self, manifest: &str) -> String {
        self.ok_with("apply -f -", manifest).await
    }

    /// An object as JSON.
    pub(crate) async fn get(&self, what: &str) -> Value {
        let output = self.with(&format!("get {what} -o json"), "").await;
        assert!(output.status.success(), "{}", text(&output));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// What a JSONPath finds.
    pub(crate) async fn path(&self, what: &str, path: &str) -> String {
        self.ok(&format!("get {what} -o 'jsonpath={path}'")).await
    }
}

pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Asserts that `text` holds each of `parts`.
#[track_caller]
fn assert_holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

/// The Trigger most checks are about. `change` is put under `spec`.
fn trigger(name: &str, change: &str) -> String {
    format!(
        "apiVersion: eventing.knative.dev/v1\nkind: Trigger\nmetadata: {{name: {name}, labels: {{app: web}}}}\n\
         spec:\n  broker: default\n  subscriber: {{uri: \"http://127.0.0.1:1/\"}}\n{change}"
    )
}

/// The Deployment of the checks: two containers, of which the first has two variables and a port.
const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: d1}
spec:
  replicas: 1
  selector: {matchLabels: {app: d1}}
  template:
    metadata: {labels: {app: d1}}
    spec:
      containers:
      - name: c
        image: one
        env: [{name: A, value: a}, {name: B, value: b}]
        ports: [{containerPort: 8080}]
      - name: side
        image: two
";
