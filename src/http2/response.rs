//! What a decompressed header block says: the status of a response, or why it is malformed.
//!
//! Source: RFC 9113, 8.1.1, 8.2, 8.3.2; RFC 9110, 8.6 (content-length).
//!
//! ```text
//! fields -> head(): :status first and once, then regular fields -> ResponseHead
//!        -> trailers(): regular fields only
//!        -> Malformed
//! ```
//!
//! A malformed response concerns its stream alone: the stream is reset and ends with
//! [`Event::Malformed`](super::Event::Malformed), the connection goes on.

use core::fmt;

use super::error::ErrorCode;
use super::field;
use super::header_list::HeaderList;

/// Why a response was given up. The peer's fault; scope: the stream.
/// `got` is what came, `limit` or `window` the most that was allowed.
#[expect(
    missing_docs,
    reason = "the fields follow one scheme, which is documented"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// No `:status`, two of them, one that is not three digits from 100 to 999, or 101, which
    /// HTTP/2 does not have (8.6).
    Status,
    /// A pseudo-header field that is not `:status`, after a regular field, or in trailers.
    PseudoHeader,
    /// A field name with upper-case or other forbidden octets.
    FieldName,
    /// A field value with NUL, CR, LF, or blanks around it.
    FieldValue,
    /// A field that belongs to one HTTP/1 connection.
    ConnectionSpecific,
    /// The header list is larger than we take; `got` as RFC 9113, 10.5.1 counts it, octets.
    HeaderListTooLarge { limit: u32, got: usize },
    /// An interim (1xx) response that ends the stream.
    InterimEnds,
    /// DATA before any response head.
    DataBeforeHead,
    /// A second response head, that is trailers that do not end the stream.
    SecondHead,
    /// content-length is no number, contradicts itself, or is not the length of the body.
    ContentLength,
    /// More DATA than the stream's window allowed, octets.
    WindowExceeded { window: u32, got: u32 },
    /// WINDOW_UPDATE by 0.
    ZeroIncrement,
    /// WINDOW_UPDATE that makes the stream's send window larger than 2^31-1.
    WindowOverflow,
}

impl Malformed {
    /// What RST_STREAM told the peer.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::WindowExceeded { .. } | Self::WindowOverflow => ErrorCode::FLOW_CONTROL_ERROR,
            Self::HeaderListTooLarge { .. } => ErrorCode::ENHANCE_YOUR_CALM,
            _ => ErrorCode::PROTOCOL_ERROR,
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Status => "missing, repeated or invalid :status",
            Self::PseudoHeader => "pseudo-header field out of place",
            Self::FieldName => "invalid field name",
            Self::FieldValue => "invalid field value",
            Self::ConnectionSpecific => "connection-specific field",
            Self::HeaderListTooLarge { limit, got } => {
                return write!(f, "header list of {got} octets, limit {limit}");
            }
            Self::InterimEnds => "interim response ends the stream",
            Self::DataBeforeHead => "DATA before the response head",
            Self::SecondHead => "second response head",
            Self::ContentLength => "content-length does not match the body",
            Self::WindowExceeded { window, got } => {
                return write!(f, "{got} octets of DATA in a stream window of {window}");
            }
            Self::ZeroIncrement => "WINDOW_UPDATE by 0",
            Self::WindowOverflow => "stream send window overflow",
        })
    }
}

/// What the connection needs to know of a response head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// 100 to 999, not 101.
    pub status: u16,
    pub content_length: Option<u64>,
}

impl ResponseHead {
    /// Another head follows on the same stream.
    pub fn is_interim(self) -> bool {
        self.status < 200
    }

    /// A response that never has a body, whatever its content-length says (RFC 9110, 6.4.1).
    pub fn forbids_body(self) -> bool {
        matches!(self.status, 204 | 304)
    }
}

/// Reads the fields of a response head.
pub fn head(fields: &HeaderList) -> Result<ResponseHead, Malformed> {
    let mut fields = fields.iter();
    let status = match fields.next() {
        Some((b":status", value)) => parse_status(value)?,
        Some((name, _)) if name.starts_with(b":") => return Err(Malformed::PseudoHeader),
        _ => return Err(Malformed::Status),
    };
    let mut content_length = None;
    for (name, value) in fields {
        if name == b":status" {
            return Err(Malformed::Status);
        }
        check_regular(name, value)?;
        if name == b"content-length" {
            let length = parse_length(value)?;
            if content_length.is_some_and(|other| other != length) {
                return Err(Malformed::ContentLength);
            }
            content_length = Some(length);
        }
    }
    Ok(ResponseHead {
        status,
        content_length,
    })
}

