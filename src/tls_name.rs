//! What the function says to the TLS provider: a server name, and what else it has to say in it.
//!
//! `wasi:tls` takes a server name and nothing beside it, so the identity to show and the protocol
//! to speak are part of the name:
//!
//! ```text
//!   api.push.apple.com                     HTTP/2, no certificate of ours
//!   shop@api.push.apple.com                HTTP/2, with the identity `shop`
//!   binary:shop@gateway.push.apple.com     the binary protocols (no ALPN), identity `shop`
//!   binary:@gateway.example.com            the same without a certificate
//! ```
//!
//! No DNS name has `@` or `:` in it, so a provider that knows nothing of this refuses such a name
//! instead of connecting without the certificate. Identities are names of the host's
//! configuration; their keys never enter the function.

use core::fmt;

/// Longest identity, in bytes.
pub const IDENTITY_MAX_BYTES: usize = 128;

const BINARY: &str = "binary:";

/// What is spoken inside TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// ALPN `h2`.
    Http2,
    /// The binary gateway or the feedback service: no ALPN.
    Binary,
}

/// A server name with what else TLS has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsName {
    /// What is spoken.
    pub protocol: Protocol,
    /// The name of a client certificate, if one is to be shown.
    pub identity: Option<String>,
    /// The server's DNS name or literal address: what its certificate is checked against.
    pub host: String,
}

/// Not a name of this form. The configuration is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTlsName;

impl fmt::Display for InvalidTlsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TLS name: expected [binary:][identity@]host, got something else")
    }
}

impl core::error::Error for InvalidTlsName {}

impl TlsName {
    /// Reads what [`TlsName`]'s `Display` wrote.
    ///
    /// # Errors
    /// [`InvalidTlsName`], if the host is empty or the identity is none.
    pub fn parse(text: &str) -> Result<Self, InvalidTlsName> {
        let (protocol, rest) = match text.strip_prefix(BINARY) {
            Some(rest) => (Protocol::Binary, rest),
            None => (Protocol::Http2, text),
        };
        let (identity, host) = match (rest.split_once('@'), protocol) {
            (Some(("", host)), Protocol::Binary) => (None, host),
            (Some((identity, host)), _) => (Some(identity), host),
            (None, Protocol::Http2) => (None, rest),
            (None, Protocol::Binary) => return Err(InvalidTlsName),
        };
        if host.is_empty() || host.contains('@') || !identity.is_none_or(is_identity) {
            return Err(InvalidTlsName);
        }
        Ok(Self {
            protocol,
            identity: identity.map(str::to_owned),
            host: host.to_owned(),
        })
    }
}

/// Whether a text may name an identity: letters, digits, `.`, `-`, `_`, up to 128 bytes.
pub fn is_identity(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=IDENTITY_MAX_BYTES).contains(&text.len()) && text.bytes().all(allowed)
}

impl fmt::Display for TlsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.protocol, &self.identity) {
            (Protocol::Binary, identity) => {
                let identity = identity.as_deref().unwrap_or_default();
                write!(f, "{BINARY}{identity}@{}", self.host)
            }
            (Protocol::Http2, Some(identity)) => write!(f, "{identity}@{}", self.host),
            (Protocol::Http2, None) => f.write_str(&self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for protocol in [Protocol::Http2, Protocol::Binary] {
            for identity in [None, Some("shop"), Some("com.example.app_2-x")] {
                for host in ["api.push.apple.com", "127.0.0.1", "::1"] {
                    let name = TlsName {
                        protocol,
                        identity: identity.map(str::to_owned),
                        host: host.to_owned(),
                    };
                    assert_eq!(TlsName::parse(&name.to_string()), Ok(name));
                }
            }
        }
        assert_eq!(
            TlsName::parse("api.push.apple.com").unwrap().to_string(),
            "api.push.apple.com"
        );
    }

    #[test]
    fn the_rest_is_refused() {
        for text in [
            "",
            "@host",
            "binary:host",
            "binary:",
            "shop@",
            "binary:@",
            "a@b@c",
            "a b@host",
            "binary:a:b@host",
        ] {
            assert_eq!(TlsName::parse(text), Err(InvalidTlsName), "{text}");
        }
        let long = format!("{}@host", "x".repeat(129));
        assert_eq!(TlsName::parse(&long), Err(InvalidTlsName));
    }
}
