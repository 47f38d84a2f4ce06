//! A number turned into a [`Priority`].
//!
//! Source: Apple, *Sending notification requests to APNs*, `apns-priority`.

use super::error::{InvalidNotification, rule};
use core::fmt;

/// How soon a notification is delivered, sent as `apns-priority`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Priority {
    /// 10: at once. An error for `background`.
    Immediate,
    /// 5: when it suits the power of the device.
    PowerSaving,
    /// 1: power comes before everything else; the device is never woken.
    NeverWake,
}

impl Priority {
    /// From the number that Apple gives it.
    ///
    /// # Errors
    /// [`rule::PRIORITY_UNKNOWN`] for everything but 10, 5 and 1.
    pub fn from_number(number: i64) -> Result<Self, InvalidNotification> {
        match number {
            10 => Ok(Self::Immediate),
            5 => Ok(Self::PowerSaving),
            1 => Ok(Self::NeverWake),
            other => {
                let got = other.to_string();
                Err(InvalidNotification::new(
                    "priority",
                    rule::PRIORITY_UNKNOWN,
                    "10, 5 or 1",
                    got,
                ))
            }
        }
    }

    /// The number that Apple gives it: 10, 5 or 1.
    pub const fn as_number(self) -> u8 {
        match self {
            Self::Immediate => 10,
            Self::PowerSaving => 5,
            Self::NeverWake => 1,
        }
    }

    /// The value of `apns-priority`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Immediate => "10",
            Self::PowerSaving => "5",
            Self::NeverWake => "1",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_numbers_and_no_other() {
        let known: Vec<_> = (-300..300)
            .filter(|n| Priority::from_number(*n).is_ok())
            .collect();
        assert_eq!(known, [1, 5, 10]);
        for number in known {
            let priority = Priority::from_number(number).unwrap();
            assert_eq!(i64::from(priority.as_number()), number);
            assert_eq!(priority.as_str(), number.to_string());
        }
    }
}
