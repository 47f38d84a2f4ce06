//! The binary gateway over TLS: what is taken, what every refusal looks like, and who is let in.

use dunlin_simulator::{
    BinaryFrame, CertificateAuthority, ClientCertificate, Config, Device, DeviceState, Protocol,
    Received, Simulator, Validation,
};
use rcgen::{CertificateParams, DistinguishedName, DnType, Issuer, KeyPair};
use tokio::io::AsyncWriteExt as _;

use crate::support::legacy::{
    BAD_TOKEN, End, TLS12, TLS13, answer, enhanced, frame, gateway, gateway_as, item, notification,
    packet, rest, send, simple, token, try_connect, until,
};
use crate::support::{PAYLOAD, TOPIC, control_json, start};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The tokens of what was taken, in order.
fn taken(simulator: &Simulator) -> Vec<String> {
    let journal = simulator.journal();
    let taken = journal.iter().filter(|record| record.is_accepted());
    taken.map(|record| record.token.clone()).collect()
}

#[tokio::test]
async fn every_command_is_taken_without_a_word_and_journalled() {
    let (simulator, _key) = start().await;
    let mut stream = gateway(&simulator).await;
    let full = frame(&[
        item(5, &[5]),
        item(4, &7u32.to_be_bytes()),
        item(3, &9u32.to_be_bytes()),
        item(2, PAYLOAD.as_bytes()),
        item(1, &token(3)),
    ]);
    let all = [
        simple(&token(1), PAYLOAD),
        enhanced(8, 6, &token(2), PAYLOAD),
        full,
    ];
    send(&mut stream, &all.concat()).await;
    stream.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await, (Vec::new(), End::Closed));

    let journal = simulator.journal();
    let said = |command, identifier, expiry, priority| {
        Protocol::Binary(BinaryFrame {
            command,
            identifier,
            expiry,
            priority,
        })
    };
    let expected = [
        said(0, None, None, None),
        said(1, Some(8), Some(6), None),
        said(2, Some(9), Some(7), Some(5)),
    ];
    assert_eq!(
        journal.iter().map(|r| r.protocol).collect::<Vec<_>>(),
        expected
    );
    for (number, record) in (1..).zip(&journal) {
        assert!(record.is_accepted() && record.reason.is_none());
        assert_eq!(record.token, hex(&token(number)));
        assert_eq!((&record.topic[..], record.connection), (TOPIC, 1));
        assert_eq!(record.payload_text(), Some(PAYLOAD));
        assert_eq!(record.payload_length, PAYLOAD.len());
    }
    assert_eq!(simulator.stats().notifications[&0], 3);
}

#[tokio::test]
async fn a_refusal_names_the_notification_and_nothing_after_it_is_taken() {
    let (simulator, _key) = start().await;
    let sent = [
        notification(1, &token(1)),
        notification(2, BAD_TOKEN),
        notification(3, &token(3)),
        notification(4, BAD_TOKEN),
    ];
    let answered = answer(&simulator, &sent.concat()).await;
    assert_eq!(answered, (packet(5, 2), End::Closed));
    assert_eq!(taken(&simulator), [hex(&token(1))]);
    let journal = simulator.journal();
    assert_eq!(journal.len(), 2);
    assert_eq!(journal[1].status, Some(5));
    assert_eq!(journal[1].reason.as_deref(), Some("Invalid token size"));
    assert_eq!(simulator.stats().notifications[&5], 1);
}

#[tokio::test]
async fn where_the_bytes_are_split_changes_nothing() {
    let (simulator, _key) = start().await;
    let sent = [notification(1, &token(1)), notification(2, BAD_TOKEN)].concat();
    for at in 1..sent.len() {
        simulator.clear_journal();
        let mut stream = gateway(&simulator).await;
        send(&mut stream, &sent[..at]).await;
        send(&mut stream, &sent[at..]).await;
        let answered = rest(&mut stream).await;
        assert_eq!(answered, (packet(5, 2), End::Closed), "split at {at}");
        assert_eq!(taken(&simulator), [hex(&token(1))], "split at {at}");
    }
    let mut stream = gateway(&simulator).await;
    for byte in &sent {
        send(&mut stream, std::slice::from_ref(byte)).await;
    }
    assert_eq!(rest(&mut stream).await, (packet(5, 2), End::Closed));
}

#[tokio::test]
async fn a_notification_that_does_not_end_is_not_taken() {
    let (simulator, _key) = start().await;
    let whole = notification(1, &token(1));
    for cut in [1, 4, 5, whole.len() - 1] {
        let mut stream = gateway(&simulator).await;
        send(&mut stream, &whole[..cut]).await;
        stream.shutdown().await.unwrap();
        assert_eq!(rest(&mut stream).await, (Vec::new(), End::Closed), "{cut}");
    }
    assert!(simulator.journal().is_empty());
}

