//! `dunlin doctor`: a configuration file turned into what is wrong with its credentials and with
//! the way to APNs, each with what to do about it.
//!
//! ```text
//! configuration ─► keys, identities, secrets, trust roots ─► connections ─► clock
//!               ─► credentials: asked of APNs ─► store, room, port ─► Report
//! ```
//!
//! What is sent are handshakes; where HTTP/2 is spoken, one request for nothing, without a token
//! and with each certificate that goes there; and, unless that is turned off, for each credential a
//! push to a device that there cannot be (`asking.rs`), which is the one thing that shows whether
//! APNs takes it. Nothing is written, so it can run beside the service.

mod asking;
mod connection;
mod credentials;
mod machine;
mod report;
mod route;
mod secrets;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use dunlin::config::{ApnsService, Endpoint, Settings};
use dunlin::environment::Environment;
use dunlin_host::clock::now;
use dunlin_host::wasi::tls::{Provider, roots_from};

use crate::config::{Config, folder_of};
use asking::Question;
use connection::{ServerKind, Target};
use credentials::Usable;
pub use report::{Line, Report, Severity};
use route::{Proxy, Routes};

/// How long the command waits for each server.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How to examine.
#[derive(Clone, Copy, Debug)]
pub struct DoctorOptions {
    /// How long each server is waited for.
    pub patience: Duration,
    /// Whether APNs is asked if it takes each credential, by a push to a device that there cannot
    /// be.
    pub asks: bool,
}

impl Default for DoctorOptions {
    /// As the command does: everything, ten seconds for each server.
    fn default() -> Self {
        Self {
            patience: PATIENCE,
            asks: true,
        }
    }
}

/// Examines everything that a configuration file names.
pub async fn examine(config_file: &Path, options: DoctorOptions) -> Report {
    let mut report = Report::default();
    let subject = "configuration";
    let config = match Config::read(config_file) {
        Ok(read) => read,
        Err(error) => {
            let advice = "Correct the file; docs/configuration.md lists all keys.";
            let line = Line::new(Severity::Error, subject, error.to_string(), advice);
            report.lines.push(line);
            return report;
        }
    };
    let folder = folder_of(config_file);
    let file = config_file.display().to_string();
    report.lines.push(Line::ok(subject, file));
    report
        .lines
        .extend(credentials::keys(folder, &config.settings));
    let (lines, identities) = credentials::identities(folder, &config, now());
    report.lines.extend(lines);
    report.lines.extend(secrets::api_keys(&config.settings));
    let found = secrets::beside(folder, &config);
    report.lines.extend(found);
    let questions = match options.asks {
        true => asking::questions(folder, &config.settings, now()),
        false => Vec::new(),
    };
    let identities = (identities, questions);
    connections(&config, identities, options.patience, &mut report).await;
    report.lines.extend(machine::store(&config));
    report.lines.push(machine::port(&config.host.listen).await);
    report
}

/// Trust roots, then every server whose trust and identity can be used, then the clock, then what
/// is to be asked.
async fn connections(
    config: &Config,
    (identities, questions): (Usable<'_>, Vec<Question>),
    patience: Duration,
    report: &mut Report,
) {
    let settings = &config.settings;
    let mut distrusted = BTreeSet::new();
    for (name, path) in &config.tls.trust {
        if let Err(error) = roots_from(path) {
            let advice = "Name a PEM file with the certificate of the server's authority.";
            let (subject, what) = (format!("trust {name}"), error.to_string());
            let line = Line::new(Severity::Error, &subject, what, advice);
            report.lines.push(line);
            distrusted.insert(name.to_ascii_lowercase());
        }
    }
    let (proxy, has_proxy) = match proxy(settings) {
        Ok(proxy) => (proxy, true),
        Err(line) => {
            report.lines.push(line);
            (None, false)
        }
    };
    let can_be_reached = |target: &Target| {
        is_ready(target, &distrusted, &identities) && (has_proxy || !target.is_proxied)
    };
    let (targets, skipped): (Vec<_>, Vec<_>) =
        targets(settings).into_iter().partition(can_be_reached);
    let (questions, unasked): (Vec<_>, Vec<_>) = questions
        .into_iter()
        .partition(|question| can_be_reached(&question.target));
    let skip = |target: &Target| {
        let what = "not checked, because of the error above";
        let advice = "Correct that and run this again.";
        Line::new(Severity::Note, &target.subject(), what, advice)
    };
    report.lines.extend(skipped.iter().map(skip));
    let trust = config.tls.trust.iter();
    let trust = trust
        .filter(|(name, _)| !distrusted.contains(&name.to_ascii_lowercase()))
        .map(|(name, path)| (name.as_str(), path.as_path()));
    let routes = Routes {
        addresses: &config.host.addresses,
        proxy,
    };
    let mut dates = Vec::new();
    let mut asked = Vec::new();
    match Provider::new(trust, identities) {
        Ok(provider) => {
            for examined in connection::examine(targets, &provider, &routes, patience).await {
                report.lines.push(examined.line);
                dates.extend(examined.date);
            }
            asked = asking::ask(questions, &provider, &routes, patience).await;
        }
        // Roots and identities have been looked at; a file may have changed since.
        Err(error) => {
            let advice = "Run this again.";
            let line = Line::new(Severity::Error, "tls", error.to_string(), advice);
            report.lines.push(line);
        }
    }
    report.lines.push(connection::clock(&dates));
    report.lines.extend(unasked.iter().map(Question::skipped));
    report.lines.extend(asked);
}

/// The servers of a configuration, each once.
fn targets(settings: &Settings) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    let mut add = |service: ServerKind, endpoint: &Endpoint| {
        let target = Target {
            service,
            endpoint: endpoint.clone(),
            is_proxied: settings.proxy_for(&endpoint.host).is_some(),
        };
        if !targets.contains(&target) {
            targets.push(target);
        }
    };
    for service in ApnsService::ALL {
        for environment in Environment::ALL {
            if settings.carrier(environment, service) != service {
                continue;
            }
            let endpoint = settings.service(environment, service);
            for identity in shown(settings, environment) {
                add(ServerKind::Http2(service, identity), endpoint);
            }
        }
    }
    for app in settings.binary_apps() {
        let identity = app.identity().map(str::to_owned);
        if let Some(gateway) = &app.gateway {
            add(ServerKind::Gateway(identity), gateway);
        }
        if let Some(feedback) = &app.feedback {
            add(ServerKind::Feedback, feedback);
        }
    }
    targets
}

