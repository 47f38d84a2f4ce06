//! `[apns.<environment>]`: where Apple's services are.
//!
//! ```toml
//! [apns.production]
//! host = "api.push.apple.com"       # pushes to devices; broadcasts too
//! port = 443
//! channels = { host = "api-manage-broadcast.push.apple.com", port = 2196 }
//! broadcast = { host = "api-broadcast.push.apple.com", port = 443 }     # if they go elsewhere
//! ```
//!
//! Everything above but the last line is a default. Apple's page on broadcasts names the host of
//! pushes in its text and `api-broadcast…` in its samples; the providers that were read use the
//! first. Both are reached the same way, so the address is all that has to be said.

use serde::Deserialize;

use super::endpoint::{Endpoint, endpoint};
use super::error::ConfigError;
use crate::environment::Environment;
use crate::limits::{
    DEVELOPMENT_CHANNELS_HOST, DEVELOPMENT_CHANNELS_PORT, DEVELOPMENT_HOST,
    PRODUCTION_CHANNELS_HOST, PRODUCTION_CHANNELS_PORT, PRODUCTION_HOST, PROVIDER_PORT,
};

/// A service of APNs that is reached by HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ApnsService {
    /// Pushes to devices: the provider API.
    Push,
    /// Broadcasts to channels.
    Broadcast,
    /// What is done to channels.
    Channels,
}

impl ApnsService {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Push, Self::Broadcast, Self::Channels];
}

/// The services of both environments.
#[derive(Clone, Debug)]
pub(super) struct Apns {
    development: Services,
    production: Services,
}

impl Apns {
    /// Where a service of an environment is.
    pub(super) fn endpoint(&self, environment: Environment, service: ApnsService) -> &Endpoint {
        self.services(environment).endpoint(service)
    }

    /// Whose connections carry the requests of a service.
    pub(super) fn carrier(&self, environment: Environment, service: ApnsService) -> ApnsService {
        self.services(environment).carrier(service)
    }

    fn services(&self, environment: Environment) -> &Services {
        match environment {
            Environment::Development => &self.development,
            Environment::Production => &self.production,
        }
    }
}

/// The services of an environment.
#[derive(Clone, Debug)]
struct Services {
    push: Endpoint,
    /// `None` if they go where pushes go.
    broadcast: Option<Endpoint>,
    channels: Endpoint,
}

impl Services {
    fn endpoint(&self, service: ApnsService) -> &Endpoint {
        match service {
            ApnsService::Push => &self.push,
            ApnsService::Broadcast => self.broadcast.as_ref().unwrap_or(&self.push),
            ApnsService::Channels => &self.channels,
        }
    }

    fn carrier(&self, service: ApnsService) -> ApnsService {
        match service {
            ApnsService::Broadcast if self.broadcast.is_none() => ApnsService::Push,
            service => service,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawApns {
    #[serde(default)]
    development: RawServices,
    #[serde(default)]
    production: RawServices,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawServices {
    host: Option<String>,
    port: Option<u16>,
    #[serde(default)]
    channels: RawEndpoint,
    broadcast: Option<RawEndpoint>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEndpoint {
    host: Option<String>,
    port: Option<u16>,
}

impl RawApns {
    /// The services, filled in with Apple's.
    pub(super) fn resolve(self) -> Result<Apns, ConfigError> {
        let development = self.development.resolve(
            "apns.development",
            (DEVELOPMENT_HOST, PROVIDER_PORT),
            (DEVELOPMENT_CHANNELS_HOST, DEVELOPMENT_CHANNELS_PORT),
        )?;
        let production = self.production.resolve(
            "apns.production",
            (PRODUCTION_HOST, PROVIDER_PORT),
            (PRODUCTION_CHANNELS_HOST, PRODUCTION_CHANNELS_PORT),
        )?;
        Ok(Apns {
            development,
            production,
        })
    }
}

impl RawServices {
    fn resolve(
        self,
        path: &str,
        push: (&str, u16),
        channels: (&str, u16),
    ) -> Result<Services, ConfigError> {
        let Self {
            host,
            port,
            channels: raw_channels,
            broadcast,
        } = self;
        let push = RawEndpoint { host, port }.resolve(path, push)?;
        // What is not said of their address is as for pushes.
        let broadcast = broadcast
            .map(|raw| raw.resolve(&format!("{path}.broadcast"), (&push.host, push.port)))
            .transpose()?;
        Ok(Services {
            broadcast: broadcast.filter(|broadcast| *broadcast != push),
            channels: raw_channels.resolve(&format!("{path}.channels"), channels)?,
            push,
        })
    }
}

impl RawEndpoint {
    fn resolve(self, path: &str, (host, port): (&str, u16)) -> Result<Endpoint, ConfigError> {
        let host = self.host.as_deref().unwrap_or(host);
        endpoint(path, host, self.port.unwrap_or(port))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    fn address(text: &str, environment: Environment, service: ApnsService) -> String {
        let settings = Settings::parse(text).unwrap();
        let Endpoint { host, port } = settings.service(environment, service);
        format!("https://{host}:{port}")
    }

    #[test]
    fn broadcasts_go_where_pushes_go_unless_they_are_sent_elsewhere() {
        let production = Environment::Production;
        let pushes = "[apns.production]\nhost = \"localhost\"\nport = 2197\n";
        let settings = Settings::parse(pushes).unwrap();
        let carrier = |settings: &Settings, service| settings.carrier(production, service);
        assert_eq!(
            carrier(&settings, ApnsService::Broadcast),
            ApnsService::Push
        );
        assert_eq!(
            carrier(&settings, ApnsService::Channels),
            ApnsService::Channels
        );
        let broadcast = ApnsService::Broadcast;
        let got = address(pushes, production, broadcast);
        assert_eq!(got, "https://localhost:2197");
        let same = format!("{pushes}broadcast = {{ port = 2197 }}");
        let settings = Settings::parse(&same).unwrap();
        assert_eq!(carrier(&settings, broadcast), ApnsService::Push);
        let elsewhere = format!("{pushes}broadcast = {{ host = \"api-broadcast\" }}");
        let settings = Settings::parse(&elsewhere).unwrap();
        assert_eq!(carrier(&settings, broadcast), broadcast);
        let got = address(&elsewhere, production, broadcast);
        assert_eq!(got, "https://api-broadcast:2197");
        let development = address(&elsewhere, Environment::Development, broadcast);
        assert_eq!(development, "https://api.sandbox.push.apple.com:443");
    }

    #[test]
    fn channels_have_an_address_of_their_own() {
        let text = "[apns.development]\nchannels = { host = \"localhost\", port = 1 }";
        let development = Environment::Development;
        let got = address(text, development, ApnsService::Channels);
        assert_eq!(got, "https://localhost:1");
        let got = address(text, development, ApnsService::Push);
        assert_eq!(got, "https://api.sandbox.push.apple.com:443");
        let wrong = "[apns.development]\nchannels = { adress = \"localhost\" }";
        let error = Settings::parse(wrong).unwrap_err().to_string();
        assert!(error.contains("adress"), "{error}");
    }
}
