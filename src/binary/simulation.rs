//! A gateway made of Apple's rules, and connections to it that end in every way there is.
//!
//! It reads messages with a reader of its own. Each run is a seed; what must hold: every
//! notification ends once, and each one that ends as accepted was accepted once by the gateway.

use super::*;
use crate::notification::{DeviceToken, Draft, Notification, Payload, Topic};
use crate::provider::Outcome;
use std::collections::{BTreeMap, VecDeque};

/// A notification with a payload of the caller's.
pub(crate) fn notification(token: &[u8], json: &[u8]) -> Notification {
    Draft::new(
        DeviceToken::from_bytes(token).unwrap(),
        Topic::parse("com.example.app").unwrap(),
        Payload::parse(json).unwrap(),
    )
    .build()
    .unwrap()
}

/// A message as a gateway reads it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) token: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    pub(crate) identifier: Option<u32>,
    pub(crate) expires: Option<u32>,
    pub(crate) priority: Option<u8>,
}

/// Cuts `count` bytes off the front.
fn cut<'a>(input: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (front, rest) = input.split_at_checked(count)?;
    *input = rest;
    Some(front)
}

/// A number of 1, 2 or 4 bytes.
fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |sum, byte| (sum << 8) | u32::from(*byte))
}

fn sized<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number(cut(input, 2)?);
    cut(input, length as usize)
}

/// The first message and its length; `None` if it is not whole, or none.
pub(crate) fn read_message(bytes: &[u8]) -> Option<(Message, usize)> {
    let mut input = bytes;
    let mut message = Message::default();
    let command = number(cut(&mut input, 1)?);
    if command == 2 {
        let length = number(cut(&mut input, 4)?) as usize;
        let mut items = cut(&mut input, length)?;
        while !items.is_empty() {
            let item = cut(&mut items, 1)?[0];
            let data = sized(&mut items)?;
            match (item, data.len()) {
                (1, _) => message.token = data.to_vec(),
                (2, _) => message.payload = data.to_vec(),
                (3, 4) => message.identifier = Some(number(data)),
                (4, 4) => message.expires = Some(number(data)),
                (5, 1) => message.priority = Some(data[0]),
                _ => return None,
            }
        }
    } else if command < 2 {
        if command == 1 {
            message.identifier = Some(number(cut(&mut input, 4)?));
            message.expires = Some(number(cut(&mut input, 4)?));
        }
        message.token = sized(&mut input)?.to_vec();
        message.payload = sized(&mut input)?.to_vec();
    } else {
        return None;
    }
    Some((message, bytes.len() - input.len()))
}

/// Numbers that look random and are the same every time (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// How a connection misbehaves beyond bad tokens.
#[derive(Clone, Copy)]
enum Misbehaviour {
    None,
    /// Loses everything after so many bytes.
    Cut(usize),
    /// Announces its shutdown after so many messages, of which there is at least one.
    Shutdown(usize),
    /// Answers a bad token with identifier 0.
    Nameless,
}

/// What a connection's bytes do on the other side: accepted tokens are counted, and the answer, if
/// any, comes back. Tokens that begin with a 0 are bad.
fn gateway(
    mut bytes: &[u8],
    fault: Misbehaviour,
    accepted: &mut BTreeMap<Vec<u8>, u32>,
) -> Vec<u8> {
    if let Misbehaviour::Cut(at) = fault {
        bytes = &bytes[..at];
    }
    let mut last = 0;
    let answer = |status, identifier: u32| [&[8, status][..], &identifier.to_be_bytes()].concat();
    for count in 0.. {
        if matches!(fault, Misbehaviour::Shutdown(at) if at == count) {
            return answer(10, last);
        }
        let Some((message, used)) = read_message(bytes) else {
            break;
        };
        bytes = &bytes[used..];
        let identifier = message.identifier.unwrap();
        if message.token[0] == 0 {
            let nameless = matches!(fault, Misbehaviour::Nameless);
            return answer(8, if nameless { 0 } else { identifier });
        }
        *accepted.entry(message.token).or_default() += 1;
        last = identifier;
    }
    Vec::new()
}

