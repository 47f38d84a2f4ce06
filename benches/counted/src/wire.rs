//! What a push is made of: its request, its answer, the payload, a lane; and a feedback tuple.

use std::hint::black_box;
use std::sync::Arc;

use dunlin::auth::{KeyId, ProviderToken, SigningKey, TeamId};
use dunlin::binary::{Feedback, FeedbackEntry};
use dunlin::delivery::{Action, ConnectionId, Lane, ProviderConfig, ProviderLane, Submission};
use dunlin::http2::{Connection, Event, StreamId};
use dunlin::notification::{ApnsId, DeviceToken, Draft, Notification, Payload, Topic};
use dunlin::provider::{Message, Outcome, Repeats, ResponseReader};
use dunlin::time::{Now, UnixTime};

use crate::far_end::{FarEnd, connected};
use crate::{PAYLOAD, TIMES, TOPIC, measured};

const AUTHORITY: &str = "api.push.apple.com";

/// The token of one device, 32 bytes that differ.
pub fn device(n: usize) -> DeviceToken {
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = (n.wrapping_mul(0x9e37_79b1) >> (place % 8)) as u8 ^ (place as u8 * 37);
    }
    bytes[..4].copy_from_slice(&(n as u32).to_be_bytes());
    DeviceToken::from_bytes(&bytes).unwrap()
}

fn id(n: usize) -> ApnsId {
    let mut bytes = [7; 16];
    bytes[8..].copy_from_slice(&(n as u64).to_be_bytes());
    ApnsId::from_random(bytes)
}

fn notifications(count: usize) -> Vec<Arc<Notification>> {
    let topic = Topic::parse(TOPIC).unwrap();
    let payload = Payload::parse(PAYLOAD.as_bytes()).unwrap();
    let first = Draft::new(device(0), topic, payload).build().unwrap();
    let each = |n| Arc::new(first.to_device(device(n), Some(id(n))));
    (0..count).map(each).collect()
}

fn provider_token() -> ProviderToken {
    let key = SigningKey::from_scalar(&[7; 32]).unwrap();
    let (key_id, team_id) = (KeyId::parse("1QBCDJ9RST"), TeamId::parse("3Z24IP123A"));
    ProviderToken::sign(&key, key_id.unwrap(), team_id.unwrap(), UnixTime::EPOCH)
}

/// A connection on which these were sent.
fn send(
    connection: &mut Connection,
    all: &[Arc<Notification>],
    token: &ProviderToken,
    out: &mut Vec<u8>,
) -> Vec<StreamId> {
    let mut repeats = Repeats::default();
    let mut streams = Vec::with_capacity(all.len());
    for one in all {
        let message = Message::from(Arc::clone(one));
        let to = (Now::ZERO, &mut *connection);
        let stream = repeats.send(to, &message, AUTHORITY, Some(token), out);
        streams.push(stream.unwrap());
    }
    streams
}

/// Reads answers; how many there were.
fn read(connection: &mut Connection, answers: &[u8], out: &mut Vec<u8>) -> usize {
    connection.handle_input(Now::ZERO, answers, out).unwrap();
    let mut count = 0;
    while let Some(event) = connection.poll_event() {
        let Event::Response {
            status, headers, ..
        } = event
        else {
            panic!("{event:?}");
        };
        let mut reader = ResponseReader::new();
        reader.status(status);
        for (name, value) in &headers {
            reader.header(name, value);
        }
        let accepted = matches!(reader.finish(), Outcome::Accepted { .. });
        count += usize::from(accepted);
    }
    count
}

/// Requests into frames, on a connection that has carried as many.
pub fn encode_push() {
    let (all, token) = (notifications(TIMES), provider_token());
    let (mut connection, mut far_end) = connected();
    let (mut out, mut answers) = (Vec::new(), Vec::new());
    send(&mut connection, &all, &token, &mut out);
    far_end.answer(&out, &mut answers);
    let mut replies = Vec::new();
    assert_eq!(read(&mut connection, &answers, &mut replies), TIMES);
    out.clear();
    measured(&mut || {
        let streams = send(&mut connection, &all, &token, &mut out);
        assert_eq!(streams.len(), TIMES);
    });
    black_box(&out);
}