#[tokio::test]
async fn each_status_follows_from_a_rule() {
    let (simulator, _key) = start().await;
    let other = Device::new(hex(&token(8))).with_state(DeviceState::OtherEnvironment, None);
    simulator.add_device(other).unwrap();
    let with = |items: &[Vec<u8>]| frame(&[&[item(3, &[0, 0, 0, 9])], items].concat());
    let payload = || item(2, PAYLOAD.as_bytes());
    let silent = item(2, br#"{"aps":{"content-available":1}}"#);
    for (items, status) in [
        (vec![item(1, &token(1)), item(2, b"[]")], 1),
        (vec![item(1, &token(1)), silent, item(5, &[10])], 1),
        (vec![payload()], 2),
        (vec![item(1, &[]), payload()], 2),
        (vec![item(1, &token(1))], 4),
        (vec![item(1, &token(1)), item(2, b"")], 4),
        (vec![item(1, BAD_TOKEN), payload()], 5),
        (vec![item(1, &[7; 101]), payload()], 5),
        (vec![item(1, &token(1)), item(2, &[b' '; 2049])], 7),
        (vec![item(1, &token(8)), payload()], 8),
        (vec![item(1, &token(1)), payload(), payload()], 128),
        (vec![item(1, &token(1)), payload(), item(5, &[7])], 128),
        (vec![item(1, &token(1)), payload(), vec![5, 0, 9]], 128),
    ] {
        let answered = answer(&simulator, &with(&items)).await;
        assert_eq!(answered, (packet(status, 9), End::Closed), "{items:?}");
        let last = simulator.journal().pop().unwrap();
        assert_eq!(last.status, Some(status.into()));
        assert!(last.reason.is_some());
    }
    assert!(taken(&simulator).is_empty());
    assert_eq!(
        answer(&simulator, &[3]).await,
        (packet(128, 0), End::Closed)
    );
}

#[tokio::test]
async fn commands_0_and_1_have_their_own_limit_and_0_gets_no_packet() {
    let (simulator, _key) = start().await;
    let long = format!(r#"{{"a":"{}"}}"#, "b".repeat(256));
    let refused = enhanced(9, 0, &token(1), &long);
    assert_eq!(
        answer(&simulator, &refused).await,
        (packet(7, 9), End::Closed)
    );
    for refused in [
        simple(&token(1), &long),
        simple(BAD_TOKEN, PAYLOAD),
        vec![0, 0, 0],
    ] {
        assert_eq!(
            answer(&simulator, &refused).await,
            (Vec::new(), End::Closed)
        );
    }
    let statuses: Vec<_> = simulator.journal().iter().map(|r| r.status).collect();
    assert_eq!(statuses, [Some(7), Some(7), Some(5), Some(2)]);

    let config = Config {
        simple_payload_limit: 2048,
        ..Config::default()
    };
    let simulator = Simulator::start(config).await.unwrap();
    let mut stream = gateway(&simulator).await;
    send(&mut stream, &enhanced(9, 0, &token(1), &long)).await;
    until(|| !simulator.journal().is_empty()).await;
    assert!(simulator.journal()[0].is_accepted());
}

#[tokio::test]
async fn a_device_that_is_gone_takes_the_notification_and_gives_feedback() {
    let (simulator, _key) = start().await;
    for (number, state) in [(1, DeviceState::Unregistered), (2, DeviceState::Expired)] {
        let device = Device::new(hex(&token(number))).with_state(state, Some(5_999));
        simulator.add_device(device).unwrap();
    }
    let sent = [1, 2, 3].map(|number| notification(number.into(), &token(number)));
    let mut stream = gateway_as(&simulator, "com.example.other").await;
    send(&mut stream, &sent.concat()).await;
    stream.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await, (Vec::new(), End::Closed));
    assert_eq!(taken(&simulator).len(), 3);
    assert_eq!(simulator.feedback_pending("com.example.other"), 2);
    assert_eq!(simulator.feedback_pending(TOPIC), 0);
}

#[tokio::test]
async fn only_certificates_of_the_authority_are_let_in() {
    let (simulator, _key) = start().await;
    let own = simulator.authority().issue_client(TOPIC).unwrap();
    let stranger = CertificateAuthority::generate().unwrap();
    let foreign = stranger.issue_client(TOPIC).unwrap();
    for address in [simulator.gateway_addr(), simulator.feedback_addr()] {
        for version in [TLS12, TLS13] {
            for identity in [None, Some(&foreign)] {
                // With TLS 1.3 the client learns of it when it reads.
                let refused = match try_connect(&simulator, address, identity, version).await {
                    Err(_) => true,
                    Ok(mut stream) => matches!(rest(&mut stream).await.1, End::Refused(_)),
                };
                assert!(refused, "{version:?}");
            }
            let connected = try_connect(&simulator, address, Some(&own), version).await;
            let mut stream = connected.unwrap();
            stream.shutdown().await.unwrap();
            assert_eq!(rest(&mut stream).await.1, End::Closed, "{version:?}");
        }
    }
    let stats = simulator.stats();
    for stats in [stats.gateway, stats.feedback] {
        assert_eq!((stats.accepted, stats.handshakes_failed), (6, 4));
    }
}

/// A certificate of the simulator's authority with any subject.
fn signed(simulator: &Simulator, subject: &[(DnType, &str)]) -> ClientCertificate {
    let authority = simulator.authority();
    let mut issuer = CertificateParams::default();
    issuer.distinguished_name = DistinguishedName::new();
    let name = "Dunlin simulator authority";
    issuer.distinguished_name.push(DnType::CommonName, name);
    let issuer = Issuer::new(issuer, KeyPair::from_pem(authority.key_pem()).unwrap());
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (kind, value) in subject {
        params.distinguished_name.push(kind.clone(), *value);
    }
    let key = KeyPair::generate().unwrap();
    ClientCertificate {
        certificate_pem: params.signed_by(&key, &issuer).unwrap().pem(),
        key_pem: key.serialize_pem(),
    }
}

#[tokio::test]
async fn a_certificate_that_says_no_topic_gets_a_status() {
    let (simulator, _key) = start().await;
    let user_id = || DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 1]);
    let long = "a".repeat(256);
    for (subject, status) in [
        (vec![(DnType::CommonName, TOPIC)], 3),
        (vec![(user_id(), &long[..])], 6),
        (vec![(user_id(), "not a topic")], 6),
    ] {
        let identity = signed(&simulator, &subject);
        let address = simulator.gateway_addr();
        let connected = try_connect(&simulator, address, Some(&identity), TLS13).await;
        let mut stream = connected.unwrap();
        send(&mut stream, &notification(9, &token(1))).await;
        assert_eq!(rest(&mut stream).await, (packet(status, 9), End::Closed));
    }
}

