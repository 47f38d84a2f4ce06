//! Eight lanes that know nothing of each other, on the pool of `hyper-util`'s client as it comes,
//! as on a platform whose instances share its HTTP client.
//!
//! The server is an APNs that has seen no provider token yet: its SETTINGS allow one stream, arrive
//! when requests are on their way, and allow a thousand after the first answer. What is too much is
//! refused.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use dunlin::delivery::turn::{ask, tell};
use dunlin::delivery::{
    Action, ExchangeFailure, ExchangeId, ExchangeRequest, ExchangeResponse, ProviderConfig,
    ProviderLane, Submission, Transport,
};
use dunlin::notification::{DeviceToken, Draft, Payload, Topic};
use dunlin::provider::Outcome;
use dunlin::time::{Now, UnixTime};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

const LANES: usize = 8;
const PUSHES: u64 = 25;

/// How long the first request is kept while no other one comes.
const KEPT: Duration = Duration::from_millis(200);

const PREFACE: usize = 24;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// SETTINGS_MAX_CONCURRENT_STREAMS.
fn allowed(streams: u32) -> Vec<u8> {
    let payload = [&[0, 3][..], &streams.to_be_bytes()].concat();
    frame(SETTINGS, 0, 0, &payload)
}

/// `:status: 200`, and nothing else.
fn ok(stream: u32) -> Vec<u8> {
    frame(HEADERS, 4 | END_STREAM, stream, &[0x88])
}

fn refusal(stream: u32) -> Vec<u8> {
    frame(3, 0, stream, &7_u32.to_be_bytes())
}

/// One connection. Counts what it refuses.
async fn serve(mut peer: TcpStream, refused: Arc<AtomicUsize>) -> std::io::Result<()> {
    peer.read_exact(&mut [0; PREFACE]).await?;
    let (mut first, mut is_complete, mut is_answered) = (None, false, false);
    loop {
        let is_kept = is_complete && !is_answered;
        if is_kept && timeout(KEPT, peer.peek(&mut [0])).await.is_err() {
            // The others have had their time.
            is_answered = true;
            let answer = [ok(first.unwrap_or(1)), allowed(1_000)].concat();
            peer.write_all(&answer).await?;
        }
        let mut head = [0; 9];
        peer.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        peer.read_exact(&mut payload).await?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let ends = head[4] & END_STREAM != 0;
        match head[3] {
            SETTINGS if head[4] & ACK == 0 => peer.write_all(&frame(SETTINGS, ACK, 0, &[])).await?,
            PING if head[4] & ACK == 0 => peer.write_all(&frame(PING, ACK, 0, &payload)).await?,
            HEADERS if first.is_none() => {
                first = Some(stream);
                peer.write_all(&allowed(1)).await?;
            }
            HEADERS if !is_answered => {
                refused.fetch_add(1, Ordering::SeqCst);
                peer.write_all(&refusal(stream)).await?;
            }
            0 if ends && first == Some(stream) => is_complete = true,
            0 if ends && is_answered => peer.write_all(&ok(stream)).await?,
            _ => {}
        }
    }
}

type Http = Client<HttpConnector, Full<Bytes>>;

async fn exchange(
    http: Http,
    server: String,
    request: ExchangeRequest,
) -> Result<ExchangeResponse, String> {
    let mut built = http::Request::builder()
        .method(request.method.as_str())
        .uri(format!("http://{server}{}", request.path));
    for (name, value) in request.headers {
        built = built.header(name, value);
    }
    let built = built.body(Full::new(Bytes::from(request.body))).unwrap();
    let response = http.request(built).await;
    let response = response.map_err(|error| format!("{error:?}"))?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await;
    let body = body.map_err(|error| format!("{error:?}"))?.to_bytes();
    Ok(ExchangeResponse {
        status,
        headers: Vec::new(),
        body: body.to_vec(),
    })
}

/// What all instances share.
#[derive(Clone)]
struct Shared {
    http: Http,
    server: String,
    record: Rc<RefCell<Option<Vec<u8>>>>,
    began: Instant,
}

impl Shared {
    fn now(&self) -> Now {
        Now::ZERO + self.began.elapsed()
    }
}

fn unix_time() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixTime::from_millis(u64::try_from(since.as_millis()).unwrap())
}

