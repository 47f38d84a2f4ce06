//! Key, identifiers and a time turned into a [`ProviderToken`]; and the text of one, shared by
//! another instance, back into it.
//!
//! Source: Apple, *Establishing a token-based connection to APNs*; RFC 7515, section 3.1 (compact
//! form), RFC 7518, section 3.4 (the signature is R and S, 64 bytes).
//!
//! ```text
//! base64url({"alg":"ES256","kid":"<key id>"}) . base64url({"iss":"<team id>","iat":<seconds>})
//!     . base64url(R ‖ S)                                            no padding, 190 bytes or so
//! ```
//!
//! Apple's sample of an `authorization` header contradicts the text beside it (no `alg`, `iat` as a
//! string in milliseconds, a signature in DER); a test holds that it is refused.
//!
//! Limit: 1024 bytes on reading. Reading does not verify the signature: the token came from our own
//! store, and APNs is who checks it.

use super::{KeyId, SigningKey, TeamId};
use crate::limits::PROVIDER_TOKEN_MAX_BYTES;
use crate::time::UnixTime;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;
use serde::Deserialize;
use std::sync::Arc;

const BEARER: &str = "bearer ";
const ALGORITHM: &str = "ES256";
const SIGNATURE_BYTES: usize = 64;

/// A signed statement that the bearer may push for a team: what `authorization` carries.
///
/// Cloning shares the text. `Debug` shows who signed it and when, never the token.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderToken {
    /// With "bearer " in front, as it goes into every request.
    authorization: Arc<str>,
    key_id: KeyId,
    team_id: TeamId,
    issued_at: UnixTime,
}

impl ProviderToken {
    /// Makes the token of this second.
    pub fn sign(key: &SigningKey, key_id: KeyId, team_id: TeamId, now: UnixTime) -> Self {
        let header = format!("{{\"alg\":\"{ALGORITHM}\",\"kid\":\"{key_id}\"}}");
        let claims = format!("{{\"iss\":\"{team_id}\",\"iat\":{}}}", now.as_secs());
        let mut text = String::from(BEARER);
        text += &URL_SAFE_NO_PAD.encode(header);
        text.push('.');
        text += &URL_SAFE_NO_PAD.encode(claims);
        let message = text.strip_prefix(BEARER).unwrap_or_default();
        let signature = URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()));
        text.push('.');
        text += &signature;
        let issued_at = UnixTime::from_secs(now.as_secs());
        Self {
            authorization: Arc::from(text),
            key_id,
            team_id,
            issued_at,
        }
    }

    /// Reads a token made by [`Self::sign`], here or elsewhere, without verifying its signature.
    ///
    /// # Errors
    /// [`InvalidProviderToken`] for anything APNs is documented to refuse: another algorithm, no
    /// key or team identifier, an `iat` that is no number, a signature that is not 64 bytes.
    pub fn parse(jwt: &str) -> Result<Self, InvalidProviderToken> {
        if jwt.len() > PROVIDER_TOKEN_MAX_BYTES {
            return Err(InvalidProviderToken::new(
                "token",
                "at most 1024 bytes",
                "more",
            ));
        }
        let mut parts = jwt.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidProviderToken::new(
                "token",
                "three parts between dots",
                "other",
            ));
        };
        let header: JwtHeader = json("header", header)?;
        if header.alg.as_deref() != Some(ALGORITHM) {
            let got = if header.alg.is_some() {
                "another algorithm"
            } else {
                "no alg"
            };
            return Err(InvalidProviderToken::new("header", "alg ES256", got));
        }
        let claims: Claims = json("claims", claims)?;
        let signature = decode("signature", signature)?;
        if signature.len() != SIGNATURE_BYTES {
            let expected = "the 64 bytes of R and S";
            return Err(InvalidProviderToken::new(
                "signature",
                expected,
                "another length",
            ));
        }
        let id =
            |part, expected| move |_| InvalidProviderToken::new(part, expected, "another text");
        Ok(Self {
            authorization: Arc::from([BEARER, jwt].concat()),
            key_id: KeyId::parse(&header.kid).map_err(id("header", "a kid of 10 characters"))?,
            team_id: TeamId::parse(&claims.iss).map_err(id("claims", "an iss of 10 characters"))?,
            issued_at: UnixTime::from_secs(claims.iat),
        })
    }

    /// The value of `authorization`: `bearer`, a blank and the token.
    pub fn authorization(&self) -> &str {
        &self.authorization
    }

    /// The token alone, in compact form; for the store, not for a log.
    pub fn as_jwt(&self) -> &str {
        self.authorization.strip_prefix(BEARER).unwrap_or_default()
    }

    /// The key that signed it.
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The team it speaks for.
    pub const fn team_id(&self) -> TeamId {
        self.team_id
    }

    /// When it was made, in whole seconds (`iat`).
    pub const fn issued_at(&self) -> UnixTime {
        self.issued_at
    }
}

