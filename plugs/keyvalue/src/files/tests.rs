//! A folder as a store: what it holds, what it survives, and what several instances do to it.

use std::collections::BTreeSet;
use std::thread;

use super::*;

fn open(folder: &Path) -> Files {
    Files::open(folder, SystemTime::now()).unwrap()
}

fn store() -> (tempfile::TempDir, Files) {
    let folder = tempfile::tempdir().unwrap();
    let files = open(folder.path());
    (folder, files)
}

fn value(store: &Files, key: &str) -> Option<Vec<u8>> {
    store.get(key).unwrap()
}

#[test]
fn what_was_written_is_there_in_another_instance() {
    let (folder, store) = store();
    assert_eq!(value(&store, "d/a"), None);
    store.set("d/a", b"1").unwrap();
    store.set("d/a", b"2").unwrap();
    store.set("d/b", b"").unwrap();
    let other = open(folder.path());
    assert_eq!(value(&other, "d/a").as_deref(), Some(&b"2"[..]));
    assert_eq!(value(&other, "d/b").as_deref(), Some(&b""[..]));
    other.delete("d/a").unwrap();
    other.delete("d/a").unwrap();
    other.delete("nothing").unwrap();
    assert_eq!(value(&store, "d/a"), None);
    assert!(!store.exists("d/a").unwrap());
}

#[test]
fn a_swap_is_lost_to_whoever_was_faster() {
    let (folder, store) = store();
    let other = open(folder.path());
    assert_eq!(store.swap("k", None, b"1").unwrap(), Swap::Done);
    assert!(other.swap("k", None, b"2").unwrap() == Swap::Lost(Some(b"1".to_vec())));
    assert_eq!(other.swap("k", Some(b"1"), b"2").unwrap(), Swap::Done);
    store.delete("k").unwrap();
    assert!(other.swap("k", Some(b"2"), b"3").unwrap() == Swap::Lost(None));
    let left = fs::read_dir(folder.path().join(NEW)).unwrap().count();
    assert_eq!(left, 0, "what was lost is not left behind");
}

#[test]
fn of_many_writers_of_one_key_none_is_lost() {
    let (folder, store) = store();
    thread::scope(|scope| {
        for _ in 0..4 {
            let folder = folder.path();
            scope.spawn(move || {
                let store = open(folder);
                for _ in 0..25 {
                    store.increment("n", 1).unwrap();
                }
            });
        }
    });
    assert_eq!(value(&store, "n").as_deref(), Some(&b"100"[..]));
    assert_eq!(store.increment("n", -101).unwrap(), -1);
    store.set("n", b"x").unwrap();
    assert!(store.increment("n", 1).is_err());
}

#[test]
fn a_listing_gives_every_key_once_page_by_page() {
    let (_folder, store) = store();
    let keys: BTreeSet<String> = (0..600).map(|n| format!("k/{n}")).collect();
    for key in &keys {
        store.set(key, b"v").unwrap();
    }
    store.set("gone", b"v").unwrap();
    store.delete("gone").unwrap();
    let (mut seen, mut pages, mut cursor) = (Vec::new(), 0, None);
    loop {
        let page = store.list(cursor.as_deref()).unwrap();
        seen.extend(page.keys);
        pages += 1;
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert!(pages > 1);
    assert_eq!(seen.len(), keys.len());
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), keys);
}

#[test]
fn what_a_crash_left_behind_is_cleared_away_after_a_while() {
    let (folder, store) = store();
    let left = store.write_aside(b"half").unwrap();
    open(folder.path());
    assert!(left.exists(), "somebody may be at it");
    Files::open(folder.path(), SystemTime::now() + LEFT_FOR * 2).unwrap();
    assert!(!left.exists());
}

#[test]
fn a_damaged_file_is_an_error_and_not_an_absent_key() {
    let (_folder, store) = store();
    store.set("k", b"value").unwrap();
    let file = store.place("k").file;
    let mut bytes = fs::read(&file).unwrap();
    bytes.truncate(bytes.len() - 1);
    fs::write(&file, bytes).unwrap();
    let error = store.get("k").unwrap_err().to_string();
    assert!(error.contains("damaged"), "{error}");
    assert!(store.swap("k", None, b"new").is_err());
    store.set("k", b"new").unwrap();
    assert_eq!(value(&store, "k").as_deref(), Some(&b"new"[..]));
}

#[test]
fn keys_and_values_have_bounds() {
    let (_folder, store) = store();
    let (longest, largest) = ("k".repeat(255), vec![7; 1 << 20]);
    store.set(&longest, &largest).unwrap();
    assert_eq!(value(&store, &longest), Some(largest));
    assert!(store.set(&"k".repeat(256), b"").is_err());
    assert!(store.set("k", &vec![0; (1 << 20) + 1]).is_err());
}

#[test]
fn many_at_once_are_those_one_by_one() {
    let (_folder, store) = store();
    let values = [("a", "1"), ("b", "2")].map(|(key, value)| (key.to_owned(), value.into()));
    store.set_many(&values).unwrap();
    store.set_many(&[]).unwrap();
    let keys = ["b", "x", "a"].map(str::to_owned);
    let expected = [Some(b"2".to_vec()), None, Some(b"1".to_vec())];
    assert!(store.get_many(&keys).unwrap() == expected);
    store.delete_many(&keys).unwrap();
    assert!(store.list(None).unwrap().keys.is_empty());
}
