//! A blocking driver of [`Connection`] over TCP without TLS (prior knowledge), which also keeps
//! the books: every stream ends in exactly one event, and nothing follows its end.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use dunlin::http2::{
    Config, Connection, ConnectionError, ErrorCode, Event, Header, HeaderList, Indexing, Malformed,
    Processed, Request, StreamId,
};
use dunlin::time::Now;
use dunlin_test_support::peers::PATIENCE;

use crate::tally::Tally;

/// Requests are added to one write up to this, octets.
const WRITE_OCTETS: usize = 64 * 1024;

/// A request to make.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    pub path: String,
    pub body: Vec<u8>,
    pub fields: Vec<(&'static str, String, bool)>,
}

impl Ask {
    /// POST without a body.
    pub fn new(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            ..Self::default()
        }
    }

    pub fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// Adds a field, put into the dynamic table or not.
    pub fn field(mut self, name: &'static str, value: impl Into<String>, indexed: bool) -> Self {
        self.fields.push((name, value.into(), indexed));
        self
    }
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Answered,
    Reset(ErrorCode, Processed),
    Malformed(Malformed),
    Unprocessed,
    Lost { request_complete: bool },
}

/// What came on a stream.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderList,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderList>,
    pub end: Option<End>,
}

/// A connection and everything that happened on it.
pub struct Driver {
    pub http2: Connection,
    pub streams: BTreeMap<StreamId, Answer>,
    pub go_aways: Vec<(StreamId, ErrorCode, Vec<u8>)>,
    pub limits: Vec<u32>,
    pub pongs: Vec<[u8; 8]>,
    pub failure: Option<ConnectionError>,
    /// Most streams open at once.
    pub most_open: usize,
    pub seen: Tally,
    pub sent: Tally,
    pub is_eof: bool,
    out: Vec<u8>,
    socket: TcpStream,
    inbox: Receiver<Vec<u8>>,
    began: Instant,
}

impl Driver {
    pub fn connect(address: SocketAddr, config: Config) -> Self {
        let socket = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        let inbox = read_in_background(socket.try_clone().unwrap());
        let mut out = Vec::new();
        let http2 = Connection::new(config, Now::ZERO, &mut out);
        Self {
            http2,
            streams: BTreeMap::new(),
            go_aways: Vec::new(),
            limits: Vec::new(),
            pongs: Vec::new(),
            failure: None,
            most_open: 0,
            seen: Tally::default(),
            sent: Tally::default(),
            is_eof: false,
            out,
            socket,
            inbox,
            began: Instant::now(),
        }
    }

    /// One whose peer has said how many streams it takes.
    pub fn ready(address: SocketAddr, config: Config) -> Self {
        let mut driver = Self::connect(address, config);
        driver.wait("SETTINGS", |driver| driver.http2.is_settings_received());
        driver
    }

    /// Makes one request now.
    pub fn send(&mut self, ask: &Ask) -> StreamId {
        let headers: Vec<_> = ask
            .fields
            .iter()
            .map(|(name, value, indexed)| {
                let indexing = if *indexed {
                    Indexing::Incremental
                } else {
                    Indexing::Without
                };
                Header {
                    name,
                    value,
                    indexing,
                }
            })
            .collect();
        let request = Request {
            method: "POST",
            scheme: "http",
            authority: "localhost",
            path: &ask.path,
            headers: &headers,
            body: &ask.body,
        };
        let result = self.http2.send_request(self.now(), &request, &mut self.out);
        let stream = result.unwrap_or_else(|error| {
            panic!(
                "{error}; failure: {:?}, GOAWAYs: {:?}",
                self.failure, self.go_aways
            )
        });
        assert!(
            self.streams.insert(stream, Answer::default()).is_none(),
            "{stream:?} twice"
        );
        self.most_open = self.most_open.max(self.http2.open_streams());
        stream
    }

