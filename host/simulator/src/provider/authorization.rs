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
//! Decided here, where Apple is silent: `iat` more than [`FUTURE_TOLERANCE_S`] ahead is
//! ExpiredProviderToken; `iat` as a string is refused (APNSwift sends one, so Apple may be lenient); two
//! tokens are "too many updates" if their `iat` are less than 20 minutes apart, so that a fleet's shared
//! token, first seen here when it was old, may be renewed when it has to be.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::config::{Config, Environment};
use crate::keys::TrustedKey;
use crate::reason::Reason;

/// What a connection has learned from the provider tokens it saw.
#[derive(Default)]
pub(super) struct Authorization {
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
    /// Checks a header value; afterwards [`allows`](Self::allows) knows the key's topics.
    pub(super) fn check(
        &mut self,
        header: Option<&[u8]>,
        config: &Config,
        now_s: u64,
    ) -> Result<(), Reason> {
        let jwt = bearer(header.ok_or(Reason::MissingProviderToken)?)?;
        if let Some(current) = self.current.as_ref().filter(|current| current.jwt == jwt) {
            return check_age(current.issued_s, now_s);
        }
        let offered = verify(jwt, config)?;
        check_age(offered.issued_s, now_s)?;
        if let Some(current) = &self.current {
            offered.may_follow(current)?;
        }
        self.current = Some(offered);
        Ok(())
    }

    /// Whether the key of the provider token in use may push to this bundle id or topic.
    pub(super) fn allows(&self, topic: &str, bundle_id: &str) -> bool {
        let topics = self
            .current
            .as_ref()
            .and_then(|current| current.topics.as_ref());
        topics.is_none_or(|topics| topics.iter().any(|own| own == topic || own == bundle_id))
    }
}

