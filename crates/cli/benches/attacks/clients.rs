//! Clients that misbehave, in bytes written by hand so that they cost little, and one that behaves.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::service::API_KEY;

/// Devices under the alias that is asked for, and tags of each: an answer of about a megabyte.
const DEVICES: usize = 500;
const TAGS: usize = 64;

/// What one connection does until it is closed.
#[derive(Clone, Copy)]
enum Does {
    Nothing,
    /// Asks for `/metrics` on so many streams without a window.
    Metrics(u32),
    /// The same with a key for all devices of an alias.
    Devices(u32),
    /// Asks for `/metrics` in HTTP/1.1 again and again, and reads nothing.
    Pipeline,
    /// Announces a body of 1 MiB, with a key or without one, and sends none.
    Body(bool),
    /// Answers PINGs.
    Pings,
    /// Sends DATA frames of one byte, with a key.
    Bytes,
    /// Sends chunks of one byte, with a key.
    Chunks,
    /// Sends a byte of a head every second.
    Head,
    /// Asks, on so many streams at once, what a push to a thousand times the same alias would do.
    Aliases(u32),
    /// Pushes on so many streams at once, and takes what comes.
    Pushes(u32),
}

/// So many connections that do something.
#[derive(Clone, Copy)]
pub struct Attack {
    connections: usize,
    does: Does,
}

impl Attack {
    pub const NONE: Self = Self::new(0, Does::Nothing);

    const fn new(connections: usize, does: Does) -> Self {
        Self { connections, does }
    }
}

/// All of them, by name. The last is no attack: it is load, under which liveness has to stay.
pub const ATTACKS: [(&str, Attack); 12] = [
    ("metrics-untaken", Attack::new(4_000, Does::Metrics(245))),
    ("devices-untaken", Attack::new(6, Does::Devices(100))),
    ("devices-untaken-64", Attack::new(64, Does::Devices(100))),
    ("pipeline-untaken", Attack::new(2_000, Does::Pipeline)),
    ("bodies-unsent", Attack::new(258, Does::Body(false))),
    ("bodies-unsent-with-key", Attack::new(258, Does::Body(true))),
    ("idle", Attack::new(4_100, Does::Pings)),
    ("one-byte-frames", Attack::new(16, Does::Bytes)),
    ("one-byte-chunks", Attack::new(16, Does::Chunks)),
    ("slow-heads", Attack::new(4_000, Does::Head)),
    ("one-alias-often", Attack::new(4, Does::Aliases(4))),
    ("load", Attack::new(64, Does::Pushes(100))),
];

impl Attack {
    /// Begins; a connection that is closed is opened again.
    pub fn start(self, address: SocketAddr, stop: &Arc<AtomicBool>) -> Attackers {
        let mut running = JoinSet::new();
        for _ in 0..self.connections {
            let stop = Arc::clone(stop);
            running.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let _ = self.does.once(address).await;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            });
        }
        Attackers(running)
    }
}

/// Those that run.
pub struct Attackers(JoinSet<()>);

impl Attackers {
    pub fn abort(mut self) {
        self.0.abort_all();
    }
}

