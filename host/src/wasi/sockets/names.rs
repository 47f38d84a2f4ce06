//! `wasi:sockets/ip-name-lookup`: a permitted name becomes addresses, asked anew each time, unless
//! the configuration gives them.
//!
//! They keep their order, which is one of preference (RFC 6724 for the machine's resolver).

use std::net::IpAddr;
use std::sync::Arc;

use tracing::debug;
use wasmtime::component::Accessor;

use super::ip_name_lookup::{ErrorCode, Host, HostWithStore};
use super::types::IpAddress;
use super::{Addresses, NetworkView, Sockets};

impl Host for NetworkView<'_> {}

impl<T: Send> HostWithStore<T> for Sockets {
    async fn resolve_addresses(
        store: &Accessor<T, Self>,
        name: String,
    ) -> wasmtime::Result<Result<Vec<IpAddress>, ErrorCode>> {
        if !store.with(|mut access| access.get().network.allows_name(&name)) {
            debug!(host = %name, "lookup of a host that is not allowed");
            return Ok(Err(ErrorCode::AccessDenied));
        }
        let given = store.with(|mut access| Arc::clone(&access.get().network.given));
        let addresses = match resolve(&given, &name).await {
            Ok(addresses) => addresses,
            Err(error) => {
                debug!(host = %name, %error, "lookup failed");
                return Ok(Err(ErrorCode::NameUnresolvable));
            }
        };
        store.with(|mut access| access.get().network.remember(&name, &addresses));
        Ok(Ok(addresses.into_iter().map(to_wit).collect()))
    }
}

/// The addresses of a name, the preferred one first, and IPv4 as such: it is what the function asks
/// for.
///
/// # Errors
/// If the machine's resolver knows none.
pub async fn resolve(given: &Addresses, name: &str) -> std::io::Result<Vec<IpAddr>> {
    if let Some(addresses) = given.get(&name.to_ascii_lowercase()) {
        return Ok(addresses.iter().map(IpAddr::to_canonical).collect());
    }
    if let Ok(literal) = name.parse::<IpAddr>() {
        return Ok(vec![literal.to_canonical()]);
    }
    let found = tokio::net::lookup_host((name, 0)).await?;
    Ok(found.map(|address| address.ip().to_canonical()).collect())
}

fn to_wit(address: IpAddr) -> IpAddress {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            IpAddress::Ipv4((a, b, c, d))
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, e, f, g, h] = v6.segments();
            IpAddress::Ipv6((a, b, c, d, e, f, g, h))
        }
    }
}
