//! The numbers of settings: [`SettingId`].
//!
//! Source: RFC 9113, 6.5.2.

use core::fmt;

/// The identifier of a setting; unknown ones are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SettingId(u16);

impl SettingId {
    /// Largest HPACK table the sender of the setting keeps as a decoder, octets.
    pub const HEADER_TABLE_SIZE: Self = Self(0x01);
    /// Whether PUSH_PROMISE may be sent: 0 or 1.
    pub const ENABLE_PUSH: Self = Self(0x02);
    /// Streams the other side may have open at once.
    pub const MAX_CONCURRENT_STREAMS: Self = Self(0x03);
    /// Send window of a new stream, octets.
    pub const INITIAL_WINDOW_SIZE: Self = Self(0x04);
    /// Largest frame payload the sender takes, octets.
    pub const MAX_FRAME_SIZE: Self = Self(0x05);
    /// Largest header list the sender takes, octets; advice only.
    pub const MAX_HEADER_LIST_SIZE: Self = Self(0x06);

    /// Any identifier, known or not.
    pub const fn new(value: u16) -> Self {
        Self(value)
    }

    /// The number on the wire.
    pub const fn value(self) -> u16 {
        self.0
    }
}

impl fmt::Display for SettingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::HEADER_TABLE_SIZE => "SETTINGS_HEADER_TABLE_SIZE",
            Self::ENABLE_PUSH => "SETTINGS_ENABLE_PUSH",
            Self::MAX_CONCURRENT_STREAMS => "SETTINGS_MAX_CONCURRENT_STREAMS",
            Self::INITIAL_WINDOW_SIZE => "SETTINGS_INITIAL_WINDOW_SIZE",
            Self::MAX_FRAME_SIZE => "SETTINGS_MAX_FRAME_SIZE",
            Self::MAX_HEADER_LIST_SIZE => "SETTINGS_MAX_HEADER_LIST_SIZE",
            Self(other) => return write!(f, "setting 0x{other:x}"),
        })
    }
}

impl fmt::Debug for SettingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SettingId({self})")
    }
}
