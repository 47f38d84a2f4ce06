//! Receipts from the first request to the sweep.

use super::*;
use crate::notification::Topic;
use crate::registry::replay::Memory;

const TIMEOUT: Duration = Duration::from_secs(30);
const KEY: &str = "i/key";

fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(secs)
}

fn receipt(request: u8) -> Receipt {
    let topic = Topic::parse("com.example.app").unwrap();
    let token = DeviceToken::from_bytes(&[0xa1; 32]).unwrap();
    let key = IdempotencyKey::parse("server", "k").unwrap();
    let id = key.apns_id(&topic, &token);
    Receipt::new(&[request; 32], [(token, id)], at(100), TIMEOUT)
}

fn reply() -> Box<RawValue> {
    RawValue::from_string(r#"{"accepted":1, "results":[]}"#.into()).unwrap()
}

fn ours(memory: &Memory, request: u8) -> Receipt {
    match begin(memory, KEY, receipt(request)).unwrap() {
        Begun::Ours(receipt) => receipt,
        other => panic!("{other:?}"),
    }
}

fn before(memory: &Memory, request: u8) -> Receipt {
    match begin(memory, KEY, receipt(request)).unwrap() {
        Begun::Before(receipt) => receipt,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_sends_and_the_second_gets_its_reply_byte_for_byte() {
    let memory = Memory::default();
    let begun = ours(&memory, 1);
    let second = before(&memory, 1);
    assert_eq!(second.state(at(101)), State::UnderWay);
    assert!(finish(&memory, KEY, &begun, reply()).unwrap());
    assert!(finish(&memory, KEY, &begun, reply()).unwrap(), "and again");
    let third = before(&memory, 1);
    assert_eq!(third.state(at(101)), State::Done);
    assert_eq!(third.reply().unwrap().get(), reply().get());
    assert_eq!(third.sending().count(), 0);
}

#[test]
fn nobody_is_at_what_another_process_began_where_one_has_the_store() {
    let memory = Memory::default();
    let begun = receipt(1).by_process(Some("first".into()));
    assert!(matches!(
        begin(&memory, KEY, begun).unwrap(),
        Begun::Ours(_)
    ));
    let state = |boot| {
        let found = look_up(&memory, KEY).unwrap().unwrap();
        found.seen_by_the_only(boot).state(at(101))
    };
    assert_eq!(state("first"), State::UnderWay);
    assert_eq!(state("second"), State::Interrupted);
    // Of a platform that tells nothing apart, nothing is known.
    let found = receipt(1).seen_by_the_only("second");
    assert_eq!(found.state(at(101)), State::UnderWay);
}

#[test]
fn another_request_under_the_same_key_is_noticed() {
    let memory = Memory::default();
    ours(&memory, 1);
    let other = begin(&memory, KEY, receipt(2)).unwrap();
    assert!(matches!(other, Begun::OtherRequest));
}

#[test]
fn one_that_nobody_can_be_at_is_interrupted_and_says_what_may_have_been_sent() {
    let memory = Memory::default();
    ours(&memory, 1);
    let found = look_up(&memory, KEY).unwrap().unwrap();
    let last = 100 + TIMEOUT.as_secs() + GRACE.as_secs();
    assert_eq!(found.state(at(last)), State::UnderWay);
    assert_eq!(found.state(at(last + 1)), State::Interrupted);
    let sending: Vec<_> = found.sending().collect();
    assert_eq!(sending.len(), 1);
    assert_eq!(sending[0].0, "a1".repeat(32));
    // And it stays so: the key is not free again.
    assert!(matches!(
        begin(&memory, KEY, receipt(1)).unwrap(),
        Begun::Before(_)
    ));
}

#[test]
fn a_reply_that_comes_after_the_sweep_is_not_put_back() {
    let memory = Memory::default();
    let begun = ours(&memory, 1);
    memory.put(KEY, b"");
    assert!(!finish(&memory, KEY, &begun, reply()).unwrap());
}

#[test]
fn the_sweep_takes_receipts_that_are_old_and_never_one_under_way() {
    let memory = Memory::default();
    let keep = Duration::from_secs(1_000);
    assert_eq!(is_expired(&memory, "d/x", keep, at(0)).unwrap(), None);
    ours(&memory, 1);
    let of = |keep, now| is_expired(&memory, KEY, keep, at(now)).unwrap();
    assert_eq!(of(keep, 1_100), Some(false));
    assert_eq!(of(keep, 1_101), Some(true));
    assert_eq!(of(Duration::ZERO, 160), Some(false));
    assert_eq!(of(Duration::ZERO, 161), Some(true));
}

#[test]
fn what_cannot_be_read_is_an_error_and_shows_nothing_of_it() {
    let memory = Memory::default();
    for bytes in [&b"{"[..], b"{\"v\":1,\"request\":\"secret\"}", b"null"] {
        memory.put(KEY, bytes);
        let error = look_up(&memory, KEY).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn a_receipt_of_a_broadcast_is_read_as_it_was_written() {
    let memory = Memory::default();
    let channel = ChannelId::parse("YQ==").unwrap();
    let id = ApnsId::from_random([1; 16]);
    let made = || Receipt::of_broadcast(&[1; 32], (&channel, id), at(100), TIMEOUT);
    assert!(matches!(
        begin(&memory, KEY, made()).unwrap(),
        Begun::Ours(_)
    ));
    let found = look_up(&memory, KEY).unwrap().unwrap();
    assert_eq!(found.broadcast(), Some(("YQ==", id.to_string().as_str())));
    assert_eq!(
        (found.sending().count(), found.state(at(101))),
        (0, State::UnderWay)
    );
    assert!(finish(&memory, KEY, &made(), reply()).unwrap());
    let found = look_up(&memory, KEY).unwrap().unwrap();
    assert_eq!(
        (found.broadcast(), found.state(at(101))),
        (None, State::Done)
    );
    // One of before there were any is read all the same.
    assert_eq!(receipt(1).broadcast(), None);
}
