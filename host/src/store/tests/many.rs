//! Many keys a call: what is answered while the disk hangs, and that swaps are exact.

use std::pin::pin;

use futures_util::future::{Either, select};

use super::*;

const MIB: usize = 1024 * 1024;

/// What a slow disk is given to answer what it must not be asked.
const SHORTLY: Duration = Duration::from_millis(200);

fn keys<const N: usize>(keys: [&str; N]) -> Vec<String> {
    keys.map(str::to_owned).into()
}

fn some(value: &[u8]) -> Value {
    Some(value.to_vec())
}

fn wanted(key: &str, expected: Value, value: Value) -> WantedSwap {
    WantedSwap {
        key: key.to_owned(),
        expected,
        value,
    }
}

/// Asserts that something is not over yet, and gives it back.
async fn waits<F: Future + Unpin>(future: F) -> F {
    match select(future, pin!(tokio::time::sleep(SHORTLY))).await {
        Either::Left(_) => panic!("it is over"),
        Either::Right(((), future)) => future,
    }
}

#[tokio::test]
async fn what_is_in_memory_is_answered_while_the_disk_hangs() {
    let (disk, store) = reopened(|store| store.put("cold", some(b"1")).unwrap());
    disk.hold_reads();
    store.put("warm", some(b"1")).unwrap();
    let read = waits(Box::pin(store.read(keys(["cold"])))).await;
    let swap = wanted("cold", some(b"1"), some(b"2"));
    let swap = waits(Box::pin(store.swap_many(vec![swap]))).await;
    let list = waits(Box::pin(store.keys_after(None))).await;
    let durable = waits(Box::pin(store.durable(store.written()))).await;

    assert_eq!(store.read(keys(["warm"])).await, Ok(vec![some(b"1")]));
    let swaps = vec![wanted("warm", some(b"1"), some(b"2"))];
    assert_eq!(store.swap_many(swaps).await, Ok(vec![Swap::Done]));
    store.put("blind", some(b"3")).unwrap();

    disk.release_reads();
    assert_eq!(read.await, Ok(vec![some(b"1")]));
    assert_eq!(swap.await, Ok(vec![Swap::Done]));
    assert_eq!(durable.await, Ok(()));
    let listed = list.await.unwrap().keys;
    assert!(listed.contains(&"cold".to_owned()) && listed.contains(&"warm".to_owned()));
    assert_eq!(store.get("cold"), Ok(some(b"2")));
}

#[tokio::test]
async fn a_swap_is_lost_to_a_write_that_came_while_the_disk_was_read() {
    let (disk, store) = reopened(|store| store.put("k", some(b"1")).unwrap());
    disk.hold_reads();
    let swap = wanted("k", some(b"1"), some(b"mine"));
    let swap = waits(Box::pin(store.swap_many(vec![swap]))).await;
    store.put("k", some(b"other")).unwrap();
    disk.release_reads();
    assert_eq!(swap.await, Ok(vec![Swap::Changed(some(b"other"))]));
    assert_eq!(store.get("k"), Ok(some(b"other")));
}

/// Commits end all the while, so that every value is in memory at one moment and on disk at the
/// next.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_swap_the_same_keys_none_is_lost() {
    const WRITERS: usize = 8;
    const APPENDS: usize = 150;
    let (_folder, store) = on_disk();
    let append = async |store: &Store, key: &str| {
        let mut current = store.read(keys([key])).await.unwrap().pop().unwrap();
        loop {
            let longer = [current.as_deref().unwrap_or_default(), b"x"].concat();
            let swap = wanted(key, current.clone(), Some(longer));
            match store.swap_many(vec![swap]).await.unwrap().pop().unwrap() {
                Swap::Done => return,
                Swap::Changed(newest) => current = newest,
            }
        }
    };
    let writers = (0..WRITERS).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for n in 0..APPENDS {
                append(&store, ["a", "b", "c"][(writer + n) % 3]).await;
                if n % 10 == writer {
                    store.durable(store.written()).await.unwrap();
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let values = store.get_many(&keys(["a", "b", "c"])).unwrap();
    let lengths = values.iter().flatten().map(Vec::len);
    assert_eq!(lengths.sum::<usize>(), WRITERS * APPENDS);
}

#[tokio::test]
async fn each_swap_has_its_outcome_in_order() {
    for (_held, store) in [(None, Store::memory()), (Some(()), on_disk().1)] {
        store.put("a", some(b"1")).unwrap();
        store.put("b", some(b"1")).unwrap();
        store.durable(store.written()).await.unwrap();
        let swaps = vec![
            wanted("a", some(b"1"), some(b"2")),
            wanted("b", some(b"0"), some(b"2")),
            wanted("none", some(b""), some(b"new")),
            wanted("a", some(b"2"), some(b"3")),
            wanted("a", some(b"2"), some(b"4")),
            wanted("gone", None, some(b"")),
            wanted("b", some(b"1"), None),
        ];
        let outcomes = vec![
            Swap::Done,
            Swap::Changed(some(b"1")),
            Swap::Done,
            Swap::Done,
            Swap::Changed(some(b"3")),
            Swap::Done,
            Swap::Done,
        ];
        assert_eq!(store.swap_many(swaps).await, Ok(outcomes));
        let values = store.get_many(&keys(["a", "b", "none", "gone"])).unwrap();
        assert_eq!(values, [some(b"3"), None, some(b"new"), None]);
        let listed = store.keys_after(None).await.unwrap();
        assert_eq!((listed.keys, listed.next), (keys(["a", "none"]), None));
        assert_eq!(store.swap_many(Vec::new()).await, Ok(Vec::new()));
    }
}

#[tokio::test]
async fn an_answer_has_the_first_values_that_fit() {
    let names: Vec<String> = (0..40).map(|n| format!("k{n:02}")).collect();
    let fill = |store: &Store| {
        for name in &names {
            store.put(name, Some(vec![1; MIB])).unwrap();
        }
    };
    let memory = Store::memory();
    fill(&memory);
    let (_disk, on_disk) = reopened(fill);
    // Some in memory and some on disk.
    let (_disk_too, mixed) = reopened(fill);
    (0..40).step_by(2).for_each(|n| {
        let value = Some(vec![2; MIB]);
        mixed.put(&names[n], value).unwrap();
    });
    for store in [memory, on_disk, mixed] {
        assert_eq!(store.read(names.clone()).await.unwrap().len(), 16);
        assert_eq!(store.read(names[30..].to_vec()).await.unwrap().len(), 10);
        let twice = vec![names[0].clone(); 1_024];
        assert_eq!(store.read(twice).await.unwrap().len(), 16);
        assert_eq!(store.get_many(&names).unwrap().len(), 40, "all of them");
        // Swaps compare with all of them, however many bytes that is.
        let swap = |name: &String| wanted(name, Some(vec![9]), Some(vec![8]));
        let lost = store.swap_many(names.iter().map(swap).collect()).await;
        assert_eq!(lost, Err(StoreError::TooMuch));
        let some = names[..16].iter().map(swap).collect();
        assert_eq!(store.swap_many(some).await.unwrap().len(), 16);
    }
}
