//! Bodies of lines through the whole stack: many of them, malformed ones, and clients that are slow
//! or that go away.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use dunlin_tests::stack::{API_KEY, Options, Stack, TOPIC, token, wants_the_host};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::ALERT;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// HTTP/1.1 with chunks, and HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Http1,
    Http2,
}

type Frames = StreamBody<tokio_frames::Frames>;

/// A channel as the frames of a body.
mod tokio_frames {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use super::{Bytes, Frame, Infallible, mpsc};

    pub struct Frames(pub mpsc::Receiver<Bytes>);

    impl futures_util::Stream for Frames {
        type Item = Result<Frame<Bytes>, Infallible>;

        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            let next = self.0.poll_recv(cx);
            next.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
        }
    }
}

/// Those that are to be tried: the runtime's own server speaks HTTP/1.1 alone.
fn versions() -> Vec<Version> {
    match wants_the_host("HTTP/2 in front of the function") {
        true => vec![Version::Http1],
        false => vec![Version::Http1, Version::Http2],
    }
}

/// A request whose body goes on while its answer comes.
struct Upload {
    body: mpsc::Sender<Bytes>,
    answer: Incoming,
    /// What has come of a line that is not whole.
    rest: Vec<u8>,
}

impl Upload {
    async fn begin(address: SocketAddr, path: &str, version: Version) -> Self {
        let (body, frames) = mpsc::channel(16);
        let frames: Frames = StreamBody::new(tokio_frames::Frames(frames));
        let request = http::Request::builder()
            .method("POST")
            .uri(format!("http://{address}{path}"))
            .header("authorization", format!("Bearer {API_KEY}"))
            .header("content-type", "application/x-ndjson");
        let request = match version {
            Version::Http1 => request.header("host", "test"),
            Version::Http2 => request,
        };
        let request = request.body(frames).unwrap();
        let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let answer = match version {
            Version::Http1 => {
                let (mut sender, connection) =
                    hyper::client::conn::http1::handshake(io).await.unwrap();
                tokio::spawn(connection);
                sender.send_request(request).await
            }
            Version::Http2 => {
                let (mut sender, connection) =
                    hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
                        .await
                        .unwrap();
                tokio::spawn(connection);
                sender.send_request(request).await
            }
        };
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
        assert!(
            !answer.headers().contains_key("dunlin-lines"),
            "the host's own"
        );
        Self {
            body,
            answer: answer.into_body(),
            rest: Vec::new(),
        }
    }

    /// Sends something, unless nobody takes it.
    async fn send(&self, text: impl Into<Bytes>) -> bool {
        let sent = tokio::time::timeout(PATIENCE, self.body.send(text.into())).await;
        sent.expect("taken in time").is_ok()
    }

    /// The next lines that come, the error being an answer that breaks off; none at the end.
    async fn next(&mut self) -> Result<Vec<Value>, hyper::Error> {
        let frame = tokio::time::timeout(PATIENCE, self.answer.frame()).await;
        let Some(frame) = frame.expect("an answer in time") else {
            assert!(self.rest.is_empty(), "it ends with a line");
            return Ok(Vec::new());
        };
        let data = frame?.into_data().unwrap_or_default();
        self.rest.extend_from_slice(&data);
        let end = self.rest.iter().rposition(|byte| *byte == b'\n');
        let whole: Vec<_> = self.rest.drain(..end.map_or(0, |end| end + 1)).collect();
        let lines = whole.split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty());
        let lines: Vec<_> = lines
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        // A piece without an end of a line is no end of the answer.
        if lines.is_empty() {
            Box::pin(self.next()).await
        } else {
            Ok(lines)
        }
    }

    /// All that comes from here on.
    async fn finish(mut self) -> Vec<Value> {
        drop(std::mem::replace(&mut self.body, mpsc::channel(1).0));
        let mut all = Vec::new();
        loop {
            match self.next().await.expect("a whole answer") {
                some if some.is_empty() => return all,
                some => all.extend(some),
            }
        }
    }
}

fn defaults() -> String {
    format!("{{\"defaults\":{{\"topic\":\"{TOPIC}\",\"payload\":{ALERT}}}}}\n")
}

