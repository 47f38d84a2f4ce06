//! Every scripted fault as a client meets it.

mod goaway;
mod random;

use std::time::Duration;

use dunlin_simulator::{Action, Fault};

use crate::support::{
    Client, Key, NOW_S, PATIENCE, Push, TOKEN, control_json, raw, start, tls, within,
};

fn push(key: &Key) -> Push {
    Push::new(&key.bearer(NOW_S))
}

/// A client whose connection is past the stream limit of 1, and a push it may repeat.
async fn warm(simulator: &dunlin_simulator::Simulator, key: &Key) -> (Client, Push) {
    let client = Client::connect(simulator).await;
    let push = push(key);
    assert_eq!(client.push(push.clone()).await.unwrap().status, 200);
    (client, push)
}

fn reset(action: &str, error: &h2::Error) -> h2::Reason {
    error
        .reason()
        .unwrap_or_else(|| panic!("{action}: expected a reason, got {error}"))
}

#[tokio::test]
async fn a_status_comes_with_reason_timestamp_and_retry_after() {
    let (simulator, key) = start().await;
    let (client, push) = warm(&simulator, &key).await;
    let action = Action::Status {
        status: 429,
        reason: Some("TooManyRequests".into()),
        timestamp_ms: Some(7),
        retry_after: Some(30),
    };
    simulator.add_fault(Fault::new(action)).unwrap();
    let answer = client.push(push.clone()).await.unwrap();
    assert_eq!(
        answer.body,
        br#"{"reason":"TooManyRequests","timestamp":7}"#
    );
    assert_eq!(
        (answer.status, answer.headers["retry-after"].as_str()),
        (429, "30")
    );
    assert!(!answer.headers.contains_key("apns-unique-id"));
    let record = simulator.journal().pop().unwrap();
    assert_eq!(
        (record.status, record.fault.as_deref()),
        (Some(429), Some("status"))
    );
    assert_eq!(record.reason.as_deref(), Some("TooManyRequests"));
    assert_eq!(client.push(push).await.unwrap().status, 200);
}

#[tokio::test]
async fn reasons_only_apple_can_find_are_played_by_a_status() {
    let (simulator, key) = start().await;
    let (client, push) = warm(&simulator, &key).await;
    for (status, reason) in [
        (400, "IdleTimeout"),
        (403, "BadCertificate"),
        (403, "BadCertificateEnvironment"),
        (403, "Forbidden"),
        (403, "BadEnvironmentKeyInToken"),
        (500, "InternalServerError"),
        (503, "ServiceUnavailable"),
        (503, "Shutdown"),
    ] {
        simulator.add_fault(Fault::status(status, reason)).unwrap();
        let answer = client.push(push.clone()).await.unwrap();
        assert_eq!(answer.reason(), (status, reason.to_owned()));
    }
}

#[tokio::test]
async fn a_body_need_not_be_json() {
    let (simulator, key) = start().await;
    let (client, push) = warm(&simulator, &key).await;
    let action = Action::Body {
        status: 502,
        body: b"<html>\xff".to_vec(),
    };
    simulator.add_fault(Fault::new(action)).unwrap();
    let answer = client.push(push).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (502, &b"<html>\xff"[..]));
}

#[tokio::test]
async fn faults_pick_by_prefix_and_by_turn() {
    let (simulator, key) = start().await;
    let (client, push) = warm(&simulator, &key).await;
    simulator
        .add_fault(Fault::status(500, "a").for_tokens("ab").always())
        .unwrap();
    simulator
        .add_fault(Fault::status(503, "b").every(2).times(2))
        .unwrap();
    let mut statuses = Vec::new();
    for token in ["abcd", "cd", "cd", "cd", "abcd", "cd", "cd"] {
        statuses.push(client.push(push.clone().to(token)).await.unwrap().status);
    }
    assert_eq!(statuses, [500, 200, 503, 200, 500, 503, 200]);
    simulator.clear_faults();
    assert_eq!(client.push(push.to("abcd")).await.unwrap().status, 200);
}