/// Whether a field may stand in a head after the status, and says nothing about the body.
pub fn is_plain(name: &[u8], value: &[u8]) -> bool {
    name != b"content-length" && check_regular(name, value).is_ok()
}

/// Checks the fields of trailers.
pub fn trailers(fields: &HeaderList) -> Result<(), Malformed> {
    fields
        .iter()
        .try_for_each(|(name, value)| check_regular(name, value))
}

fn check_regular(name: &[u8], value: &[u8]) -> Result<(), Malformed> {
    if name.starts_with(b":") {
        Err(Malformed::PseudoHeader)
    } else if !field::is_name(name) {
        Err(Malformed::FieldName)
    } else if !field::is_value(value) {
        Err(Malformed::FieldValue)
    } else if field::is_connection_specific(name) || name == b"te" {
        Err(Malformed::ConnectionSpecific)
    } else {
        Ok(())
    }
}

fn parse_status(value: &[u8]) -> Result<u16, Malformed> {
    match *value {
        [h @ b'1'..=b'9', t @ b'0'..=b'9', u @ b'0'..=b'9'] => {
            let status = u16::from(h - b'0') * 100 + u16::from(t - b'0') * 10 + u16::from(u - b'0');
            if status == 101 {
                Err(Malformed::Status)
            } else {
                Ok(status)
            }
        }
        _ => Err(Malformed::Status),
    }
}

fn parse_length(value: &[u8]) -> Result<u64, Malformed> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Malformed::ContentLength);
    }
    let digits = core::str::from_utf8(value).map_err(|_| Malformed::ContentLength)?;
    digits.parse().map_err(|_| Malformed::ContentLength)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&str, &str)]) -> Result<ResponseHead, Malformed> {
        head(&list(fields))
    }

    fn list(fields: &[(&str, &str)]) -> HeaderList {
        let mut list = HeaderList::new();
        for (name, value) in fields {
            list.push(name.as_bytes(), value.as_bytes());
        }
        list
    }

    #[test]
    fn a_head_has_one_status_in_front() {
        let got = read(&[
            (":status", "410"),
            ("apns-id", "x"),
            ("content-length", "12"),
        ])
        .unwrap();
        assert_eq!((got.status, got.content_length), (410, Some(12)));
        for (fields, error) in [
            (&[][..], Malformed::Status),
            (&[("a", "b")], Malformed::Status),
            (&[("a", "b"), (":status", "200")], Malformed::Status),
            (&[(":status", "200"), (":status", "200")], Malformed::Status),
            (
                &[(":path", "/"), (":status", "200")],
                Malformed::PseudoHeader,
            ),
            (
                &[(":status", "200"), (":path", "/")],
                Malformed::PseudoHeader,
            ),
        ] {
            assert_eq!(read(fields), Err(error), "{fields:?}");
        }
    }

    #[test]
    fn a_status_is_three_digits() {
        for value in ["", "20", "2000", "2x0", "099", "101", "+20", " 20"] {
            assert_eq!(
                read(&[(":status", value)]),
                Err(Malformed::Status),
                "{value}"
            );
        }
        assert!(read(&[(":status", "103")]).unwrap().is_interim());
        assert!(read(&[(":status", "204")]).unwrap().forbids_body());
        assert_eq!(read(&[(":status", "999")]).unwrap().status, 999);
    }

    #[test]
    fn fields_are_checked() {
        for (name, value, error) in [
            ("Apns-Id", "x", Malformed::FieldName),
            ("", "x", Malformed::FieldName),
            ("a", "b\n", Malformed::FieldValue),
            ("a", " b", Malformed::FieldValue),
            ("connection", "close", Malformed::ConnectionSpecific),
            ("te", "trailers", Malformed::ConnectionSpecific),
            ("content-length", "", Malformed::ContentLength),
            ("content-length", "-1", Malformed::ContentLength),
            (
                "content-length",
                "99999999999999999999",
                Malformed::ContentLength,
            ),
        ] {
            assert_eq!(
                read(&[(":status", "200"), (name, value)]),
                Err(error),
                "{name}: {value}"
            );
        }
    }

    #[test]
    fn content_length_may_be_repeated_but_not_contradicted() {
        let (first, second) = (("content-length", "5"), ("content-length", "6"));
        assert!(read(&[(":status", "200"), first, first]).is_ok());
        let got = read(&[(":status", "200"), first, second]);
        assert_eq!(got, Err(Malformed::ContentLength));
    }

    #[test]
    fn trailers_have_no_pseudo_headers() {
        assert_eq!(trailers(&list(&[("a", "b")])), Ok(()));
        assert_eq!(trailers(&list(&[])), Ok(()));
        assert_eq!(
            trailers(&list(&[(":status", "200")])),
            Err(Malformed::PseudoHeader)
        );
    }
}