fn line(n: u32) -> String {
    format!("{{\"to\":{{\"token\":\"{}\"}},\"ref\":{n}}}\n", token(n))
}

async fn answered(stack: &Stack, path: &str, text: &[u8], version: Version) -> Vec<Value> {
    let upload = Upload::begin(stack.address, path, version).await;
    for piece in text.chunks(10_000) {
        upload.send(piece.to_vec()).await;
    }
    upload.finish().await
}

fn summary(answer: &[Value]) -> &Value {
    &answer.last().unwrap()["summary"]
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_lines_are_all_accepted_and_answered_while_they_come() {
    const LINES: u32 = 10_000;
    let (_folder, stack) = crate::impatient(Duration::from_secs(30)).await;
    for version in versions() {
        stack.simulator.clear_journal();
        let mut upload = Upload::begin(stack.address, "/v1/push", version).await;
        upload.send(defaults() + &line(0)).await;
        let first = upload.next().await.unwrap();
        assert_eq!(
            first[0]["line"], 2,
            "before the body is at its end: {first:?}"
        );
        let body = upload.body.clone();
        let sending = tokio::spawn(async move {
            for n in (1..LINES).step_by(100) {
                let lines = (n..(n + 100).min(LINES)).map(line);
                body.send(lines.collect::<String>().into()).await.unwrap();
            }
        });
        let (sent, answer) = tokio::join!(sending, upload.finish());
        sent.unwrap();
        let sums = summary(&answer);
        assert_eq!(sums["lines"], LINES, "{version:?}");
        assert_eq!(sums["accepted"], LINES, "{version:?}");
        let refs = answer.iter().filter_map(|line| line["ref"].as_u64());
        let mut refs: Vec<_> = refs.collect();
        refs.sort_unstable();
        assert!(refs.into_iter().eq(1..u64::from(LINES)), "each has one");
        assert_eq!(stack.simulator.journal().len(), 10_000);
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_malformed_has_its_result_and_changes_nothing_else() {
    let (_folder, stack) = crate::stack().await;
    let good = format!("{}{}", defaults(), line(1));
    let long = "x".repeat(10 * 1024 * 1024);
    let cut = &line(2)[..20];
    let versions = versions();
    for (what, bad, rule) in [
        ("a cut line", cut.as_bytes(), "json-malformed"),
        ("10 MB", long.as_bytes(), "line-too-long"),
        ("a wrong type", b"{\"to\":[]}".as_slice(), "wrong-type"),
        ("binary", b"\x00\x1f\x8b\xff".as_slice(), "not-utf8"),
        ("no object", b"42".as_slice(), "wrong-type"),
    ] {
        for version in versions.iter().copied() {
            let text = [good.as_bytes(), bad, b"\n", line(3).as_bytes()].concat();
            let answer = answered(&stack, "/v1/push", &text, version).await;
            let failed = answer.iter().find(|line| line["outcome"] == "failed");
            let failed = failed.unwrap();
            assert_eq!(failed["type"], format!("urn:dunlin:{rule}"), "{what}");
            assert_eq!(failed["line"], 3, "{what}");
            let sums = summary(&answer);
            assert_eq!((&sums["accepted"], &sums["failed"]), (&2.into(), &1.into()));
        }
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_end_and_a_client_that_reads_nothing_slow_themselves_alone() {
    let (_folder, stack) = crate::stack().await;
    for version in versions() {
        let upload = Upload::begin(stack.address, "/v1/push", version).await;
        upload.send(defaults()).await;
        let piece = Bytes::from((0..200).map(line).collect::<String>());
        // Nothing of the answer is read, until nothing more is taken.
        let mut taken = 0;
        loop {
            let sending = upload.body.send(piece.clone());
            match tokio::time::timeout(Duration::from_secs(3), sending).await {
                Ok(sent) => sent.expect("it is not cut off yet"),
                Err(_) => break,
            }
            taken += 200;
            assert!(taken < 200_000, "what is held has a bound");
        }
        let pushed = stack.push(&token(7), ALERT).await;
        assert_eq!(pushed["outcome"], "accepted");
        drop(upload);
        let pushed = stack.push(&token(7), ALERT).await;
        assert_eq!(pushed["outcome"], "accepted");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_stops_what_is_not_sent() {
    let (_folder, stack) = crate::stack().await;
    for version in versions() {
        stack.simulator.clear_journal();
        let mut upload = Upload::begin(stack.address, "/v1/push", version).await;
        upload.send(defaults() + &line(1)).await;
        assert_eq!(upload.next().await.unwrap().len(), 1);
        drop(upload);
        let pushed = stack.push(&token(7), ALERT).await;
        assert_eq!(pushed["outcome"], "accepted");
        assert_eq!(stack.simulator.journal().len(), 2);
    }
    // Half of a line was sent, and the connection cut.
    let mut stream = TcpStream::connect(stack.address).await.unwrap();
    let text = defaults() + &line(1);
    let head = format!(
        "POST /v1/push HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {API_KEY}\r\n\
         content-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n{}",
        text.len() + 1_000,
        &text[..text.len() - 10]
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    drop(stream);
    let pushed = stack.push(&token(7), ALERT).await;
    assert_eq!(pushed["outcome"], "accepted");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stops_ends_an_answer_with_what_is_known() {
    if wants_the_host("a host that is stopped") {
        return;
    }
    let (_folder, stack) = crate::stack().await;
    let mut uploads = Vec::new();
    for version in versions() {
        let mut upload = Upload::begin(stack.address, "/v1/push", version).await;
        upload.send(defaults() + &line(1)).await;
        assert_eq!(upload.next().await.unwrap().len(), 1);
        uploads.push(upload);
    }
    let stopping = tokio::spawn(stack.stop());
    for mut upload in uploads {
        let last = upload.next().await.unwrap();
        let sums = summary(&last);
        assert_eq!(
            (&sums["accepted"], &sums["stopped"]),
            (&1.into(), &"shutting-down".into())
        );
        assert!(upload.next().await.unwrap().is_empty());
    }
    stopping.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_has_so_many_at_once_and_the_next_is_refused() {
    if wants_the_host("a bound of the host") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(folder.path(), Options::default()).await;
    let mut uploads = Vec::new();
    // Two instances, each of which works on 100 requests at once, and has an eighth for these.
    let most = 2 * 12;
    for _ in 0..most {
        uploads.push(Upload::begin(stack.address, "/v1/push", Version::Http1).await);
    }
    let client = dunlin_tests::client::Client::new(stack.address)
        .key(API_KEY)
        .header("content-type", "application/x-ndjson");
    let refused = client.call("POST", "/v1/push", "").await;
    assert_eq!(
        (refused.status, refused.rule().as_str()),
        (503, "overloaded")
    );
    let pushed = stack.push(&token(7), ALERT).await;
    assert_eq!(pushed["outcome"], "accepted", "they hold nobody up");
    for upload in uploads {
        assert_eq!(summary(&upload.finish().await)["lines"], 0);
    }
    let again = client.call("POST", "/v1/push", "").await;
    assert_eq!(again.status, 200, "places come back");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_come_as_lines_and_survive() {
    let (folder, stack) = crate::stack().await;
    let lines = (0..1_000).map(|n| format!("{{\"token\":\"{}\"}}\n", token(n)));
    let text = format!("{{\"defaults\":{{\"topic\":\"{TOPIC}\",\"tags\":[\"news\"]}}}}\n")
        + &lines.collect::<String>()
        + "{}\n";
    let version = *versions().last().unwrap();
    let answer = answered(&stack, "/v1/devices", text.as_bytes(), version).await;
    let sums = summary(&answer);
    assert_eq!((&sums["new"], &sums["failed"]), (&1_000.into(), &1.into()));
    stack.stop().await;
    let stack = Stack::start(folder.path(), Options::default()).await;
    let path = format!("/v1/devices?topic={TOPIC}&tag=news&limit=1000");
    let mut listed = 0;
    let mut cursor = String::new();
    loop {
        let page = stack
            .call("GET", &format!("{path}{cursor}"), "")
            .await
            .json();
        listed += page["devices"].as_array().unwrap().len();
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(listed, 1_000);
    stack.stop().await;
}
