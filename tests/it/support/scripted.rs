//! A TCP server that does exactly what it is told, well-formed or not.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
    time::sleep,
};

/// What the server does with a connection, after it has read the request.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Sends these bytes in one write.
    Send(Vec<u8>),
    /// Sends these bytes one at a time, with a pause after each.
    Drip(Vec<u8>, Duration),
    /// Sends these bytes over and over, until the client has enough.
    Flood(Vec<u8>),
    /// Waits.
    Pause(Duration),
    /// Keeps the connection open and does nothing more.
    Stall,
    /// Resets the connection.
    Reset,
}

/// A running server; stops when dropped.
#[derive(Debug)]
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Scripted {
    /// Every connection gets `script`.
    pub(crate) async fn start(script: Vec<Step>) -> Self {
        Self::start_each([script]).await
    }

    /// The first connection gets the first script, and so on; what comes after the last gets the last again.
    pub(crate) async fn start_each(scripts: impl IntoIterator<Item = Vec<Step>>) -> Self {
        let scripts: Vec<Vec<Step>> = scripts.into_iter().collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            for number in 0.. {
                let Ok((mut socket, _)) = listener.accept().await else { return };
                socket.set_nodelay(true).expect("a socket");
                let script = scripts[number.min(scripts.len() - 1)].clone();
                let seen = Arc::clone(&seen);
                tokio::spawn(async move {
                    let request = read_request(&mut socket).await;
                    seen.lock().expect("unpoisoned").push(request);
                    if script.iter().any(|step| matches!(step, Step::Reset)) {
                        socket.set_zero_linger().expect("a socket");
                    }
                    // A client that has seen enough closes, and the write fails: that is its right.
                    let _ = play(&mut socket, script).await;
                });
            }
        });
        Self { address, requests, task }
    }

    /// The base URL that an OpenAI-compatible server would have.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests so far, head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("unpoisoned").clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Does the steps, then closes in good order.
pub(crate) async fn play(socket: &mut (impl AsyncRead + AsyncWrite + Unpin), script: Vec<Step>) -> io::Result<()> {
    for step in script {
        match step {
            Step::Send(bytes) => socket.write_all(&bytes).await?,
            Step::Drip(bytes, pause) => {
                for byte in bytes {
                    socket.write_all(&[byte]).await?;
                    sleep(pause).await;
                }
            }
            Step::Flood(bytes) => loop {
                socket.write_all(&bytes).await?;
            },
            Step::Pause(pause) => sleep(pause).await,
            Step::Stall => {
                // Until the client goes.
                let mut rest = [0; 64];
                while socket.read(&mut rest).await? > 0 {}
            }
            Step::Reset => return Ok(()),
        }
        socket.flush().await?;
    }
    socket.shutdown().await
}

/// A request's head and its body of the announced length.
pub(crate) async fn read_request(socket: &mut (impl AsyncRead + Unpin)) -> String {
    let mut request = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = socket.read(&mut buffer).await.unwrap_or(0);
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let is_whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| body.len() >= content_length(head));
        if read == 0 || is_whole {
            return text;
        }
    }
}

fn content_length(head: &str) -> usize {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let length =
        lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).map(|(_, value)| value.trim().parse());
    length.flatten().next().unwrap_or(0)
}

/// The head of a chunked event stream.
pub(crate) fn stream_head() -> Step {
    Step::Send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec())
}

/// One chunk of a chunked body.
pub(crate) fn chunk(bytes: impl AsRef<[u8]>) -> Step {
    let bytes = bytes.as_ref();
    Step::Send([format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat())
}

/// One chunk that holds one event.
pub(crate) fn event(data: &str) -> Step {
    chunk(format!("data: {data}\n\n"))
}

/// One chunk of a chat completion with that text.
pub(crate) fn text(text: &str) -> Step {
    event(&format!(
        r#"{{"model":"served-1","choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#
    ))
}

/// The chunk that ends generation.
pub(crate) fn finish(reason: &str) -> Step {
    event(&format!(r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"{reason}"}}]}}"#))
}

/// The chunk that counts: 120 tokens in, 40 of them cached, and that many out.
pub(crate) fn usage(output_tokens: u32) -> Step {
    event(&format!(
        r#"{{"choices":[],"usage":{{"prompt_tokens":120,"completion_tokens":{output_tokens},"total_tokens":{},"prompt_tokens_details":{{"cached_tokens":40}}}}}}"#,
        120 + output_tokens
    ))
}

/// The end of a chunked body.
pub(crate) fn end() -> Step {
    Step::Send(b"0\r\n\r\n".to_vec())
}

/// A whole answer with a body of known length.
pub(crate) fn response(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Step {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len());
    Step::Send([head.as_bytes(), body].concat())
}