#[tokio::test]
async fn goaway_carries_json_and_leaves_the_request_unprocessed() {
    let (simulator, key) = start().await;
    let (client, push) = warm(&simulator, &key).await;
    let action = Action::Goaway {
        reason: Some("BadCertificateEnvironment".into()),
        error_code: 0,
        answer: false,
    };
    simulator.add_fault(Fault::new(action)).unwrap();
    let error = client.push(push).await.unwrap_err();
    assert!(!error.is_io() || error.is_go_away(), "{error}");
    let _ = within(client.end).await.unwrap();
    let seen = client.seen.lock().unwrap().clone();
    let (frames, rest) = raw::frames(&seen);
    let goaway = frames
        .iter()
        .find(|frame| frame.kind == raw::GOAWAY)
        .unwrap();
    let debug = br#"{"reason":"BadCertificateEnvironment"}"#;
    assert_eq!(
        goaway.payload,
        [&[0, 0, 0, 1, 0, 0, 0, 0], &debug[..]].concat()
    );
    assert!(rest.is_empty());
    let record = simulator.journal().pop().unwrap();
    assert_eq!(
        (record.status, record.reason, record.stream),
        (None, None, 3)
    );
    assert_eq!(record.fault.as_deref(), Some("goaway"));
}

#[tokio::test]
async fn goaway_lets_earlier_requests_finish_first() {
    let (simulator, key) = start().await;
    let (client, push) = warm(&simulator, &key).await;
    simulator
        .add_fault(Fault::new(Action::Delay).for_tokens("aa").after_ms(300))
        .unwrap();
    let action = Action::Goaway {
        reason: None,
        error_code: 0,
        answer: false,
    };
    simulator.add_fault(Fault::new(action)).unwrap();
    let slow = client.begin(push.clone().to("aa")).await.unwrap();
    assert!(simulator.wait_for(2, PATIENCE).await);
    let left_behind = client.begin(push.clone()).await.unwrap();
    assert!(simulator.wait_for(3, PATIENCE).await);
    assert_eq!(within(slow).await.unwrap().status, 200);
    assert!(within(left_behind).await.is_err());
    let _ = within(client.end).await.unwrap();
    let seen = client.seen.lock().unwrap().clone();
    let goaway = raw::frames(&seen)
        .0
        .into_iter()
        .find(|frame| frame.kind == raw::GOAWAY)
        .unwrap();
    assert_eq!(goaway.payload, [0, 0, 0, 3, 0, 0, 0, 0]);
}

#[tokio::test]
async fn goaway_may_answer_its_request() {
    let (simulator, key) = start().await;
    let (client, push) = warm(&simulator, &key).await;
    let action = Action::Goaway {
        reason: Some("Shutdown".into()),
        error_code: 11,
        answer: true,
    };
    simulator.add_fault(Fault::new(action)).unwrap();
    let seen = std::sync::Arc::clone(&client.seen);
    // The client may give up at GOAWAY with an error code; the bytes were sent all the same.
    let _ = client.push(push).await;
    let _ = within(client.end).await.unwrap();
    let frames = raw::frames(&seen.lock().unwrap()).0;
    let goaway = frames
        .iter()
        .find(|frame| frame.kind == raw::GOAWAY)
        .unwrap();
    assert_eq!(goaway.payload[..8], [0, 0, 0, 3, 0, 0, 0, 11]);
    assert_eq!(simulator.journal().pop().unwrap().status, Some(200));
}

#[tokio::test]
async fn a_stream_is_reset_with_the_code_asked_for() {
    let (simulator, key) = start().await;
    let (client, push) = warm(&simulator, &key).await;
    for (error_code, expected) in [
        (7, h2::Reason::REFUSED_STREAM),
        (2, h2::Reason::INTERNAL_ERROR),
    ] {
        simulator
            .add_fault(Fault::new(Action::Reset { error_code }))
            .unwrap();
        let error = client.push(push.clone()).await.unwrap_err();
        assert_eq!(reset("reset", &error), expected);
    }
    assert_eq!(client.push(push).await.unwrap().status, 200);
    assert_eq!(simulator.stats().unanswered, 2);
}

#[tokio::test]
async fn silence_holds_the_stream_and_nothing_else() {
    let (simulator, key) = start().await;
    let (client, push) = warm(&simulator, &key).await;
    simulator.add_fault(Fault::new(Action::Silence)).unwrap();
    let silent = client.begin(push.clone()).await.unwrap();
    assert!(simulator.wait_for(2, PATIENCE).await);
    assert_eq!(client.push(push.clone()).await.unwrap().status, 200);
    assert_eq!(simulator.stats().streams_open, 1);
    assert!(
        tokio::time::timeout(Duration::from_millis(50), silent)
            .await
            .is_err()
    );
    assert_eq!(client.push(push).await.unwrap().status, 200);
    let statuses: Vec<_> = simulator
        .journal()
        .iter()
        .map(|record| record.status)
        .collect();
    assert_eq!(statuses, [Some(200), None, Some(200), Some(200)]);
}