impl Does {
    async fn once(self, address: SocketAddr) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(address).await?;
        let key = format!("Bearer {API_KEY}");
        match self {
            Self::Nothing => Ok(()),
            Self::Metrics(streams) => {
                stream
                    .write_all(&requests("GET", "/metrics", None, streams, 0))
                    .await?;
                closed(&mut stream).await
            }
            Self::Devices(streams) => {
                let path = "/v1/devices?alias=bulk";
                let bytes = requests("GET", path, Some(&key), streams, 0);
                stream.write_all(&bytes).await?;
                closed(&mut stream).await
            }
            Self::Pipeline => {
                let request = "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n".repeat(100);
                loop {
                    stream.write_all(request.as_bytes()).await?;
                }
            }
            Self::Body(has_key) => {
                let key = if has_key {
                    format!("authorization: {key}\r\n")
                } else {
                    String::new()
                };
                let head = format!(
                    "POST /v1/push HTTP/1.1\r\nhost: a\r\n{key}content-length: 1048576\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).await?;
                closed(&mut stream).await
            }
            Self::Pings => answer_pings(stream).await,
            Self::Bytes => {
                let mut bytes = requests("POST", "/v1/push", Some(&key), 1, 65_535);
                // Without END_STREAM.
                unend(&mut bytes);
                stream.write_all(&bytes).await?;
                let frames = frame(0, 0, 1, b"x").repeat(100);
                loop {
                    stream.write_all(&frames).await?;
                }
            }
            Self::Chunks => {
                let head = format!(
                    "POST /v1/push HTTP/1.1\r\nhost: a\r\nauthorization: {key}\r\n\
                     transfer-encoding: chunked\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).await?;
                let chunks = b"1\r\nx\r\n".repeat(100);
                loop {
                    stream.write_all(&chunks).await?;
                }
            }
            Self::Head => {
                stream
                    .write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\nx: ")
                    .await?;
                loop {
                    stream.write_all(b"x").await?;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            Self::Aliases(streams) => {
                let load = load(stream, streams, same_alias(), "\"valid\"");
                load.await.map_err(std::io::Error::other)
            }
            Self::Pushes(streams) => {
                let load = load(stream, streams, body(), ACCEPTED);
                load.await.map_err(std::io::Error::other)
            }
        }
    }
}

/// Reads until the other side closes.
async fn closed(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut bytes = [0; 1_024];
    while stream.read(&mut bytes).await? > 0 {}
    Ok(())
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A string of HPACK, as it is.
fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.push(u8::try_from(text.len()).unwrap());
    bytes.extend(text.as_bytes());
}

/// The beginning of a connection whose streams have this window, and so many requests.
fn requests(method: &str, path: &str, key: Option<&str>, streams: u32, window: u32) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let mut settings = vec![0, 4];
    settings.extend(window.to_be_bytes());
    bytes.extend(frame(4, 0, 0, &settings));
    // Indexed :method and :scheme, literal :path and :authority (RFC 7541, appendix A).
    let mut head = vec![if method == "GET" { 0x82 } else { 0x83 }, 0x86, 0x04];
    text(&mut head, path);
    head.push(0x01);
    text(&mut head, "a");
    if let Some(key) = key {
        // Literal, name 23: authorization.
        head.extend([0x0f, 23 - 15]);
        text(&mut head, key);
    }
    for n in 0..streams {
        // END_HEADERS and END_STREAM.
        bytes.extend(frame(1, 5, 2 * n + 1, &head));
    }
    bytes
}

/// Takes END_STREAM from the one request that is the last frame.
fn unend(bytes: &mut [u8]) {
    let start = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len() + 9 + 6;
    bytes[start + 4] = 4;
}

async fn answer_pings(mut stream: TcpStream) -> std::io::Result<()> {
    stream
        .write_all(&requests("GET", "/", None, 0, 65_535))
        .await?;
    let mut payload = [0; 16_384];
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        stream.read_exact(&mut payload[..length]).await?;
        match (head[3], head[4]) {
            (6, 0) => {
                stream
                    .write_all(&frame(6, 1, 0, &payload[..length]))
                    .await?
            }
            (4, 0) => stream.write_all(&frame(4, 1, 0, &[])).await?,
            _ => {}
        }
    }
}

/// Posts this to `/v1/push` on so many streams at once, for as long as it is let and the answers
/// have these words in them.
async fn load(
    stream: TcpStream,
    streams: u32,
    body: Bytes,
    words: &'static str,
) -> Result<(), h2::Error> {
    let (send, connection) = h2::client::handshake(stream).await?;
    let mut running = JoinSet::new();
    for _ in 0..streams {
        let (mut send, body) = (Some(send.clone()), body.clone());
        running.spawn(async move { while post(&mut send, body.clone(), words).await.is_ok() {} });
    }
    drop(send);
    connection.await
}

fn body() -> Bytes {
    let token = "a1".repeat(32);
    let payload = r#"{"aps":{"alert":"Hello"}}"#;
    format!(r#"{{"to":{{"token":"{token}"}},"topic":"com.example.app","payload":{payload}}}"#)
        .into()
}

/// What the answer to a push says that was accepted.
const ACCEPTED: &str = "\"accepted\":1";

/// A push to the alias that has many devices, named a thousand times.
fn same_alias() -> Bytes {
    let aliases = vec!["\"bulk\""; 1_000].join(",");
    let payload = r#"{"aps":{"alert":"Hello"}}"#;
    let to = format!(r#"{{"aliases":[{aliases}]}}"#);
    format!(r#"{{"to":{to},"topic":"com.example.app","payload":{payload},"dry_run":true}}"#).into()
}

/// A connection of HTTP/2, or none yet.
pub type Client = Option<SendRequest<Bytes>>;

/// One push by the connection, which is opened if there is none.
pub async fn push(address: SocketAddr, client: &mut Client) -> Result<(), String> {
    let pushed = async {
        if client.is_none() {
            let stream = TcpStream::connect(address)
                .await
                .map_err(|error| error.to_string())?;
            stream
                .set_nodelay(true)
                .map_err(|error| error.to_string())?;
            let (send, connection) = h2::client::handshake(stream)
                .await
                .map_err(|error| error.to_string())?;
            tokio::spawn(connection);
            *client = Some(send);
        }
        post(client, body(), ACCEPTED).await
    };
    tokio::time::timeout(Duration::from_secs(5), pushed)
        .await
        .unwrap_or_else(|_| Err("no answer in 5 s".to_owned()))
}

async fn post(client: &mut Client, body: Bytes, words: &str) -> Result<(), String> {
    let send = client.as_mut().ok_or("no connection")?;
    let said = |error: h2::Error| error.to_string();
    std::future::poll_fn(|context| send.poll_ready(context))
        .await
        .map_err(said)?;
    let request = http::Request::post("http://dunlin/v1/push")
        .header("authorization", format!("Bearer {API_KEY}"))
        .header("content-type", "application/json")
        .body(())
        .map_err(|error| error.to_string())?;
    let (response, mut stream) = send.send_request(request, false).map_err(said)?;
    stream.send_data(body, true).map_err(said)?;
    let response = response.await.map_err(said)?;
    let status = response.status();
    let mut answer = response.into_body();
    let mut all = Vec::new();
    while let Some(piece) = answer.data().await {
        let piece = piece.map_err(said)?;
        answer
            .flow_control()
            .release_capacity(piece.len())
            .map_err(said)?;
        all.extend_from_slice(&piece);
    }
    let all = String::from_utf8_lossy(&all);
    match all.contains(words) {
        true => Ok(()),
        false => Err(format!("{status}: {all}")),
    }
}

/// The status of one `GET` on a connection of its own.
pub async fn probe(address: SocketAddr, path: &str) -> std::io::Result<u16> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let (_, status) = exchange(address, &request).await?;
    Ok(status)
}

async fn exchange(address: SocketAddr, request: &str) -> std::io::Result<(String, u16)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((answer, status.unwrap_or_default()))
}

/// Registers the devices that a listing has.
pub async fn register_devices(address: SocketAddr) {
    let tags: Vec<String> = (0..TAGS)
        .map(|n| format!("\"a-tag-of-some-length-{n:02}\""))
        .collect();
    let tags = tags.join(",");
    for n in 0..DEVICES {
        let body = format!(r#"{{"topic":"com.example.app","alias":"bulk","tags":[{tags}]}}"#);
        let request = format!(
            "PUT /v1/devices/{n:064x} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {API_KEY}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n{body}",
            body.len()
        );
        let (answer, status) = exchange(address, &request).await.unwrap();
        assert!(status == 201 || status == 200, "{answer}");
    }
}
