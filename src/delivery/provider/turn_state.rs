//! Where a lane on the platform's client is with its turns: see `turns.rs`.

use crate::delivery::ids::ExchangeId;
use crate::delivery::turn::{LEASE, RECHECK};
use crate::time::Now;

/// Whose turn it is, as far as the lane knows.
#[derive(Debug, Default)]
pub(super) struct Turns {
    pub(super) state: TurnState,
    /// When it was last told that something was answered.
    pub(super) told_at: Option<Now>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum TurnState {
    #[default]
    Unknown,
    /// Of the driver; and when to go without an answer, if there was a wait before.
    Asked {
        limit: Option<Now>,
    },
    Waits {
        again: Now,
        limit: Now,
    },
    /// With one request, to be sent by then or asked for anew.
    First {
        until: Now,
        out: Option<ExchangeId>,
    },
    Open {
        until: Now,
    },
}

pub(super) fn open(now: Now) -> TurnState {
    let until = now + RECHECK;
    TurnState::Open { until }
}

pub(super) fn first(now: Now) -> TurnState {
    let until = now + LEASE / 2;
    TurnState::First { until, out: None }
}
