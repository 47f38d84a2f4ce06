//! The feedback service over TLS: what is sent, when the list is cleared, and what a script makes
//! of it.

use dunlin_simulator::{Action, ClientCertificate, Fault, FeedbackAction, Simulator};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::legacy::{
    End, Stream, TLS12, TLS13, feedback_as, rest, token, try_connect, until,
};
use crate::support::{TOPIC, control, control_json, start, within};

const OTHER: &str = "com.example.other";

fn tuple(since_s: u32, token: &[u8]) -> Vec<u8> {
    let length = u16::try_from(token.len()).unwrap().to_be_bytes();
    [&since_s.to_be_bytes()[..], &length, token].concat()
}

/// A simulator with three tuples for [`TOPIC`], and these as bytes.
async fn with_three() -> (Simulator, Vec<u8>) {
    let (simulator, _key) = start().await;
    let mut expected = Vec::new();
    for number in 1..=3 {
        let since_s = u32::MAX - u32::from(number);
        simulator
            .add_feedback(TOPIC, &token(number), since_s)
            .unwrap();
        expected.extend(tuple(since_s, &token(number)));
    }
    (simulator, expected)
}

/// A million tuples, which is more than all buffers on the way hold.
async fn with_a_million() -> Simulator {
    let (simulator, _key) = start().await;
    let tuples = (0..1_000_000u32).map(|number| {
        let mut token = [7; 32];
        token[..4].copy_from_slice(&number.to_be_bytes());
        (token, number)
    });
    simulator.add_feedback_all(TOPIC, tuples).unwrap();
    assert_eq!(simulator.feedback_pending(TOPIC), 1_000_000);
    simulator
}

async fn all_closed(simulator: &Simulator) {
    until(|| simulator.stats().feedback.open == 0).await;
    assert_eq!(simulator.feedback_stats(TOPIC).open, 0);
}

/// Reads to the end and closes in good order.
async fn read_all(simulator: &Simulator) -> Vec<u8> {
    let mut stream = feedback_as(simulator, TOPIC).await;
    let (bytes, end) = rest(&mut stream).await;
    assert_eq!(end, End::Closed);
    stream.shutdown().await.unwrap();
    drop(stream);
    all_closed(simulator).await;
    bytes
}

async fn scripted(action: FeedbackAction) -> (Simulator, Vec<u8>) {
    let (simulator, expected) = with_three().await;
    let fault = Fault::new(Action::Feedback(action));
    simulator.add_fault(fault).unwrap();
    (simulator, expected)
}

#[tokio::test]
async fn a_list_is_sent_at_once_and_cleared_when_it_was_read() {
    let (simulator, expected) = with_three().await;
    assert_eq!(simulator.feedback_pending(TOPIC), 3);
    assert_eq!(read_all(&simulator).await, expected);
    assert_eq!(simulator.feedback_pending(TOPIC), 0);
    assert_eq!(read_all(&simulator).await, Vec::<u8>::new());
    let stats = simulator.feedback_stats(TOPIC);
    assert_eq!((stats.reads, stats.completed, stats.most_open), (2, 2, 1));
    assert_eq!(simulator.feedback_reads(TOPIC), 2);
}

#[tokio::test]
async fn tokens_of_any_length_keep_their_bytes() {
    let (simulator, _key) = start().await;
    let long = vec![9; 65_535];
    let tokens: [&[u8]; 4] = [b"", b"a", b"abcde", &long];
    let mut expected = Vec::new();
    for token in tokens {
        simulator.add_feedback(TOPIC, token, 0).unwrap();
        expected.extend(tuple(0, token));
    }
    assert_eq!(read_all(&simulator).await, expected);
}

#[tokio::test]
async fn each_topic_has_a_list_of_its_own() {
    let (simulator, expected) = with_three().await;
    let mut stream = feedback_as(&simulator, OTHER).await;
    assert_eq!(rest(&mut stream).await, (Vec::new(), End::Closed));
    stream.shutdown().await.unwrap();
    drop(stream);
    all_closed(&simulator).await;
    assert_eq!(
        (
            simulator.feedback_reads(OTHER),
            simulator.feedback_reads(TOPIC)
        ),
        (1, 0)
    );
    assert_eq!(read_all(&simulator).await, expected);
}

