//! `transport` in `[delivery]`: by which way the component reaches APNs over HTTP/2.
//!
//! ```toml
//! [delivery]
//! transport = "sockets"     # or "wasi-http"
//! ```
//!
//! `wasi-http` hands requests to the platform's HTTP client, which has the connections. What a
//! connection is made with cannot be said to it, so what needs that is refused here:
//!
//! | with `wasi-http` | why not |
//! |---|---|
//! | `identity` in `[[credentials]]` | no client certificate can be named |
//! | two keys for one address | a connection takes the tokens of one key, and there is one pool |
//! | `[proxy]` in front of APNs | the platform decides the way |
//!
//! What becomes of a push depends on what the platform tells of it, too. Our host tells of all that
//! sockets would: the outcomes are the same. Others may tell of a GOAWAY or of a refused stream as
//! of any broken one (Spin: `HttpProtocolError`); then it may have been acted on, as far as anybody
//! knows, and is not sent again.
//!
//! Binary gateways and feedback services are no HTTP, and are reached over sockets in any case.

use serde::Deserialize;

use super::apns::{Apns, ApnsService};
use super::credential::Credential;
use super::endpoint::Endpoint;
use super::error::{ConfigError, invalid};
use super::proxy::ProxySettings;
use crate::environment::Environment;

/// By which way APNs is reached over HTTP/2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// HTTP/2 of our own over `wasi:sockets` and `wasi:tls`.
    #[default]
    Sockets,
    /// The platform's client, `wasi:http/client`. It decides what is known of a lost answer.
    WasiHttp,
}

impl Transport {
    /// Whether all that is configured can be done by it.
    pub(super) fn check(
        self,
        apns: &Apns,
        credentials: &[Credential],
        proxy: Option<&ProxySettings>,
    ) -> Result<(), ConfigError> {
        match self {
            Self::Sockets => Ok(()),
            Self::WasiHttp => {
                check_credentials(apns, credentials)?;
                check_proxy(apns, proxy)
            }
        }
    }
}

const WITH: &str = "with delivery.transport = \"wasi-http\"";

fn check_credentials(apns: &Apns, credentials: &[Credential]) -> Result<(), ConfigError> {
    for (index, credential) in credentials.iter().enumerate() {
        if let Some(identity) = credential.identity() {
            let why = format!(
                "expected a key {WITH}, since the platform's client cannot be told of a client \
                 certificate; got {identity:?}"
            );
            return Err(invalid(format_args!("credentials[{index}].identity"), why));
        }
        let id = |it: &Credential| it.key().map(|key| (key.key_id, key.team_id));
        let others = credentials.iter().take(index);
        for other in others.filter(|other| id(other) != id(credential)) {
            if let Some(shared) = shared_address(apns, credential, other) {
                let why = format!(
                    "expected one key for {shared} {WITH}, since the platform's connections are \
                     shared and APNs takes one key on each; got a second"
                );
                return Err(invalid(format_args!("credentials[{index}]"), why));
            }
        }
    }
    Ok(())
}

/// An address that requests of both credentials go to.
fn shared_address(apns: &Apns, one: &Credential, two: &Credential) -> Option<Endpoint> {
    let addresses = |of: &Credential| {
        let environments = of.environments().to_vec();
        environments
            .into_iter()
            .flat_map(|environment| services(apns, environment))
    };
    let others: Vec<&Endpoint> = addresses(two).collect();
    let mut addresses = addresses(one);
    addresses.find(|address| others.contains(address)).cloned()
}

fn services(apns: &Apns, environment: Environment) -> impl Iterator<Item = &Endpoint> {
    let services = ApnsService::ALL.into_iter();
    services.map(move |service| apns.endpoint(environment, service))
}

fn check_proxy(apns: &Apns, proxy: Option<&ProxySettings>) -> Result<(), ConfigError> {
    let Some(proxy) = proxy else {
        return Ok(());
    };
    let mut addresses = Environment::ALL
        .into_iter()
        .flat_map(|environment| services(apns, environment));
    let behind = addresses.find(|address| proxy.covers(&address.host));
    let Some(Endpoint { host, .. }) = behind else {
        return Ok(());
    };
    let why = format!("expected {host} under except {WITH}, since the platform decides the way");
    Err(invalid("proxy", why))
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    const KEY: &str = "[[credentials]]\nteam_id = \"DEF123GHIJ\"\nkey_file = \"a.p8\"\n";

    fn parse(rest: &str) -> Result<Settings, String> {
        let text = format!("[delivery]\ntransport = \"wasi-http\"\n{rest}");
        Settings::parse(&text).map_err(|error| error.to_string())
    }

    fn key(id: &str, rest: &str) -> String {
        format!("{KEY}key_id = \"{id}\"\n{rest}\n")
    }

    #[test]
    fn sockets_unless_something_else_is_said() {
        let transport = |text: &str| Settings::parse(text).unwrap().delivery().transport;
        assert_eq!(transport(""), Transport::Sockets);
        let said = "[delivery]\ntransport = \"sockets\"";
        assert_eq!(transport(said), Transport::Sockets);
        let platform = parse("").unwrap().delivery().transport;
        assert_eq!(platform, Transport::WasiHttp);
        let error = Settings::parse("[delivery]\ntransport = \"http\"").unwrap_err();
        let error = error.to_string();
        assert!(error.contains("`sockets` or `wasi-http`"), "{error}");
    }

    #[test]
    fn a_certificate_cannot_be_named_to_the_platform() {
        let text = "[[credentials]]\nidentity = \"shop\"\ntopics = [\"a.b\"]";
        assert!(Settings::parse(text).is_ok());
        assert_eq!(
            parse(text).unwrap_err(),
            "credentials[0].identity: expected a key with delivery.transport = \"wasi-http\", \
             since the platform's client cannot be told of a client certificate; got \"shop\""
        );
    }

    /// TOKEN: a connection takes the tokens of one key.
    #[test]
    fn an_address_has_one_key() {
        let both = key("ABC123DEFG", "") + &key("ABC123DEFH", "topics = [\"a.b\"]");
        assert!(Settings::parse(&both).is_ok());
        assert_eq!(
            parse(&both).unwrap_err(),
            "credentials[1]: expected one key for api.sandbox.push.apple.com:443 with \
             delivery.transport = \"wasi-http\", since the platform's connections are shared and \
             APNs takes one key on each; got a second"
        );
        let apart = key("ABC123DEFG", "environments = [\"production\"]")
            + &key("ABC123DEFH", "environments = [\"development\"]");
        assert!(parse(&apart).is_ok());
        let same = key("ABC123DEFG", "topics = [\"c.d\"]") + &key("ABC123DEFG", "");
        assert!(parse(&same).is_ok());
        let one_server = format!(
            "{apart}[apns.production]\nchannels = {{ host = \"localhost\", port = 1 }}\n\
             [apns.development]\nchannels = {{ host = \"localhost\", port = 1 }}\n"
        );
        let error = parse(&one_server).unwrap_err();
        assert!(error.contains("localhost:1"), "{error}");
    }

    #[test]
    fn a_proxy_is_for_what_goes_over_sockets() {
        let proxy = "[proxy]\nurl = \"http://proxy.internal:3128\"\n";
        assert_eq!(
            parse(proxy).unwrap_err(),
            "proxy: expected api.sandbox.push.apple.com under except with delivery.transport = \
             \"wasi-http\", since the platform decides the way"
        );
        assert!(parse(&format!("{proxy}except = [\".apple.com\"]")).is_ok());
    }
}
