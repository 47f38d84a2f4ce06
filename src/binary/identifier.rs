//! The numbers that notifications have on the wire: 1 to 2^32 - 1, after which they begin anew.

use core::fmt;
use core::num::NonZeroU32;

/// Names a notification on the wire. Never 0, which gateways send when they mean none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identifier(NonZeroU32);

impl Identifier {
    /// 1, where counting starts.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// From the four bytes of the wire; `None` for 0.
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// The number on the wire.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The one `steps` later; after 2^32 - 1 comes 1.
    pub(super) fn plus(self, steps: usize) -> Self {
        // Counted from 0 the range is 2^32 - 1 numbers. The remainder is below that, so that one
        // more fits and is not 0; a window is far shorter, so that the sum does not overflow.
        let zero_based = u64::from(self.get() - 1) + steps as u64;
        let number = u32::try_from(zero_based % u64::from(u32::MAX)).unwrap_or_default();
        Self(NonZeroU32::MIN.saturating_add(number))
    }

    /// How many steps from `earlier` to this.
    pub(super) fn steps_from(self, earlier: Self) -> usize {
        let range = u64::from(u32::MAX);
        let steps = (u64::from(self.get()) + range - u64::from(earlier.get())) % range;
        usize::try_from(steps).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
