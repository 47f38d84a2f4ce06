//! The control API over a real connection.

use serde_json::json;

use crate::support::{
    Client, Key, NOW_S, PAYLOAD, Push, TOKEN, TOPIC, control, control_json, start,
};

const HOST: &str = "host: localhost\r\n";

#[tokio::test]
async fn a_push_can_be_read_back_as_json() {
    let (simulator, key) = start().await;
    let client = Client::connect(&simulator).await;
    client.push(Push::new(&key.bearer(NOW_S))).await.unwrap();
    client
        .push(Push::new(&key.bearer(NOW_S)).to("abcd"))
        .await
        .unwrap();
    let (status, body) = control_json(&simulator, "GET", "/notifications", "").await;
    assert_eq!(
        (status, &body["total"], &body["dropped"]),
        (200, &json!(2), &json!(0))
    );
    let first = &body["notifications"][0];
    assert_eq!(first["token"], json!(TOKEN));
    assert_eq!(first["headers"]["apns-topic"], json!(TOPIC));
    assert_eq!(first["payload"], json!(PAYLOAD));
    assert_eq!(first["status"], json!(200));
    assert_eq!(
        body["notifications"][1]["reason"],
        json!("TooManyProviderTokenUpdates")
    );

    let one = control_json(&simulator, "GET", "/notifications?token=ABCD", "")
        .await
        .1;
    assert_eq!(one["notifications"].as_array().unwrap().len(), 1);
    assert_eq!(
        control_json(&simulator, "DELETE", "/notifications", "")
            .await
            .0,
        204
    );
    assert!(simulator.journal().is_empty());
}

#[tokio::test]
async fn devices_and_faults_change_the_answers() {
    let (simulator, key) = start().await;
    let client = Client::connect(&simulator).await;
    let bearer = key.bearer(NOW_S);
    let body = format!(r#"{{"token":"{TOKEN}","state":"unregistered","since_ms":1700000000123}}"#);
    assert_eq!(
        control_json(&simulator, "POST", "/devices", &body).await.0,
        204
    );
    let answer = client.push(Push::new(&bearer)).await.unwrap();
    assert_eq!(
        answer.body,
        br#"{"reason":"Unregistered","timestamp":1700000000123}"#
    );

    let body = r#"{"fault":"status","status":503,"reason":"Shutdown","times":2}"#;
    assert_eq!(
        control_json(&simulator, "POST", "/faults", body).await.0,
        204
    );
    assert_eq!(
        client.push(Push::new(&bearer)).await.unwrap().reason().1,
        "Shutdown"
    );
    assert_eq!(
        control_json(&simulator, "DELETE", "/faults", "").await.0,
        204
    );
    assert_eq!(
        control_json(&simulator, "DELETE", "/devices", "").await.0,
        204
    );
    assert_eq!(client.push(Push::new(&bearer)).await.unwrap().status, 200);

    let stats = control_json(&simulator, "GET", "/stats", "").await.1;
    assert_eq!(stats["responses"], json!({"200": 1, "410": 1, "503": 1}));
    assert_eq!(
        (&stats["connections_open"], &stats["requests"]),
        (&json!(1), &json!(3))
    );
}

#[tokio::test]
async fn malformed_requests_are_400_with_an_explanation() {
    let (simulator, _key) = start().await;
    for (target, body) in [("/devices", "{"), ("/faults", "[{}]"), ("/faults", "\u{0}")] {
        let (status, answer) = control_json(&simulator, "POST", target, body).await;
        assert_eq!(status, 400, "{target} {body}");
        assert!(
            answer["error"].as_str().unwrap().contains("expected"),
            "{answer}"
        );
    }
    assert_eq!(control_json(&simulator, "GET", "/nothing", "").await.0, 404);
    assert_eq!(control_json(&simulator, "PUT", "/stats", "").await.0, 405);
}

#[tokio::test]
async fn a_body_too_large_is_refused() {
    let (simulator, _key) = start().await;
    let large = format!("[{}", " ".repeat(1 << 20));
    let (status, answer) = control_json(&simulator, "POST", "/faults", &large).await;
    assert_eq!(status, 413);
    assert!(answer["error"].as_str().unwrap().starts_with("expected"));
}

#[tokio::test]
async fn other_sites_are_kept_out() {
    let (simulator, _key) = start().await;
    let rebound = "host: evil.example\r\n";
    assert_eq!(
        control(&simulator, "GET", "/notifications", rebound, "")
            .await
            .0,
        403
    );
    let foreign = "host: localhost\r\norigin: http://evil.example\r\n";
    assert_eq!(
        control(&simulator, "DELETE", "/notifications", foreign, "")
            .await
            .0,
        403
    );
    let own = "host: localhost\r\norigin: http://localhost\r\n";
    assert_eq!(
        control(&simulator, "DELETE", "/notifications", own, "")
            .await
            .0,
        204
    );
}

#[tokio::test]
async fn the_page_and_the_certificate_are_served() {
    let (simulator, _key) = start().await;
    let (status, head, page) = control(&simulator, "GET", "/", HOST, "").await;
    assert_eq!(status, 200);
    assert!(
        head.contains("content-security-policy: default-src 'none'"),
        "{head}"
    );
    assert!(page.starts_with("<!doctype html>") && page.contains("textContent"));
    let (status, _, pem) = control(&simulator, "GET", "/ca.pem", HOST, "").await;
    assert_eq!((status, pem.as_str()), (200, simulator.ca_pem()));
}

#[tokio::test]
async fn the_journal_says_why_a_provider_token_was_refused_or_what_is_unusual_in_it() {
    let (simulator, key) = start().await;
    let header = r#"{"alg":"ES256","kid":"KEY1"}"#;
    let dated = |iat: &str| key.signed(header, &format!(r#"{{"iss":"TEAM1","iat":{iat}}}"#));
    let stranger = Key::new("KEY9", "TEAM1").bearer(NOW_S);
    let (text, fraction) = (format!("\"{NOW_S}\""), format!("{NOW_S}.5"));
    for (bearer, status, why, warning) in [
        (stranger, 403, "got \"KEY9\"", ""),
        (
            dated(&text),
            200,
            "",
            "iat of the provider token is a string",
        ),
        (dated(&fraction), 200, "", ""),
    ] {
        let client = Client::connect(&simulator).await;
        let answer = client.push(Push::new(&bearer)).await.unwrap();
        assert_eq!(answer.status, status);
        let (_, listed) = control_json(&simulator, "GET", "/notifications?limit=1", "").await;
        let record = &listed["notifications"][0];
        let told = record["why"].as_str().unwrap_or_default();
        assert_eq!(told.is_empty(), why.is_empty(), "{record}");
        assert!(told.contains(why), "{record}");
        let warnings = record["warnings"].to_string();
        assert_eq!(warnings == "[]", warning.is_empty(), "{record}");
        assert!(warnings.contains(warning), "{record}");
    }
}