    /// Makes requests, as many at once as the peer takes, and waits for the end of each.
    pub fn exchange(&mut self, asks: &[Ask]) -> Vec<Answer> {
        let mut ids = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            while let Some(ask) = asks.get(ids.len())
                && self.http2.available_streams() > 0
                && self.out.len() < WRITE_OCTETS
            {
                ids.push(self.send(ask));
            }
            let is_done = ids.len() == asks.len() && ids.iter().all(|id| self.has_ended(*id));
            if is_done {
                return ids.iter().map(|id| self.streams[id].clone()).collect();
            }
            assert!(!self.http2.is_closed(), "closed: {:?}", self.failure);
            self.step(deadline, "answers");
        }
    }

    /// Makes one request and waits for its end.
    pub fn ask(&mut self, ask: Ask) -> Answer {
        self.exchange(&[ask]).remove(0)
    }

    pub fn ping(&mut self, payload: [u8; 8]) {
        self.http2.ping(self.now(), payload, &mut self.out).unwrap();
    }

    /// Gives a stream up.
    pub fn reset(&mut self, stream: StreamId) {
        self.http2.reset(stream, ErrorCode::CANCEL, &mut self.out);
        self.streams.remove(&stream);
    }

    pub fn has_ended(&self, stream: StreamId) -> bool {
        self.streams[&stream].end.is_some()
    }

    pub fn end_of(&self, stream: StreamId) -> Option<End> {
        self.streams[&stream].end
    }

    /// Writes and reads until `done`.
    pub fn wait(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(
                !self.is_eof,
                "the peer closed before {what}; failure: {:?}",
                self.failure
            );
            self.step(deadline, what);
        }
        self.write();
    }

    /// Reads on until the peer closes.
    pub fn wait_for_eof(&mut self) {
        self.wait("the end of the transport", |driver| driver.is_eof);
    }

    /// Ends in good order and checks the books: no failure, every stream ended once.
    pub fn finish(mut self) {
        assert_eq!(self.failure, None);
        self.http2.close(ErrorCode::NO_ERROR, &mut self.out);
        self.collect();
        self.write();
        self.check_ends();
    }

    /// Every stream has ended, and the connection knows of none.
    pub fn check_ends(&self) {
        assert!(self.streams.values().all(|answer| answer.end.is_some()));
        assert_eq!(self.http2.open_streams(), 0);
    }

    /// Writes what there is.
    pub fn write(&mut self) {
        self.sent.take(&self.out);
        // A peer that is gone shows as the end of what can be read.
        let _ = self.socket.write_all(&self.out);
        self.out.clear();
    }

    fn now(&self) -> Now {
        Now::ZERO + self.began.elapsed()
    }

    /// Takes one input: octets, the end of the transport, or the time.
    fn step(&mut self, deadline: Instant, what: &str) {
        self.write();
        let left = deadline.saturating_duration_since(Instant::now());
        let timer = self
            .http2
            .poll_timeout()
            .map_or(left, |due| due.since(self.now()));
        let result = match self.inbox.recv_timeout(left.min(timer)) {
            Ok(bytes) => {
                self.seen.take(&bytes);
                self.http2.handle_input(self.now(), &bytes, &mut self.out)
            }
            Err(RecvTimeoutError::Timeout) => {
                assert!(
                    !left.is_zero(),
                    "no {what} in time; open: {}",
                    self.http2.open_streams()
                );
                self.http2.handle_timeout(self.now(), &mut self.out)
            }
            Err(RecvTimeoutError::Disconnected) => {
                self.is_eof = true;
                self.http2.handle_eof();
                Ok(())
            }
        };
        if let Err(error) = result {
            self.failure.get_or_insert(error);
        }
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(event) = self.http2.poll_event() {
            self.book(event);
        }
    }

    fn book(&mut self, event: Event) {
        let ended = event.ends().map(|stream| (stream, end(&event)));
        match event {
            Event::Response {
                stream,
                status,
                headers,
                ..
            } => {
                let answer = self.open(stream);
                assert_eq!(answer.status, 0, "two heads on {stream}");
                (answer.status, answer.headers) = (status, headers);
            }
            Event::Data { stream, bytes, .. } => self.open(stream).body.extend_from_slice(&bytes),
            Event::Trailers { stream, headers } => self.open(stream).trailers = Some(headers),
            Event::GoAway {
                last_stream,
                code,
                debug,
            } => {
                self.go_aways.push((last_stream, code, debug));
            }
            Event::MaxConcurrentStreams(limit) => self.limits.push(limit),
            Event::Pong { payload } => self.pongs.push(payload),
            _ => {}
        }
        if let Some((stream, end)) = ended {
            self.open(stream).end = Some(end);
        }
    }

    fn open(&mut self, stream: StreamId) -> &mut Answer {
        let answer = self.streams.get_mut(&stream).unwrap();
        assert_eq!(answer.end, None, "something after the end of {stream}");
        answer
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

fn end(event: &Event) -> End {
    match event {
        Event::Reset {
            code, processed, ..
        } => End::Reset(*code, *processed),
        Event::Malformed { reason, .. } => End::Malformed(*reason),
        Event::Unprocessed { .. } => End::Unprocessed,
        Event::Lost {
            request_complete, ..
        } => End::Lost {
            request_complete: *request_complete,
        },
        _ => End::Answered,
    }
}

/// Reads until the end, in pieces of sizes that cut frames everywhere.
fn read_in_background(mut socket: TcpStream) -> Receiver<Vec<u8>> {
    let (sender, inbox) = mpsc::channel();
    socket.set_read_timeout(Some(2 * PATIENCE)).unwrap();
    std::thread::spawn(move || {
        for size in [9, 1, 13, 40_000, 100, 65_536, 3].into_iter().cycle() {
            let mut piece = vec![0; size];
            match socket.read(&mut piece) {
                Ok(0) => return,
                Ok(count) => piece.truncate(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return,
            }
            if sender.send(piece).is_err() {
                return;
            }
        }
    });
    inbox
}

/// Settings for tests: nothing is assumed of the peer but one stream.
pub fn config() -> Config {
    Config {
        settings_timeout: Duration::from_secs(15),
        ..Config::default()
    }
}
