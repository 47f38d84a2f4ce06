//! Why a command failed.

use dunlin::terminal::Exit;

/// Why a command failed, in words for the operator, and the code that it ends with.
#[derive(Debug)]
pub struct Error {
    message: String,
    in_use: bool,
    exit: Exit,
}

impl Error {
    /// An error that says this.
    pub fn new(message: impl Into<String>) -> Self {
        Self::with(Exit::Failed, message)
    }

    /// The same with a code of its own.
    pub fn with(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            in_use: false,
            exit,
        }
    }

    /// An error that says this, because another process has the store.
    pub fn in_use(message: impl Into<String>) -> Self {
        let in_use = true;
        Self {
            in_use,
            ..Self::new(message)
        }
    }

    /// Whether another process has the store.
    pub fn is_in_use(&self) -> bool {
        self.in_use
    }

    /// What the command ends with.
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

macro_rules! from_display {
    ($($source:ty),+ $(,)?) => {$(
        impl From<$source> for Error {
            fn from(error: $source) -> Self {
                Self::new(error.to_string())
            }
        }
    )+};
}

from_display!(
    std::io::Error,
    crate::config::ConfigError,
    dunlin_host::Error,
    dunlin_host::store::StoreError,
    dunlin_host::wasi::tls::TrustError,
);
