//! Waiting for a store that refuses.

use std::cell::Cell;

use super::support::Desk;
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