#[tokio::test]
async fn a_client_that_does_not_close_tls_keeps_its_list() {
    let (simulator, expected) = with_three().await;
    for version in [TLS12, TLS13] {
        let identity = simulator.authority().issue_client(TOPIC).unwrap();
        let address = simulator.feedback_addr();
        let connected = try_connect(&simulator, address, Some(&identity), version).await;
        let mut stream = connected.unwrap();
        assert_eq!(rest(&mut stream).await, (expected.clone(), End::Closed));
        // The socket is closed and TLS is not.
        drop(stream);
        all_closed(&simulator).await;
        assert_eq!(simulator.feedback_pending(TOPIC), 3);
    }
    assert_eq!(read_all(&simulator).await, expected);
}

#[tokio::test]
async fn a_client_that_resets_keeps_its_list_whatever_it_said_before() {
    let (simulator, expected) = with_three().await;
    for says_goodbye in [false, true] {
        let mut stream = feedback_as(&simulator, TOPIC).await;
        assert_eq!(rest(&mut stream).await, (expected.clone(), End::Closed));
        if says_goodbye {
            let (tap, tls) = stream.get_mut();
            tls.send_close_notify();
            let mut bytes = Vec::new();
            tls.write_tls(&mut bytes).unwrap();
            tap.stream.write_all(&bytes).await.unwrap();
        }
        stream.get_ref().0.stream.set_zero_linger().unwrap();
        drop(stream);
        all_closed(&simulator).await;
        assert_eq!(simulator.feedback_pending(TOPIC), 3);
    }
}

#[tokio::test]
async fn a_client_that_dies_in_the_middle_keeps_its_list() {
    let simulator = with_a_million().await;
    for says_goodbye in [false, true] {
        let mut stream = feedback_as(&simulator, TOPIC).await;
        within(stream.read_exact(&mut [0; 100])).await.unwrap();
        if says_goodbye {
            stream.shutdown().await.unwrap();
        }
        drop(stream);
        all_closed(&simulator).await;
        assert_eq!(simulator.feedback_pending(TOPIC), 1_000_000);
    }
    let stats = simulator.feedback_stats(TOPIC);
    assert_eq!((stats.reads, stats.completed), (2, 0));
}

#[tokio::test]
async fn a_million_tuples_arrive_whole() {
    let simulator = with_a_million().await;
    let bytes = read_all(&simulator).await;
    assert_eq!(bytes.len(), 38_000_000);
    for (number, tuple) in (0u32..).zip(bytes.chunks(38)) {
        let expected = number.to_be_bytes();
        assert_eq!((&tuple[..4], &tuple[6..10]), (&expected[..], &expected[..]));
    }
    assert_eq!(simulator.feedback_pending(TOPIC), 0);
}

#[tokio::test]
async fn what_is_added_during_a_read_is_kept_for_the_next() {
    let (simulator, expected) = with_three().await;
    let mut stream = feedback_as(&simulator, TOPIC).await;
    let mut first = vec![0; 1];
    within(stream.read_exact(&mut first)).await.unwrap();
    simulator.add_feedback(TOPIC, &token(9), 5).unwrap();
    let (bytes, _) = rest(&mut stream).await;
    assert_eq!([first, bytes].concat(), expected);
    stream.shutdown().await.unwrap();
    drop(stream);
    all_closed(&simulator).await;
    assert_eq!(simulator.feedback_pending(TOPIC), 1);
    assert_eq!(read_all(&simulator).await, tuple(5, &token(9)));
}

#[tokio::test]
async fn two_that_read_at_once_are_seen() {
    let (simulator, expected) = with_three().await;
    let mut streams: [Stream; 2] = [
        feedback_as(&simulator, TOPIC).await,
        feedback_as(&simulator, TOPIC).await,
    ];
    for stream in &mut streams {
        assert_eq!(rest(stream).await, (expected.clone(), End::Closed));
    }
    assert_eq!(simulator.feedback_stats(TOPIC).most_open, 2);
    for mut stream in streams {
        stream.shutdown().await.unwrap();
    }
    all_closed(&simulator).await;
    assert_eq!(simulator.feedback_pending(TOPIC), 0);
}

#[tokio::test]
async fn a_cut_list_stays() {
    for after_bytes in [0, 1, 40, 113] {
        let (simulator, expected) = scripted(FeedbackAction::Cut { after_bytes }).await;
        let mut stream = feedback_as(&simulator, TOPIC).await;
        let (bytes, end) = rest(&mut stream).await;
        assert_eq!(bytes, expected[..usize::try_from(after_bytes).unwrap()]);
        assert_eq!(end, End::Cut);
        all_closed(&simulator).await;
        assert_eq!(read_all(&simulator).await, expected);
    }
}

