//! When a lane on the platform's client may send: see `turn.rs` for who goes first, and why.
//!
//! ```text
//!   Unknown ─TakeTurn─► Asked ─┬─ go ────► Open: for a second after the last answer or look
//!      ▲                       ├─ first ─► First: one request ─ answered ─► Open, which is told
//!      │                       └─ wait ──► Waits ─ 40 to 60 ms ─► asked again
//!      └── a request failed, which is told ──┘  └─ too long ────► First, without having been asked
//! ```

use super::turn_state::{TurnState, first, open};
use crate::delivery::action::Action;
use crate::delivery::ids::ExchangeId;
use crate::delivery::policy::jitter::jittered;
use crate::delivery::provider::lane::ProviderLane;
use crate::delivery::turn::{PATIENCE, POLL, REFRESH, Turn, TurnNews};
use crate::time::Now;

impl ProviderLane {
    /// Whether a request may be given out now.
    pub(super) fn has_turn(&self, now: Now) -> bool {
        match self.turns.state {
            _ if !self.config.turns => true,
            TurnState::Open { until } => now < until,
            TurnState::First { until, out: None } => now < until,
            _ => false,
        }
    }

    /// When the driver is to be asked for a turn, if something waits for one.
    pub(super) fn turn_at(&self) -> Option<Now> {
        let waits = self.config.turns && self.queue.waiting() > 0 && self.breaker.admits();
        if !waits
            || !self
                .connections
                .iter()
                .any(|connection| connection.is_usable())
        {
            return None;
        }
        match self.turns.state {
            TurnState::Unknown => Some(Now::ZERO),
            TurnState::Asked { .. } | TurnState::First { out: Some(_), .. } => None,
            TurnState::Waits { again, limit } => Some(again.min(limit)),
            TurnState::First { until, out: None } | TurnState::Open { until } => Some(until),
        }
    }

    /// Asks for a turn where one is wanted.
    pub(super) fn seek_turn(&mut self, now: Now) {
        if self.turn_at().is_none_or(|at| at > now) {
            return;
        }
        let limit = match self.turns.state {
            TurnState::Waits { limit, .. } => Some(limit),
            _ => None,
        };
        self.turns.state = match limit {
            Some(limit) if limit <= now => first(now),
            limit => {
                self.actions.push_back(Action::TakeTurn);
                TurnState::Asked { limit }
            }
        };
    }

    /// The driver has looked at the record: the answer to [`Action::TakeTurn`]. Where there is no
    /// record to be had, [`Turn::Go`].
    pub fn handle_turn(&mut self, now: Now, turn: Turn) {
        let TurnState::Asked { limit } = self.turns.state else {
            return;
        };
        self.turns.state = match turn {
            Turn::Go => open(now),
            Turn::First => first(now),
            Turn::Wait => {
                let again = now + jittered(POLL, self.entropy.next());
                // Whoever waits has to have time left for the answer.
                let next = self.queue.next_deadline();
                let patience = next.map_or(PATIENCE, |at| at.since(now) / 4 * 3);
                let own = now + PATIENCE.min(patience);
                let limit = limit.map_or(own, |limit| limit.min(own));
                TurnState::Waits { again, limit }
            }
        };
    }

    /// A request was given out.
    pub(super) fn turn_used(&mut self, id: ExchangeId) {
        if let TurnState::First { out, .. } = &mut self.turns.state {
            *out = Some(id);
        }
    }

    /// One was answered.
    pub(super) fn turn_worked(&mut self, now: Now) {
        if !self.config.turns {
            return;
        }
        let is_told = self.turns.told_at.is_some_and(|at| now.since(at) < REFRESH);
        if !is_told || !matches!(self.turns.state, TurnState::Open { .. }) {
            self.turns.told_at = Some(now);
            self.actions.push_back(Action::TellTurn(TurnNews::Answered));
        }
        self.turns.state = open(now);
    }

    /// One has failed: there may be another connection now, or none.
    pub(super) fn turn_failed(&mut self) {
        let is_known = matches!(
            self.turns.state,
            TurnState::Open { .. } | TurnState::First { .. }
        );
        if self.config.turns && is_known {
            self.turns.state = TurnState::Unknown;
            self.actions.push_back(Action::TellTurn(TurnNews::Failed));
        }
    }

    /// One was given up.
    pub(super) fn turn_given_up(&mut self, id: ExchangeId) {
        if matches!(self.turns.state, TurnState::First { out, .. } if out == Some(id)) {
            self.turn_failed();
        }
    }
}
