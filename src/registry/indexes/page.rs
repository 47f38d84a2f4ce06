//! What a page of a listing is: its limit, the devices on it, and where the next one begins.

use core::num::NonZeroU16;

use crate::registry::records::{Cursor, DeviceRecord, DeviceRef};

/// Most devices of a page.
pub const PAGE_MAX: u16 = 1_000;

/// How many devices a page has at most: 1 to 1,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimit(NonZeroU16);

impl PageLimit {
    /// `None` if it is 0 or over 1,000.
    pub fn new(limit: u16) -> Option<Self> {
        let limit = NonZeroU16::new(limit)?;
        (limit.get() <= PAGE_MAX).then_some(Self(limit))
    }

    /// The number.
    pub fn get(self) -> usize {
        usize::from(self.0.get())
    }
}

/// Some of the devices selected, all of them alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicePage {
    /// By cursor. May be fewer than asked for, and none, with more behind them.
    pub devices: Vec<DeviceRecord>,
    /// Where to go on; `None` if there are no more.
    pub next: Option<Cursor>,
}

/// Devices that may be among those selected; each one's record has the last word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidates {
    /// By cursor. May be fewer than asked for, and none, with more behind them.
    pub devices: Vec<DeviceRef>,
    /// Where to go on; `None` if there are no more.
    pub next: Option<Cursor>,
}
