//! What is unusual about a payload, as a bounded list.
//!
//! Limits: 8 findings. Beyond them the rest is dropped, but never the first violation: whether a
//! payload breaks a rule does not depend on how much else there is to say about it.

use crate::limits::{PAYLOAD_FINDINGS_MAX, PAYLOAD_KEY_SHOWN_CHARS};
use crate::notification::error::InvalidNotification;
use core::fmt;

/// How much a [`Finding`] weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Against what Apple documents: a device gets less than the caller meant, or nothing.
    Violation,
    /// Worth a look, and possibly meant so: Apple adds keys, and leaves some things open.
    Remark,
}

/// One thing that is unusual about a payload.
///
/// Printed as `payload.aps.badge: expected a number, got a string`. It names keys, kinds of values
/// and numbers, and quotes no text of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    weight: Weight,
    what: InvalidNotification,
}

impl Finding {
    /// How much it weighs.
    pub const fn weight(&self) -> Weight {
        self.weight
    }

    /// The field, the rule, what was expected and what came.
    pub const fn what(&self) -> &InvalidNotification {
        &self.what
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (expected, got) = (self.what.expected(), self.what.got());
        write!(f, "{}: expected {expected}, got {got}", self.what.field())
    }
}

/// What is unusual about a payload, in the order of its text; at most 8 findings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    list: Vec<Finding>,
    violated: Option<usize>,
}

impl Findings {
    /// All of them.
    pub fn as_slice(&self) -> &[Finding] {
        &self.list
    }

    /// The first one that is against what Apple documents; what a strict caller refuses.
    pub fn violation(&self) -> Option<&InvalidNotification> {
        self.list.get(self.violated?).map(Finding::what)
    }

    /// Adds something that no payload shows, such as an unusual priority.
    pub fn remark(&mut self, what: InvalidNotification) {
        self.add(Weight::Remark, what);
    }

    pub(super) fn add(&mut self, weight: Weight, what: InvalidNotification) {
        let violates = weight == Weight::Violation && self.violated.is_none();
        if self.is_full() {
            if !violates {
                return;
            }
            self.list.pop();
        }
        if violates {
            self.violated = Some(self.list.len());
        }
        self.list.push(Finding { weight, what });
    }

    /// Whether only a first violation would still be kept.
    fn is_full(&self) -> bool {
        self.list.len() >= PAYLOAD_FINDINGS_MAX
    }
}

/// The name of a key that nobody knows, cut and escaped so that it can stand in a path.
pub(super) fn shown_key(name: &str) -> String {
    let mut characters = name.chars().flat_map(char::escape_debug);
    let mut shown: String = characters.by_ref().take(PAYLOAD_KEY_SHOWN_CHARS).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(got: usize) -> InvalidNotification {
        InvalidNotification::new("payload", "a-rule", "nothing", got.to_string())
    }

    #[test]
    fn eight_are_kept_and_the_first_violation_always() {
        let mut findings = Findings::default();
        for number in 0..100 {
            findings.remark(what(number));
        }
        assert_eq!(findings.as_slice().len(), PAYLOAD_FINDINGS_MAX);
        assert_eq!(findings.violation(), None);
        findings.add(Weight::Violation, what(100));
        findings.add(Weight::Violation, what(101));
        findings.remark(what(102));
        assert_eq!(findings.as_slice().len(), PAYLOAD_FINDINGS_MAX);
        assert_eq!(findings.violation().unwrap().got(), "100");
        let last = findings.as_slice().last().unwrap();
        assert_eq!(
            (last.weight(), last.what().got()),
            (Weight::Violation, "100")
        );
    }

    #[test]
    fn the_violation_is_the_first_one() {
        let mut findings = Findings::default();
        findings.remark(what(1));
        findings.add(Weight::Violation, what(2));
        findings.add(Weight::Violation, what(3));
        assert_eq!(findings.violation().unwrap().got(), "2");
    }

    #[test]
    fn names_of_keys_are_cut_and_escaped() {
        assert_eq!(shown_key("content-avaliable"), "content-avaliable");
        assert_eq!(shown_key("a\nb"), "a\\nb");
        for unit in ["é", "\0", "\u{10ffff}"] {
            let long = shown_key(&unit.repeat(1_000));
            assert_eq!(long.chars().count(), PAYLOAD_KEY_SHOWN_CHARS + 1);
        }
    }
}