#[tokio::test]
async fn a_large_batch_is_taken_in_order() {
    let (simulator, _key) = start().await;
    let batch: Vec<u8> = (1..=10_000)
        .flat_map(|number: u32| {
            notification(number, &[&[7; 28], &number.to_be_bytes()[..]].concat())
        })
        .collect();
    let mut stream = gateway(&simulator).await;
    let answered = [batch, notification(10_001, BAD_TOKEN)].concat();
    send(&mut stream, &answered).await;
    assert_eq!(rest(&mut stream).await, (packet(5, 10_001), End::Closed));
    assert_eq!(simulator.stats().notifications[&0], 10_000);
    let identifier = |record: &Received| record.binary().unwrap().identifier;
    let identifiers: Vec<_> = simulator.journal().iter().map(identifier).collect();
    let expected: Vec<_> = (2..=10_001).map(Some).collect();
    assert_eq!(identifiers, expected);
}

#[tokio::test]
async fn without_validation_notifications_are_only_counted() {
    let config = Config {
        validation: Validation::AcceptAll,
        ..Config::default()
    };
    let simulator = Simulator::start(config).await.unwrap();
    let sent = [notification(1, &token(1)), notification(2, BAD_TOKEN)].concat();
    assert_eq!(answer(&simulator, &sent).await, (packet(5, 2), End::Closed));
    assert!(simulator.journal().is_empty());
    let stats = simulator.stats();
    assert_eq!((stats.notifications[&0], stats.notifications[&5]), (1, 1));
}

#[tokio::test]
async fn the_control_api_shows_what_the_gateway_got() {
    let (simulator, _key) = start().await;
    answer(&simulator, &notification(7, BAD_TOKEN)).await;
    let (status, body) = control_json(&simulator, "GET", "/notifications", "").await;
    let record = &body["notifications"][0];
    assert_eq!((status, &record["protocol"]), (200, &"binary".into()));
    assert_eq!(
        (&record["topic"], &record["token"]),
        (&TOPIC.into(), &"00".into())
    );
    assert_eq!(
        (&record["identifier"], &record["status"]),
        (&7.into(), &5.into())
    );
    let (_, stats) = control_json(&simulator, "GET", "/stats", "").await;
    assert_eq!(stats["notifications"]["5"], 1);
    assert_eq!(stats["gateway"]["accepted"], 1);
}

#[tokio::test]
async fn a_stopped_simulator_closes_its_connections() {
    let (simulator, _key) = start().await;
    let mut stream = gateway(&simulator).await;
    send(&mut stream, &notification(1, &token(1))).await;
    until(|| !simulator.journal().is_empty()).await;
    simulator.shutdown().await;
    assert_ne!(rest(&mut stream).await.1, End::Closed);
}