#[tokio::test]
async fn a_silent_first_request_does_not_use_up_the_only_stream_for_ever() {
    let (simulator, key) = start().await;
    let client = Client::connect(&simulator).await;
    simulator.add_fault(Fault::new(Action::Silence)).unwrap();
    let silent = client
        .begin(push(&key).with("authorization", "bearer no"))
        .await
        .unwrap();
    assert!(simulator.wait_for(1, PATIENCE).await);
    drop(silent);
    assert_eq!(client.push(push(&key)).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_connection_is_cut_at_once() {
    let (simulator, key) = start().await;
    let (client, push) = warm(&simulator, &key).await;
    let before = client.seen.lock().unwrap().len();
    simulator
        .add_fault(Fault::new(Action::Close { after_bytes: 0 }))
        .unwrap();
    assert!(client.push(push).await.is_err());
    assert!(within(client.end).await.unwrap().is_err());
    let after = client.seen.lock().unwrap().len();
    // An acknowledgement of the client's SETTINGS may still have been on its way before.
    assert!(after <= before + 13, "{before} {after}");
    assert_eq!(simulator.journal().pop().unwrap().status, None);
}

#[tokio::test]
async fn a_connection_is_cut_after_exactly_so_many_bytes() {
    for after_bytes in [1, 8, 9, 10, 30] {
        let (simulator, key) = start().await;
        let (client, push) = warm(&simulator, &key).await;
        simulator.add_fault(Fault::new(Action::Delay)).unwrap();
        // One more exchange, so that every frame of the start of the connection has arrived.
        client.push(push.clone()).await.unwrap();
        let before = client.seen.lock().unwrap().len();
        simulator
            .add_fault(Fault::new(Action::Close { after_bytes }))
            .unwrap();
        assert!(client.push(push).await.is_err());
        let _ = within(client.end).await.unwrap();
        let after = client.seen.lock().unwrap().len();
        assert_eq!((after - before) as u64, after_bytes);
    }
}

#[tokio::test]
async fn garbage_arrives_between_two_frames() {
    let (simulator, key) = start().await;
    let (client, push) = warm(&simulator, &key).await;
    let bytes = raw::frame(raw::DATA, 0, 0, b"nonsense");
    simulator
        .add_fault(Fault::new(Action::Garbage {
            bytes: bytes.clone(),
        }))
        .unwrap();
    assert!(client.push(push).await.is_err());
    let _ = within(client.end).await.unwrap();
    let seen = client.seen.lock().unwrap().clone();
    assert!(seen.windows(bytes.len()).any(|window| window == bytes));
}

#[tokio::test]
async fn the_stream_limit_changes_while_the_connection_lives() {
    let (simulator, key) = start().await;
    let (client, push) = warm(&simulator, &key).await;
    assert_eq!(client.requests.current_max_send_streams(), 1000);
    for limit in [1, 500, 0, 2] {
        simulator
            .add_fault(Fault::new(Action::MaxConcurrentStreams { limit }))
            .unwrap();
        if client.requests.current_max_send_streams() == 0 {
            break;
        }
        assert_eq!(client.push(push.clone()).await.unwrap().status, 200);
        assert_eq!(client.requests.current_max_send_streams(), limit as usize);
    }
    assert_eq!(simulator.stats().streams_refused, 0);
}

#[tokio::test]
async fn the_stream_limit_follows_a_script_of_counts() {
    let (simulator, key) = start().await;
    let (client, push) = warm(&simulator, &key).await;
    let body = r#"[{"fault":"settings","max_concurrent_streams":1,"after":2},
                   {"fault":"settings","max_concurrent_streams":500,"after":3}]"#;
    assert_eq!(
        control_json(&simulator, "POST", "/faults", body).await.0,
        204
    );
    let mut limits = Vec::new();
    for _ in 0..6 {
        assert_eq!(client.push(push.clone()).await.unwrap().status, 200);
        limits.push(client.requests.current_max_send_streams());
    }
    assert_eq!(limits, [1000, 1000, 1, 1, 500, 500]);
}

#[tokio::test]
async fn faults_pick_the_first_n_the_ones_after_n_and_every_nth() {
    let (simulator, key) = start().await;
    let (client, push) = warm(&simulator, &key).await;
    let statuses = async |fault: Fault| {
        simulator.add_fault(fault).unwrap();
        let mut statuses = Vec::new();
        for _ in 0..6 {
            statuses.push(client.push(push.clone()).await.unwrap().status);
        }
        simulator.clear_faults();
        statuses
    };
    let busy = || Fault::status(503, "ServiceUnavailable");
    assert_eq!(
        statuses(busy().times(2)).await,
        [503, 503, 200, 200, 200, 200]
    );
    assert_eq!(
        statuses(busy().after(4).always()).await,
        [200, 200, 200, 200, 503, 503]
    );
    assert_eq!(
        statuses(busy().every(3).always()).await,
        [200, 200, 503, 200, 200, 503]
    );
    let some = busy().after(1).every(2).times(2);
    assert_eq!(statuses(some).await, [200, 200, 503, 200, 503, 200]);
}

#[tokio::test]
async fn too_many_requests_comes_with_retry_after_or_without() {
    let (simulator, key) = start().await;
    let (client, push) = warm(&simulator, &key).await;
    let body = r#"[{"fault":"status","reason":"TooManyRequests","retry_after":7},
                   {"fault":"status","reason":"TooManyRequests"}]"#;
    assert_eq!(
        control_json(&simulator, "POST", "/faults", body).await.0,
        204
    );
    for expected in [Some("7"), None] {
        let answer = client.push(push.clone()).await.unwrap();
        assert_eq!(answer.reason(), (429, "TooManyRequests".to_owned()));
        assert_eq!(
            answer.headers.get("retry-after").map(String::as_str),
            expected
        );
    }
}

