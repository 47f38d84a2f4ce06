//! Where to listen, as a person writes it, turned into a socket that listens.
//!
//! ```text
//!   127.0.0.1:8080, [::1]:8080   this address
//!   localhost:8080               the first address of the name that can be listened on
//!   :8080                        all interfaces, IPv6 and IPv4
//! ```
//!
//! A name is looked up when it is needed: once at the start of a service, and again by each command
//! that asks that service.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use dunlin::config::host_name;
use serde::{Deserialize, Deserializer};
use tokio::net::TcpListener;

use crate::http_server;

/// A place to listen; nothing was looked up yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    at: ListenHost,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum ListenHost {
    Address(IpAddr),
    Name(String),
    Everywhere,
}

/// Not a place to listen. Whoever wrote it is at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidListen {
    got: String,
}

impl fmt::Display for InvalidListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { got } = self;
        write!(
            f,
            "expected an address and a port, such as \"127.0.0.1:8080\", \"[::1]:8080\" or \
             \"localhost:8080\", or \":8080\" for all interfaces; got {got:?}"
        )
    }
}

impl std::error::Error for InvalidListen {}

impl FromStr for Listen {
    type Err = InvalidListen;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (host, port) = text.rsplit_once(':')?;
            // `u16` takes a sign, which no port has.
            let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
            let port = port.parse().ok().filter(|_| is_number)?;
            let at = match host {
                "" => ListenHost::Everywhere,
                // Without brackets the last part of an address would be taken for the port.
                host if host.contains(':') && !host.starts_with('[') => return None,
                host => {
                    let name = host_name(host)?;
                    name.parse()
                        .map_or(ListenHost::Name(name), ListenHost::Address)
                }
            };
            Some(Self { at, port })
        };
        read().ok_or_else(|| InvalidListen {
            got: text.chars().take(SHOWN_CHARS).collect(),
        })
    }
}

/// Most of a wrong place that is shown.
const SHOWN_CHARS: usize = 80;

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self {
            at: ListenHost::Address(address.ip()),
            port: address.port(),
        }
    }
}

impl fmt::Display for Listen {
    /// As it would be written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        match &self.at {
            ListenHost::Address(address) => SocketAddr::new(*address, port).fmt(f),
            ListenHost::Name(name) => write!(f, "{name}:{port}"),
            ListenHost::Everywhere => write!(f, ":{port}"),
        }
    }
}

impl Listen {
    /// The TCP port; 0 for a free one.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The address, if it was written as one and not as a name; that of all interfaces is IPv6's.
    pub const fn literal(&self) -> Option<SocketAddr> {
        match &self.at {
            ListenHost::Address(ip) => Some(SocketAddr::new(*ip, self.port)),
            ListenHost::Everywhere => {
                let all = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
                Some(SocketAddr::new(all, self.port))
            }
            ListenHost::Name(_) => None,
        }
    }

    /// The addresses that it stands for, the preferred one first; never none.
    ///
    /// # Errors
    /// If a name cannot be looked up, or has no address.
    pub async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let with_port = |ip| SocketAddr::new(ip, self.port);
        let name = match &self.at {
            ListenHost::Address(ip) => return Ok(vec![with_port(*ip)]),
            // A socket for all of IPv6 takes IPv4 too; where there is no IPv6 the other is left.
            ListenHost::Everywhere => {
                let all = [
                    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
                    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                ];
                return Ok(all.map(with_port).to_vec());
            }
            ListenHost::Name(name) => name,
        };
        let failed = |why: &dyn fmt::Display| io::Error::other(format!("{self}: {why}"));
        let found = tokio::net::lookup_host((name.as_str(), self.port)).await;
        let found: Vec<_> = found.map_err(|error| failed(&error))?.collect();
        match found.is_empty() {
            true => Err(failed(&"the name has no address")),
            false => Ok(found),
        }
    }

    /// Listens on the first of its addresses that can be listened on.
    ///
    /// # Errors
    /// If there is none; the error is that of the last one, and names it. A port that is taken on
    /// one address is taken: the others are not tried, so that clients of the name meet one
    /// service.
    pub async fn bind(&self) -> io::Result<TcpListener> {
        let mut last = io::Error::other(format!("{self}: the name has no address"));
        for address in self.addresses().await? {
            match http_server::bind(address) {
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => last = error,
                bound => return bound,
            }
        }
        Err(last)
    }

    /// The address to listen on for somebody who binds it on their own.
    ///
    /// # Errors
    /// As [`Listen::bind`], but for a port that is taken.
    pub async fn address(&self) -> io::Result<SocketAddr> {
        let mut last = io::Error::other(format!("{self}: the name has no address"));
        for address in self.addresses().await? {
            // Whether the machine has the address shows without its port.
            match std::net::TcpListener::bind(SocketAddr::new(address.ip(), 0)) {
                Ok(_) => return Ok(address),
                Err(error) => {
                    last = io::Error::new(
                        error.kind(),
                        format!("cannot listen on {address}: {error}"),
                    );
                }
            }
        }
        Err(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(text: &str) -> Listen {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_names_and_a_port_alone_are_read_and_shown_as_they_are_written() {
        for (text, shown) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("[::1]:8080", "[::1]:8080"),
            ("[0:0::1]:0", "[::1]:0"),
            ("localhost:8080", "localhost:8080"),
            ("my-host.internal:80", "my-host.internal:80"),
            (":8080", ":8080"),
        ] {
            assert_eq!(listen(text).to_string(), shown);
        }
    }

    #[test]
    fn anything_else_is_told_what_is_expected_with_examples() {
        for text in [
            "",
            "nowhere",
            "8080",
            "127.0.0.1",
            "::1",
            "::1:8080",
            "[::1]",
            "localhost:",
            "localhost:http",
            "localhost:65536",
            "localhost:+80",
            "http://localhost:8080",
            "*:8080",
        ] {
            let error = text.parse::<Listen>().unwrap_err().to_string();
            assert!(
                error.starts_with("expected an address and a port"),
                "{error}"
            );
            assert!(
                error.contains("\"localhost:8080\"") && error.contains("\":8080\""),
                "{error}"
            );
            assert!(error.ends_with(&format!("got {text:?}")), "{error}");
        }
    }

    #[tokio::test]
    async fn a_name_is_looked_up_and_one_of_its_addresses_listened_on() {
        let bound = listen("localhost:0").bind().await.unwrap();
        let address = bound.local_addr().unwrap();
        assert!(
            address.ip().is_loopback() && address.port() > 0,
            "{address}"
        );
        let named = Listen {
            at: ListenHost::Name("localhost".to_owned()),
            port: address.port(),
        };
        let all = named.addresses().await.unwrap();
        assert!(all.contains(&address), "{all:?}");
        let error = listen("no-such-name.invalid:1").bind().await.unwrap_err();
        assert!(
            error.to_string().starts_with("no-such-name.invalid:1: "),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_port_alone_is_reached_by_both_versions_of_ip() {
        let bound = listen(":0").bind().await.unwrap();
        let address = bound.local_addr().unwrap();
        assert!(address.ip().is_unspecified(), "{address}");
        let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()));
        tokio::net::TcpStream::connect(v4).await.unwrap();
        if address.is_ipv6() {
            let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, address.port()));
            tokio::net::TcpStream::connect(v6).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_named_with_its_address() {
        let taken = listen("127.0.0.1:0").bind().await.unwrap();
        let address = taken.local_addr().unwrap();
        let error = Listen::from(address).bind().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}
