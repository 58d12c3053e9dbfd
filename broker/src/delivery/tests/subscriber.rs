//! A subscriber that does exactly what it is told, down to the bytes on the connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What it does with a request it has read.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Writes this and keeps the connection.
    Answer(String),
    /// Writes this, then nothing more, for ever.
    Hang(String),
    /// Writes this, then more and more of a body.
    Endless(String),
    /// Closes the connection.
    Close,
}

/// Its last step is repeated. Dropping it stops it.
pub(super) struct Subscriber {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    steps: Vec<Step>,
    requests: Mutex<Vec<Request>>,
    connections: AtomicUsize,
}

/// A request it got.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) line: String,
    headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl Subscriber {
    pub(super) async fn start(steps: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("address");
        let shared = Arc::new(Shared { steps: steps.into_iter().collect(), ..Shared::default() });
        let accepting = shared.clone();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                accepting.connections.fetch_add(1, Ordering::Relaxed);
                connections.spawn(serve(accepting.clone(), connection));
            }
        });
        Self { address, shared, task }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(shared: Arc<Shared>, connection: TcpStream) -> io::Result<()> {
    let mut connection = BufReader::new(connection);
    while let Some(request) = read(&mut connection).await? {
        let step = {
            let mut requests = shared.requests.lock();
            requests.push(request);
            shared.steps.get(requests.len() - 1).or(shared.steps.last()).cloned()
        };
        match step {
            Some(Step::Answer(answer)) => connection.write_all(answer.as_bytes()).await?,
            Some(Step::Hang(answer)) => {
                connection.write_all(answer.as_bytes()).await?;
                std::future::pending::<()>().await;
            }
            Some(Step::Endless(answer)) => {
                connection.write_all(answer.as_bytes()).await?;
                loop {
                    connection.write_all(&[b'x'; 4096]).await?;
                }
            }
            Some(Step::Close) | None => return Ok(()),
        }
    }
    Ok(())
}

async fn read(connection: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut request = Request::default();
    if connection.read_line(&mut request.line).await? == 0 {
        return Ok(None);
    }
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let length = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await?;
    request.body = String::from_utf8_lossy(&body).into_owned();
    Ok(Some(request))
}

/// An answer without a body.
pub(super) fn status(code: u16) -> Step {
    Step::Answer(format!("HTTP/1.1 {code} Whatever\r\nContent-Length: 0\r\n\r\n"))
}

/// An answer with headers, each ended by `\r\n`, and a body.
pub(super) fn answer(code: u16, headers: &str, body: &str) -> Step {
    Step::Answer(format!("HTTP/1.1 {code} Whatever\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()))
}

/// A reply event in binary mode.
pub(super) fn reply(code: u16) -> Step {
    answer(code, "ce-specversion: 1.0\r\nce-id: r\r\nce-source: /reply\r\nce-type: reply\r\n", "hello")
}