#[tokio::test]
async fn two_goaways_lose_no_request() {
    let (simulator, key) = start().await;
    let (client, push) = warm(&simulator, &key).await;
    let reason = Some("Shutdown".into());
    let twice = Fault::new(Action::GoawayTwice { reason });
    simulator.add_fault(twice).unwrap();
    assert_eq!(client.push(push).await.unwrap().status, 200);
    let _ = within(client.end).await.unwrap();
    let seen = client.seen.lock().unwrap().clone();
    let frames = raw::frames(&seen).0;
    let goaways: Vec<_> = frames
        .iter()
        .filter(|frame| frame.kind == raw::GOAWAY)
        .collect();
    assert_eq!(goaways[0].payload, [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    let last = [&[0, 0, 0, 3, 0, 0, 0, 0], &br#"{"reason":"Shutdown"}"#[..]].concat();
    assert_eq!(goaways[1].payload, last);
    assert_eq!(
        simulator.journal().pop().unwrap().fault.as_deref(),
        Some("goaway_twice")
    );
}

#[tokio::test]
async fn a_connection_is_cut_in_the_middle_of_a_request() {
    let (simulator, key) = start().await;
    // Preface and SETTINGS of the client pass, the headers of its request do not.
    let after_bytes = 24 + 9 + 40;
    let cut = Fault::new(Action::CutReceived { after_bytes });
    simulator.add_fault(cut).unwrap();
    let client = Client::connect(&simulator).await;
    assert!(client.push(push(&key)).await.is_err());
    let _ = within(client.end).await.unwrap();
    assert!(simulator.journal().is_empty());
    let client = Client::connect(&simulator).await;
    assert_eq!(client.push(push(&key)).await.unwrap().status, 200);
}

#[tokio::test]
async fn an_answer_is_late_and_a_later_request_overtakes_it() {
    let (simulator, key) = start().await;
    let (client, push) = warm(&simulator, &key).await;
    simulator
        .add_fault(Fault::new(Action::Delay).after_ms(200))
        .unwrap();
    let mut late = Box::pin(client.begin(push.clone()).await.unwrap());
    assert!(simulator.wait_for(2, PATIENCE).await);
    tokio::select! {
        biased;
        _ = &mut late => panic!("expected the delayed answer to come second"),
        prompt = client.push(push) => assert_eq!(prompt.unwrap().status, 200),
    }
    assert_eq!(within(late).await.unwrap().status, 200);
}

#[tokio::test]
async fn connections_are_refused() {
    let (simulator, key) = start().await;
    simulator
        .add_fault(Fault::new(Action::RefuseConnections).times(2))
        .unwrap();
    let ca = simulator.ca_pem().to_owned();
    for _ in 0..2 {
        assert!(tls(&simulator, &ca, "localhost", &[b"h2"]).await.is_err());
    }
    let client = Client::connect(&simulator).await;
    assert_eq!(client.push(push(&key)).await.unwrap().status, 200);
    let stats = simulator.stats();
    assert_eq!(
        (stats.connections_refused, stats.connections_accepted),
        (2, 1)
    );
    assert_eq!(simulator.journal()[0].token, TOKEN);
}
