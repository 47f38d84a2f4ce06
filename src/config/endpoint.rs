//! The address of a server: a host and a port.

use core::fmt;
use std::borrow::Cow;

use super::error::{ConfigError, invalid};
use super::host::{host_name, not_a_host};

/// An address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// DNS name or literal address without brackets; also the name its certificate is checked
    /// against.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    /// `host:port`, with a literal IPv6 address in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uri_host(), self.port)
    }
}

impl Endpoint {
    /// The host as URIs have it: a literal IPv6 address in brackets (RFC 3986, section 3.2.2).
    pub fn uri_host(&self) -> Cow<'_, str> {
        match self.host.contains(':') {
            true => format!("[{}]", self.host).into(),
            false => self.host.as_str().into(),
        }
    }
}

/// The address that a host and a port are, for the section at `path`.
pub(super) fn endpoint(path: &str, host: &str, port: u16) -> Result<Endpoint, ConfigError> {
    let Some(named) = host_name(host) else {
        let path = format_args!("{path}.host");
        return Err(invalid(path, not_a_host(host)));
    };
    if port == 0 {
        let why = "expected 1 to 65535, got 0";
        return Err(invalid(format_args!("{path}.port"), why));
    }
    Ok(Endpoint { host: named, port })
}
