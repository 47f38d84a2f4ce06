//! Turns the `authorization` header into a decision, and remembers per connection what the first
//! valid provider token bound it to.
//!
//! Source: Apple, *Establishing a token-based connection to APNs* (`docs/protocols.md` 3.6), RFC
//! 7515 section 3.1 (compact form), RFC 7518 section 3.4 (ES256).
//!
//! ```text
//! bearer base64url({"alg":"ES256","kid":…}) . base64url({"iss":…,"iat":seconds})
//!      . base64url(signature)
//! ```
//!
//! A client certificate takes the place of tokens (3.2): its topic is the default, and it covers
//! its suffixed topics.
//!
//! Decided here, where Apple is silent: `iat` is a NumericDate (RFC 7519, section 2), which may
//! have a fraction; more than five minutes ahead it is ExpiredProviderToken. `iat` as a string
//! (APNSwift and a2 send one) and base64 with padding are taken, with a warning, since libraries in
//! production send both to Apple. Two tokens are "too many updates" if their `iat` are less than 20
//! minutes apart, so that a fleet's shared token, first seen here when it was old, may be renewed
//! when it has to be; another team is InvalidProviderToken.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Number;

use crate::config::{Config, Environment, TokenRules, UpdateScope};
use crate::keys::TrustedKey;
use crate::reason::Reason;
use crate::tokens::TokenLog;

/// What a connection has learned from the client's certificate, or from the provider tokens it saw.
#[derive(Default)]
pub(super) struct Authorization {
    /// The topic of the certificate; with one, provider tokens are not looked at.
    certificate: Option<String>,
    /// Of the connection; `None` for the simulator's own.
    environment: Option<Environment>,
    current: Option<Accepted>,
    /// Why the token of the last request was refused, if it was.
    why: Option<String>,
    /// What is unusual in the token of the last request, if it was taken.
    warnings: Vec<&'static str>,
}

/// The provider token in use.
struct Accepted {
    jwt: String,
    issued_s: u64,
    key_id: String,
    team_id: String,
    topics: Option<Vec<String>>,
    warnings: Vec<&'static str>,
}

/// Why a token is refused: for the client, and for whoever reads the journal.
#[derive(Debug)]
struct TokenRefusal {
    reason: Reason,
    why: String,
}

impl TokenRefusal {
    fn new(reason: Reason, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { reason, why }
    }

    fn invalid(why: impl Into<String>) -> Self {
        Self::new(Reason::InvalidProviderToken, why)
    }
}

impl Authorization {
    /// Of a client of this environment whose certificate is for `topic`, or that has shown none.
    pub(super) fn new(topic: Option<String>, environment: Environment) -> Self {
        Self {
            certificate: topic,
            environment: Some(environment),
            ..Self::default()
        }
    }

