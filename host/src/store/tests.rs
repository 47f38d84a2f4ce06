//! The store through its public surface, in memory and on disk.

use super::*;

fn on_disk() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("deep/store.redb")).unwrap();
    (folder, store)
}

#[test]
fn reads_see_writes_at_once() {
    for store in [Store::memory(), on_disk().1] {
        assert_eq!(store.get("a").unwrap(), None);
        store.put("a", Some(b"1".to_vec())).unwrap();
        assert_eq!(store.get("a").unwrap().as_deref(), Some(&b"1"[..]));
        store.put("a", None).unwrap();
        assert_eq!(store.get("a").unwrap(), None);
    }
}

#[tokio::test]
async fn many_are_read_at_once_wherever_they_are() {
    let (_folder, store) = on_disk();
    let one = |n: u8| Some(vec![n]);
    for n in 0..3 {
        store.put(&format!("k{n}"), one(n)).unwrap();
    }
    store.durable(store.written()).await.unwrap();
    store.put("k1", one(9)).unwrap();
    store.put("k2", None).unwrap();
    let keys = ["k0", "k1", "k2", "none"].map(str::to_owned);
    let expected = vec![one(0), one(9), None, None];
    assert_eq!(store.get_many(&keys).unwrap(), expected);
    assert_eq!(store.get_many(&keys).unwrap(), expected, "and again");
    store.put("k0", one(5)).unwrap();
    store.durable(store.written()).await.unwrap();
    assert_eq!(store.get_many(&keys[..1]).unwrap(), [one(5)]);
}

#[test]
fn what_was_read_is_not_remembered_beyond_the_next_write() {
    let (_folder, store) = on_disk();
    for n in 0..50_u8 {
        let before = store.get("k").unwrap();
        assert_eq!(before, n.checked_sub(1).map(|n| vec![n]));
        let swapped = store.compare_and_swap("k", before.as_deref(), vec![n]);
        assert_eq!(swapped.unwrap(), Swap::Done);
    }
}

#[test]
fn swap_compares_with_the_present_value() {
    for store in [Store::memory(), on_disk().1] {
        assert_eq!(
            store.compare_and_swap("k", None, b"1".to_vec()).unwrap(),
            Swap::Done
        );
        let stale = store.compare_and_swap("k", None, b"2".to_vec()).unwrap();
        assert_eq!(stale, Swap::Changed(Some(b"1".to_vec())));
        let swapped = store
            .compare_and_swap("k", Some(b"1"), b"2".to_vec())
            .unwrap();
        assert_eq!(swapped, Swap::Done);
    }
}

#[test]
fn counters_count_and_refuse_what_is_none() {
    let store = Store::memory();
    assert_eq!(store.increment("n", 5).unwrap(), 5);
    assert_eq!(store.increment("n", -7).unwrap(), -2);
    store.put("n", Some(b"x".to_vec())).unwrap();
    assert_eq!(store.increment("n", 1), Err(StoreError::NotACounter));
    store
        .put("n", Some(i64::MAX.to_string().into_bytes()))
        .unwrap();
    assert_eq!(store.increment("n", 1), Err(StoreError::NotACounter));
}

#[tokio::test]
async fn what_is_durable_survives_a_restart() {
    let (folder, store) = on_disk();
    store.put("kept", Some(b"yes".to_vec())).unwrap();
    store.durable(store.written()).await.unwrap();
    store.close();
    drop(store);
    let store = Store::open(&folder.path().join("deep/store.redb")).unwrap();
    assert_eq!(store.get("kept").unwrap().as_deref(), Some(&b"yes"[..]));
}

#[test]
fn closing_commits_what_is_pending() {
    let (folder, store) = on_disk();
    for n in 0..100 {
        store.put(&format!("k{n}"), Some(vec![1])).unwrap();
    }
    store.close();
    drop(store);
    let store = Store::open(&folder.path().join("deep/store.redb")).unwrap();
    assert_eq!(store.list(None).unwrap().keys.len(), 100);
}

#[test]
fn a_second_process_on_the_same_file_is_refused() {
    let (folder, _store) = on_disk();
    let second = Store::open(&folder.path().join("deep/store.redb"));
    assert!(matches!(second, Err(StoreError::InUse)));
}

#[tokio::test]
async fn listing_pages_through_memory_and_disk() {
    let (_folder, store) = on_disk();
    for n in 0..1_500 {
        store.put(&format!("k{n:05}"), Some(vec![1])).unwrap();
    }
    store.durable(store.written()).await.unwrap();
    store.put("k00003", None).unwrap();
    store.put("k99999", Some(vec![1])).unwrap();
    let first = store.list(None).unwrap();
    assert_eq!(first.keys.len(), LIST_PAGE);
    assert!(!first.keys.contains(&"k00003".to_owned()));
    let second = store.list(first.next.as_deref()).unwrap();
    assert_eq!(second.next, None);
    assert_eq!(first.keys.len() + second.keys.len(), 1_500);
    assert_eq!(second.keys.last().map(String::as_str), Some("k99999"));
}

#[test]
fn writes_beyond_the_bound_are_refused() {
    // A store whose commit thread never runs stands for a disk that does not keep up.
    let mut state = State::default();
    let (_folder, store) = on_disk();
    let value = vec![0; MAX_PENDING_BYTES / 2];
    store
        .shared
        .write(&mut state, "a", Some(value.clone()))
        .unwrap();
    let refused = store.shared.write(&mut state, "b", Some(value));
    assert_eq!(refused, Err(StoreError::Behind));
}
