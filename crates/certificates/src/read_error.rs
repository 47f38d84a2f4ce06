//! Why a file did not become an identity.

use std::fmt;

use crate::{Finding, Level};

/// What kind of failure it is, for those who act on it; the text is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The file needs a passphrase and none was given.
    PassphraseMissing,
    /// The passphrase is not that of the file. If the file has no MAC, damage looks the same.
    PassphraseWrong,
    /// The file is something else: a certificate request, a public key, …
    OtherKind,
    /// There is no private key in it.
    KeyMissing,
    /// There is no certificate in it.
    CertificateMissing,
    /// There are several identities in it, and nothing says which is meant.
    Ambiguous,
    /// The file is cut off or was changed.
    Damaged,
    /// It is encrypted or built in a way that is not read here.
    Unsupported,
    /// It goes past one of [`limits`](crate::limits).
    TooLarge,
}

/// A file that could not be read. Holds no key and no passphrase; names of certificates and
/// algorithms it may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    cause: Cause,
    expected: &'static str,
    got: String,
    advice: &'static str,
}

impl ReadError {
    pub(crate) fn new(
        cause: Cause,
        expected: &'static str,
        got: impl Into<String>,
        advice: &'static str,
    ) -> Self {
        Self {
            cause,
            expected,
            got: got.into(),
            advice,
        }
    }

    /// A file of a known kind that cannot be taken apart.
    pub(crate) fn damaged(expected: &'static str) -> Self {
        Self::new(
            Cause::Damaged,
            expected,
            "one that is cut off or was changed",
            "Copy the file again in binary form, or export it again.",
        )
    }

    /// What kind of failure it is.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// What to do: one sentence.
    pub fn advice(&self) -> &'static str {
        self.advice
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, got {}", self.expected, self.got)
    }
}

impl std::error::Error for ReadError {}

impl From<ReadError> for Finding {
    /// An unreadable file is always an error.
    fn from(error: ReadError) -> Self {
        Self::new(Level::Error, error.to_string(), error.advice)
    }
}

/// A passphrase that does not open `what`; `given` decides what is said, and is not repeated.
pub(crate) fn passphrase(what: &'static str, given: Option<&str>) -> ReadError {
    match given {
        None | Some("") => ReadError::new(
            Cause::PassphraseMissing,
            what,
            "none",
            "Put the passphrase that was chosen when the file was made into the configuration.",
        ),
        Some(text) if text.ends_with(char::is_whitespace) => ReadError::new(
            Cause::PassphraseWrong,
            what,
            "another one, which ends with a blank or a line break",
            "Take the blank or line break off the end of the passphrase.",
        ),
        Some(_) => ReadError::new(
            Cause::PassphraseWrong,
            what,
            "another one",
            "Check the passphrase that was chosen when the file was made, or make the file again.",
        ),
    }
}
