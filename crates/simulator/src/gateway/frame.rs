//! Turns the bytes a client sends to the gateway into notifications, whole ones only.
//!
//! Source: Apple, *Binary Provider API* and its earlier edition (`docs/protocols.md` 1.2 to 1.4).
//! All numbers are big endian; a length counts bytes.
//!
//! ```text
//! command 0   | 00 | token length u16 | token | payload length u16 | payload |
//! command 1   | 01 | identifier 4 | expiry u32 | token length u16 | token
//!                                              | payload length u16 | payload |
//! command 2   | 02 | frame length u32 | item | item | …
//!     item    | id u8 | length u16 | data |   1 token, 2 payload, 3 identifier (4 bytes),
//!                                             4 expiration (4 bytes), 5 priority (1 byte)
//! ```
//!
//! Decided here, where Apple is silent:
//! - Items may come in any order. An item that is repeated, has an id not listed or a length that
//!   is not its own is a protocol error, unless the token or the payload is missing, which is said
//!   first. One that is longer than the rest of the frame ends the reading: so a token shorter than
//!   its length says gives "missing payload", as houston's issue 56 saw it.
//! - A token of no bytes is a missing token, and nothing behind it is read. So the answer names
//!   identifier 0 unless the identifier came first, as node-apn's issue 149 saw it.
//! - In commands 0 and 1 a length that no token and no payload has is refused as soon as it is
//!   there: what follows it cannot be told apart from the next notification.
//!
//! Invariants: where the bytes are split changes nothing. Limit: a frame longer than [`MAX_FRAME`]
//! is refused by its length, so no more than that is ever kept.

use bytes::{Buf as _, Bytes, BytesMut};

use super::status::StatusByte;

/// What one notification says. A part it does not have is empty or `None`.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Notification {
    pub(super) command: u8,
    pub(super) token: Bytes,
    pub(super) payload: Bytes,
    pub(super) identifier: Option<u32>,
    pub(super) expiry: Option<u32>,
    pub(super) priority: Option<u8>,
}

/// What is at the front of the bytes.
#[derive(PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing whole yet.
    More,
    /// A notification. It is taken out of the bytes.
    Notification(Notification),
    /// Something that is none, as far as it could be read, and the status it gets. There is no
    /// telling where the next one begins.
    Malformed(Notification, StatusByte),
}

/// Takes the next notification out of `buffer`.
pub(super) fn next(buffer: &mut BytesMut) -> Next {
    match buffer.first() {
        None => Next::More,
        Some(&command @ (0 | 1)) => simple(buffer, command),
        Some(2) => framed(buffer),
        Some(&command) => Next::Malformed(Notification::of(command), StatusByte::PROTOCOL_ERROR),
    }
}

impl Notification {
    fn of(command: u8) -> Self {
        Self {
            command,
            ..Self::default()
        }
    }

    /// Takes an item in; whether it is one that can be there.
    fn put(&mut self, id: u8, data: &Bytes) -> bool {
        match (id, &data[..]) {
            (TOKEN, _) if self.token.is_empty() => self.token = data.clone(),
            (PAYLOAD, _) if self.payload.is_empty() => self.payload = data.clone(),
            (IDENTIFIER, &[a, b, c, d]) if self.identifier.is_none() => {
                self.identifier = Some(u32::from_be_bytes([a, b, c, d]));
            }
            (EXPIRATION, &[a, b, c, d]) if self.expiry.is_none() => {
                self.expiry = Some(u32::from_be_bytes([a, b, c, d]));
            }
            (PRIORITY, &[priority]) if self.priority.is_none() => self.priority = Some(priority),
            _ => return false,
        }
        true
    }
}

