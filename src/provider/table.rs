//! The table of reasons against Apple's pages, row by row, written out here once more.
//!
//! Source: `docs/protocols.md`, sections 3.4 (status and reason), 3.5 (what to do) and 3.7
//! (broadcasts).

use super::ConnectionAction::{Close, Keep as Stay, Replace};
use super::Retry::{
    Backoff, DevicePause, Never, NewConnection, NewProviderToken, OldProviderToken,
    OtherEnvironment,
};
use super::TokenAction::{Keep, Remove, RemoveIfEverywhere, RemoveUnlessMany};
use super::{ConnectionAction, Outcome, Reason, Retry, Service, TokenAction, read_response};

type Row = (u16, &'static str, Retry, TokenAction, ConnectionAction);

/// Section 3.4, in its order, with the actions of 3.5.
const DEVICES: &[Row] = &[
    (400, "BadCollapseId", Never, Keep, Stay),
    (
        400,
        "BadDeviceToken",
        OtherEnvironment,
        RemoveIfEverywhere,
        Stay,
    ),
    (400, "BadExpirationDate", Never, Keep, Stay),
    (400, "BadMessageId", Never, Keep, Stay),
    (400, "BadPriority", Never, Keep, Stay),
    (400, "BadTopic", Never, Keep, Stay),
    (400, "DeviceTokenNotForTopic", Never, RemoveUnlessMany, Stay),
    (400, "DuplicateHeaders", Never, Keep, Stay),
    (400, "IdleTimeout", NewConnection, Keep, Replace),
    (400, "InvalidPushType", Never, Keep, Stay),
    (400, "MissingDeviceToken", Never, Keep, Stay),
    (400, "MissingTopic", Never, Keep, Stay),
    (400, "PayloadEmpty", Never, Keep, Stay),
    (400, "TopicDisallowed", Never, Keep, Stay),
    (403, "BadCertificate", Never, Keep, Close),
    (403, "BadCertificateEnvironment", Never, Keep, Close),
    (403, "ExpiredProviderToken", NewProviderToken, Keep, Replace),
    (403, "Forbidden", Never, Keep, Stay),
    (403, "InvalidProviderToken", Never, Keep, Close),
    (403, "MissingProviderToken", Never, Keep, Close),
    (403, "UnrelatedKeyIdInToken", NewConnection, Keep, Replace),
    (403, "BadEnvironmentKeyIdInToken", Never, Keep, Close),
    (403, "BadEnvironmentKeyInToken", Never, Keep, Close),
    (404, "BadPath", Never, Keep, Stay),
    (405, "MethodNotAllowed", Never, Keep, Stay),
    (410, "ExpiredToken", Never, Remove, Stay),
    (410, "Unregistered", Never, Remove, Stay),
    (413, "PayloadTooLarge", Never, Keep, Stay),
    (
        429,
        "TooManyProviderTokenUpdates",
        OldProviderToken,
        Keep,
        Stay,
    ),
    (429, "TooManyRequests", DevicePause, Keep, Stay),
    (500, "InternalServerError", Backoff, Keep, Stay),
    (503, "ServiceUnavailable", Backoff, Keep, Stay),
    (503, "Shutdown", NewConnection, Keep, Replace),
];

/// Section 3.7: what is not in 3.4, and what is, in its order.
const BROADCASTS: &[Row] = &[
    (400, "FeatureNotEnabled", Never, Keep, Stay),
    (400, "MissingChannelId", Never, Keep, Stay),
    (400, "BadChannelId", Never, Keep, Stay),
    (400, "ChannelNotRegistered", Never, Keep, Stay),
    (400, "BadRequestParams", Never, Keep, Stay),
    (400, "BadRequestPayload", Never, Keep, Stay),
    (400, "PayloadEmpty", Never, Keep, Stay),
    (400, "BadMessageId", Never, Keep, Stay),
    (400, "MissingPushType", Never, Keep, Stay),
    (400, "InvalidPushType", Never, Keep, Stay),
    (400, "CannotCreateChannelConfig", Never, Keep, Stay),
    (400, "BadExpirationDate", Never, Keep, Stay),
    (400, "TopicDisallowed", Never, Keep, Stay),
    (400, "BadPriority", Never, Keep, Stay),
    (403, "BadCertificate", Never, Keep, Close),
    (403, "BadCertificateEnvironment", Never, Keep, Close),
    (403, "TopicMismatch", Never, Keep, Stay),
    (403, "MissingProviderToken", Never, Keep, Close),
    (403, "ExpiredProviderToken", NewProviderToken, Keep, Replace),
    (403, "InvalidProviderToken", Never, Keep, Close),
    (404, "BadPath", Never, Keep, Stay),
    (405, "MethodNotAllowed", Never, Keep, Stay),
    (413, "PayloadTooLarge", Never, Keep, Stay),
    (429, "TooManyRequests", DevicePause, Keep, Stay),
    (
        429,
        "TooManyProviderTokenUpdates",
        OldProviderToken,
        Keep,
        Stay,
    ),
    (500, "InternalServerError", Backoff, Keep, Stay),
    (503, "Service Unavailable", Backoff, Keep, Stay),
    (503, "Shutdown", NewConnection, Keep, Replace),
];

#[test]
fn every_row_of_apples_pages_has_its_outcome_and_its_action() {
    for (status, name, retry, token, connection) in DEVICES.iter().chain(BROADCASTS) {
        let body = format!("{{\"reason\":\"{name}\"}}");
        let outcome = read_response(*status, [], body.as_bytes());
        let Outcome::Rejected { reason, .. } = &outcome else {
            panic!("{name}: {outcome:?}")
        };
        assert_eq!(reason.usual_status(), Some(*status), "{name}");
        let treatment = outcome.treatment().unwrap();
        let got = (treatment.retry, treatment.token, treatment.connection);
        assert_eq!(got, (*retry, *token, *connection), "{name}");
        // Only the server's own errors say that the service does not work.
        let fails = treatment.service == Service::Fails;
        assert_eq!(fails, *status >= 500, "{name}");
    }
}

#[test]
fn the_200_with_an_empty_body_is_accepted() {
    let outcome = read_response(200, [], b"");
    assert!(matches!(outcome, Outcome::Accepted { .. }));
    assert_eq!(outcome.treatment(), None);
}

#[test]
fn no_reason_is_in_the_table_that_is_not_on_the_pages() {
    let known = |name: &str| Reason::parse(name).usual_status().is_some();
    let mut names: Vec<_> = DEVICES.iter().chain(BROADCASTS).map(|row| row.1).collect();
    names.retain(|name| !matches!(*name, "BadEnvironmentKeyInToken" | "Service Unavailable"));
    names.sort_unstable();
    names.dedup();
    assert!(names.iter().all(|name| known(name)));
    assert_eq!(names.len(), Reason::COUNT);
}

/// "Parse leniently": what is not on the pages is shown as it came and treated by its status.
#[test]
fn what_is_not_on_the_pages_is_shown_and_treated_by_its_status() {
    let bodies: &[(&[u8], &str)] = &[
        (br#"{"reason":"NewInTwentySeven"}"#, "\"NewInTwentySeven\""),
        (b"<html>busy</html>", "not JSON: \"<html>busy</html>\""),
        (b"", "no reason given"),
        (b"{}", "no reason given"),
    ];
    for (body, shown) in bodies {
        for (status, retry, service) in [
            (418, Never, Service::Works),
            (410, Never, Service::Works),
            (429, DevicePause, Service::Works),
            (500, Backoff, Service::Fails),
            (502, Never, Service::Fails),
            (503, Backoff, Service::Fails),
        ] {
            let outcome = read_response(status, [], body);
            assert_eq!(outcome.to_string(), format!("rejected: {status} {shown}"));
            let treatment = outcome.treatment().unwrap();
            assert_eq!((treatment.retry, treatment.service), (retry, service));
            // Of a 410 the status alone is Apple's word on the token, unless a reason is against
            // it.
            let says_why = shown.starts_with('"');
            let token = if status == 410 && !says_why {
                Remove
            } else {
                Keep
            };
            assert_eq!((treatment.token, treatment.connection), (token, Stay));
        }
    }
}
