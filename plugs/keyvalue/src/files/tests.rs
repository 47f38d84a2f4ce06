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
    store.put("d/a", Some(b"1")).unwrap();
    store.put("d/a", Some(b"2")).unwrap();
    store.put("d/b", Some(b"")).unwrap();
    let other = open(folder.path());
    assert_eq!(value(&other, "d/a").as_deref(), Some(&b"2"[..]));
    assert_eq!(value(&other, "d/b").as_deref(), Some(&b""[..]));
    other.put("d/a", None).unwrap();
    other.put("d/a", None).unwrap();
    other.put("nothing", None).unwrap();
    assert_eq!(value(&store, "d/a"), None);
}

#[test]
fn a_swap_is_lost_to_whoever_was_faster() {
    let (folder, store) = store();
    let other = open(folder.path());
    assert_eq!(store.swap("k", None, Some(b"1")).unwrap(), Swap::Done);
    assert!(other.swap("k", None, Some(b"2")).unwrap() == Swap::Lost(Some(b"1".to_vec())));
    assert_eq!(other.swap("k", Some(b"1"), Some(b"2")).unwrap(), Swap::Done);
    store.put("k", None).unwrap();
    assert!(other.swap("k", Some(b"2"), Some(b"3")).unwrap() == Swap::Lost(None));
    // Nothing is as good as an empty value.
    assert_eq!(store.swap("k", Some(b""), Some(b"")).unwrap(), Swap::Done);
    assert_eq!(other.swap("k", None, Some(b"3")).unwrap(), Swap::Done);
    assert!(store.swap("k", None, None).unwrap() == Swap::Lost(Some(b"3".to_vec())));
    assert_eq!(store.swap("k", Some(b"3"), None).unwrap(), Swap::Done);
    assert_eq!(value(&other, "k"), None);
    let left = fs::read_dir(folder.path().join(NEW)).unwrap().count();
    assert_eq!(left, 0, "what was lost is not left behind");
}

/// Appends a byte, however many others do so too.
fn append(store: &Files, key: &str) {
    let mut current = value(store, key);
    loop {
        let longer = [current.as_deref().unwrap_or_default(), b"x"].concat();
        match store.swap(key, current.as_deref(), Some(&longer)).unwrap() {
            Swap::Done => break,
            Swap::Lost(newest) => current = newest,
        }
    }
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
                    append(&store, "n");
                }
            });
        }
    });
    assert_eq!(value(&store, "n"), Some(vec![b'x'; 100]));
}

#[test]
fn a_listing_gives_every_key_once_page_by_page() {
    let (_folder, store) = store();
    let keys: BTreeSet<String> = (0..600).map(|n| format!("k/{n}")).collect();
    for key in &keys {
        store.put(key, Some(b"v")).unwrap();
    }
    store.put("gone", Some(b"v")).unwrap();
    store.put("gone", None).unwrap();
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
    store.put("k", Some(b"value")).unwrap();
    let file = store.place("k").file;
    let mut bytes = fs::read(&file).unwrap();
    bytes.truncate(bytes.len() - 1);
    fs::write(&file, bytes).unwrap();
    let error = store.get("k").unwrap_err().to_string();
    assert!(error.contains("damaged"), "{error}");
    assert!(store.swap("k", None, Some(b"new")).is_err());
    store.put("k", Some(b"new")).unwrap();
    assert_eq!(value(&store, "k").as_deref(), Some(&b"new"[..]));
}

#[test]
fn the_longest_key_and_the_largest_value_are_kept() {
    let (_folder, store) = store();
    let longest = "k".repeat(crate::KEY_MAX_BYTES);
    let largest = vec![7; crate::VALUE_MAX_BYTES];
    store.put(&longest, Some(&largest)).unwrap();
    assert_eq!(value(&store, &longest), Some(largest));
    assert_eq!(store.list(None).unwrap().keys, [longest]);
}