impl fmt::Debug for ProviderToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key_id,
            team_id,
            issued_at,
            ..
        } = self;
        write!(
            f,
            "ProviderToken(redacted, kid {key_id}, iss {team_id}, iat {})",
            issued_at.as_secs()
        )
    }
}

/// A text that is not a provider token. Whoever wrote it into the store is at fault; it can be
/// replaced by a new one. Holds nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidProviderToken {
    part: &'static str,
    expected: &'static str,
    got: &'static str,
}

impl InvalidProviderToken {
    const fn new(part: &'static str, expected: &'static str, got: &'static str) -> Self {
        Self {
            part,
            expected,
            got,
        }
    }
}

impl fmt::Display for InvalidProviderToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            part,
            expected,
            got,
        } = self;
        write!(f, "provider token, {part}: expected {expected}, got {got}")
    }
}

impl core::error::Error for InvalidProviderToken {}

#[derive(Deserialize)]
struct JwtHeader {
    alg: Option<String>,
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    iat: u64,
}

fn decode(part: &'static str, text: &str) -> Result<Vec<u8>, InvalidProviderToken> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| InvalidProviderToken::new(part, "base64url without padding", "something else"))
}

fn json<T: for<'de> Deserialize<'de>>(
    part: &'static str,
    text: &str,
) -> Result<T, InvalidProviderToken> {
    let expected = match part {
        "header" => "a JSON object with alg and kid as strings",
        _ => "a JSON object with iss as a string and iat as a number of seconds",
    };
    crate::json::read(&decode(part, text)?)
        .map_err(|_| InvalidProviderToken::new(part, expected, "something else"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::key::tests::key;
    use super::*;
    use p256::ecdsa::signature::Verifier;
    use p256::ecdsa::{Signature, VerifyingKey};

    pub(crate) fn token_at(now: UnixTime) -> ProviderToken {
        let key_id = KeyId::parse("1QBCDJ9RST").unwrap();
        ProviderToken::sign(&key(), key_id, TeamId::parse("3Z24IP123A").unwrap(), now)
    }

    pub(crate) fn jwt(header: &str, claims: &str, signature: &[u8]) -> String {
        let parts = [header.as_bytes(), claims.as_bytes(), signature];
        parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
    }

    #[test]
    fn header_and_claims_are_what_apple_asks_for() {
        let token = token_at(UnixTime::from_millis(1_700_000_000_999));
        let parts: Vec<_> = token.as_jwt().split('.').collect();
        let text = |i: usize| String::from_utf8(decode("", parts[i]).unwrap()).unwrap();
        assert_eq!(text(0), r#"{"alg":"ES256","kid":"1QBCDJ9RST"}"#);
        assert_eq!(text(1), r#"{"iss":"3Z24IP123A","iat":1700000000}"#);
        assert_eq!(token.authorization(), format!("bearer {}", token.as_jwt()));
        assert!(!token.as_jwt().contains(['=', '+', '/']));
    }

    #[test]
    fn the_signature_verifies_and_is_64_bytes() {
        let token = token_at(UnixTime::from_secs(1_700_000_000));
        let (message, signature) = token.as_jwt().rsplit_once('.').unwrap();
        let signature = Signature::from_slice(&decode("", signature).unwrap()).unwrap();
        assert_eq!(signature.to_bytes().len(), SIGNATURE_BYTES);
        let public = VerifyingKey::from_sec1_bytes(&key().public_key_sec1()).unwrap();
        public.verify(message.as_bytes(), &signature).unwrap();
        assert!(public.verify(&message.as_bytes()[1..], &signature).is_err());
    }

    #[test]
    fn the_same_second_gives_the_same_token() {
        assert_eq!(
            token_at(UnixTime::from_millis(5_000)),
            token_at(UnixTime::from_millis(5_999))
        );
        assert_ne!(
            token_at(UnixTime::from_secs(5)).as_jwt(),
            token_at(UnixTime::from_secs(6)).as_jwt()
        );
    }

    #[test]
    fn a_shared_token_is_read_back_whole() {
        let token = token_at(UnixTime::from_secs(1_700_000_000));
        assert_eq!(ProviderToken::parse(token.as_jwt()).unwrap(), token);
    }

    #[test]
    fn a_token_that_names_its_type_is_read() {
        let header = r#"{"alg":"ES256","typ":"JWT","kid":"1QBCDJ9RST"}"#;
        let token = jwt(header, r#"{"iss":"3Z24IP123A","iat":1}"#, &[1; 64]);
        assert!(ProviderToken::parse(&token).is_ok());
    }

    #[test]
    fn a_token_is_read_up_to_its_limit() {
        let of = |padding: usize| {
            let padding = "x".repeat(padding);
            let claims = format!(r#"{{"iss":"3Z24IP123A","iat":1,"x":"{padding}"}}"#);
            jwt(r#"{"alg":"ES256","kid":"1QBCDJ9RST"}"#, &claims, &[1; 64])
        };
        // Three bytes of claims are four of the token.
        let most = (0..1_024).rfind(|padding| of(*padding).len() <= PROVIDER_TOKEN_MAX_BYTES);
        let most = most.unwrap();
        assert!(of(most).len() > 1_020 && ProviderToken::parse(&of(most)).is_ok());
        for padding in [most + 1, most + 100] {
            assert_eq!(
                ProviderToken::parse(&of(padding)).unwrap_err().to_string(),
                "provider token, token: expected at most 1024 bytes, got more"
            );
        }
    }

    #[test]
    fn what_apns_would_refuse_is_refused() {
        const HEADER: &str = r#"{"alg":"ES256","kid":"1QBCDJ9RST"}"#;
        const CLAIMS: &str = r#"{"iss":"3Z24IP123A","iat":1}"#;
        assert!(ProviderToken::parse(&jwt(HEADER, CLAIMS, &[1; 64])).is_ok());
        for (part, text) in [
            ("header", jwt(r#"{"kid":"1QBCDJ9RST"}"#, CLAIMS, &[1; 64])),
            (
                "header",
                jwt(r#"{"alg":"none","kid":"1QBCDJ9RST"}"#, CLAIMS, &[1; 64]),
            ),
            (
                "header",
                jwt(r#"{"alg":"ES256","kid":"short"}"#, CLAIMS, &[1; 64]),
            ),
            (
                "claims",
                jwt(HEADER, r#"{"iss":"3Z24IP123A","iat":"1"}"#, &[1; 64]),
            ),
            (
                "claims",
                jwt(HEADER, r#"{"iss":"3Z24IP123A","iat":-1}"#, &[1; 64]),
            ),
            ("claims", jwt(HEADER, "[]", &[1; 64])),
            ("signature", jwt(HEADER, CLAIMS, &[1; 72])),
            ("signature", jwt(HEADER, CLAIMS, &[1; 64]) + "="),
            ("token", jwt(HEADER, CLAIMS, &[1; 64]) + ".x"),
            ("token", "x".repeat(1_025)),
            ("token", String::new()),
        ] {
            assert_eq!(
                ProviderToken::parse(&text).unwrap_err().part,
                part,
                "{text}"
            );
        }
    }

    #[test]
    fn printing_does_not_reveal_a_token() {
        let token = token_at(UnixTime::from_secs(9));
        let text = format!("{token:?}");
        assert_eq!(
            text,
            "ProviderToken(redacted, kid 1QBCDJ9RST, iss 3Z24IP123A, iat 9)"
        );
        let signature = token.as_jwt().rsplit_once('.').unwrap().1;
        let error = ProviderToken::parse(&token.as_jwt()[1..]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(signature));
    }
}
