//! Provider tokens.

use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::auth::tests::{jwt as joined, pkcs8_pem, token_at};
use crate::auth::{Freshness, KeyId, ProviderToken, SigningKey, TeamId, freshness, may_renew};
use crate::time::UnixTime;

/// The algorithm of a key on P-521, as PKCS #8 has it.
const P_521: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23";

const SIGNATURE: &[u8] = &[1; 64];

/// A key, an identifier of one, or claims: what is signed with it, or why nothing is.
pub(super) fn jwt(input: &Value) -> Value {
    if let Some(curve) = input["key"].as_str() {
        assert_eq!(curve, "P-521");
        let error = SigningKey::from_pem(pkcs8_pem(P_521, &[1; 66])).err();
        let error = error.map(|error| error.to_string());
        assert!(
            error
                .as_ref()
                .is_none_or(|text| text.ends_with("on the curve P-521"))
        );
        return json!({ "error": error });
    }
    if let Some(id) = input["kid"].as_str() {
        let Ok(id) = KeyId::parse(id) else {
            return json!({ "error": "not a key identifier" });
        };
        let key = SigningKey::from_scalar(&[7; 32]).unwrap();
        let team_id = TeamId::parse("3Z24IP123A").unwrap();
        let token = ProviderToken::sign(&key, id, team_id, UnixTime::from_secs(1));
        let (header, _) = token.as_jwt().split_once('.').unwrap();
        let header = URL_SAFE_NO_PAD.decode(header).unwrap();
        return json!({ "header": serde_json::from_slice::<Value>(&header).unwrap() });
    }
    let header = r#"{"alg":"ES256","kid":"1QBCDJ9RST"}"#;
    let claims = input["claims"].as_array().unwrap();
    let is_read = |claims: &Value| {
        let token = joined(header, &claims.to_string(), SIGNATURE);
        ProviderToken::parse(&token).is_ok()
    };
    let error = (!claims.iter().any(is_read)).then_some("rejected");
    json!({ "error": error })
}

/// A token of some age, or at some times after it was made.
pub(super) fn refresh(input: &Value) -> Value {
    let start = UnixTime::from_secs(12 * 60 * 60);
    let after = |secs| start + Duration::from_secs(secs);
    let age = input["age_s"].as_u64();
    if let Some(secs) = age.or(input["age_min"].as_u64().map(|minutes| minutes * 60)) {
        let freshness = freshness(start, after(secs));
        let is_used = freshness != Freshness::Expired;
        return json!({
            "expired": freshness != Freshness::Fresh, "same_token": freshness == Freshness::Fresh,
            "used": is_used, "may_be_renewed": may_renew(start, after(secs)),
        });
    }
    let token = token_at(start);
    assert_eq!(token.key_id().as_str(), input["kid"]);
    assert_eq!(token.team_id().as_str(), input["iss"]);
    let secs = |time: &Value| -> u64 {
        let parts = time.as_str().unwrap().split(':');
        parts.fold(0, |secs, part| secs * 60 + part.parse::<u64>().unwrap())
    };
    let times: Vec<_> = input["at"].as_array().unwrap().iter().map(secs).collect();
    let since_first = times.iter().skip(1).map(|at| after(at - times[0]));
    let is_same =
        since_first.map(|now| freshness(start, now) == Freshness::Fresh && !may_renew(start, now));
    json!({ "same": is_same.collect::<Vec<_>>() })
}

/// The parts of a token that are no good, each a reason to refuse one whose other parts are.
pub(super) fn jwt_parts(input: &Value) -> Value {
    let token = input["token"].as_str().unwrap();
    assert!(ProviderToken::parse(token).is_err());
    let parts = token
        .split('.')
        .map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let [header, claims, signature] = <[Vec<u8>; 3]>::try_from(parts.collect::<Vec<_>>()).unwrap();
    let text = |part: Vec<u8>| String::from_utf8(part).unwrap();
    let (header, claims) = (text(header), text(claims));
    let good = (
        r#"{"alg":"ES256","kid":"8YL3G3RRX7"}"#,
        r#"{"iss":"C86NV9JX3D","iat":1}"#,
    );
    let is_read = |header: &str, claims: &str, signature: &[u8]| {
        ProviderToken::parse(&joined(header, claims, signature)).is_ok()
    };
    assert!(is_read(good.0, good.1, SIGNATURE));
    let mut refused = json!({});
    if !is_read(&header, good.1, SIGNATURE) {
        refused["header_json"] = header.into();
    }
    if !is_read(good.0, &claims, SIGNATURE) {
        refused["claims_json"] = claims.into();
    }
    if !is_read(good.0, good.1, &signature) {
        refused["signature_len"] = signature.len().into();
        refused["signature_is_der"] = (signature[..2] == [0x30, 0x46]).into();
    }
    refused
}
