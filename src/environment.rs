//! Which of Apple's two worlds a device token belongs to.
//!
//! Source: Apple, *Sending notification requests to APNs*: a development server and a production
//! server; *Registering your app with APNs*: a token is good in one of them only.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Development (also called sandbox) or production.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Apps run from Xcode.
    #[serde(alias = "sandbox")]
    Development,
    /// Apps from the App Store, TestFlight and ad hoc.
    Production,
}

impl Environment {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Development, Self::Production];

    /// The one that this is not.
    pub const fn other(self) -> Self {
        match self {
            Self::Development => Self::Production,
            Self::Production => Self::Development,
        }
    }

    /// What [`Self::parse`] reads, as the HTTP interface lists it.
    pub const WORDS: [&'static str; 3] = ["development", "sandbox", "production"];

    /// From one of [`Self::WORDS`]; `None` for everything else.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "development" | "sandbox" => Some(Self::Development),
            "production" => Some(Self::Production),
            _ => None,
        }
    }

    /// As the configuration and the HTTP interface write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Production => "production",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
