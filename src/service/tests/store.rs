//! Waiting for a store that refuses, and for the disk.

use std::cell::Cell;
use std::pin::pin;

use super::support::{Desk, both};
use crate::service::StoreError;
use crate::service::store::persistently;

#[test]
fn a_store_that_refuses_is_tried_again_for_half_a_minute() {
    let desk = Desk::new();
    let tries = Cell::new(0);
    let attempt = async || {
        tries.set(tries.get() + 1);
        match tries.get() {
            5 => Ok(()),
            _ => Err(StoreError::Other("behind".into())),
        }
    };
    assert_eq!(desk.run(persistently(&desk.platform, attempt)), Ok(()));
    let executor = desk.platform.executor();
    assert_eq!(executor.now().as_nanos(), 80_000_000);
    let never = async || Err::<(), _>(StoreError::Other("behind".into()));
    let began = executor.now();
    assert!(desk.run(persistently(&desk.platform, never)).is_err());
    assert_eq!(executor.now().since(began).as_secs(), 30);
}

#[test]
fn those_who_wait_for_the_disk_gather_and_one_asks_for_all() {
    let desk = Desk::new();
    desk.store.put("k", b"v");
    let done = desk.run(both(desk.app.durable(), desk.app.durable()));
    assert_eq!((done, desk.store.flushes()), ((Ok(()), Ok(())), 1));
    assert_eq!(desk.store.keys_on_disk("k"), ["k"]);
}

#[test]
fn who_comes_when_the_disk_has_been_asked_asks_again() {
    let desk = Desk::new();
    let late = async {
        // The first has its turn, then asks.
        while desk.store.flushes() == 0 && desk.platform.turns() == 0 {
            super::support::turn().await;
        }
        super::support::turn().await;
        desk.store.put("late", b"v");
        desk.app.durable().await
    };
    let done = desk.run(both(desk.app.durable(), late));
    assert_eq!((done, desk.store.flushes()), ((Ok(()), Ok(())), 2));
    assert_eq!(desk.store.keys_on_disk("late"), ["late"]);
}

#[test]
fn if_the_one_who_was_to_ask_goes_away_the_others_hear_it_and_the_next_asks() {
    let desk = Desk::new();
    let executor = desk.platform.executor();
    let mut second = pin!(desk.app.durable());
    {
        let mut first = pin!(desk.app.durable());
        assert!(executor.run_for(first.as_mut(), 1).is_none());
        assert!(executor.run_for(second.as_mut(), 1).is_none());
    }
    assert!(executor.run(second).is_err());
    assert_eq!(desk.run(desk.app.durable()), Ok(()));
    assert_eq!(desk.store.flushes(), 1);
}

#[test]
fn what_the_disk_says_is_told_to_all() {
    let desk = Desk::new();
    desk.store
        .refuse(|(what, _)| (what == "durable").then_some("full"));
    let full = || Err(StoreError::Other("full".into()));
    let done = desk.run(both(desk.app.durable(), desk.app.durable()));
    assert_eq!(done, (full(), full()));
}