    /// The topic a request without one is for: that of the certificate.
    pub(super) fn default_topic(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// Why the token of the last request that came to be checked was refused, if it was.
    pub(super) fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// What is unusual in the token of the last request that came to be checked, if it was taken.
    pub(super) fn warnings(&self) -> &[&'static str] {
        &self.warnings
    }

    /// Forgets what is said of the last request's token, for the next request.
    pub(super) fn forget(&mut self) {
        self.why = None;
        self.warnings.clear();
    }

    /// Checks a header value; afterwards [`allows`](Self::allows) knows the key's topics.
    pub(super) fn check(
        &mut self,
        header: Option<&[u8]>,
        config: &Config,
        log: &TokenLog,
        now_s: u64,
    ) -> Result<(), Reason> {
        self.forget();
        if self.certificate.is_some() {
            return Ok(());
        }
        self.check_token(header, config, log, now_s)
            .map_err(|TokenRefusal { reason, why }| {
                self.why = Some(why);
                reason
            })?;
        let current = self.current.as_ref();
        self.warnings = current.map_or_else(Vec::new, |current| current.warnings.clone());
        Ok(())
    }

    fn check_token(
        &mut self,
        header: Option<&[u8]>,
        config: &Config,
        log: &TokenLog,
        now_s: u64,
    ) -> Result<(), TokenRefusal> {
        let rules = &config.token_rules;
        let jwt = bearer(header)?;
        if let Some(current) = self.current.as_ref().filter(|current| current.jwt == jwt) {
            return check_age(current.issued_s, now_s, rules);
        }
        let environment = self.environment.unwrap_or(config.environment);
        let offered = verify(jwt, config, environment)?;
        check_age(offered.issued_s, now_s, rules)?;
        if let Some(current) = &self.current {
            offered.may_follow(current, config)?;
        }
        let interval_s = (rules.updates_per == UpdateScope::Key).then_some(rules.update_interval_s);
        log.admit(&offered.key_id, jwt, offered.issued_s, interval_s)
            .map_err(|reason| {
                let least = rules.update_interval_s;
                let why = format!(
                    "expected {least} s between the iat of two tokens of the key {:?} on any \
                     connection, got less",
                    offered.key_id
                );
                TokenRefusal::new(reason, why)
            })?;
        self.current = Some(offered);
        Ok(())
    }

    /// Whether the certificate, or the key of the provider token in use, may push to this bundle id
    /// or topic.
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
    fn may_follow(&self, earlier: &Self, config: &Config) -> Result<(), TokenRefusal> {
        if self.team_id != earlier.team_id {
            return Err(TokenRefusal::invalid(format!(
                "expected the team {:?}, whose token this connection has seen, got {:?}",
                earlier.team_id, self.team_id
            )));
        }
        if self.key_id != earlier.key_id {
            let are_related = |[one, other]: &[String; 2]| {
                (one, other) == (&self.key_id, &earlier.key_id)
                    || (other, one) == (&self.key_id, &earlier.key_id)
            };
            if config.related_keys.iter().any(are_related) {
                return Ok(());
            }
            let why = format!(
                "expected the key {:?}, whose token this connection has seen, got {:?}",
                earlier.key_id, self.key_id
            );
            return Err(TokenRefusal::new(Reason::UnrelatedKeyIdInToken, why));
        }
        let least = config.token_rules.update_interval_s;
        let between = self.issued_s.abs_diff(earlier.issued_s);
        if config.token_rules.updates_per == UpdateScope::Connection && between < least {
            let why = format!(
                "expected {least} s between the iat of two tokens on a connection, got {between} s"
            );
            return Err(TokenRefusal::new(Reason::TooManyProviderTokenUpdates, why));
        }
        Ok(())
    }
}

/// The token of a header: none if the scheme is another, which is as good as no token.
fn bearer(header: Option<&[u8]>) -> Result<&str, TokenRefusal> {
    let missing = |why| TokenRefusal::new(Reason::MissingProviderToken, why);
    let header = header.ok_or_else(|| missing("expected an authorization header, got none"))?;
    let text = std::str::from_utf8(header)
        .map_err(|_| TokenRefusal::invalid("expected ASCII in the authorization header"))?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token),
        _ => Err(missing("expected authorization: bearer <token>")),
    }
}

fn check_age(issued_s: u64, now_s: u64, rules: &TokenRules) -> Result<(), TokenRefusal> {
    let (age, ahead) = (
        now_s.saturating_sub(issued_s),
        issued_s.saturating_sub(now_s),
    );
    let why = if age > rules.lifetime_s {
        format!(
            "expected an iat at most {} s old, got one {age} s old",
            rules.lifetime_s
        )
    } else if ahead > rules.future_s {
        format!(
            "expected an iat at most {} s ahead, got one {ahead} s ahead",
            rules.future_s
        )
    } else {
        return Ok(());
    };
    Err(TokenRefusal::new(Reason::ExpiredProviderToken, why))
}

#[derive(Deserialize)]
struct TokenHeader {
    alg: String,
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    iat: IssuedAt,
}

/// `iat` as it comes.
#[derive(Deserialize)]
#[serde(untagged)]
enum IssuedAt {
    Date(Number),
    Text(String),
}

impl IssuedAt {
    /// In whole seconds since 1970; `None` if it is no date, or one before.
    fn seconds(&self) -> Option<u64> {
        let number = match self {
            Self::Date(number) => number.clone(),
            Self::Text(text) => text.parse().ok()?,
        };
        if let Some(seconds) = number.as_u64() {
            return Some(seconds);
        }
        // What is beyond the range becomes the end of it, which is as far ahead.
        number
            .as_f64()
            .filter(|seconds| *seconds >= 0.0)
            .map(|seconds| seconds as u64)
    }
}

/// A token taken apart.
struct TokenParts {
    header: TokenHeader,
    claims: Claims,
    issued_s: u64,
    signature: Vec<u8>,
    warnings: Vec<&'static str>,
}