#[tokio::test]
async fn a_list_can_come_in_small_pieces() {
    for bytes in [0, 1, 7, 1_000] {
        let (simulator, expected) = scripted(FeedbackAction::Dribble { bytes }).await;
        assert_eq!(read_all(&simulator).await, expected);
        assert_eq!(simulator.feedback_pending(TOPIC), 0);
    }
}

#[tokio::test]
async fn a_truncated_list_is_closed_in_good_order_and_stays() {
    let (simulator, expected) = scripted(FeedbackAction::Truncate { bytes: 5 }).await;
    let bytes = read_all(&simulator).await;
    assert_eq!(bytes, expected[..expected.len() - 5]);
    assert_eq!(simulator.feedback_pending(TOPIC), 3);
    assert_eq!(read_all(&simulator).await, expected);
}

#[tokio::test]
async fn a_silent_service_ends_only_with_its_client() {
    let (simulator, expected) = scripted(FeedbackAction::Silence { after_bytes: 40 }).await;
    let mut stream = feedback_as(&simulator, TOPIC).await;
    let mut bytes = vec![0; 40];
    within(stream.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(bytes, expected[..40]);
    stream.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await, (Vec::new(), End::Cut));
    all_closed(&simulator).await;
    assert_eq!(simulator.feedback_pending(TOPIC), 3);
}

#[tokio::test]
async fn a_list_with_garbage_behind_it_breaks_and_stays() {
    let (simulator, expected) = scripted(FeedbackAction::Garbage { after_bytes: 40 }).await;
    let mut stream = feedback_as(&simulator, TOPIC).await;
    let mut bytes = Vec::new();
    let broken = within(stream.read_to_end(&mut bytes)).await;
    assert_eq!(broken.unwrap_err().kind(), std::io::ErrorKind::InvalidData);
    // A client that reads all of it at once may pass on nothing.
    assert!(expected[..40].starts_with(&bytes));
    drop(stream);
    all_closed(&simulator).await;
    assert_eq!(simulator.feedback_pending(TOPIC), 3);
}

#[tokio::test]
async fn a_service_that_lingers_has_ended_tls_and_waits_for_its_client() {
    let (simulator, expected) = scripted(FeedbackAction::Linger).await;
    let mut stream = feedback_as(&simulator, TOPIC).await;
    assert_eq!(rest(&mut stream).await, (expected, End::Closed));
    let tcp = stream.get_mut().0.stream.try_read(&mut [0]);
    assert_eq!(tcp.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(simulator.feedback_pending(TOPIC), 3);
    stream.shutdown().await.unwrap();
    all_closed(&simulator).await;
    assert_eq!(simulator.feedback_pending(TOPIC), 0);
}

#[tokio::test]
async fn connections_can_be_refused_at_the_feedback_service_alone() {
    let (simulator, expected) = scripted(FeedbackAction::Refuse).await;
    let identity = simulator.authority().issue_client(TOPIC).unwrap();
    let address = simulator.feedback_addr();
    let refused = try_connect(&simulator, address, Some(&identity), TLS13).await;
    assert!(refused.is_err());
    assert_eq!(simulator.feedback_reads(TOPIC), 0);
    assert_eq!(read_all(&simulator).await, expected);
}

#[tokio::test]
async fn a_foreign_client_finds_all_it_needs_at_the_control_api() {
    let (simulator, _key) = start().await;
    let body = format!(r#"{{"topic":"{TOPIC}","token":"ABCD","since":5}}"#);
    assert_eq!(
        control_json(&simulator, "POST", "/feedback", &body).await.0,
        204
    );
    let target = format!("/certificates?topic={TOPIC}");
    let host = "host: localhost\r\n";
    let (status, _, bundle) = control(&simulator, "POST", &target, host, "").await;
    assert_eq!(status, 200);
    let identity = ClientCertificate {
        certificate_pem: bundle.clone(),
        key_pem: bundle,
    };
    let address = simulator.feedback_addr();
    let connected = try_connect(&simulator, address, Some(&identity), TLS13).await;
    let mut stream = connected.unwrap();
    assert_eq!(rest(&mut stream).await.0, tuple(5, &[0xab, 0xcd]));
    stream.shutdown().await.unwrap();
    drop(stream);
    all_closed(&simulator).await;
    let (_, listed) = control_json(&simulator, "GET", "/feedback", "").await;
    let stats = &listed["feedback"][TOPIC];
    assert_eq!(
        (&stats["pending"], &stats["completed"]),
        (&0.into(), &1.into())
    );
    assert_eq!(
        control_json(&simulator, "DELETE", "/feedback", "").await.0,
        204
    );
}
