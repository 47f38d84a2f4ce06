//! The interface as a function sees it.

use super::*;
use crate::store::tests::in_trouble;

const MIB: usize = 1024 * 1024;

fn entry(key: impl Into<String>, value: &[u8]) -> Entry {
    Entry {
        key: key.into(),
        value: Some(value.to_vec()),
    }
}

fn swap(key: &str, expected: Option<&[u8]>, value: Option<&[u8]>) -> GuestSwap {
    GuestSwap {
        key: key.to_owned(),
        expected: expected.map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
    }
}

fn keys<const N: usize>(keys: [&str; N]) -> Vec<String> {
    keys.map(str::to_owned).into()
}

/// The text of a refusal that is not about the disk.
fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result.unwrap_err() {
        Error::Other(why) => why,
        Error::Unavailable(why) => panic!("the disk: {why}"),
    }
}

#[tokio::test]
async fn values_come_in_the_order_of_their_keys() {
    let store = Store::memory();
    put_many(
        &store,
        vec![entry("a", b"1"), entry("b", b""), entry("a", b"2")],
    )
    .unwrap();
    let values = get_many(&store, keys(["b", "a", "none", "a"])).await;
    let two = || Some(b"2".to_vec());
    assert_eq!(values.unwrap(), [None, two(), None, two()]);
    put_many(
        &store,
        vec![Entry {
            key: "a".to_owned(),
            value: None,
        }],
    )
    .unwrap();
    assert_eq!(get_many(&store, keys(["a"])).await.unwrap(), [None]);
    assert!(get_many(&store, Vec::new()).await.unwrap().is_empty());
}

#[tokio::test]
async fn each_swap_has_an_outcome() {
    let store = Store::memory();
    let swaps = vec![
        swap("k", None, Some(b"1")),
        swap("k", Some(b"1"), Some(b"2")),
        swap("k", None, Some(b"3")),
        swap("k", Some(b"2"), None),
        swap("k", Some(b""), Some(b"4")),
    ];
    let outcomes = swap_many(&store, swaps).await.unwrap();
    let [
        Outcome::Done,
        Outcome::Done,
        Outcome::Lost(lost),
        Outcome::Done,
        Outcome::Done,
    ] = &*outcomes
    else {
        panic!("{outcomes:?}");
    };
    assert_eq!(lost.as_deref(), Some(&b"2"[..]));
}

#[tokio::test]
async fn a_call_beyond_its_bounds_is_refused_and_nothing_of_it_is_done() {
    let store = Store::memory();
    let too_many = |key: &str| vec![key.to_owned(); STORE_CALL_MAX_KEYS + 1];
    let why = refused(get_many(&store, too_many("k")).await);
    assert_eq!(why, "a call: expected 0 to 1024 keys, got 1025");
    let why = refused(get_many(&store, vec!["k".repeat(256)]).await);
    assert_eq!(why, "a key: expected 1 to 255 bytes, got 256");
    let why = refused(get_many(&store, keys(["k", ""])).await);
    assert_eq!(why, "a key: expected 1 to 255 bytes, got 0");

    let too_large = vec![1; MIB + 1];
    let why = refused(put_many(
        &store,
        vec![entry("a", b"1"), entry("b", &too_large)],
    ));
    assert_eq!(why, "a value: expected 0 to 1048576 bytes, got 1048577");
    let why = refused(swap_many(&store, vec![swap("a", Some(&too_large), None)]).await);
    assert_eq!(why, "a value: expected 0 to 1048576 bytes, got 1048577");
    let largest = vec![1; MIB];
    let more = "a call: expected at most 16 MiB of keys and values, got more";
    let entries = (0..16).map(|n| entry(n.to_string(), &largest));
    assert_eq!(refused(put_many(&store, entries.collect())), more);
    let swaps = (0..8).map(|_| swap("a", Some(&largest), Some(&largest)));
    assert_eq!(refused(swap_many(&store, swaps.collect()).await), more);
    let entries = (0..=STORE_CALL_MAX_KEYS).map(|n| entry(n.to_string(), b"1"));
    assert!(refused(put_many(&store, entries.collect())).contains("1025"));
    assert!(store.keys_after(None).await.unwrap().keys.is_empty());

    let longest = "k".repeat(255);
    let entries = (0..15).map(|_| entry(longest.clone(), &largest));
    put_many(&store, entries.collect()).unwrap();
    let all = vec![longest; STORE_CALL_MAX_KEYS];
    assert_eq!(get_many(&store, all).await.unwrap().len(), 16, "16 MiB");
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_told_from_everything_else() {
    let store = in_trouble().await;
    let Err(Error::Unavailable(why)) = durable(&store).await else {
        panic!("nothing is durable");
    };
    assert!(why.starts_with(dunlin::limits::STORE_UNAVAILABLE), "{why}");
    // What is there is read, and what is written is kept, up to a bound.
    let values = get_many(&store, keys(["there", "lost"])).await.unwrap();
    assert_eq!(values, [Some(vec![1]), Some(vec![1])]);
    let value = vec![1; MIB];
    let full = (0..70).find_map(|n| put_many(&store, vec![entry(n.to_string(), &value)]).err());
    assert!(matches!(full, Some(Error::Unavailable(_))), "{full:?}");
    let swaps = vec![swap("69", None, Some(&value))];
    let swapped = swap_many(&store, swaps).await;
    assert!(matches!(swapped, Err(Error::Unavailable(_))), "{swapped:?}");
}

#[tokio::test]
async fn a_store_in_memory_is_as_durable_as_it_gets() {
    assert!(durable(&Store::memory()).await.is_ok());
}