/// Checks form and signature, not the age.
fn verify(jwt: &str, config: &Config, environment: Environment) -> Result<Accepted, TokenRefusal> {
    let TokenParts {
        header,
        claims,
        issued_s,
        signature,
        warnings,
    } = decode(jwt)?;
    if header.alg != "ES256" {
        return Err(TokenRefusal::invalid(format!(
            "expected alg \"ES256\", got {:?}",
            header.alg
        )));
    }
    let known = config.keys.iter().find(|key| key.key_id == header.kid);
    let topics = match known {
        _ if config.accept_any_key => known.and_then(|key| key.topics.clone()),
        None => {
            let why = format!("expected a kid that is known here, got {:?}", header.kid);
            return Err(TokenRefusal::invalid(why));
        }
        Some(key) => {
            let signed = jwt.rsplit_once('.').map_or("", |(signed, _)| signed);
            if key.team_id != claims.iss {
                return Err(TokenRefusal::invalid(format!(
                    "expected iss {:?}, the team of the key {:?}, got {:?}",
                    key.team_id, key.key_id, claims.iss
                )));
            }
            if !key.public_key.verifies(signed.as_bytes(), &signature) {
                return Err(TokenRefusal::invalid(format!(
                    "expected a signature by the key {:?}, got another one",
                    key.key_id
                )));
            }
            check_environment(key, environment)?;
            key.topics.clone()
        }
    };
    Ok(Accepted {
        jwt: jwt.to_owned(),
        issued_s,
        key_id: header.kid,
        team_id: claims.iss,
        topics,
        warnings,
    })
}

fn check_environment(key: &TrustedKey, environment: Environment) -> Result<(), TokenRefusal> {
    match key.environment {
        Some(own) if own != environment => Err(TokenRefusal::new(
            Reason::BadEnvironmentKeyIdInToken,
            format!("expected a key for {environment:?}, got one for {own:?} alone"),
        )),
        _ => Ok(()),
    }
}

fn decode(jwt: &str) -> Result<TokenParts, TokenRefusal> {
    if jwt.len() > MAX_TOKEN {
        return Err(TokenRefusal::invalid(format!(
            "expected at most {MAX_TOKEN} characters, got {}",
            jwt.len()
        )));
    }
    let parts: Vec<&str> = jwt.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        return Err(TokenRefusal::invalid(format!(
            "expected three parts with points between them, got {}",
            parts.len()
        )));
    };
    let mut warnings = Vec::new();
    if jwt.contains('=') {
        warnings.push(PADDED);
    }
    let header: TokenHeader = json("header", header)?;
    let claims: Claims = json("claims", claims)?;
    if matches!(claims.iat, IssuedAt::Text(_)) {
        warnings.push(TEXT_DATE);
    }
    let issued_s = claims.iat.seconds().ok_or_else(|| {
        TokenRefusal::invalid("expected iat in seconds since 1970, got something else")
    })?;
    let signature = BASE64URL.decode(signature).map_err(|error| {
        TokenRefusal::invalid(format!("the signature is not base64url: {error}"))
    })?;
    Ok(TokenParts {
        header,
        claims,
        issued_s,
        signature,
        warnings,
    })
}

/// A part of a token that is JSON.
fn json<T: DeserializeOwned>(name: &str, part: &str) -> Result<T, TokenRefusal> {
    let bytes = BASE64URL
        .decode(part)
        .map_err(|error| TokenRefusal::invalid(format!("the {name} is not base64url: {error}")))?;
    let expected = match name {
        "header" => "{\"alg\":\"ES256\",\"kid\":…}",
        _ => "{\"iss\":…,\"iat\":seconds}",
    };
    serde_json::from_slice(&bytes).map_err(|_| {
        TokenRefusal::invalid(format!("expected {expected} as {name}, got something else"))
    })
}

/// With padding and without (RFC 7515, section 2, is without).
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const PADDED: &str =
    "the provider token has base64 with padding, which RFC 7515 has not; Apple's servers take it";

const TEXT_DATE: &str =
    "iat of the provider token is a string, where RFC 7519 has a number; Apple's servers take it";

/// Characters of a provider token; real ones have about 200.
const MAX_TOKEN: usize = 4096;

#[cfg(test)]
mod tests;
