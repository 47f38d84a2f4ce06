//! Sessions against rustls's own server, byte by byte.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use dunlin::config::TlsSettings;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig, ServerConnection};
use tempfile::TempDir;

use super::*;
use crate::Provider;

/// A server, and the files that trust it.
struct Peers {
    folder: TempDir,
    server: Arc<ServerConfig>,
}

#[derive(Clone, Copy, PartialEq)]
enum Asks {
    Nobody,
    EveryClient,
}

fn peers(alpn: &[&[u8]], asks: Asks) -> Peers {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&key).unwrap();
    let issuer = Issuer::new(authority, key);
    let issue = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.signed_by(&key, &issuer).unwrap(), key)
    };
    std::fs::write(folder.path().join("ca.pem"), root.pem()).unwrap();
    let (client, client_key) = issue("client");
    let pem = format!("{}{}", client.pem(), client_key.serialize_pem());
    std::fs::write(folder.path().join("shop.pem"), pem).unwrap();
    let (certificate, key) = issue("localhost");
    let mut roots = RootCertStore::empty();
    roots.add(root.der().clone()).unwrap();
    let crypto = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&crypto))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match asks {
        Asks::Nobody => builder.with_no_client_auth(),
        Asks::EveryClient => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), crypto)
                .build()
                .unwrap(),
        ),
    };
    let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut server = builder.with_single_cert(chain, key).unwrap();
    server.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Peers {
        folder,
        server: Arc::new(server),
    }
}

impl Peers {
    fn provider(&self) -> Provider {
        let settings =
            "[tls.trust]\nlocalhost = 'ca.pem'\n[tls.identities.shop]\ncertificate = 'shop.pem'";
        Provider::new(crate::parse(settings).unwrap(), self.folder.path())
    }

    fn pair(&self, provider: &mut Provider, name: &str) -> Pair {
        let name = TlsName::parse(name).unwrap();
        let config = provider.config_for(&name).unwrap();
        Pair {
            client: Session::new(config, &name).unwrap(),
            server: ServerConnection::new(Arc::clone(&self.server)).unwrap(),
            received: Vec::new(),
            at_server: Vec::new(),
        }
    }
}

/// A client and a server, and what each has received.
struct Pair {
    client: Session,
    server: ServerConnection,
    received: Vec<u8>,
    at_server: Vec<u8>,
}

impl Pair {
    /// Carries everything both ways, `piece` bytes at a time, until nobody has anything to say.
    fn settle(&mut self, piece: usize) -> Result<(), TlsError> {
        loop {
            let mut out = Vec::new();
            self.client.transmit(&mut out);
            let mut back = Vec::new();
            let mut rest = out.as_slice();
            while !rest.is_empty() {
                self.server.read_tls(&mut rest).unwrap();
                // A server that refuses says so in an alert.
                let _ = self.server.process_new_packets();
                // Without an end of TLS there may be more, which is an error here.
                let _ = self.server.reader().read_to_end(&mut self.at_server);
            }
            while self.server.wants_write() {
                self.server.write_tls(&mut back).unwrap();
            }
            if out.is_empty() && back.is_empty() {
                return Ok(());
            }
            for part in back.chunks(piece) {
                self.client.receive(part, &mut self.received)?;
            }
        }
    }
}

#[test]
fn bytes_arrive_both_ways_however_they_are_cut() {
    let peers = peers(&[b"h2"], Asks::Nobody);
    for piece in [1, 7, 1_000, 100_000] {
        let mut pair = peers.pair(&mut peers.provider(), "localhost");
        assert!(pair.client.is_handshaking());
        pair.settle(piece).unwrap();
        assert!(!pair.client.is_handshaking());
        pair.client.check_protocol().unwrap();
        let long = vec![7; SEND_MAX_BYTES];
        pair.client.send(&long).unwrap();
        let answer = vec![9; 10_000];
        pair.server.writer().write_all(&answer).unwrap();
        pair.settle(piece).unwrap();
        assert!(pair.at_server == long);
        assert_eq!(pair.received, answer);
        assert!(!pair.client.is_closed_by_peer());
    }
}