/// Answers into outcomes, on a connection that has carried as many.
pub fn decode_answer() {
    let (all, token) = (notifications(TIMES), provider_token());
    let (mut connection, mut far_end) = connected();
    let (mut out, mut answers) = (Vec::new(), Vec::new());
    let mut accepted = 0;
    for is_measured in [false, true] {
        out.clear();
        answers.clear();
        send(&mut connection, &all, &token, &mut out);
        far_end.answer(&out, &mut answers);
        let mut work = || accepted += read(&mut connection, &answers, &mut out);
        match is_measured {
            false => work(),
            true => measured(&mut work),
        }
    }
    assert_eq!(accepted, 2 * TIMES);
}

/// Bytes of a caller into a payload.
pub fn validate_payload() {
    measured(&mut || {
        for _ in 0..TIMES {
            let inspected = Payload::inspect(black_box(PAYLOAD.as_bytes()), None).unwrap();
            assert!(inspected.findings.as_slice().is_empty());
            black_box(&inspected);
        }
    });
}

/// Bytes of a feedback service into tuples.
pub fn decode_tuple() {
    let mut list = Vec::new();
    for n in 0..TIMES {
        list.extend_from_slice(&1_700_000_000_u32.to_be_bytes());
        list.extend_from_slice(&32_u16.to_be_bytes());
        list.extend_from_slice(device(n).as_bytes());
    }
    let mut feedback = Feedback::new();
    let mut tuples = 0;
    measured(&mut || {
        // Cut where reads of a connection may end.
        for read in list.chunks(1_400) {
            for entry in feedback.decode(read) {
                if let FeedbackEntry::Tuple(tuple) = entry {
                    tuples += 1;
                    black_box(DeviceToken::from_bytes(tuple.token_bytes()).unwrap());
                }
            }
        }
    });
    assert_eq!(tuples, TIMES);
}

/// A lane with one connection, and the server of that.
struct Line {
    lane: Lane,
    connection: Option<ConnectionId>,
    far_end: FarEnd,
    written: Vec<u8>,
    answers: Vec<u8>,
}

impl Line {
    fn new() -> Self {
        let mut lane = ProviderLane::new(ProviderConfig::new(AUTHORITY.to_owned(), 7));
        lane.set_clock(Now::ZERO, UnixTime::EPOCH);
        lane.set_token(Now::ZERO, provider_token());
        Self {
            lane: lane.into(),
            connection: None,
            far_end: FarEnd::default(),
            written: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Hands them in, and carries bytes until each has its outcome; how many were accepted.
    fn push(&mut self, all: &[Arc<Notification>], deadline: Now) -> usize {
        let submission = |one: &Arc<Notification>| Submission {
            message: Message::from(Arc::clone(one)),
            deadline,
            confirm: false,
        };
        let mut submissions = all.iter().map(|one| ((), submission(one)));
        self.lane
            .submit_many(Now::ZERO, &mut submissions, |_, ()| {});
        let mut accepted = 0;
        loop {
            while let Some(action) = self.lane.poll_action() {
                let Action::Connect(id) = action else {
                    panic!("{action:?}");
                };
                self.connection = Some(id);
                self.lane.handle_connected(Now::ZERO, id);
                self.lane.handle_input(Now::ZERO, id, FarEnd::hello());
            }
            let id = self.connection.expect("it has asked for one");
            self.written.clear();
            self.answers.clear();
            self.lane.poll_transmit(Now::ZERO, id, &mut self.written);
            if self.written.is_empty() {
                return accepted;
            }
            self.far_end.answer(&self.written, &mut self.answers);
            self.lane.handle_input(Now::ZERO, id, &self.answers);
            while let Some((_, delivered)) = self.lane.poll_delivered() {
                accepted += usize::from(matches!(delivered.outcome, Outcome::Accepted { .. }));
            }
        }
    }
}

/// Notifications through a lane, with the bytes of both directions.
pub fn lane_push() {
    let all = notifications(TIMES);
    let mut line = Line::new();
    assert_eq!(line.push(&all, Now::from_nanos(1)), TIMES);
    let mut accepted = 0;
    measured(&mut || accepted = line.push(&all, Now::from_nanos(2)));
    assert_eq!(accepted, TIMES);
}
