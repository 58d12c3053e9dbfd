//! README.md is a promise: whoever types what it says sees what it shows.
//!
//! Every command of its `console` blocks runs literally, in order, in one bash session with job control, against the
//! binary under test. Lines below a command are its output: `…` stands for anything, a line of only `…` for any lines;
//! runs of blanks count as one, since columns grow with what is in them. A command may fail only where the next one is
//! `echo $?`. Ports are replaced by free ones, and building is left out: that is all that differs.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::WEIR;

/// The longest the five minutes may take here.
const PATIENCE: Duration = Duration::from_secs(120);

/// Begins the line that ends each command's output.
const MARK: &str = "--readme--";

/// A command of README and the output it shows.
#[derive(Debug)]
struct Step {
    command: String,
    expected: Vec<String>,
}

/// What a command did.
#[derive(Debug)]
struct Done {
    output: Vec<String>,
    code: i32,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).expect("README.md")
}

/// The lines of all blocks in this language.
fn blocks(text: &str, language: &str) -> Vec<Vec<String>> {
    let (fence, mut blocks, mut lines) = (format!("```{language}"), Vec::new(), text.lines());
    while let Some(line) = lines.next() {
        if line == fence {
            blocks.push(lines.by_ref().take_while(|line| *line != "```").map(str::to_owned).collect());
        }
    }
    blocks
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in blocks(text, "console").into_iter().flatten() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step { command: command.to_owned(), expected: Vec::new() }),
            (None, Some(step)) => step.expected.push(line),
            (None, None) => panic!("output before any command: {line}"),
        }
    }
    steps
}

