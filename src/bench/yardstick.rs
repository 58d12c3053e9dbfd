//! The bare ceiling: hyper servers that do the network's part of the work and nothing else. Each runs as a process of its
//! own, like the server that is compared with it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, oneshot};
use url::Url;

use super::client::connect;
use super::load::spawn_thread;
use super::sink::{drain, empty, serve};
use crate::cli::bench::Yardstick;

/// A yardstick in a process of its own; it ends when this is dropped, or when this process ends however it may.
pub(super) struct Process {
    _child: Child,
    pub(super) pid: u32,
    pub(super) url: Url,
}

impl Process {
    /// Starts `kind`; a relay posts to `relay_to`.
    ///
    /// # Errors
    /// When the process cannot be started or does not say where it listens.
    pub(super) async fn start(kind: Yardstick, relay_to: SocketAddr) -> anyhow::Result<Self> {
        let name = match kind {
            Yardstick::Echo => "echo",
            Yardstick::Relay => "relay",
        };
        let program = std::env::current_exe().context("cannot find this program")?;
        let mut child = Command::new(program)
            .args(["bench", "--internal-serve", name, "--relay-to", &relay_to.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start the {name} yardstick"))?;
        let stdout = child.stdout.take().context("the yardstick has no stdout")?;
        let line = BufReader::new(stdout).lines().next_line().await?;
        let Some(line) = line else { bail!("the {name} yardstick ended before it listened") };
        let pid = child.id().with_context(|| format!("the {name} yardstick has ended"))?;
        Ok(Self { _child: child, pid, url: line.parse().context("the yardstick's address is not a URL")? })
    }
}

/// What the child process does: prints its URL, serves until stdin closes.
///
/// # Errors
/// When it cannot listen.
pub(super) async fn run(kind: Yardstick, relay_to: Option<SocketAddr>) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on loopback")?;
    writeln!(std::io::stdout(), "http://{}/0", listener.local_addr()?)?;
    let (close, closed) = oneshot::channel();
    spawn_thread("stdin".to_owned(), move || {
        std::io::stdin().read_to_end(&mut Vec::new()).ok();
        close.send(()).ok();
    })?;
    // As many threads as the server it is compared with has.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.spawn(async move {
        match (kind, relay_to) {
            (Yardstick::Echo, _) => echo(listener).await,
            (Yardstick::Relay, Some(to)) => relay(listener, to).await,
            (Yardstick::Relay, None) => bail!("--relay-to is missing"),
        }
    });
    let ended = tokio::select! {
        result = served => result.context("the yardstick panicked").flatten(),
        _ = closed => Ok(()),
    };
    runtime.shutdown_background();
    ended
}

/// POST in, 202 out.
pub(super) async fn echo(listener: TcpListener) -> anyhow::Result<()> {
    serve(listener, || {
        service_fn(async |request: Request<Incoming>| {
            let complete = drain(request.into_body()).await;
            anyhow::Ok(empty(if complete { StatusCode::ACCEPTED } else { StatusCode::BAD_REQUEST }))
        })
    })
    .await
}

/// POST in, POST out to `to`, 202 once that was answered. One connection out for each connection in: no pool to wait for.
pub(super) async fn relay(listener: TcpListener, to: SocketAddr) -> anyhow::Result<()> {
    serve(listener, move || {
        // Requests of one connection come one after the other; the lock is never waited for.
        let out: Arc<Mutex<Option<SendRequest<Incoming>>>> = Arc::default();
        service_fn(move |request| forward(Arc::clone(&out), to, request))
    })
    .await
}

async fn forward(
    out: Arc<Mutex<Option<SendRequest<Incoming>>>>,
    to: SocketAddr,
    request: Request<Incoming>,
) -> anyhow::Result<Response<Empty<Bytes>>> {
    let mut out = out.lock().await;
    let mut connection = match out.take() {
        Some(connection) => connection,
        None => connect(&to.to_string()).await?,
    };
    connection.ready().await?;
    let response = connection.send_request(request).await?;
    let accepted = response.status().is_success() && drain(response.into_body()).await;
    *out = Some(connection);
    Ok(empty(if accepted { StatusCode::ACCEPTED } else { StatusCode::BAD_GATEWAY }))
}
