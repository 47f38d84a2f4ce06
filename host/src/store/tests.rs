//! The store through its public surface, in memory and on disk.

use std::sync::atomic::Ordering;

use super::disk::Disk;
use super::disk::tests::Fake;
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
    let mut state = StoreState::default();
    let (_folder, store) = on_disk();
    let value = vec![0; MAX_PENDING_BYTES / 2];
    store
        .shared
        .write(&mut state, "a", Some(value.clone()))
        .unwrap();
    let refused = store.shared.write(&mut state, "b", Some(value));
    assert_eq!(refused, Err(StoreError::Behind));
}

/// A store that was filled, and then opened anew on a disk.
fn reopened(fill: impl FnOnce(&Store)) -> (Arc<Fake>, Store) {
    let disk = Fake::of(Vec::new());
    let first = on(&disk);
    fill(&first);
    first.close();
    let disk = Fake::of(disk.bytes());
    let store = on(&disk);
    (disk, store)
}

fn on(disk: &Arc<Fake>) -> Store {
    let shared: Arc<dyn Disk> = disk.clone();
    let (embedded, failed) = Embedded::on(shared).unwrap();
    Store::start(
        Some(embedded),
        failed,
        (Path::new("fake"), Duration::from_millis(1)),
    )
}

/// A store whose disk takes nothing, and is known to.
pub(crate) async fn in_trouble() -> Store {
    let (disk, store) = reopened(|store| store.put("there", Some(vec![1])).unwrap());
    disk.fail_after(0);
    store.put("lost", Some(vec![1])).unwrap();
    let mut progress = store.shared.progress.subscribe();
    let failed = progress.wait_for(|now| now.trouble.is_some());
    drop(failed.await.unwrap());
    store
}

mod many;

/// What a store is on that is told when to fail.
mod failing {
    use super::*;

    const TICK: Duration = Duration::from_millis(1);

    fn value(n: u32) -> Option<Vec<u8>> {
        Some(n.to_be_bytes().repeat(100))
    }

    fn key(n: u32) -> String {
        format!("k{n:04}")
    }

    /// One with a hundred values on disk.
    async fn filled(disk: &Arc<Fake>) -> Store {
        let store = on(disk);
        (0..100).for_each(|n| store.put(&key(n), value(n)).unwrap());
        store.durable(store.written()).await.unwrap();
        store
    }

    async fn until_well(store: &Store) {
        let mut progress = store.shared.progress.subscribe();
        let well = progress.wait_for(|now| now.trouble.is_none());
        drop(well.await.unwrap());
    }

    async fn until_in_trouble(store: &Store) {
        let mut progress = store.shared.progress.subscribe();
        let failed = progress.wait_for(|now| now.trouble.is_some());
        drop(failed.await.unwrap());
    }

    fn assert_reads(store: &Store, at: u64) {
        for n in (0..100).step_by(7) {
            assert_eq!(store.get(&key(n)), Ok(value(n)), "{n} at {at}");
        }
        let keys: Vec<_> = (90..100).map(key).collect();
        let values: Vec<_> = (90..100).map(value).collect();
        assert_eq!(store.get_many(&keys), Ok(values), "{at}");
        let swapped = store.compare_and_swap(&key(1), Some(b"other"), b"x".to_vec());
        assert_eq!(swapped, Ok(Swap::Changed(value(1))), "{at}");
        assert!(store.list(None).unwrap().keys.len() >= 100, "{at}");
    }

    /// At every write, lengthening and `fsync` of a commit the disk stops taking anything: what
    /// was there is read all the while, what was written is there once the disk is mended, and a
    /// crash at that moment leaves everything that was confirmed.
    #[tokio::test]
    async fn reads_go_on_wherever_a_commit_fails_and_nothing_is_lost() {
        let mut at = 0;
        loop {
            let disk = Fake::of(Vec::new());
            let store = filled(&disk).await;
            disk.fail_after(at);
            let before = disk.changes();
            (100..200).for_each(|n| store.put(&key(n), value(n)).unwrap());
            let durable = store.durable(store.written()).await;
            if durable.is_ok() {
                assert!(at > 3, "{at} changes of the disk in a commit");
                assert!(disk.changes() - before <= at);
                return;
            }
            assert!(
                matches!(durable, Err(StoreError::Unavailable(_))),
                "{durable:?}"
            );
            assert_reads(&store, at);
            assert_eq!(store.get(&key(150)), Ok(value(150)), "it is kept in memory");
            // A crash now.
            let crashed = Fake::of(disk.bytes());
            assert_reads(&on(&crashed), at);

            disk.mend();
            until_well(&store).await;
            store.durable(store.written()).await.unwrap();
            assert_reads(&store, at);
            store.close();
            let again = on(&Fake::of(disk.bytes()));
            for n in 0..200 {
                assert_eq!(again.get(&key(n)), Ok(value(n)), "{n} at {at}");
            }
            at += 1;
        }
    }

    /// Attempts that get further each time, and values that change in between.
    #[tokio::test]
    async fn reads_go_on_while_it_is_tried_again_and_again() {
        let disk = Fake::of(Vec::new());
        let store = filled(&disk).await;
        disk.fail_after(0);
        store.put(&key(200), value(200)).unwrap();
        until_in_trouble(&store).await;
        for round in 0..40 {
            // The next attempt comes so far, and no further.
            disk.fail_after(round);
            let failed = disk.changes() + round;
            while disk.changes() <= failed && store.trouble().is_some() {
                assert_reads(&store, round);
                tokio::task::yield_now().await;
            }
            store
                .put(&key(201), value(u32::try_from(round).unwrap()))
                .unwrap();
            if store.trouble().is_none() {
                break;
            }
        }
        disk.mend();
        store.durable(store.written()).await.ok();
        until_well(&store).await;
        let last = store.get(&key(201)).unwrap();
        store.close();
        let again = on(&Fake::of(disk.bytes()));
        assert_eq!(again.get(&key(200)), Ok(value(200)));
        assert_eq!(again.get(&key(201)), Ok(last));
        assert_reads(&again, 0);
    }

