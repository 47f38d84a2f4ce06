//! In which environment a push to a device is tried, and what its outcomes say of the device:
//! [`EnvironmentProbe`].
//!
//! Source: `docs/protocols.md`, section 6; Apple, *Registering your app with APNs*: a token is good
//! in one environment only.
//!
//! ```text
//!   named by the caller ─► there, and nowhere else
//!   else where its record says, else the default ─► there
//!        BadDeviceToken ─► once more in the other one, if there is a lane to it
//!   accepted ─► the record has the environment from now on, whatever it said before
//!   invalid  ─► the record is removed; for BadDeviceToken only if no environment was left out
//! ```
//!
//! A token that was learned to be in one environment is tried in the other as soon as the first
//! does not know it: so a change of the app's build is found out by the next push. Nothing is kept
//! between pushes but the record; two of them at once share nothing that could send one to the
//! other's environment.

use super::token_fate::TokenFate;
use crate::environment::Environment;
use crate::provider::{Fault, Outcome, TokenAction};
use crate::time::UnixTime;

/// One push to one device, as far as environments go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvironmentProbe {
    /// Where the outcome is from, once there is one.
    at: Environment,
    known: Option<Environment>,
    /// Where it is tried if `at` does not know the token.
    other: Option<Environment>,
    /// Every environment that the token may be good in has been asked, or there is no way to it.
    everywhere: bool,
}

impl EnvironmentProbe {
    /// Of a push for which the caller `named` an environment or did not, to a device that is
    /// `known` to be in one or is not.
    pub fn new(
        named: Option<Environment>,
        known: Option<Environment>,
        default: Environment,
    ) -> Self {
        let at = named.or(known).unwrap_or(default);
        Self {
            at,
            known,
            // A caller who names the environment means it.
            other: named.is_none().then(|| at.other()),
            everywhere: false,
        }
    }

    /// Where it is tried first; later, where the outcome is from.
    pub const fn environment(&self) -> Environment {
        self.at
    }

    /// Where it is tried if the first environment does not know the token; `None` if nowhere.
    pub const fn elsewhere(&self) -> Option<Environment> {
        self.other
    }

    /// The same when nothing reaches the other environment, such as a credential that is not valid
    /// there: then what the first one says is all there is to know.
    #[must_use]
    pub const fn only_here(mut self) -> Self {
        self.everywhere = self.everywhere || self.other.is_some();
        self.not_elsewhere()
    }

    /// The same when this push cannot go to the other environment, which another may: whether that
    /// one knows the token stays open.
    #[must_use]
    pub const fn not_elsewhere(mut self) -> Self {
        self.other = None;
        self
    }

    /// Whether this outcome of the first environment is a reason to try the other one.
    pub fn goes_on(&self, outcome: &Outcome) -> bool {
        self.other.is_some() && is_unknown(outcome)
    }

    /// Takes the outcome that the other environment gave. `true` if it is the outcome of the push;
    /// `false` if the first one stays, because this one is about the credential or because nothing
    /// was asked there, and so says nothing of the device. Such a device is not removed: nobody
    /// knows whether the other environment has it.
    #[must_use]
    pub fn tried_elsewhere(&mut self, outcome: &Outcome) -> bool {
        let Some(other) = self.other else {
            return false;
        };
        let is_of_credential = outcome
            .treatment()
            .is_some_and(|treatment| treatment.fault == Fault::Operator);
        let was_not_asked = matches!(
            outcome,
            Outcome::Unanswered {
                may_resend: true,
                ..
            }
        );
        if is_of_credential || was_not_asked {
            return false;
        }
        self.at = other;
        self.other = None;
        self.everywhere = true;
        true
    }

    /// What is to be recorded of a push that was accepted, if the record does not say so already.
    pub fn learned(&self) -> Option<Environment> {
        Some(self.at).filter(|at| self.known != Some(*at))
    }

    /// What the outcome of a push that was handed in at `asked_at` says of the device; `None` if it
    /// stays.
    pub fn fate(&self, outcome: &Outcome, asked_at: UnixTime) -> Option<TokenFate> {
        TokenFate::of_outcome(outcome, asked_at, self.everywhere)
    }
}

/// Whether it is that the token is none of this environment.
fn is_unknown(outcome: &Outcome) -> bool {
    let treatment = outcome.treatment();
    treatment.is_some_and(|treatment| treatment.token == TokenAction::RemoveIfEverywhere)
}

#[cfg(test)]
mod tests;
