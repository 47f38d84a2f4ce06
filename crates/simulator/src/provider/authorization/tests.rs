//! Every rule of provider tokens, with tokens signed on the spot.

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm,
};

use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::keys::PublicKey;

const NOW_S: u64 = 1_700_000_000;

/// "Not more than one hour old."
const LIFETIME_S: u64 = 3600;

/// "Refresh your token no more than once every 20 minutes."
const UPDATE_INTERVAL_S: u64 = 20 * 60;

/// Clocks differ; five minutes are forgiven.
const FUTURE_TOLERANCE_S: u64 = 5 * 60;

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
        let log = TokenLog::default();
        state.check(Some(header.as_bytes()), &self.config, &log, now_s)
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
        state.check(None, &signer.config, &TokenLog::default(), NOW_S),
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
        (header, r#"{"iss":"TEAM1","iat":"1700000000 s"}"#),
        (header, r#"{"iss":"TEAM1","iat":""}"#),
        (header, r#"{"iss":"TEAM1","iat":-1}"#),
        (header, r#"{"iss":"TEAM1","iat":-0.5}"#),
        (header, r#"{"iss":"TEAM1","iat":null}"#),
        (header, r#"{"iss":"TEAM1","iat":true}"#),
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

/// RFC 7519, section 2: "a JSON numeric value", in which "non-integer values can be represented".
#[test]
fn iat_is_a_number_with_a_fraction_or_without() {
    let signer = Signer::new();
    let header = r#"{"alg":"ES256","kid":"KEY1"}"#;
    for iat in ["1700000000", "1700000000.25", "1699999999.999", "1.7e9"] {
        let claims = format!(r#"{{"iss":"TEAM1","iat":{iat}}}"#);
        let token = signer.sign(&ECDSA_P256_SHA256_FIXED_SIGNING, header, &claims);
        let mut state = Authorization::default();
        assert_eq!(signer.check(&mut state, &token, NOW_S), Ok(()), "{iat}");
        assert!(
            state.warnings().is_empty() && state.why().is_none(),
            "{iat}"
        );
    }
    for iat in ["1699990000.5", "1e300"] {
        let claims = format!(r#"{{"iss":"TEAM1","iat":{iat}}}"#);
        let token = signer.sign(&ECDSA_P256_SHA256_FIXED_SIGNING, header, &claims);
        assert_eq!(
            signer.check_first(&token),
            Err(Reason::ExpiredProviderToken),
            "{iat}"
        );
    }
}

#[test]
fn what_libraries_in_production_send_is_taken_with_a_warning() {
    let signer = Signer::new();
    let mut state = Authorization::default();
    let header = r#"{"alg":"ES256","kid":"KEY1"}"#;
    for iat in ["1700000000", "1700000000.5"] {
        let claims = format!(r#"{{"iss":"TEAM1","iat":"{iat}"}}"#);
        let token = signer.sign(&ECDSA_P256_SHA256_FIXED_SIGNING, header, &claims);
        let mut state = Authorization::default();
        // The second time it is known.
        for _ in 0..2 {
            assert_eq!(signer.check(&mut state, &token, NOW_S), Ok(()), "{iat}");
            assert_eq!(state.warnings(), [TEXT_DATE]);
        }
    }
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, signer.pair.serialized_der(), &random).unwrap();
    let claims = format!(r#"{{"iss":"TEAM1","iat":{NOW_S}}}"#);
    let padded = base64::engine::general_purpose::URL_SAFE;
    let signed = [header, &claims].map(|part| padded.encode(part)).join(".");
    let signature = pair.sign(&random, signed.as_bytes()).unwrap();
    let token = format!("bearer {signed}.{}", padded.encode(signature));
    assert!(token.contains('='));
    assert_eq!(signer.check(&mut state, &token, NOW_S), Ok(()));
    assert_eq!(state.warnings(), [PADDED]);
    // Another one on the same connection, as it should be.
    let later = NOW_S + UPDATE_INTERVAL_S;
    let usual = signer.token("KEY1", "TEAM1", later);
    assert_eq!(signer.check(&mut state, &usual, later), Ok(()));
    assert!(state.warnings().is_empty());
}

#[test]
fn a_token_that_is_refused_has_a_reason_that_names_what_was_expected() {
    let signer = Signer::new();
    let good = signer.token("KEY1", "TEAM1", NOW_S);
    let sign = |header, claims| signer.sign(&ECDSA_P256_SHA256_FIXED_SIGNING, header, claims);
    let header = r#"{"alg":"ES256","kid":"KEY1"}"#;
    for (token, why) in [
        ("basic abc".to_owned(), "expected authorization: bearer"),
        ("bearer a.b".to_owned(), "expected three parts"),
        ("bearer ?.b.c".to_owned(), "the header is not base64url"),
        (
            "bearer e30.e30.AA".to_owned(),
            "as header, got something else",
        ),
        (
            sign(
                r#"{"alg":"none","kid":"KEY1"}"#,
                r#"{"iss":"TEAM1","iat":1}"#,
            ),
            "ES256",
        ),
        (
            sign(header, r#"{"iss":"TEAM1","iat":"soon"}"#),
            "expected iat in seconds",
        ),
        (signer.token("KEY9", "TEAM1", NOW_S), "got \"KEY9\""),
        (
            signer.token("KEY1", "TEAM9", NOW_S),
            "expected iss \"TEAM1\"",
        ),
        (
            Signer::new().token("KEY1", "TEAM1", NOW_S),
            "expected a signature by the key",
        ),
        (
            signer.token("KEY1", "TEAM1", NOW_S - 3601),
            "got one 3601 s old",
        ),
        (
            signer.token("KEY1", "TEAM1", NOW_S + 301),
            "got one 301 s ahead",
        ),
    ] {
        let mut state = Authorization::default();
        assert!(signer.check(&mut state, &token, NOW_S).is_err(), "{token}");
        let told = state.why().unwrap();
        assert!(told.contains(why), "{why}: {told}");
        // It is not one to copy a credential out of.
        let secret = token
            .rsplit_once('.')
            .map_or("abc", |(_, signature)| signature);
        assert!(secret.len() < 8 || !told.contains(secret), "{told}");
        assert_eq!(signer.check(&mut state, &good, NOW_S), Ok(()));
        assert_eq!(state.why(), None);
    }
    let mut state = Authorization::default();
    let _ = state.check(None, &signer.config, &TokenLog::default(), NOW_S);
    assert_eq!(
        state.why(),
        Some("expected an authorization header, got none")
    );
}

#[test]
fn apples_own_sample_is_not_a_valid_token() {
    let sample = "bearer eyAia2lkIjogIjhZTDNHM1JSWDciIH0.\
        eyAiaXNzIjogIkM4Nk5WOUpYM0QiLCAiaWF0IjogIjE0NTkxNDM1ODA2NTAiIH0.\
        MEYCIQDzqyahmH1rz1s-LFNkylXEa2lZ_aOCX4daxxTZkVEGzwIhALvkClnx5m5e\
        AT6Lxw7LZtEQcH6JENhJTMArwLf3sXwi";
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
fn a_related_key_may_follow_and_come_back() {
    let mut signer = Signer::new();
    signer.config.related_keys = vec![["KEY1".into(), "KEY2".into()]];
    let mut state = Authorization::default();
    for key in ["KEY1", "KEY2", "KEY1"] {
        let token = signer.token(key, "TEAM1", NOW_S);
        assert_eq!(signer.check(&mut state, &token, NOW_S), Ok(()), "{key}");
    }
}

#[test]
fn the_intervals_can_be_made_shorter() {
    let mut signer = Signer::new();
    signer.config.token_rules = TokenRules {
        lifetime_s: 60,
        future_s: 0,
        update_interval_s: 20,
        ..TokenRules::default()
    };
    let mut state = Authorization::default();
    let mut ask =
        |issued_s, now_s| signer.check(&mut state, &signer.token("KEY1", "TEAM1", issued_s), now_s);
    assert_eq!(ask(NOW_S + 1, NOW_S), Err(Reason::ExpiredProviderToken));
    assert_eq!(ask(NOW_S, NOW_S + 61), Err(Reason::ExpiredProviderToken));
    assert_eq!(ask(NOW_S, NOW_S), Ok(()));
    let early = ask(NOW_S + 19, NOW_S + 19);
    assert_eq!(early, Err(Reason::TooManyProviderTokenUpdates));
    assert_eq!(ask(NOW_S + 20, NOW_S + 20), Ok(()));
}

#[test]
fn updates_can_be_counted_over_all_connections() {
    let mut signer = Signer::new();
    signer.config.token_rules.updates_per = UpdateScope::Key;
    let log = TokenLog::default();
    let check = |token: &str| {
        let mut state = Authorization::default();
        state.check(Some(token.as_bytes()), &signer.config, &log, NOW_S)
    };
    let (first, second) = (
        signer.token("KEY1", "TEAM1", NOW_S),
        signer.token("KEY1", "TEAM1", NOW_S - 1),
    );
    assert_eq!(check(&first), Ok(()));
    assert_eq!(check(&first), Ok(()));
    assert_eq!(check(&second), Err(Reason::TooManyProviderTokenUpdates));
    assert_eq!(check(&signer.token("KEY2", "TEAM1", NOW_S - 1)), Ok(()));
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
