//! A request as the caller hands it in, and whether it can be sent at all.
//!
//! Source: RFC 9113, 8.1, 8.2 and 8.3.1.
//!
//! ```text
//! Request -> check -> size of the header list
//!                  -> SendError: a field that would make the request malformed
//! ```
//!
//! Checked before anything is written, so a refused request leaves no trace, neither in the
//! caller's buffer nor in the compression state.

use core::fmt;

use super::error::SendError;
use super::field;
use super::hpack::{Encoder, Indexing};
use super::limits::FIELD_OVERHEAD;

/// A request with its whole body. Borrowed only for the call.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// `:method`, a token such as `POST`. CONNECT is not supported.
    pub method: &'a str,
    /// `:scheme`, normally `https`.
    pub scheme: &'a str,
    /// `:authority`, host and optional port; left out if empty.
    pub authority: &'a str,
    /// `:path`, beginning with `/` (or `*` alone). Sent without indexing.
    pub path: &'a str,
    /// Further fields in the order they are sent.
    pub headers: &'a [Header<'a>],
    /// May be empty: then the request is one HEADERS frame.
    pub body: &'a [u8],
}

/// One header field.
#[derive(Clone, Copy)]
pub struct Header<'a> {
    /// Lower-case token characters.
    pub name: &'static str,
    /// Without NUL, CR, LF, and without blanks at its ends.
    pub value: &'a str,
    /// How it is represented on the wire.
    pub indexing: Indexing,
}

impl Request<'_> {
    /// The size of the header list as RFC 9113, 10.5.1 counts it, octets.
    ///
    /// # Errors
    ///
    /// `InvalidPseudoHeader` or `InvalidHeader` if the request would be malformed.
    pub(super) fn check(&self) -> Result<usize, SendError> {
        let pseudo = [
            (":method", self.method, is_method(self.method)),
            (":scheme", self.scheme, is_scheme(self.scheme)),
            (
                ":authority",
                self.authority,
                field::is_visible(self.authority.as_bytes()),
            ),
            (":path", self.path, is_path(self.path.as_bytes())),
        ];
        let mut size = 0;
        for (name, value, is_valid) in pseudo {
            if !is_valid {
                return Err(SendError::InvalidPseudoHeader(name));
            }
            size += name.len() + value.len() + FIELD_OVERHEAD;
        }
        for (index, header) in self.headers.iter().enumerate() {
            if !header.is_valid() {
                return Err(SendError::InvalidHeader { index });
            }
            size += header.name.len() + header.value.len() + FIELD_OVERHEAD;
        }
        Ok(size)
    }

    /// Appends the header block.
    pub(super) fn encode(&self, encoder: &mut Encoder, out: &mut Vec<u8>) {
        let always = Indexing::Incremental;
        encoder.begin(out);
        encoder.field(b":method", self.method.as_bytes(), always, out);
        encoder.field(b":scheme", self.scheme.as_bytes(), always, out);
        if !self.authority.is_empty() {
            encoder.field(b":authority", self.authority.as_bytes(), always, out);
        }
        encoder.field(b":path", self.path.as_bytes(), Indexing::Without, out);
        for header in self.headers {
            encoder.field(
                header.name.as_bytes(),
                header.value.as_bytes(),
                header.indexing,
                out,
            );
        }
    }
}

impl Header<'_> {
    fn is_valid(&self) -> bool {
        let (name, value) = (self.name.as_bytes(), self.value.as_bytes());
        field::is_name(name)
            && field::is_value(value)
            && !field::is_connection_specific(name)
            && (name != b"te" || value == b"trailers")
    }
}

impl fmt::Debug for Request<'_> {
    /// Path, header values and body are secrets or personal data: only their lengths are printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("authority", &self.authority)
            .field("path", &format_args!("{} octets", self.path.len()))
            .field("headers", &self.headers)
            .field("body", &format_args!("{} octets", self.body.len()))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} octets, {:?}",
            self.name,
            self.value.len(),
            self.indexing
        )
    }
}

fn is_method(method: &str) -> bool {
    let is_token = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
    !method.is_empty() && method.bytes().all(is_token) && method != "CONNECT"
}

fn is_scheme(scheme: &str) -> bool {
    let is_allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet);
    !scheme.is_empty() && scheme.bytes().all(is_allowed)
}

pub(super) fn is_path(path: &[u8]) -> bool {
    (path.starts_with(b"/") || path == b"*") && field::is_visible(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Request<'static> = Request {
        method: "POST",
        scheme: "https",
        authority: "example.com",
        path: "/3/device/00",
        headers: &[],
        body: b"{}",
    };

    fn with_header(name: &'static str, value: &str) -> Result<usize, SendError> {
        let headers = [Header {
            name,
            value,
            indexing: Indexing::Without,
        }];
        Request {
            headers: &headers,
            ..GOOD
        }
        .check()
    }

    #[test]
    fn the_size_counts_32_for_each_field() {
        assert_eq!(GOOD.check(), Ok(4 * 32 + 11 + 12 + 21 + 17));
        assert_eq!(with_header("a", "1"), Ok(5 * 32 + 11 + 12 + 21 + 17 + 2));
    }

    #[test]
    fn bad_pseudo_headers_are_named() {
        let error = |name| Err(SendError::InvalidPseudoHeader(name));
        assert_eq!(Request { method: "", ..GOOD }.check(), error(":method"));
        assert_eq!(
            Request {
                method: "CONNECT",
                ..GOOD
            }
            .check(),
            error(":method")
        );
        assert_eq!(
            Request {
                scheme: "ht tp",
                ..GOOD
            }
            .check(),
            error(":scheme")
        );
        assert_eq!(
            Request {
                authority: "a\r\nb",
                ..GOOD
            }
            .check(),
            error(":authority")
        );
        for path in ["", "x", "/a b", "/\n", "/\u{e9}"] {
            assert_eq!(Request { path, ..GOOD }.check(), error(":path"));
        }
        assert!(
            Request {
                path: "*",
                authority: "",
                ..GOOD
            }
            .check()
            .is_ok()
        );
    }

    #[test]
    fn bad_headers_are_counted_off() {
        let error = Err(SendError::InvalidHeader { index: 0 });
        for (name, value) in [
            ("", ""),
            ("Upper", ""),
            (":path", "/"),
            ("a", "b\r\nc: d"),
            ("a", "b\0"),
            ("connection", "close"),
            ("transfer-encoding", "chunked"),
            ("te", "gzip"),
        ] {
            assert_eq!(with_header(name, value), error, "{name}");
        }
        assert!(with_header("te", "trailers").is_ok());
    }

    #[test]
    fn secrets_are_not_printed() {
        let headers = [Header {
            name: "a",
            value: "bearer x",
            indexing: Indexing::Never,
        }];
        let text = format!(
            "{:?}",
            Request {
                headers: &headers,
                ..GOOD
            }
        );
        assert!(!text.contains("bearer") && !text.contains("device") && text.contains("POST"));
    }
}