/// One connection: sends what fits from the front of `waiting`, and a probe perhaps.
fn connect(
    window: &mut Window<Notification>,
    waiting: &mut VecDeque<Notification>,
    random: &mut Random,
    accepted: &mut BTreeMap<Vec<u8>, u32>,
) -> Verdict<Notification> {
    let mut bytes = Vec::new();
    let mut sent = 0;
    let batch = 1 + random.below(40);
    while sent < batch
        && let Some(next) = waiting.pop_front()
    {
        let Ok(identifier) = window.push(next.clone()) else {
            waiting.push_front(next);
            break;
        };
        let frame = Frame::new(&next).identifier(identifier);
        frame.encode(Dialect::ITEMS, &mut bytes).unwrap();
        sent += 1;
    }
    if random.below(4) > 0 {
        encode_probe(Dialect::ITEMS, window.push_probe().unwrap(), &mut bytes);
    }
    let fault = match random.below(6) {
        0 => Misbehaviour::Cut(random.below(bytes.len() + 1)),
        1 => Misbehaviour::Shutdown(1 + random.below(sent)),
        2 => Misbehaviour::Nameless,
        _ => Misbehaviour::None,
    };
    let answer = gateway(&bytes, fault, accepted);
    let mut decoder = ErrorResponses::new();
    let cut = random.below(answer.len() + 1);
    for mut part in [&answer[..cut], &answer[cut..]] {
        if let Some(response) = decoder.decode(&mut part).unwrap() {
            return window.handle_error(response.status, response.identifier);
        }
    }
    window.close()
}

/// Sends `bad.len()` notifications, bad ones where it says so, until every one has ended.
fn run(seed: u64, bad: &[bool]) {
    let mut random = Random(seed | 1);
    let mut waiting = VecDeque::new();
    for (index, bad) in bad.iter().enumerate() {
        let [high, low] = u16::try_from(index).unwrap().to_be_bytes();
        let token = [u8::from(!*bad), high, low, 7];
        waiting.push_back(notification(&token, br#"{"aps":{"alert":"x"}}"#));
    }
    let first = Identifier::new(u32::MAX - random.below(60) as u32).unwrap();
    let mut window = Window::starting_at(first, 1 + random.below(50));
    let mut ended = BTreeMap::new();
    let mut accepted = BTreeMap::new();
    while !waiting.is_empty() {
        let verdict = connect(&mut window, &mut waiting, &mut random, &mut accepted);
        assert!(window.is_empty());
        let mut again = VecDeque::new();
        for (job, outcome) in verdict.into_outcomes() {
            if let Outcome::Unanswered {
                may_resend: true, ..
            } = outcome
            {
                again.push_back(job);
                continue;
            }
            let token = job.token().as_bytes().to_vec();
            assert!(
                ended.insert(token, outcome).is_none(),
                "seed {seed}: ended twice"
            );
        }
        again.append(&mut waiting);
        waiting = again;
    }
    assert_eq!(ended.len(), bad.len(), "seed {seed}");
    for (token, outcome) in &ended {
        let taken = accepted.get(token).copied().unwrap_or_default();
        match outcome {
            Outcome::Accepted { .. } => assert_eq!(taken, 1, "seed {seed}"),
            Outcome::Rejected { .. } => assert!(taken == 0 && token[0] == 0, "seed {seed}"),
            Outcome::Unanswered { .. } => assert!(taken <= 1, "seed {seed}"),
        }
    }
}

#[test]
fn every_notification_ends_once_and_is_accepted_once() {
    for seed in 1..400_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let count = 1 + random.below(120);
        let one_in = 1 + random.below(12);
        let bad: Vec<_> = (0..count).map(|_| random.below(one_in + 1) == 0).collect();
        run(seed, &bad);
    }
}

#[test]
fn first_last_every_one_and_none_of_them_bad() {
    for seed in 1..100 {
        for count in [1, 2, 30] {
            run(seed, &(0..count).map(|i| i == 0).collect::<Vec<_>>());
            run(
                seed,
                &(0..count).map(|i| i + 1 == count).collect::<Vec<_>>(),
            );
            run(seed, &vec![true; count]);
            run(seed, &vec![false; count]);
        }
    }
}