/// Whether `line` is what `pattern` shows.
fn line_matches(pattern: &str, line: &str) -> bool {
    let blanks = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (pattern, line) = (blanks(pattern), blanks(line));
    let mut parts = pattern.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

/// Whether `lines` are what `patterns` show.
fn matches(patterns: &[String], lines: &[String]) -> bool {
    match (patterns.split_first(), lines.split_first()) {
        (None, None) => true,
        (Some((pattern, later)), _) if pattern.trim() == "…" => {
            (0..=lines.len()).any(|skipped| matches(later, &lines[skipped..]))
        }
        (Some((pattern, later)), Some((line, rest))) => line_matches(pattern, line) && matches(later, rest),
        _ => false,
    }
}

/// Ports that nobody uses, in the place of those README names.
struct Ports([(&'static str, String); 3]);

impl Ports {
    fn free() -> Self {
        // All held at once, so that they differ.
        let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let mut ports = listeners.iter().map(|it| it.local_addr().expect("address").port().to_string());
        Self(["8080", "7080", "8090"].map(|known| (known, ports.next().expect("a port"))))
    }

    fn rewrite(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (known, free)| {
            text.replace(&format!("127.0.0.1:{known}"), &format!("127.0.0.1:{free}"))
        })
    }

    fn address(&self, known: &str) -> String {
        self.rewrite(&format!("127.0.0.1:{known}"))
    }
}

/// A directory with the examples, and nothing of this machine's owner around it.
struct Place {
    dir: tempfile::TempDir,
    ports: Ports,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().expect("a directory"), ports: Ports::free() };
        place.copy(&root().join("examples"), &place.dir.path().join("examples"));
        place
    }

    fn copy(&self, from: &Path, to: &Path) {
        std::fs::create_dir_all(to).expect("a directory");
        for entry in std::fs::read_dir(from).expect("examples") {
            let (from, to) = entry.map(|it| (it.path(), to.join(it.file_name()))).expect("an entry");
            if from.is_dir() {
                self.copy(&from, &to);
            } else {
                let text = std::fs::read_to_string(&from).expect("a text");
                std::fs::write(to, self.ports.rewrite(&text)).expect("written");
            }
        }
    }

    /// `program` in this directory, as a session of its own.
    fn command(&self, program: &str) -> Command {
        let bin = Path::new(WEIR).parent().expect("a directory").display();
        let mut command = Command::new("setsid");
        command
            .arg(program)
            .current_dir(self.dir.path())
            .env("PATH", format!("{bin}:{}", std::env::var("PATH").unwrap_or_default()))
            .env("XDG_DATA_HOME", self.dir.path().join("share"))
            .env("WEIR_LISTEN", self.ports.address("8080"))
            .env("WEIR_API_LISTEN", self.ports.address("7080"))
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null());
        command
    }

    /// The command as it is run here; `None` for those that build.
    fn rewrite(&self, command: &str) -> Option<String> {
        if command.starts_with("cargo build") || command.contains("target/release") {
            return None;
        }
        let display = format!("weir event-display --listen {}", self.ports.address("8090"));
        Some(self.ports.rewrite(command).replace("weir event-display", &display))
    }

    /// Runs the commands in one session; what each did, as far as they came, and what went to standard error.
    fn run(&self, commands: &[Option<String>]) -> (Vec<Done>, String) {
        let mut script = String::from("set -m\n");
        for command in commands {
            let command = command.as_deref().unwrap_or("true");
            // The exit code stays what it was, for `echo $?`.
            let _ = writeln!(script, "printf '$ %s\\n' {} >&2", quoted(command));
            let _ = writeln!(script, "(exit ${{code:-0}})\n{command}\ncode=$?; printf '\\n{MARK} %d\\n' $code");
        }
        let (file, errors) = (self.dir.path().join("session.sh"), self.dir.path().join("stderr"));
        std::fs::write(&file, script).expect("written");
        let stderr = std::fs::File::create(&errors).expect("a file");
        let mut bash = self.command("bash");
        let bash = bash.arg("--norc").arg(&file).stdout(Stdio::piped()).stderr(stderr).spawn().expect("bash");
        let session = Session::new(bash);
        let (mut done, mut output) = (Vec::new(), Vec::new());
        while let (Some(line), true) = (session.line(), done.len() < commands.len()) {
            match line.strip_prefix(MARK) {
                Some(code) => {
                    // The mark begins a line of its own, whatever was printed before.
                    if output.last().is_some_and(String::is_empty) {
                        output.pop();
                    }
                    done.push(Done { output: std::mem::take(&mut output), code: code.trim().parse().expect("a code") });
                }
                None => output.push(line),
            }
        }
        (done, std::fs::read_to_string(errors).unwrap_or_default())
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A child whose output is read against the clock; with this ends everything it started, background jobs too.
struct Session {
    child: Child,
    lines: mpsc::Receiver<String>,
    started: Instant,
}

impl Session {
    fn new(mut child: Child) -> Self {
        let stdout = BufReader::new(child.stdout.take().expect("stdout"));
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { child, lines, started: Instant::now() }
    }

    /// The next line; `None` at the end, or when time is up.
    fn line(&self) -> Option<String> {
        self.lines.recv_timeout(PATIENCE.saturating_sub(self.started.elapsed())).ok()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let session = self.child.id().to_string();
        let _ = Command::new("pkill").args(["-KILL", "-s", &session]).status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_five_minutes_work_as_printed() {
    let (place, steps) = (Place::new(), steps(&readme()));
    let commands: Vec<_> = steps.iter().map(|step| place.rewrite(&step.command)).collect();
    assert!(commands.iter().flatten().count() > 10, "README has no commands: {steps:?}");
    let (done, stderr) = place.run(&commands);
    let (mut transcript, mut wrong) = (String::new(), Vec::new());
    for (at, (step, done)) in steps.iter().zip(&done).enumerate() {
        let _ = writeln!(transcript, "$ {}\n{}\n[exit code {}]", step.command, done.output.join("\n"), done.code);
        let expected: Vec<_> = step.expected.iter().map(|line| place.ports.rewrite(line)).collect();
        if !expected.is_empty() && !matches(&expected, &done.output) {
            wrong.push(format!("`{}` should have printed:\n{}", step.command, expected.join("\n")));
        }
        let told = steps.get(at + 1).is_some_and(|next| next.command == "echo $?");
        if done.code != 0 && !told {
            wrong.push(format!("`{}` failed with exit code {}", step.command, done.code));
        }
    }
    if let Some(step) = steps.get(done.len()) {
        wrong.push(format!("`{}` did not end", step.command));
    }
    assert!(wrong.is_empty(), "{}\n\ntranscript:\n{transcript}\nstandard error:\n{stderr}", wrong.join("\n"));
}

#[test]
fn the_first_command_shows_an_event_and_ends_when_interrupted() {
    let first = blocks(&readme(), "sh").into_iter().flatten().next().expect("a first command");
    let args = first.strip_prefix("cargo run --release -- ").unwrap_or_else(|| panic!("{first:?} runs something else"));
    let place = Place::new();
    let errors = place.dir.path().join("stderr");
    let stderr = std::fs::File::create(&errors).expect("a file");
    let mut weir = place.command(WEIR);
    let weir = weir.args(args.split(' ')).stdout(Stdio::piped()).stderr(stderr).spawn().expect("weir");
    let mut session = Session::new(weir);
    let told = || std::fs::read_to_string(&errors).unwrap_or_default();
    let mut seen = Vec::new();
    while !seen.iter().any(|line: &String| line.trim() == "Data,") {
        seen.push(session.line().unwrap_or_else(|| panic!("no event in {seen:?}\n{}", told())));
    }
    kill_process(session.pid(), Signal::INT).expect("interrupt");
    let status = loop {
        if let Some(status) = session.child.try_wait().expect("wait") {
            break status;
        }
        assert!(session.started.elapsed() < PATIENCE, "still running after an interrupt:\n{}", told());
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success(), "{status}:\n{}", told());
}

#[test]
fn dots_stand_for_anything() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (pattern, text, fits) in [
        ("a … c", "a  b b   c", true),
        ("a … c", "a b d", false),
        ("a…", "a", true),
        ("a…b…c", "axbxbxc", true),
        ("a", "ab", false),
        ("a\n…\nb", "a\nb", true),
        ("a\n…\nb", "a\n1\n2\nb", true),
        ("a\n…", "b\n1", false),
    ] {
        assert_eq!(matches(&lines(pattern), &lines(text)), fits, "{pattern:?} {text:?}");
    }
}
