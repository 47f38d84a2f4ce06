//! The function's half of the configuration turned into the servers that it may reach, by which
//! way.

use dunlin::config::{ApnsService, BinaryApp, Endpoint, Settings, Transport};
use dunlin::environment::Environment;
use dunlin_host::wasi::sockets::AllowedHost;

/// Where APNs is: what is reached over HTTP/2.
fn services(settings: &Settings) -> impl Iterator<Item = Endpoint> {
    Environment::ALL.into_iter().flat_map(|environment| {
        ApnsService::ALL.map(|service| settings.service(environment, service).clone())
    })
}

/// Where the function has to reach over sockets: APNs, if that is its way, and the apps' gateways
/// and feedback services, or the proxy in front of them.
pub(crate) fn by_sockets(settings: &Settings) -> Vec<AllowedHost> {
    let by_sockets = settings.delivery().transport == Transport::Sockets;
    let services = services(settings).filter(|_| by_sockets);
    let addresses = |app: &BinaryApp| [app.gateway.clone(), app.feedback.clone()];
    let apps = settings.binary_apps().iter().flat_map(addresses).flatten();
    let reached = |endpoint: Endpoint| match settings.proxy_for(&endpoint.host) {
        Some(proxy) => proxy.endpoint.clone(),
        None => endpoint,
    };
    allowed(services.chain(apps).map(reached))
}

/// Where the function reaches by the host's HTTP client.
pub(crate) fn by_http_client(settings: &Settings) -> Option<Vec<AllowedHost>> {
    match settings.delivery().transport {
        Transport::Sockets => None,
        Transport::WasiHttp => Some(allowed(services(settings))),
    }
}

/// Each of them once.
fn allowed(endpoints: impl Iterator<Item = Endpoint>) -> Vec<AllowedHost> {
    let mut allowed = Vec::new();
    for Endpoint { host, port } in endpoints {
        let name = host.to_ascii_lowercase();
        let host = AllowedHost { name, port };
        if !allowed.contains(&host) {
            allowed.push(host);
        }
    }
    allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(text: &str) -> Vec<String> {
        let hosts = by_sockets(&Settings::parse(text).unwrap());
        let text = |AllowedHost { name, port }| format!("{name}:{port}");
        hosts.into_iter().map(text).collect()
    }

    #[test]
    fn behind_a_proxy_only_the_proxy_and_the_exceptions_are_reached() {
        let direct = reached("");
        assert!(direct.contains(&"api.push.apple.com:443".to_owned()));
        let proxy = "[proxy]\nurl = \"http://Proxy.internal:3128\"\n";
        assert_eq!(reached(proxy), ["proxy.internal:3128"]);
        let text = format!(
            "{proxy}except = [\".test\"]\n[[binary]]\ntopic = \"a.b\"\n\
             gateway = {{ host = \"gateway.test\", port = 1 }}\n\
             feedback = {{ host = \"gateway.test\", port = 2 }}\n"
        );
        let expected = ["proxy.internal:3128", "gateway.test:1", "gateway.test:2"];
        assert_eq!(reached(&text), expected);
        // A proxy that nothing is behind is not for the function either.
        let unused = format!("{proxy}except = [\".apple.com\"]");
        assert!(!reached(&unused).contains(&"proxy.internal:3128".to_owned()));
    }

    #[test]
    fn each_server_is_reached_by_one_way() {
        let text = "[delivery]\ntransport = \"wasi-http\"\n[[binary]]\ntopic = \"a.b\"\n\
             gateway = { host = \"gateway.test\", port = 1 }\n";
        assert_eq!(reached(text), ["gateway.test:1"]);
        let outgoing = |text: &str| by_http_client(&Settings::parse(text).unwrap());
        assert_eq!(outgoing(""), None);
        let hosts = outgoing(text).unwrap();
        assert_eq!(
            hosts.len(),
            4,
            "two environments, and their channels: {hosts:?}"
        );
        assert!(
            hosts
                .iter()
                .any(|host| host.name == "api.push.apple.com" && host.port == 443)
        );
    }
}