#[test]
fn everything_that_was_sent_is_transmitted_at_once() {
    let peers = peers(&[b"h2"], Asks::Nobody);
    let mut pair = peers.pair(&mut peers.provider(), "localhost");
    pair.settle(1_000).unwrap();
    pair.client.send(&vec![7; SEND_MAX_BYTES]).unwrap();
    assert!(pair.client.wants_transmit());
    let mut out = Vec::new();
    pair.client.transmit(&mut out);
    assert!(out.len() > SEND_MAX_BYTES);
    assert!(!pair.client.wants_transmit());
}

#[test]
fn a_server_that_speaks_something_else_is_refused() {
    for (alpn, name, expected) in [
        (&[][..], "localhost", "to speak h2, got nothing"),
        (&[&b"h2"[..]][..], "binary:@localhost", ""),
    ] {
        let peers = peers(alpn, Asks::Nobody);
        let mut pair = peers.pair(&mut peers.provider(), name);
        pair.settle(1_000).unwrap();
        match pair.client.check_protocol() {
            Ok(()) => assert_eq!(expected, "", "nothing was asked for, so nothing is chosen"),
            Err(error) => assert!(error.to_string().ends_with(expected), "{error}"),
        }
    }
}

#[test]
fn an_identity_is_shown_when_it_is_asked_for_by_name() {
    let peers = peers(&[], Asks::EveryClient);
    let mut pair = peers.pair(&mut peers.provider(), "binary:shop@localhost");
    pair.settle(1_000).unwrap();
    assert_eq!(pair.server.peer_certificates().unwrap().len(), 1);
    let mut pair = peers.pair(&mut peers.provider(), "binary:@localhost");
    let refused = pair.settle(1_000).unwrap_err();
    assert!(
        refused.to_string().contains("CertificateRequired"),
        "{refused}"
    );
}

#[test]
fn a_server_that_is_not_trusted_gets_nothing() {
    let peers = peers(&[b"h2"], Asks::Nobody);
    let mut provider = Provider::new(TlsSettings::default(), peers.folder.path());
    let mut pair = peers.pair(&mut provider, "localhost");
    let error = pair.settle(1_000).unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    assert!(pair.client.wants_transmit(), "an alert");
}

#[test]
fn a_second_connection_resumes_the_first() {
    let peers = peers(&[b"h2"], Asks::Nobody);
    let mut provider = peers.provider();
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut pair = peers.pair(&mut provider, "localhost");
        pair.settle(1_000).unwrap();
        assert_eq!(pair.client.tls.handshake_kind(), Some(expected));
    }
}

#[test]
fn the_end_is_told_both_ways() {
    let peers = peers(&[b"h2"], Asks::Nobody);
    let mut pair = peers.pair(&mut peers.provider(), "localhost");
    pair.settle(1_000).unwrap();
    pair.client.send(b"last").unwrap();
    pair.client.close();
    pair.server.writer().write_all(b"words").unwrap();
    pair.server.send_close_notify();
    pair.settle(1).unwrap();
    assert_eq!(pair.received, b"words");
    assert!(pair.client.is_closed_by_peer());
    assert_eq!(pair.at_server, b"last");
    let more = pair.server.reader().read(&mut [0]);
    assert_eq!(more.unwrap(), 0, "an end, and not a want of more");
}

#[test]
fn what_is_not_tls_is_an_error_and_never_a_panic() {
    let peers = peers(&[b"h2"], Asks::Nobody);
    let mut bytes = b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec();
    bytes.extend(0..=255);
    for cut in 0..bytes.len() {
        let mut pair = peers.pair(&mut peers.provider(), "localhost");
        let mut out = Vec::new();
        let (early, late) = bytes.split_at(cut);
        let first = pair.client.receive(early, &mut out);
        let second = pair.client.receive(late, &mut out);
        assert!(first.is_err() || second.is_err());
        assert!(out.is_empty());
    }
}