impl Accepted {
    fn may_follow(&self, earlier: &Self) -> Result<(), Reason> {
        if self.team_id != earlier.team_id {
            return Err(Reason::InvalidProviderToken);
        }
        if self.key_id != earlier.key_id {
            return Err(Reason::UnrelatedKeyIdInToken);
        }
        if self.issued_s.abs_diff(earlier.issued_s) < UPDATE_INTERVAL_S {
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

fn check_age(issued_s: u64, now_s: u64) -> Result<(), Reason> {
    let too_old = now_s.saturating_sub(issued_s) > LIFETIME_S;
    let too_new = issued_s.saturating_sub(now_s) > FUTURE_TOLERANCE_S;
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

/// "Not more than one hour old."
const LIFETIME_S: u64 = 3600;

/// "Refresh your token no more than once every 20 minutes."
const UPDATE_INTERVAL_S: u64 = 20 * 60;

/// Clocks differ; five minutes are forgiven.
const FUTURE_TOLERANCE_S: u64 = 5 * 60;

/// Characters of a provider token; real ones have about 200.
const MAX_TOKEN: usize = 4096;

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm,
    };

    use super::*;
    use crate::keys::PublicKey;

    const NOW_S: u64 = 1_700_000_000;

    struct Signer {
        pair: rcgen::KeyPair,
        config: Config,
    }

    impl Signer {
        fn new() -> Self {
            let pair = rcgen::KeyPair::generate().unwrap();
            let key = |key_id: &str, team_id: &str| TrustedKey {
                key_id: key_id.into(),
                team_id: team_id.into(),
                public_key: PublicKey::from_sec1(pair.public_key_raw()).unwrap(),
                topics: None,
                environment: None,
            };
            let keys = vec![
                key("KEY1", "TEAM1"),
                key("KEY2", "TEAM1"),
                key("KEY3", "TEAM2"),
            ];
            Self {
                config: Config {
                    keys,
                    ..Config::default()
                },
                pair,
            }
        }

        fn sign(
            &self,
            algorithm: &'static EcdsaSigningAlgorithm,
            header: &str,
            claims: &str,
        ) -> String {
            let random = SystemRandom::new();
            let pair =
                EcdsaKeyPair::from_pkcs8(algorithm, self.pair.serialized_der(), &random).unwrap();
            let signed = [header, claims]
                .map(|part| URL_SAFE_NO_PAD.encode(part))
                .join(".");
            let signature = pair.sign(&random, signed.as_bytes()).unwrap();
            format!("bearer {signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        }

        fn token(&self, key_id: &str, team_id: &str, issued_s: u64) -> String {
            self.sign(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                &format!(r#"{{"alg":"ES256","kid":"{key_id}"}}"#),
                &format!(r#"{{"iss":"{team_id}","iat":{issued_s}}}"#),
            )
        }

        fn check(&self, state: &mut Authorization, header: &str, now_s: u64) -> Result<(), Reason> {
            state.check(Some(header.as_bytes()), &self.config, now_s)
        }

        fn check_first(&self, header: &str) -> Result<(), Reason> {
            self.check(&mut Authorization::default(), header, NOW_S)
        }
    }

    #[test]
    fn a_header_without_a_bearer_token_is_missing_one() {
        let signer = Signer::new();
        let mut state = Authorization::default();
        assert_eq!(
            state.check(None, &signer.config, NOW_S),
            Err(Reason::MissingProviderToken)
        );
        for header in [
            "",
            "x",
            "Definitely not a legit authorization header.",
            "basic abc",
        ] {
            assert_eq!(
                signer.check_first(header),
                Err(Reason::MissingProviderToken),
                "{header}"
            );
        }
    }

    #[test]
    fn malformed_tokens_are_invalid() {
        let signer = Signer::new();
        let good = signer.token("KEY1", "TEAM1", NOW_S);
        assert_eq!(signer.check_first(&good), Ok(()));
        let long = format!("bearer {}", "a".repeat(MAX_TOKEN + 1));
        for header in [
            "bearer ",
            "bearer Definitely not a legit token.",
            "bearer ..",
            &format!("{good}.e30"),
            &format!("{good}A"),
            &good[..good.len() - 4],
            &long,
        ] {
            assert_eq!(
                signer.check_first(header),
                Err(Reason::InvalidProviderToken),
                "{header}"
            );
        }
    }

    #[test]
    fn header_and_claims_must_have_their_fields_and_types() {
        let signer = Signer::new();
        let header = r#"{"alg":"ES256","kid":"KEY1"}"#;
        let claims = format!(r#"{{"iss":"TEAM1","iat":{NOW_S}}}"#);
        let invalid = [
            (r#"{"kid":"KEY1"}"#, claims.as_str()),
            (r#"{"alg":"ES256"}"#, &claims),
            (r#"{"alg":"none","kid":"KEY1"}"#, &claims),
            (r#"{"alg":"HS256","kid":"KEY1"}"#, &claims),
            (header, r#"{"iss":"TEAM1"}"#),
            (header, r#"{"iat":1}"#),
            (header, r#"{"iss":false,"iat":1}"#),
            (header, r#"{"iss":"TEAM1","iat":"soon"}"#),
            (header, r#"{"iss":"TEAM1","iat":"1700000000"}"#),
            (header, r#"{"iss":"TEAM1","iat":-1}"#),
        ];
        for (header, claims) in invalid {
            let token = signer.sign(&ECDSA_P256_SHA256_FIXED_SIGNING, header, claims);
            assert_eq!(
                signer.check_first(&token),
                Err(Reason::InvalidProviderToken),
                "{claims}"
            );
        }
        let typ = r#"{"alg":"ES256","kid":"KEY1","typ":"JWT"}"#;
        let token = signer.sign(&ECDSA_P256_SHA256_FIXED_SIGNING, typ, &claims);
        assert_eq!(signer.check_first(&token), Ok(()));
    }

    #[test]
    fn apples_own_sample_is_not_a_valid_token() {
        let sample = "bearer eyAia2lkIjogIjhZTDNHM1JSWDciIH0.eyAiaXNzIjogIkM4Nk5WOUpYM0QiLCAiaWF0IjogIjE0NTkxNDM1ODA2NTAiIH0.MEYCIQDzqyahmH1rz1s-LFNkylXEa2lZ_aOCX4daxxTZkVEGzwIhALvkClnx5m5eAT6Lxw7LZtEQcH6JENhJTMArwLf3sXwi";
        assert_eq!(
            Signer::new().check_first(sample),
            Err(Reason::InvalidProviderToken)
        );
    }

    #[test]
    fn the_signature_must_be_of_the_named_key_and_team() {
        let signer = Signer::new();
        for (key, team) in [("KEY9", "TEAM1"), ("KEY1", "TEAM2"), ("KEY3", "TEAM1")] {
            let token = signer.token(key, team, NOW_S);
            assert_eq!(
                signer.check_first(&token),
                Err(Reason::InvalidProviderToken)
            );
        }
        let stranger = Signer::new().token("KEY1", "TEAM1", NOW_S);
        assert_eq!(
            signer.check_first(&stranger),
            Err(Reason::InvalidProviderToken)
        );
    }

    #[test]
    fn a_der_signature_is_accepted_too() {
        let signer = Signer::new();
        let claims = format!(r#"{{"iss":"TEAM1","iat":{NOW_S}}}"#);
        let header = r#"{"alg":"ES256","kid":"KEY1"}"#;
        let token = signer.sign(&ECDSA_P256_SHA256_ASN1_SIGNING, header, &claims);
        assert_eq!(signer.check_first(&token), Ok(()));
    }

    #[test]
    fn a_token_lives_for_an_hour_and_not_before_it_was_made() {
        let signer = Signer::new();
        for (issued, expected) in [
            (NOW_S - LIFETIME_S, Ok(())),
            (NOW_S - LIFETIME_S - 1, Err(Reason::ExpiredProviderToken)),
            (NOW_S + FUTURE_TOLERANCE_S, Ok(())),
            (
                NOW_S + FUTURE_TOLERANCE_S + 1,
                Err(Reason::ExpiredProviderToken),
            ),
            (NOW_S * 1000, Err(Reason::ExpiredProviderToken)),
        ] {
            let token = signer.token("KEY1", "TEAM1", issued);
            assert_eq!(signer.check_first(&token), expected, "{issued}");
        }
    }

    #[test]
    fn a_token_that_was_valid_expires_on_its_connection() {
        let signer = Signer::new();
        let mut state = Authorization::default();
        let token = signer.token("KEY1", "TEAM1", NOW_S);
        assert_eq!(signer.check(&mut state, &token, NOW_S), Ok(()));
        let later = NOW_S + LIFETIME_S + 1;
        assert_eq!(
            signer.check(&mut state, &token, later),
            Err(Reason::ExpiredProviderToken)
        );
        let renewed = signer.token("KEY1", "TEAM1", later);
        assert_eq!(signer.check(&mut state, &renewed, later), Ok(()));
    }

    #[test]
    fn a_connection_takes_a_new_token_every_twenty_minutes() {
        let signer = Signer::new();
        let mut state = Authorization::default();
        let first = signer.token("KEY1", "TEAM1", NOW_S);
        assert_eq!(signer.check(&mut state, &first, NOW_S), Ok(()));
        let soon = signer.token("KEY1", "TEAM1", NOW_S + UPDATE_INTERVAL_S - 1);
        let answer = signer.check(&mut state, &soon, NOW_S + UPDATE_INTERVAL_S - 1);
        assert_eq!(answer, Err(Reason::TooManyProviderTokenUpdates));
        assert_eq!(
            signer.check(&mut state, &first, NOW_S + UPDATE_INTERVAL_S),
            Ok(())
        );
        let later = signer.token("KEY1", "TEAM1", NOW_S + UPDATE_INTERVAL_S);
        assert_eq!(
            signer.check(&mut state, &later, NOW_S + UPDATE_INTERVAL_S),
            Ok(())
        );
    }

    #[test]
    fn the_first_token_binds_the_connection_to_its_key_and_team() {
        let signer = Signer::new();
        let mut state = Authorization::default();
        signer
            .check(&mut state, &signer.token("KEY1", "TEAM1", NOW_S), NOW_S)
            .unwrap();
        let other_key = signer.token("KEY2", "TEAM1", NOW_S);
        let answer = signer.check(&mut state, &other_key, NOW_S);
        assert_eq!(answer, Err(Reason::UnrelatedKeyIdInToken));
        let other_team = signer.token("KEY3", "TEAM2", NOW_S);
        let answer = signer.check(&mut state, &other_team, NOW_S);
        assert_eq!(answer, Err(Reason::InvalidProviderToken));
    }

    #[test]
    fn a_key_of_the_other_environment_is_refused() {
        let mut signer = Signer::new();
        signer.config.keys[0].environment = Some(Environment::Production);
        let token = signer.token("KEY1", "TEAM1", NOW_S);
        assert_eq!(
            signer.check_first(&token),
            Err(Reason::BadEnvironmentKeyIdInToken)
        );
        signer.config.environment = Environment::Production;
        assert_eq!(signer.check_first(&token), Ok(()));
    }

    #[test]
    fn any_key_is_believed_if_asked_for_but_not_any_form_or_age() {
        let mut signer = Signer::new();
        signer.config = Config {
            accept_any_key: true,
            ..Config::default()
        };
        assert_eq!(signer.check_first(&signer.token("X", "Y", NOW_S)), Ok(()));
        let old = signer.token("X", "Y", NOW_S - LIFETIME_S - 1);
        assert_eq!(signer.check_first(&old), Err(Reason::ExpiredProviderToken));
        assert_eq!(
            signer.check_first("bearer a.b.c"),
            Err(Reason::InvalidProviderToken)
        );
    }

    #[test]
    fn a_restricted_key_allows_its_bundle_ids() {
        let mut signer = Signer::new();
        signer.config.keys[0].topics = Some(vec!["com.example.app".into()]);
        let mut state = Authorization::default();
        signer
            .check(&mut state, &signer.token("KEY1", "TEAM1", NOW_S), NOW_S)
            .unwrap();
        assert!(state.allows("com.example.app", "com.example.app"));
        assert!(state.allows("com.example.app.voip", "com.example.app"));
        assert!(!state.allows("com.example.other", "com.example.other"));
    }
}
