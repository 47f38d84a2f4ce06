//! Turns the `authorization` header into a decision, and remembers per connection what the first valid
//! provider token bound it to.
//!
//! Source: Apple, *Establishing a token-based connection to APNs* (`apns-facts.md` 3.6), RFC 7515 section
//! 3.1 (compact form), RFC 7518 section 3.4 (ES256).
//!
//! ```text
//! bearer base64url({"alg":"ES256","kid":…}) . base64url({"iss":…,"iat":seconds}) . base64url(signature)
//! ```
//!
//! A client certificate takes the place of tokens (3.2): its topic is the default, and it covers its suffixed
//! topics.
//!
//! Decided here, where Apple is silent: `iat` more than five minutes ahead is ExpiredProviderToken; `iat` as a
//! string is refused (APNSwift sends one, so Apple may be lenient); two tokens are "too many updates" if
//! their `iat` are less than 20 minutes apart, so that a fleet's shared token, first seen here when it was
//! old, may be renewed when it has to be; another team is InvalidProviderToken.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::config::{Config, Environment, TokenRules, UpdateScope};
use crate::keys::TrustedKey;
use crate::reason::Reason;
use crate::tokens::TokenLog;

/// What a connection has learned from the client's certificate, or from the provider tokens it saw.
#[derive(Default)]
pub(super) struct Authorization {
    /// The topic of the certificate; with one, provider tokens are not looked at.
    certificate: Option<String>,
    current: Option<Accepted>,
}

/// The provider token in use.
struct Accepted {
    jwt: String,
    issued_s: u64,
    key_id: String,
    team_id: String,
    topics: Option<Vec<String>>,
}

impl Authorization {
    /// Of a client whose certificate is for `topic`, or that has shown none.
    pub(super) fn new(topic: Option<String>) -> Self {
        Self {
            certificate: topic,
            current: None,
        }
    }

    /// The topic a request without one is for: that of the certificate.
    pub(super) fn default_topic(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// Checks a header value; afterwards [`allows`](Self::allows) knows the key's topics.
    pub(super) fn check(
        &mut self,
        header: Option<&[u8]>,
        config: &Config,
        log: &TokenLog,
        now_s: u64,
    ) -> Result<(), Reason> {
        if self.certificate.is_some() {
            return Ok(());
        }
        let rules = &config.token_rules;
        let jwt = bearer(header.ok_or(Reason::MissingProviderToken)?)?;
        if let Some(current) = self.current.as_ref().filter(|current| current.jwt == jwt) {
            return check_age(current.issued_s, now_s, rules);
        }
        let offered = verify(jwt, config)?;
        check_age(offered.issued_s, now_s, rules)?;
        if let Some(current) = &self.current {
            offered.may_follow(current, config)?;
        }
        let interval_s = (rules.updates_per == UpdateScope::Key).then_some(rules.update_interval_s);
        log.admit(&offered.key_id, jwt, offered.issued_s, interval_s)?;
        self.current = Some(offered);
        Ok(())
    }

    /// Whether the certificate, or the key of the provider token in use, may push to this bundle id or topic.
    pub(super) fn allows(&self, topic: &str, bundle_id: &str) -> bool {
        if let Some(own) = &self.certificate {
            return own == topic || own == bundle_id;
        }
        let topics = self
            .current
            .as_ref()
            .and_then(|current| current.topics.as_ref());
        topics.is_none_or(|topics| topics.iter().any(|own| own == topic || own == bundle_id))
    }
}

impl Accepted {
    fn may_follow(&self, earlier: &Self, config: &Config) -> Result<(), Reason> {
        if self.team_id != earlier.team_id {
            return Err(Reason::InvalidProviderToken);
        }
        if self.key_id != earlier.key_id {
            let are_related = |[one, other]: &[String; 2]| {
                (one, other) == (&self.key_id, &earlier.key_id)
                    || (other, one) == (&self.key_id, &earlier.key_id)
            };
            return if config.related_keys.iter().any(are_related) {
                Ok(())
            } else {
                Err(Reason::UnrelatedKeyIdInToken)
            };
        }
        if config.token_rules.updates_per == UpdateScope::Connection
            && self.issued_s.abs_diff(earlier.issued_s) < config.token_rules.update_interval_s
        {
            return Err(Reason::TooManyProviderTokenUpdates);
        }
        Ok(())
    }
}

/// The token of a header: none if the scheme is another, which is as good as no token.
fn bearer(header: &[u8]) -> Result<&str, Reason> {
    let text = std::str::from_utf8(header).map_err(|_| Reason::InvalidProviderToken)?;
    let (scheme, token) = text.split_once(' ').ok_or(Reason::MissingProviderToken)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token)
    } else {
        Err(Reason::MissingProviderToken)
    }
}

fn check_age(issued_s: u64, now_s: u64, rules: &TokenRules) -> Result<(), Reason> {
    let too_old = now_s.saturating_sub(issued_s) > rules.lifetime_s;
    let too_new = issued_s.saturating_sub(now_s) > rules.future_s;
    if too_old || too_new {
        Err(Reason::ExpiredProviderToken)
    } else {
        Ok(())
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    iat: u64,
}

/// Checks form and signature, not the age.
fn verify(jwt: &str, config: &Config) -> Result<Accepted, Reason> {
    let (header, claims, signature) = decode(jwt).ok_or(Reason::InvalidProviderToken)?;
    if header.alg != "ES256" {
        return Err(Reason::InvalidProviderToken);
    }
    let known = config.keys.iter().find(|key| key.key_id == header.kid);
    let topics = match known {
        _ if config.accept_any_key => known.and_then(|key| key.topics.clone()),
        None => return Err(Reason::InvalidProviderToken),
        Some(key) => {
            let signed = jwt.rsplit_once('.').map_or("", |(signed, _)| signed);
            if key.team_id != claims.iss || !key.public_key.verifies(signed.as_bytes(), &signature)
            {
                return Err(Reason::InvalidProviderToken);
            }
            check_environment(key, config.environment)?;
            key.topics.clone()
        }
    };
    Ok(Accepted {
        jwt: jwt.to_owned(),
        issued_s: claims.iat,
        key_id: header.kid,
        team_id: claims.iss,
        topics,
    })
}

fn check_environment(key: &TrustedKey, environment: Environment) -> Result<(), Reason> {
    match key.environment {
        Some(own) if own != environment => Err(Reason::BadEnvironmentKeyIdInToken),
        _ => Ok(()),
    }
}

fn decode(jwt: &str) -> Option<(Header, Claims, Vec<u8>)> {
    if jwt.len() > MAX_TOKEN {
        return None;
    }
    let mut parts = jwt.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let header = serde_json::from_slice(&parts.next()??).ok()?;
    let claims = serde_json::from_slice(&parts.next()??).ok()?;
    let signature = parts.next()??;
    parts
        .next()
        .is_none()
        .then_some((header, claims, signature))
}

/// Characters of a provider token; real ones have about 200.
const MAX_TOKEN: usize = 4096;

#[cfg(test)]
#[path = "authorization_tests.rs"]
mod tests;