    #[tokio::test]
    async fn reads_never_fail_also_with_all_that_may_wait() {
        let disk = Fake::of(Vec::new());
        let store = filled(&disk).await;
        disk.know_room();
        disk.fail_after(0);
        let large = || Some(vec![7; 1024 * 1024]);
        let mut count = 0;
        let refused = loop {
            match store.put(&format!("large{count:03}"), large()) {
                Ok(()) => count += 1,
                Err(StoreError::Behind) => tokio::task::yield_now().await,
                Err(error) => break error,
            }
        };
        assert!((32..=64).contains(&count), "{count}");
        assert!(
            refused.to_string().starts_with(STORE_UNAVAILABLE),
            "{refused}"
        );
        assert!(
            refused.to_string().contains("no storage space"),
            "{refused}"
        );
        assert_reads(&store, 0);
        assert_eq!(store.get("large000"), Ok(large()));
        let durable = store.durable(store.written()).await;
        assert!(matches!(durable, Err(StoreError::Unavailable(_))));
        disk.mend();
        until_well(&store).await;
        store.put("one more", large()).unwrap();
        store.durable(store.written()).await.unwrap();
        store.close();
        let again = on(&Fake::of(disk.bytes()));
        assert_eq!(again.get("large000"), Ok(large()));
        assert_eq!(again.get("one more"), Ok(large()));
    }

    /// Nobody waits for a disk of which it is known that it takes nothing.
    #[tokio::test]
    async fn a_known_trouble_is_told_at_once_and_counted() {
        let disk = Fake::of(Vec::new());
        let store = filled(&disk).await;
        assert_eq!(store.take_writes(), Ok(()));
        disk.know_room();
        disk.fail_after(0);
        store.put("a", value(1)).unwrap();
        until_in_trouble(&store).await;
        let tried = disk.changes();
        for _ in 0..3 {
            let refused = store.take_writes().unwrap_err();
            assert!(refused.to_string().starts_with(STORE_UNAVAILABLE));
            // Without a write, and so without a wait for the next attempt.
            store.put("b", value(2)).unwrap();
            let durable = store.durable(store.written());
            let durable = futures_util::FutureExt::now_or_never(durable);
            assert!(matches!(durable, Some(Err(StoreError::Unavailable(_)))));
        }
        assert_eq!(store.shared.refused.load(Ordering::Relaxed), 3);
        // Nor is it tried while there is certainly no room.
        tokio::time::sleep(TICK * 20).await;
        assert_eq!(disk.changes(), tried);
        disk.mend();
        until_well(&store).await;
        assert_eq!(store.take_writes(), Ok(()));
        assert_eq!(store.trouble(), None);
    }

    #[tokio::test]
    async fn a_store_opens_on_a_disk_that_takes_nothing() {
        let disk = Fake::of(Vec::new());
        let store = filled(&disk).await;
        // Not closed: a crash.
        drop(store);
        let disk = Fake::of(disk.bytes());
        disk.fail_after(0);
        let store = on(&disk);
        assert!(store.trouble().is_some());
        assert_reads(&store, 0);
        // Without any write it finds out by itself that the disk takes writes again.
        disk.mend();
        until_well(&store).await;
        store.put("a", value(1)).unwrap();
        store.durable(store.written()).await.unwrap();
        // What is no store is refused all the same, and so is an empty file that cannot be written.
        let nothing = Fake::of(Vec::new());
        nothing.fail_after(0);
        let shared: Arc<dyn Disk> = nothing;
        assert!(Embedded::on(shared).is_err());
        let shared: Arc<dyn Disk> = Fake::of(vec![b'x'; 100_000]);
        assert!(Embedded::on(shared).is_err());
    }

    #[tokio::test]
    async fn what_is_lost_at_the_end_is_told() {
        let disk = Fake::of(Vec::new());
        let store = filled(&disk).await;
        disk.fail_after(0);
        store.put("a", value(1)).unwrap();
        until_in_trouble(&store).await;
        assert_reads(&store, 0);
        store.close();
        let durable = store.durable(store.written()).await;
        assert!(matches!(durable, Err(StoreError::Unavailable(_))));
    }
}

#[test]
fn a_store_that_was_closed_is_another_process_s_to_open_whoever_still_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = Store::open(&path).unwrap();
    let kept = store.clone();
    store.put("a", Some(b"1".to_vec())).unwrap();
    assert!(matches!(Store::open(&path), Err(StoreError::InUse)));
    store.close();
    let next = Store::open(&path).unwrap();
    assert_eq!(next.get("a").unwrap().as_deref(), Some(&b"1"[..]));
    assert!(matches!(kept.get("b"), Err(StoreError::Disk(_))));
    next.put("a", Some(b"2".to_vec())).unwrap();
    // What is dropped late writes nothing.
    drop((store, kept));
    next.close();
    let last = Store::open(&path).unwrap();
    assert_eq!(last.get("a").unwrap().as_deref(), Some(&b"2"[..]));
}
