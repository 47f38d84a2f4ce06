//! The lists without a socket: what is read, what is cleared, what stays.

use super::*;
use crate::ids::hex;

const TOPIC: &str = "com.example.app";

fn lists(tokens: &[&[u8]]) -> Lists {
    let mut lists = Lists::default();
    for token in tokens {
        lists.add(TOPIC, token, 7).unwrap();
    }
    lists
}

fn sent(reading: &Reading) -> String {
    hex(&reading.segments.concat())
}

#[test]
fn tuples_are_those_of_other_libraries() {
    // jchambers/pushy, FeedbackServiceConnectionTest: tokens of five bytes.
    let mut lists = Lists::default();
    let since_s = 1_375_760_188;
    lists
        .add(TOPIC, &[0x61, 0x2c, 0x20, 0x10, 0x10], since_s)
        .unwrap();
    lists
        .add(TOPIC, &[0x4d, 0x3e, 0x28, 0x1e, 0x08], since_s)
        .unwrap();
    let reading = lists.begin(TOPIC.into());
    assert_eq!(
        sent(&reading),
        "52006f3c0005612c20101052006f3c00054d3e281e08"
    );
}

#[test]
fn a_list_that_was_read_is_cleared_and_one_that_was_not_stays() {
    let mut lists = lists(&[b"a", b"b"]);
    for (is_read, left) in [(false, 2), (true, 0)] {
        let reading = lists.begin(TOPIC.into());
        assert_eq!(sent(&reading), "0000000700016100000007000162");
        lists.finish(&reading, is_read);
        assert_eq!(lists.stats(TOPIC).pending, left);
    }
    assert_eq!(lists.bytes, 0);
    assert!(lists.begin(TOPIC.into()).segments.is_empty());
}

#[test]
fn what_is_added_during_a_read_stays() {
    let mut lists = lists(&[b"a"]);
    let reading = lists.begin(TOPIC.into());
    lists.add(TOPIC, b"b", 7).unwrap();
    lists.finish(&reading, true);
    assert_eq!(lists.stats(TOPIC).pending, 1);
    assert_eq!(sent(&lists.begin(TOPIC.into())), "00000007000162");
}

#[test]
fn two_that_read_at_once_clear_only_what_they_both_saw() {
    let mut lists = lists(&[b"a"]);
    let first = lists.begin(TOPIC.into());
    lists.add(TOPIC, b"b", 7).unwrap();
    let second = lists.begin(TOPIC.into());
    lists.add(TOPIC, b"c", 7).unwrap();
    assert_eq!(sent(&second), "0000000700016100000007000162");
    lists.finish(&second, true);
    lists.finish(&first, true);
    assert_eq!(sent(&lists.begin(TOPIC.into())), "00000007000163");
    let stats = lists.stats(TOPIC);
    assert_eq!((stats.reads, stats.completed), (3, 2));
    assert_eq!((stats.open, stats.most_open, stats.pending), (1, 2, 1));
}

#[test]
fn a_list_cleared_while_it_is_read_keeps_what_comes_after() {
    let mut lists = lists(&[b"a", b"b"]);
    let reading = lists.begin(TOPIC.into());
    lists.clear();
    lists.add(TOPIC, b"c", 7).unwrap();
    let later = lists.begin(TOPIC.into());
    lists.finish(&reading, true);
    assert_eq!(sent(&later), "00000007000163");
    assert_eq!(lists.stats(TOPIC).pending, 1);
}

#[test]
fn topics_do_not_share_a_list() {
    let mut lists = lists(&[b"a"]);
    lists.add("com.example.other", b"b", 7).unwrap();
    let reading = lists.begin("com.example.other".into());
    assert_eq!(sent(&reading), "00000007000162");
    lists.finish(&reading, true);
    let pending: Vec<_> = lists
        .all()
        .map(|(topic, stats)| (topic, stats.pending))
        .collect();
    assert_eq!(pending, [(TOPIC, 1), ("com.example.other", 0)]);
}

#[test]
fn lists_topics_and_tokens_are_bounded() {
    let mut lists = Lists::default();
    let large = vec![0; usize::from(u16::MAX)];
    let too_large = vec![0; large.len() + 1];
    assert_eq!(
        lists.add(TOPIC, &too_large, 7),
        Err(FeedbackError::Token { length: 65_536 })
    );
    while lists.bytes + TUPLE_HEADER + large.len() <= MAX_FEEDBACK_BYTES {
        lists.add(TOPIC, &large, 7).unwrap();
    }
    assert_eq!(lists.add(TOPIC, &large, 7), Err(FeedbackError::Full));
    lists.clear();
    assert_eq!(lists.add(TOPIC, &large, 7), Ok(()));

    for number in 1..MAX_FEEDBACK_TOPICS {
        lists.add(&format!("topic{number}"), b"a", 7).unwrap();
    }
    assert_eq!(lists.add("one.more", b"a", 7), Err(FeedbackError::Topics));
    assert_eq!(lists.add(TOPIC, b"a", 7), Ok(()));
    let reading = lists.begin("one.more".into());
    assert!(reading.segments.is_empty());
    lists.finish(&reading, true);
}