/// Commands 0 and 1, which differ in the eight bytes that 1 has in front.
fn simple(buffer: &mut BytesMut, command: u8) -> Next {
    let mut found = Notification::of(command);
    let mut rest = buffer.get(1..).unwrap_or_default();
    if command == 1 {
        let (Ok(identifier), Ok(expiry)) = (rest.try_get_u32(), rest.try_get_u32()) else {
            return Next::More;
        };
        (found.identifier, found.expiry) = (Some(identifier), Some(expiry));
    }
    let token_at = buffer.len() - rest.len() + 2;
    match lengths(rest) {
        Ok(None) => Next::More,
        Ok(Some((token, payload))) => {
            buffer.advance(token_at);
            found.token = buffer.split_to(token).freeze();
            buffer.advance(2);
            found.payload = buffer.split_to(payload).freeze();
            Next::Notification(found)
        }
        Err(status) => Next::Malformed(found, status),
    }
}

/// How long token and payload are, once both are there.
fn lengths(mut rest: &[u8]) -> Result<Option<(usize, usize)>, StatusByte> {
    let Ok(token) = rest.try_get_u16().map(usize::from) else {
        return Ok(None);
    };
    match token {
        0 => return Err(StatusByte::MISSING_TOKEN),
        1..=MAX_TOKEN => {}
        _ => return Err(StatusByte::INVALID_TOKEN_SIZE),
    }
    let mut behind = rest.get(token..).unwrap_or_default();
    let Ok(payload) = behind.try_get_u16().map(usize::from) else {
        return Ok(None);
    };
    match payload {
        0 => Err(StatusByte::MISSING_PAYLOAD),
        1..=MAX_PAYLOAD => Ok((payload <= behind.len()).then_some((token, payload))),
        _ => Err(StatusByte::INVALID_PAYLOAD_SIZE),
    }
}

/// Command 2.
fn framed(buffer: &mut BytesMut) -> Next {
    let mut rest = buffer.get(1..).unwrap_or_default();
    let Ok(length) = rest.try_get_u32() else {
        return Next::More;
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > MAX_FRAME {
        return Next::Malformed(Notification::of(2), StatusByte::PROTOCOL_ERROR);
    }
    if rest.len() < length {
        return Next::More;
    }
    buffer.advance(FRAME_HEADER);
    items(buffer.split_to(length).freeze())
}

fn items(mut rest: Bytes) -> Next {
    let mut found = Notification::of(2);
    let mut is_odd = false;
    while !rest.is_empty() {
        let Some((id, data)) = take_item(&mut rest) else {
            is_odd = true;
            break;
        };
        if id == TOKEN && data.is_empty() {
            break;
        }
        is_odd |= !found.put(id, &data);
    }
    if found.token.is_empty() {
        Next::Malformed(found, StatusByte::MISSING_TOKEN)
    } else if found.payload.is_empty() {
        Next::Malformed(found, StatusByte::MISSING_PAYLOAD)
    } else if is_odd {
        Next::Malformed(found, StatusByte::PROTOCOL_ERROR)
    } else {
        Next::Notification(found)
    }
}

/// The first item and its id; `None` if the bytes end before it does.
fn take_item(rest: &mut Bytes) -> Option<(u8, Bytes)> {
    let id = rest.try_get_u8().ok()?;
    let length = usize::from(rest.try_get_u16().ok()?);
    (length <= rest.len()).then(|| (id, rest.split_to(length)))
}

const TOKEN: u8 = 1;
const PAYLOAD: u8 = 2;
const IDENTIFIER: u8 = 3;
const EXPIRATION: u8 = 4;
const PRIORITY: u8 = 5;

/// The command and the length of a frame.
const FRAME_HEADER: usize = 5;

/// "Up to 100 bytes."
pub(super) const MAX_TOKEN: usize = 100;

/// "2 kilobytes", which every library reads as 2048 bytes.
pub(super) const MAX_PAYLOAD: usize = 2048;

/// The longest frame with one item of each kind: two lengths of sixteen bits and three short items.
/// What is longer repeats an item, or is none.
pub(super) const MAX_FRAME: usize = 2 * (3 + 0xffff) + (3 + 4) + (3 + 4) + (3 + 1);

#[cfg(test)]
mod tests;