/// The driver of one lane, until each of its pushes has an outcome.
async fn drive(shared: Shared, who: u64, turns: bool) -> Vec<Outcome> {
    let mut lane = ProviderLane::new(ProviderConfig {
        transport: Transport::Platform,
        turns,
        ..ProviderConfig::new(shared.server.clone(), who)
    });
    for number in 0..PUSHES {
        let token = DeviceToken::from_bytes(&(who * PUSHES + number).to_be_bytes()).unwrap();
        let topic = Topic::parse("com.example.app").unwrap();
        let payload = Payload::parse(br#"{"aps":{"alert":"hello"}}"#).unwrap();
        let push = Arc::new(Draft::new(token, topic, payload).build().unwrap());
        let submission = Submission {
            message: push.into(),
            deadline: shared.now() + Duration::from_secs(30),
            confirm: true,
        };
        lane.submit(shared.now(), submission).unwrap();
    }
    let mut exchanges = FuturesUnordered::new();
    let mut outcomes = Vec::new();
    while outcomes.len() < usize::try_from(PUSHES).unwrap() {
        loop {
            while let Some((_, outcome)) = lane.poll_outcome() {
                outcomes.push(outcome);
            }
            match lane.poll_action() {
                Some(Action::TakeTurn) => {
                    let stored = shared.record.borrow().clone();
                    let (new, turn) = ask(stored.as_deref(), who, unix_time());
                    shared.record.replace(new.or(stored));
                    lane.handle_turn(shared.now(), turn);
                }
                Some(Action::TellTurn(news)) => {
                    let stored = shared.record.borrow().clone();
                    let new = tell(stored.as_deref(), who, unix_time(), news);
                    shared.record.replace(new.or(stored));
                }
                Some(other) => panic!("{other:?}"),
                None => match lane.poll_exchange(shared.now()) {
                    Some((id, request)) => {
                        let sent = exchange(shared.http.clone(), shared.server.clone(), request);
                        exchanges.push(async move { (id, sent.await) });
                    }
                    None => break,
                },
            }
        }
        let wait = lane.poll_timeout().map(|at| at.since(shared.now()));
        let ended: Option<(ExchangeId, Result<ExchangeResponse, String>)> = tokio::select! {
            Some(ended) = exchanges.next() => Some(ended),
            () = sleep(wait.unwrap_or(Duration::from_secs(1))) => None,
        };
        let now = shared.now();
        match ended {
            None => lane.handle_timeout(now),
            Some((id, Ok(response))) => lane.handle_response(now, id, &response),
            // As a platform tells of a refused stream: it may have been anything.
            Some((id, Err(why))) => {
                lane.handle_exchange_failed(now, id, ExchangeFailure::Unanswered, why);
            }
        }
    }
    outcomes
}

/// How many pushes were accepted, and how many streams refused.
async fn run(turns: bool) -> (usize, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap().to_string();
    let refused = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&refused);
    tokio::spawn(async move {
        while let Ok((peer, _)) = listener.accept().await {
            // It ends with the client.
            tokio::spawn(serve(peer, Arc::clone(&counter)));
        }
    });
    let shared = Shared {
        http: Client::builder(TokioExecutor::new())
            .http2_only(true)
            .build_http(),
        server,
        record: Rc::default(),
        began: Instant::now(),
    };
    let lanes = (0..LANES).map(|who| drive(shared.clone(), who as u64, turns));
    let outcomes = join_all(lanes).await.concat();
    let is_accepted = |outcome: &&Outcome| matches!(outcome, Outcome::Accepted { .. });
    let accepted = outcomes.iter().filter(is_accepted).count();
    (accepted, refused.load(Ordering::SeqCst))
}

/// Instances that know of each other by a record alone lose nothing; without it the client loses
/// what it sends before the server has said how many it takes.
#[tokio::test]
async fn eight_instances_on_one_client_lose_nothing_where_the_server_takes_one_at_first() {
    let all = LANES * usize::try_from(PUSHES).unwrap();
    let local = LocalSet::new();
    let (accepted, refused) = local.run_until(run(true)).await;
    assert_eq!((accepted, refused), (all, 0));
    let (accepted, refused) = local.run_until(run(false)).await;
    assert!(refused > 0, "the client is not what it was");
    assert_eq!(accepted, all - refused);
}