/// The proxy with what is said to it; an error if that is not to be had.
fn proxy(settings: &Settings) -> Result<Option<Proxy>, Line> {
    let Some(proxy) = settings.proxy() else {
        return Ok(None);
    };
    let endpoint = proxy.endpoint.clone();
    match proxy.credentials(|name| std::env::var(name).ok()) {
        Ok(credentials) => Ok(Some(Proxy {
            endpoint,
            credentials,
        })),
        Err(error) => {
            let advice = "Set the variable for this command and for the service.";
            let what = error.to_string();
            Err(Line::new(Severity::Error, "proxy", what, advice))
        }
    }
}

/// What the credentials show of themselves in an environment when they connect: nothing for keys,
/// and the identities. Nothing too if there is no credential.
fn shown(settings: &Settings, environment: Environment) -> BTreeSet<Option<String>> {
    let credentials = settings.credentials().iter();
    let here = credentials.filter(|it| it.environments().contains(&environment));
    let mut shown: BTreeSet<_> = here.map(|it| it.identity().map(str::to_owned)).collect();
    if shown.is_empty() {
        shown.insert(None);
    }
    shown
}

/// Whether there is all that it takes to connect.
fn is_ready(target: &Target, distrusted: &BTreeSet<String>, identities: &Usable<'_>) -> bool {
    let has_identity = match &target.service {
        ServerKind::Gateway(Some(identity)) | ServerKind::Http2(_, Some(identity)) => {
            identities.contains_key(identity.as_str())
        }
        _ => true,
    };
    has_identity && !distrusted.contains(&target.endpoint.host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_is_examined_once() {
        let text = r#"
            [apns.development]
            host = "localhost"
            port = 1
            channels = { host = "localhost", port = 4 }
            [apns.production]
            host = "localhost"
            port = 1
            channels = { host = "localhost", port = 4 }
            [[binary]]
            topic = "a.b"
            identity = "one"
            gateway = { host = "localhost", port = 2 }
            feedback = { host = "localhost", port = 3 }
            [[binary]]
            topic = "a.c"
            identity = "two"
            gateway = { host = "localhost", port = 2 }
            feedback = { host = "localhost", port = 3 }
            [[binary]]
            topic = "a.d"
            identity = "one"
            gateway = { host = "localhost", port = 2 }
        "#;
        let targets = targets(&Settings::parse(text).unwrap());
        let services: Vec<&ServerKind> = targets.iter().map(|target| &target.service).collect();
        assert_eq!(
            services,
            [
                &ServerKind::Http2(ApnsService::Push, None),
                &ServerKind::Http2(ApnsService::Channels, None),
                &ServerKind::Gateway(Some("one".into())),
                &ServerKind::Feedback,
                &ServerKind::Gateway(Some("two".into())),
            ]
        );
    }

    #[test]
    fn apples_hosts_are_the_default() {
        let targets = targets(&Settings::parse("").unwrap());
        let subjects: Vec<String> = targets.iter().map(Target::subject).collect();
        assert_eq!(
            subjects,
            [
                "connection api.sandbox.push.apple.com:443",
                "connection api.push.apple.com:443",
                "channels api-manage-broadcast.sandbox.push.apple.com:2195",
                "channels api-manage-broadcast.push.apple.com:2196",
            ]
        );
    }

    #[test]
    fn every_service_is_shown_what_its_credentials_show() {
        let text = r#"
            [apns.production]
            broadcast = { host = "broadcast.example" }
            [[credentials]]
            identity = "shop"
            topics = ["a.b"]
            [[credentials]]
            identity = "shop"
            topics = ["a.c"]
            [[credentials]]
            key_id = "ABC123DEFG"
            team_id = "DEF123GHIJ"
            key_file = "a.p8"
            environments = ["production"]
        "#;
        let targets = targets(&Settings::parse(text).unwrap());
        let subjects: Vec<String> = targets.iter().map(Target::subject).collect();
        assert_eq!(
            subjects,
            [
                "connection api.sandbox.push.apple.com:443 as shop",
                "connection api.push.apple.com:443",
                "connection api.push.apple.com:443 as shop",
                "broadcast broadcast.example:443",
                "broadcast broadcast.example:443 as shop",
                "channels api-manage-broadcast.sandbox.push.apple.com:2195 as shop",
                "channels api-manage-broadcast.push.apple.com:2196",
                "channels api-manage-broadcast.push.apple.com:2196 as shop",
            ]
        );
    }
}
