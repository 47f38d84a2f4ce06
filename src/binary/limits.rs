//! Every number of the binary gateway and the feedback service, by name, unit and source.
//!
//! Source: Apple's archived *Local and Remote Notification Programming Guide*, appendix *Binary
//! Provider API* (BIN), and an earlier edition of it with the *Legacy Notification Format*
//! (BIN-OLD). A number marked **ours** is not Apple's.

/// Longest device token of a message and of a feedback tuple, in bytes. BIN, item 1: "up to 100
/// bytes".
pub const TOKEN_MAX_BYTES: usize = 100;

/// Largest payload of command 2, in UTF-8 bytes. BIN, item 2: "2 kilobytes"; libraries agree on
/// 2048.
pub const PAYLOAD_MAX_BYTES: usize = 2_048;

/// Largest payload of commands 0 and 1, in UTF-8 bytes. BIN-OLD: "must not exceed 256 bytes".
pub const LEGACY_PAYLOAD_MAX_BYTES: usize = 256;

/// The expiry of command 1 where the notification leaves it to APNs: the field cannot be left out
/// and 0 means "do not store". **Ours**: the last second that a signed reader takes for a time.
pub const LEGACY_EXPIRY_UNSET: u32 = 0x7fff_ffff;

/// Bytes of an error response. BIN.
pub const ERROR_RESPONSE_BYTES: usize = 6;

/// Bytes of a feedback tuple before the token: time and length. BIN.
pub const FEEDBACK_HEAD_BYTES: usize = 6;

/// Most notifications a window holds. **Ours**: bounds the memory of one connection, and what a
/// connection that closes without a word leaves unanswered.
pub const WINDOW_MAX: usize = 1 << 16;

/// Port of the gateway. BIN.
pub const GATEWAY_PORT: u16 = 2195;

/// Port of the feedback service. BIN.
pub const FEEDBACK_PORT: u16 = 2196;
