//! A server's name turned into the request for a tunnel, and a proxy's reply into leave to speak or
//! a refusal: CONNECT, RFC 9110, section 9.3.6; Basic authentication, RFC 7617.
//!
//! ```text
//!   CONNECT api.push.apple.com:443 HTTP/1.1        HTTP/1.1 200 Connection established
//!   Host: api.push.apple.com:443            ──►                                        ──► TLS
//!   Proxy-Authorization: Basic …
//! ```
//!
//! Interim replies (1xx) are passed over. Every 2xx opens the tunnel, whatever its fields say of a
//! body, because it has none. Anything else is a refusal. In the tunnel the server waits for us, so
//! bytes that come together with a 2xx are nobody's and are refused.
//!
//! Nothing in the fields matters here, so they are read as leniently as RFC 9112 lets a client:
//! folded lines (5.2), a space before the colon (5.1), several spaces in the status line (4),
//! lines that end in LF alone (2.2). A line that is no field ends the attempt all the same.
//!
//! Limits: [`HEAD_MAX_BYTES`] for the reply and the interim ones before it, [`FIELDS_MAX`] fields
//! in each, [`REASON_MAX_CHARS`] of a reason. Left to others: when to give a silent proxy up.

use core::fmt;
use core::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use httparse::{EMPTY_HEADER, ParserConfig, Response, Status};

/// Most bytes of a proxy's reply up to the tunnel. **Ours;** they are a few hundred.
pub const HEAD_MAX_BYTES: usize = 8 * 1024;

/// Most header fields of a reply. **Ours.**
const FIELDS_MAX: usize = 64;

/// Most characters of a reason that are shown. **Ours.**
const REASON_MAX_CHARS: usize = 64;

/// Longest host name, in bytes: RFC 1035, section 2.3.4, as text.
const NAME_MAX_BYTES: usize = 253;

/// Longest user and longest password, in bytes. **Ours.**
const CREDENTIAL_MAX_BYTES: usize = 512;

/// A server as `host:port`, with a literal IPv6 address in brackets: RFC 3986, section 3.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority(String);

/// Not a host and a port. The configuration is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidAuthority;

impl fmt::Display for InvalidAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a host name or an IP address, and a port above 0, got something else")
    }
}

impl core::error::Error for InvalidAuthority {}

impl Authority {
    /// From a DNS name (letters, digits, `-`, `_` and `.`, at most 253 bytes) or a literal address
    /// without brackets.
    ///
    /// # Errors
    /// [`InvalidAuthority`]
    pub fn new(host: &str, port: u16) -> Result<Self, InvalidAuthority> {
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let is_name = (1..=NAME_MAX_BYTES).contains(&host.len()) && host.bytes().all(is_of_name);
        match host.parse() {
            _ if port == 0 => Err(InvalidAuthority),
            Ok(IpAddr::V6(address)) => Ok(Self(format!("[{address}]:{port}"))),
            Ok(IpAddr::V4(address)) => Ok(Self(format!("{address}:{port}"))),
            Err(_) if is_name => Ok(Self(format!("{host}:{port}"))),
            Err(_) => Err(InvalidAuthority),
        }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who we are to a proxy. Shown to nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `user:password`
    pair: String,
}

/// Not a user and a password of Basic authentication. The configuration is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCredentials(&'static str);

impl fmt::Display for InvalidCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for InvalidCredentials {}

impl Credentials {
    /// Up to 512 bytes of UTF-8 each, without control characters; no colon in the user (RFC 7617,
    /// section 2).
    ///
    /// # Errors
    /// [`InvalidCredentials`], which shows neither.
    pub fn new(user: &str, password: &str) -> Result<Self, InvalidCredentials> {
        let why = if user.contains(':') {
            "expected a user without a colon, got one with it"
        } else if [user, password]
            .iter()
            .any(|text| text.contains(|c: char| c.is_control()))
        {
            "expected a user and a password without control characters, got one with them"
        } else if user.len().max(password.len()) > CREDENTIAL_MAX_BYTES {
            "expected a user and a password of at most 512 bytes each, got a longer one"
        } else {
            let pair = format!("{user}:{password}");
            return Ok(Self { pair });
        };
        Err(InvalidCredentials(why))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// How far a tunnel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The reply is not whole yet.
    NeedMore,
    /// What is written from now on goes to the server, and what is read comes from it.
    Open,
}

/// Why there is no tunnel. The proxy is at fault, or is right to refuse us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TunnelError {
    /// It answers something else than HTTP/1.
    NotHttp(httparse::Error),
    /// Its reply is longer than [`HEAD_MAX_BYTES`].
    TooLong,
    /// It says no.
    Refused {
        /// Its status code, none of 2xx.
        status: u16,
        /// Its reason phrase, cut to printable ASCII; may be empty.
        reason: String,
    },
    /// It has said something after its reply, where only a server would speak.
    Surplus,
    /// It has closed the connection before its reply was whole.
    Closed,
}

impl fmt::Display for TunnelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHttp(error) => write!(f, "expected a reply in HTTP/1, got none: {error}"),
            Self::TooLong => write!(
                f,
                "expected a reply of at most {HEAD_MAX_BYTES} bytes, got more"
            ),
            Self::Refused { status, reason } => {
                let space = if reason.is_empty() { "" } else { " " };
                write!(f, "expected 2xx, got {status}{space}{reason}")
            }
            Self::Surplus => f.write_str("expected silence after a 2xx, got further bytes"),
            Self::Closed => f.write_str("expected a reply, got a closed connection"),
        }
    }
}

