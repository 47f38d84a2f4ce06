//! Tests against `tests/vectors/apns-vectors.json`: the kinds that concern provider tokens.

use super::key::tests::pkcs8_pem;
use super::token::tests::{jwt, token_at};
use super::{Freshness, KeyId, ProviderToken, SigningKey, freshness, may_renew};
use crate::notification::vectors::rows;
use crate::time::UnixTime;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::time::Duration;

/// The algorithm of a key on P-521, as PKCS #8 has it.
const P_521: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23";

#[test]
fn jwt_rows() {
    for row in rows("jwt") {
        let input = &row["input"];
        if input["key"] == "P-521" {
            let error = SigningKey::from_pem(pkcs8_pem(P_521, &[1; 66])).unwrap_err();
            assert!(
                error.to_string().ends_with("got a key on the curve P-521"),
                "{row}"
            );
        } else if let Some(key_id) = input["kid"].as_str() {
            // Not copied: pushy takes a key identifier of any form and writes `typ`. Apple's have
            // ten characters, and `typ` is optional; a token that has it is read all the same.
            assert!(KeyId::parse(key_id).is_err(), "{row}");
            let mut header = row["expected"]["header"].clone();
            header["kid"] = "1QBCDJ9RST".into();
            let token = jwt(
                &header.to_string(),
                r#"{"iss":"3Z24IP123A","iat":1}"#,
                &[1; 64],
            );
            assert!(ProviderToken::parse(&token).is_ok(), "{row}");
        } else {
            for claims in input["claims"].as_array().unwrap() {
                let header = r#"{"alg":"ES256","kid":"1QBCDJ9RST"}"#;
                let token = jwt(header, &claims.to_string(), &[1; 64]);
                assert!(ProviderToken::parse(&token).is_err(), "{claims}");
            }
        }
    }
}

#[test]
fn jwt_refresh() {
    let start = UnixTime::from_secs(12 * 60 * 60);
    let after = |secs| start + Duration::from_secs(secs);
    for row in rows("jwt_refresh") {
        let input = &row["input"];
        if let Some(minutes) = input["age_min"].as_u64() {
            // apns2 makes a new one at 50 minutes; here it has been due since 40.
            assert_eq!(
                freshness(start, after(60 * minutes)),
                Freshness::Due,
                "{row}"
            );
        } else if let Some(secs) = input["age_s"].as_u64() {
            // Not copied: APNSwift makes no new one before 55 minutes. At 48 it is still good here
            // too, but being replaced, so that a fleet has time to agree.
            assert_eq!(freshness(start, after(secs)), Freshness::Due, "{row}");
        } else {
            // Not copied: PyAPNs2 lets a token live for 30 seconds. Apple answers that with
            // TooManyProviderTokenUpdates: no second token within 20 minutes.
            let token = token_at(start);
            assert_eq!(token.key_id().as_str(), input["kid"]);
            assert_eq!(token.team_id().as_str(), input["iss"]);
            for secs in [20, 40] {
                assert_eq!(freshness(start, after(secs)), Freshness::Fresh, "{row}");
                assert!(!may_renew(start, after(secs)), "{row}");
            }
        }
    }
}

#[test]
fn apples_sample_token_is_not_one() {
    for row in rows("jwt_bad_example") {
        let token = row["input"]["token"].as_str().unwrap();
        let parts: Vec<_> = token
            .split('.')
            .map(|part| URL_SAFE_NO_PAD.decode(part).unwrap())
            .collect();
        let [header, claims, signature] = parts.as_slice() else {
            panic!("{row}")
        };
        let expected = &row["expected"];
        assert_eq!(str::from_utf8(header).unwrap(), expected["header_json"]);
        assert_eq!(str::from_utf8(claims).unwrap(), expected["claims_json"]);
        assert_eq!(signature.len() as u64, expected["signature_len"]);
        assert_eq!(signature[..2], [0x30, 0x46], "a DER SEQUENCE of 70 bytes");
        // Each of the three parts is a reason to refuse it.
        let good = [
            r#"{"alg":"ES256","kid":"8YL3G3RRX7"}"#,
            r#"{"iss":"C86NV9JX3D","iat":1}"#,
        ];
        let text = |part: &[u8]| String::from_utf8(part.to_vec()).unwrap();
        assert!(ProviderToken::parse(token).is_err());
        assert!(ProviderToken::parse(&jwt(good[0], good[1], &[1; 64])).is_ok());
        assert!(ProviderToken::parse(&jwt(&text(header), good[1], &[1; 64])).is_err());
        assert!(ProviderToken::parse(&jwt(good[0], &text(claims), &[1; 64])).is_err());
        assert!(ProviderToken::parse(&jwt(good[0], good[1], signature)).is_err());
    }
}
