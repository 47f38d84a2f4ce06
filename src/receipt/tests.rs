//! Receipts from the first request to the sweep.

use core::cell::RefCell;
use core::convert::Infallible;
use core::time::Duration;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::record::GRACE;
use super::*;
use crate::notification::{ApnsId, ChannelId, DeviceToken, Topic};
use crate::registry::replay::{Memory, ready};
use crate::registry::{Failure, Swap, Swapped, Values};
use crate::time::UnixTime;

const TIMEOUT: Duration = Duration::from_secs(30);
const KEY: &str = "i/key";

// The calls, on a store that nobody waits for.

fn begin<V: Values>(values: &V, key: &str, receipt: Receipt) -> Result<Begun, Failure<V::Error>> {
    ready(super::begin(values, key, receipt))
}

fn finish<V: Values>(
    values: &V,
    key: &str,
    receipt: &Receipt,
    reply: Box<RawValue>,
) -> Result<bool, Failure<V::Error>> {
    ready(super::finish(values, key, receipt, reply))
}

fn look_up<V: Values>(values: &V, key: &str) -> Result<Option<Receipt>, Failure<V::Error>> {
    ready(super::look_up(values, key))
}

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
    assert_eq!(second.state(at(101)), ReceiptState::UnderWay);
    assert!(finish(&memory, KEY, &begun, reply()).unwrap());
    assert!(finish(&memory, KEY, &begun, reply()).unwrap(), "and again");
    let third = before(&memory, 1);
    assert_eq!(third.state(at(101)), ReceiptState::Done);
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
    assert_eq!(state("first"), ReceiptState::UnderWay);
    assert_eq!(state("second"), ReceiptState::Interrupted);
    // Of a platform that tells nothing apart, nothing is known.
    let found = receipt(1).seen_by_the_only("second");
    assert_eq!(found.state(at(101)), ReceiptState::UnderWay);
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
    assert_eq!(found.state(at(last)), ReceiptState::UnderWay);
    assert_eq!(found.state(at(last + 1)), ReceiptState::Interrupted);
    let sending: Vec<_> = found.sending().collect();
    assert_eq!(sending.len(), 1);
    assert_eq!((sending[0].0, sending[0].1), (0, &*"a1".repeat(32)));
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
    assert_eq!(is_expired("d/x", None, keep, at(0)), Ok(None));
    ours(&memory, 1);
    let stored = memory.get(KEY);
    let of = |keep, now| is_expired(KEY, stored.as_deref(), keep, at(now)).unwrap();
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
        (0, ReceiptState::UnderWay)
    );
    assert!(finish(&memory, KEY, &made(), reply()).unwrap());
    let found = look_up(&memory, KEY).unwrap().unwrap();
    assert_eq!(
        (found.broadcast(), found.state(at(101))),
        (None, ReceiptState::Done)
    );
    // One of before there were any is read all the same.
    assert_eq!(receipt(1).broadcast(), None);
}

/// A store that takes values as large as every store does, and no larger.
#[derive(Default)]
struct Bounded(RefCell<BTreeMap<String, Vec<u8>>>);

impl Values for Bounded {
    type Error = Infallible;

    async fn get_many(&self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, Infallible> {
        Ok(keys.iter().map(|key| self.get(key)).collect())
    }

    async fn swap_many(&self, swaps: Vec<Swap>) -> Result<Vec<Swapped>, Infallible> {
        let swapped = swaps.into_iter().map(|Swap { key, expected, new }| {
            let new = new.unwrap();
            assert!(new.len() <= 1024 * 1024, "{} bytes", new.len());
            assert!(key.len() <= 255, "{} bytes", key.len());
            let mut values = self.0.borrow_mut();
            let value = values.get(&key);
            if value != expected.as_ref() {
                return Swapped::Lost(value.cloned());
            }
            values.insert(key, new);
            Swapped::Done
        });
        Ok(swapped.collect())
    }
}

impl Bounded {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.0.borrow().get(key).cloned()
    }

    fn keys(&self) -> Vec<String> {
        self.0.borrow().keys().cloned().collect()
    }

    fn delete(&self, keys: impl Iterator<Item = String>) {
        keys.for_each(|key| drop(self.0.borrow_mut().remove(&key)));
    }
}

/// As many devices as have the bytes of [`MAX_DEVICES`] with tokens of 512 bytes.
const DEVICES: usize = 5 * MAX_DEVICES;

/// A receipt for so many devices; `request` tells one from another, and so does `at`.
fn large_receipt(key: &IdempotencyKey, request: u8, at: UnixTime) -> Receipt {
    let topic = Topic::parse("com.example.app").unwrap();
    let sending = (0..DEVICES).map(|n| {
        let mut bytes = [0xa1; crate::limits::DEVICE_TOKEN_MAX_BYTES];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        let token = DeviceToken::from_bytes(&bytes).unwrap();
        let id = key.apns_id(&topic, &token);
        (token, id)
    });
    Receipt::new(&[request; 32], sending, at, TIMEOUT)
}

fn large_reply() -> Box<RawValue> {
    let result = format!("\"{}\u{fc}\"", "x".repeat(2_000));
    let results = vec![result; MAX_DEVICES].join(" ,\n");
    RawValue::from_string(format!("[{results}]")).unwrap()
}