impl core::error::Error for TunnelError {}

/// A tunnel that has been asked for.
#[derive(Clone, Debug)]
pub struct Tunnel {
    /// Everything the proxy has said, at most [`HEAD_MAX_BYTES`].
    said: Vec<u8>,
    /// Where the first reply begins that is not an interim one.
    reply_at: usize,
}

impl Tunnel {
    /// Asks for a tunnel to a server: the request is appended to `out`.
    pub fn request(
        server: &Authority,
        credentials: Option<&Credentials>,
        out: &mut Vec<u8>,
    ) -> Self {
        let mut request = format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n");
        if let Some(Credentials { pair }) = credentials {
            request.push_str("Proxy-Authorization: Basic ");
            STANDARD.encode_string(pair, &mut request);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        out.extend_from_slice(request.as_bytes());
        Self {
            said: Vec::new(),
            reply_at: 0,
        }
    }

    /// Takes what the proxy says; not to be called again after [`Progress::Open`] or an error.
    ///
    /// # Errors
    /// If there will be no tunnel.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<Progress, TunnelError> {
        let room = HEAD_MAX_BYTES.saturating_sub(self.said.len());
        let kept = bytes.get(..room).unwrap_or(bytes);
        self.said.extend_from_slice(kept);
        loop {
            let rest = self.said.get(self.reply_at..).unwrap_or_default();
            let mut fields = [EMPTY_HEADER; FIELDS_MAX];
            let mut reply = Response::new(&mut fields);
            let parsed = lenient().parse_response(&mut reply, rest);
            let length = match parsed.map_err(TunnelError::NotHttp)? {
                Status::Complete(length) => length,
                Status::Partial if self.said.len() >= HEAD_MAX_BYTES => {
                    return Err(TunnelError::TooLong);
                }
                Status::Partial => return Ok(Progress::NeedMore),
            };
            let is_all = length == rest.len() && kept.len() == bytes.len();
            match reply.code.unwrap_or_default() {
                // 101 would be another protocol, and we have asked for none.
                100 | 102..=199 => self.reply_at += length,
                200..=299 if is_all => return Ok(Progress::Open),
                200..=299 => return Err(TunnelError::Surplus),
                status => {
                    let reason = printable(reply.reason.unwrap_or_default());
                    return Err(TunnelError::Refused { status, reason });
                }
            }
        }
    }

    /// The proxy has closed the connection before the tunnel was open.
    pub fn handle_end(self) -> TunnelError {
        TunnelError::Closed
    }
}

/// Takes what a recipient may take, see above.
fn lenient() -> ParserConfig {
    let mut config = ParserConfig::default();
    config
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .allow_multiple_spaces_in_response_status_delimiters(true);
    config
}

fn printable(reason: &str) -> String {
    reason
        .chars()
        .filter(|c| c.is_ascii_graphic() || *c == ' ')
        .take(REASON_MAX_CHARS)
        .collect()
}

#[cfg(test)]
mod tests;
