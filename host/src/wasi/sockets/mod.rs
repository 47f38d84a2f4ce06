//! `wasi:sockets@0.3.0` for a function that only dials out: TCP to the hosts it was given, nothing
//! else.
//!
//! Why not the runtime's own: it never sets `TCP_NODELAY` and WASI has no option for it, and
//! Nagle's algorithm against a peer's delayed acknowledgement stalls small writes for 40 ms.
//!
//! What is allowed is decided by name, not by address: [`Network`] remembers which addresses came
//! out of which permitted lookup, and a connection to anything else is `access-denied`. UDP,
//! binding and listening are `not-supported`.

mod names;
mod streams;
mod tcp;
mod udp;

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use wasmtime::component::{HasData, Linker, ResourceTable};

pub(crate) use bindings::wasi::sockets::{ip_name_lookup, types};
pub use names::resolve;
pub(crate) use tcp::dial;

/// Bindings of the two interfaces.
mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package dunlin:host-sockets;
            world imports {
                import wasi:sockets/types@0.3.0;
                import wasi:sockets/ip-name-lookup@0.3.0;
            }
        ",
        imports: {
            "wasi:sockets/types.[method]tcp-socket.send": store | trappable,
            "wasi:sockets/types.[method]tcp-socket.receive": store | trappable,
            default: trappable,
        },
        with: {
            "wasi:sockets/types.tcp-socket": super::tcp::TcpSocket,
            "wasi:sockets/types.udp-socket": super::udp::UdpSocket,
        },
        require_store_data_send: true,
    });
}

/// How many resolved addresses are remembered; at the bound the memory starts over, and a
/// connection then needs a fresh lookup (which every connection makes anyway).
const MAX_RESOLVED: usize = 1024;

/// One host the function may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    /// A DNS name or a literal IP address, lower case.
    pub name: String,
    /// The TCP port.
    pub port: u16,
}

/// Addresses of names that are not looked up, by the name in lower case; the preferred one first.
pub type Addresses = BTreeMap<String, Vec<IpAddr>>;

/// What the function may reach, and what its lookups have answered so far.
#[derive(Debug, Default)]
pub struct Network {
    allowed: Arc<[AllowedHost]>,
    given: Arc<Addresses>,
    resolved: HashSet<(IpAddr, String)>,
}

impl Network {
    /// Allows exactly these hosts; the addresses of some may be given.
    pub fn new(allowed: Arc<[AllowedHost]>, given: Arc<Addresses>) -> Self {
        Self {
            allowed,
            given,
            resolved: HashSet::new(),
        }
    }

    fn allows_name(&self, name: &str) -> bool {
        self.allowed
            .iter()
            .any(|host| host.name.eq_ignore_ascii_case(name))
    }

    fn remember(&mut self, name: &str, addresses: &[IpAddr]) {
        if self.resolved.len() + addresses.len() > MAX_RESOLVED {
            self.resolved.clear();
        }
        for address in addresses {
            self.resolved.insert((*address, name.to_ascii_lowercase()));
        }
    }

    fn allows_address(&self, address: SocketAddr) -> bool {
        let literal = address.ip().to_string();
        self.allowed.iter().any(|host| {
            let name = host.name.to_ascii_lowercase();
            host.port == address.port()
                && (name == literal || self.resolved.contains(&(address.ip(), name)))
        })
    }
}

/// A borrow of what the socket functions need from a store's data.
pub struct NetworkView<'a> {
    /// Sockets live here.
    pub table: &'a mut ResourceTable,
    /// What may be reached.
    pub network: &'a mut Network,
}

/// Store data that has a [`Network`].
pub trait NetworkHost: Send {
    /// Borrows it.
    fn network(&mut self) -> NetworkView<'_>;
}

pub(crate) struct Sockets;

impl HasData for Sockets {
    type Data<'a> = NetworkView<'a>;
}

/// Adds both interfaces to `linker`.
pub fn add_to_linker<T: NetworkHost + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    types::add_to_linker::<_, Sockets>(linker, T::network)?;
    ip_name_lookup::add_to_linker::<_, Sockets>(linker, T::network)
}

impl types::Host for NetworkView<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowing<const N: usize>(hosts: [(&str, u16); N]) -> Network {
        let allowed = hosts.map(|(name, port)| AllowedHost {
            name: name.into(),
            port,
        });
        Network::new(Arc::new(allowed), Arc::default())
    }

    fn network() -> Network {
        allowing([("api.push.apple.com", 443), ("127.0.0.1", 2197)])
    }

    #[test]
    fn only_resolved_addresses_of_allowed_names_are_reached() {
        let mut network = network();
        let apple: SocketAddr = "192.0.2.7:443".parse().unwrap();
        assert!(!network.allows_address(apple));
        network.remember("API.push.apple.com", &[apple.ip()]);
        assert!(network.allows_address(apple));
        assert!(!network.allows_address("192.0.2.7:22".parse().unwrap()));
    }

    #[test]
    fn two_names_may_have_one_address() {
        let mut network = allowing([("a.test", 1), ("b.test", 2)]);
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        network.remember("a.test", &[address]);
        network.remember("b.test", &[address]);
        assert!(network.allows_address(SocketAddr::new(address, 1)));
        assert!(network.allows_address(SocketAddr::new(address, 2)));
        assert!(!network.allows_address(SocketAddr::new(address, 3)));
    }

    #[test]
    fn literal_addresses_need_their_own_entry() {
        let network = network();
        assert!(network.allows_address("127.0.0.1:2197".parse().unwrap()));
        assert!(!network.allows_address("127.0.0.1:443".parse().unwrap()));
        assert!(!network.allows_name("example.net"));
    }

    #[test]
    fn the_memory_of_lookups_is_bounded() {
        let mut network = network();
        for n in 0..3000u32 {
            network.remember("api.push.apple.com", &[IpAddr::from(n.to_be_bytes())]);
        }
        assert!(network.resolved.len() <= MAX_RESOLVED);
    }
}
