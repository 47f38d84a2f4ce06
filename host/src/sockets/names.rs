//! `wasi:sockets/ip-name-lookup`: a permitted name becomes addresses, asked anew each time.

use std::net::IpAddr;

use tracing::debug;
use wasmtime::component::Accessor;

use super::ip_name_lookup::{ErrorCode, Host, HostWithStore};
use super::types::IpAddress;
use super::{NetworkView, Sockets};

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
        let addresses = match resolve(&name).await {
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

async fn resolve(name: &str) -> std::io::Result<Vec<IpAddr>> {
    if let Ok(literal) = name.parse::<IpAddr>() {
        return Ok(vec![literal]);
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
