//! `[[binary]]`: an app's binary gateway and feedback service.
//!
//! ```toml
//! [[binary]]
//! topic = "com.example.app"
//! environment = "production"        # the default
//! identity = "example"              # a [tls.identities.*] of the host; none if absent
//! gateway = { host = "gateway.example.com", port = 2195 }
//! feedback = { host = "feedback.example.com", port = 2196 }
//! via = "binary"                    # pushes of the topic go this way unless they say otherwise
//! command = 2                       # 0 and 1 for gateways that want them
//! large_payloads = false            # 2048 bytes also with commands 0 and 1
//! ```
//!
//! An address that is absent is not there: Apple's own were retired on 31 March 2021.

use serde::Deserialize;

use super::endpoint::{Endpoint, endpoint};
use super::error::{ConfigError, invalid};
use super::tls::identity_name;
use crate::binary::limits::{FEEDBACK_PORT, GATEWAY_PORT};
use crate::binary::{Command, Dialect};
use crate::environment::Environment;
use crate::notification::Topic;
use crate::tls_name::{Protocol, TlsName};

/// An app on the binary protocols.
#[derive(Clone, Debug)]
pub struct BinaryApp {
    /// The app: its certificate is good for this topic alone.
    pub topic: Topic,
    /// Of the certificate.
    pub environment: Environment,
    /// Whether pushes of the topic go this way unless they say otherwise.
    pub is_default: bool,
    /// What the gateway takes.
    pub dialect: Dialect,
    /// Where notifications go, if anywhere.
    pub gateway: Option<Endpoint>,
    /// Where dead tokens come from, if anywhere.
    pub feedback: Option<Endpoint>,
    identity: Option<String>,
}

impl BinaryApp {
    /// What TLS has to know for one of the two addresses.
    pub fn tls_name(&self, endpoint: &Endpoint) -> TlsName {
        TlsName {
            protocol: Protocol::Binary,
            identity: self.identity.clone(),
            host: endpoint.host.clone(),
        }
    }

    /// The client certificate's name, if there is one.
    pub fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBinary {
    topic: String,
    environment: Option<Environment>,
    identity: Option<String>,
    gateway: Option<RawAddress>,
    feedback: Option<RawAddress>,
    #[serde(default)]
    via: RawVia,
    command: Option<u8>,
    #[serde(default)]
    large_payloads: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAddress {
    host: String,
    port: Option<u16>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawVia {
    #[default]
    Http2,
    Binary,
}

impl RawAddress {
    fn check(self, path: &str, default: u16) -> Result<Endpoint, ConfigError> {
        endpoint(path, &self.host, self.port.unwrap_or(default))
    }
}

impl RawBinary {
    pub(super) fn check(self, path: &str) -> Result<BinaryApp, ConfigError> {
        let topic = Topic::parse(&self.topic);
        let topic = topic.map_err(|error| invalid(format!("{path}.topic"), error))?;
        let at = |name: &str| format!("{path}.{name}");
        let command = match self.command {
            None | Some(2) => Command::Items,
            Some(1) => Command::Enhanced,
            Some(0) => Command::Simple,
            Some(got) => {
                let why = format!("expected 0, 1 or 2, got {got}");
                return Err(invalid(at("command"), why));
            }
        };
        let dialect = match self.large_payloads {
            true => Dialect::new(command).with_large_payloads(),
            false => Dialect::new(command),
        };
        let identity = self.identity;
        let identity = identity.map(|name| identity_name(name, &at("identity")));
        let identity = identity.transpose()?;
        let resolve = |address: Option<RawAddress>, name, port| {
            let address = address.map(|address| address.check(&at(name), port));
            address.transpose()
        };
        let gateway = resolve(self.gateway, "gateway", GATEWAY_PORT)?;
        let feedback = resolve(self.feedback, "feedback", FEEDBACK_PORT)?;
        let is_default = matches!(self.via, RawVia::Binary);
        if is_default && gateway.is_none() {
            let why = "expected an address, because of via = \"binary\"; got none";
            return Err(invalid(at("gateway"), why));
        }
        Ok(BinaryApp {
            topic,
            environment: self.environment.unwrap_or(Environment::Production),
            is_default,
            dialect,
            gateway,
            feedback,
            identity,
        })
    }
}

/// One app has one entry for each environment.
pub(super) fn check_distinct(apps: &[BinaryApp]) -> Result<(), ConfigError> {
    for (index, app) in apps.iter().enumerate() {
        let same =
            |other: &BinaryApp| other.topic == app.topic && other.environment == app.environment;
        if apps.iter().take(index).any(same) {
            let why = format!("{} {} is there twice", app.topic, app.environment);
            return Err(invalid(format!("binary[{index}]"), why));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    const APP: &str = r#"
        [[binary]]
        topic = "com.example.app"
        identity = "example"
        gateway = { host = "gateway.example.com" }
        via = "binary"
        command = 1
        large_payloads = true
    "#;

    #[test]
    fn an_app_is_read() {
        let settings = Settings::parse(APP).unwrap();
        let topic = Topic::parse("com.example.app").unwrap();
        let index = settings.binary_app(&topic, Environment::Production);
        assert_eq!(index, Some(0));
        assert_eq!(settings.binary_app(&topic, Environment::Development), None);
        let app = &settings.binary_apps()[0];
        let gateway = app.gateway.as_ref().unwrap();
        assert_eq!((gateway.port, app.is_default), (2195, true));
        assert_eq!(app.dialect.payload_max(), 2048);
        assert_eq!(app.dialect.command(), Command::Enhanced);
        assert!(app.feedback.is_none());
        let name = app.tls_name(gateway).to_string();
        assert_eq!(name, "binary:example@gateway.example.com");
    }

    #[test]
    fn mistakes_are_named() {
        let message = |text: &str| Settings::parse(text).unwrap_err().to_string();
        assert!(message(&APP.replace("= 1", "= 3")).contains("binary[0].command"));
        assert!(message(&APP.replace("\"example\"", "\"a@b\"")).contains("binary[0].identity"));
        assert!(message(&format!("{APP}{APP}")).contains("binary[1]: com.example.app production"));
        let nowhere = APP.replace("gateway =", "feedback =");
        assert!(message(&nowhere).contains("binary[0].gateway"));
    }
}