#[test]
fn a_reply_larger_than_a_value_of_the_store_is_repeated_byte_for_byte() {
    let values = Bounded::default();
    let key = IdempotencyKey::parse("server", "k").unwrap();
    let place = key.receipt_key();
    let begin_again = || begin(&values, &place, large_receipt(&key, 1, at(100))).unwrap();
    let Begun::Ours(begun) = begin_again() else {
        panic!("not ours");
    };
    let before = look_up(&values, &place).unwrap().unwrap();
    assert_eq!(before.sending().count(), DEVICES);
    assert_eq!(before.state(at(101)), ReceiptState::UnderWay);
    assert!(before.is_of(&[1; 32]));

    assert!(finish(&values, &place, &begun, large_reply()).unwrap());
    assert!(
        finish(&values, &place, &begun, large_reply()).unwrap(),
        "and again"
    );
    values.delete(begun.part_keys(&place));
    let Begun::Before(found) = begin_again() else {
        panic!("ours, or of another");
    };
    assert_eq!(found.state(at(1_000)), ReceiptState::Done);
    assert_eq!(found.reply().unwrap().get(), large_reply().get());
    let other = begin(&values, &place, large_receipt(&key, 2, at(100))).unwrap();
    assert!(matches!(other, Begun::OtherRequest));
}

#[test]
fn a_large_receipt_that_was_interrupted_names_every_device() {
    let values = Bounded::default();
    let key = IdempotencyKey::parse("server", "k").unwrap();
    let place = key.receipt_key();
    let expected = large_receipt(&key, 1, at(100));
    begin(&values, &place, large_receipt(&key, 1, at(100))).unwrap();
    // One that was not faster leaves the parts of the one that was alone.
    let second = begin(&values, &place, large_receipt(&key, 1, at(101))).unwrap();
    assert!(matches!(second, Begun::Before(_)));
    let found = look_up(&values, &place).unwrap().unwrap();
    assert_eq!(found.state(at(1_000)), ReceiptState::Interrupted);
    assert!(found.sending().eq(expected.sending()));
}

#[test]
fn a_large_receipt_leaves_nothing_behind() {
    let key = IdempotencyKey::parse("server", "k").unwrap();
    let place = key.receipt_key();
    // Given back.
    let values = Bounded::default();
    let receipt = large_receipt(&key, 1, at(100));
    begin(&values, &place, large_receipt(&key, 1, at(100))).unwrap();
    assert!(values.keys().len() > 1);
    assert!(values.keys().iter().skip(1).all(|key| is_part(key)));
    assert!(!is_part(&place));
    let all = core::iter::once(place.clone()).chain(receipt.part_keys(&place));
    values.delete(all);
    assert_eq!(values.keys(), Vec::<String>::new());
    // Swept, the parts that a crash has left without a receipt, too.
    begin(&values, &place, receipt).unwrap();
    values.delete(core::iter::once(place.clone()));
    begin(&values, &place, large_receipt(&key, 1, at(500))).unwrap();
    let keep = Duration::from_secs(1_000);
    let sweep = |now| {
        for one in values.keys() {
            let stored = values.get(&one);
            if is_expired(&one, stored.as_deref(), keep, at(now)) == Ok(Some(true)) {
                values.delete(core::iter::once(one));
            }
        }
        values.keys().len()
    };
    let all = sweep(1_100);
    assert!(sweep(1_101) < all);
    assert!(look_up(&values, &place).unwrap().is_some());
    assert_eq!(sweep(1_501), 0);
}

#[test]
fn a_receipt_whose_parts_were_just_replaced_is_read_again() {
    /// The reply comes when the first part is asked for.
    struct Replaced(Bounded, RefCell<Option<Bounded>>);
    impl Values for Replaced {
        type Error = Infallible;
        async fn get_many(&self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, Infallible> {
            if keys.iter().any(|key| is_part(key))
                && let Some(after) = self.1.take()
            {
                self.0.0.swap(&after.0);
            }
            self.0.get_many(keys).await
        }
        async fn swap_many(&self, swaps: Vec<Swap>) -> Result<Vec<Swapped>, Infallible> {
            Ok(swaps.iter().map(|_| Swapped::Lost(None)).collect())
        }
    }
    let key = IdempotencyKey::parse("server", "k").unwrap();
    let place = key.receipt_key();
    let values = Bounded::default();
    begin(&values, &place, large_receipt(&key, 1, at(100))).unwrap();
    let after = Bounded(RefCell::new(values.0.borrow().clone()));
    let begun = large_receipt(&key, 1, at(100));
    finish(&after, &place, &begun, large_reply()).unwrap();
    after.delete(begun.part_keys(&place));
    let values = Replaced(values, RefCell::new(Some(after)));
    let found = look_up(&values, &place).unwrap().unwrap();
    assert_eq!(found.state(at(1_000)), ReceiptState::Done);
    // A part that is gone for good is an error, and no reply that lacks something.
    let parts: Vec<_> = values
        .0
        .keys()
        .into_iter()
        .filter(|key| is_part(key))
        .collect();
    values.0.delete(parts.into_iter().take(1));
    assert!(look_up(&values, &place).is_err());
}
