//! A client of the binary gateway and of the feedback service, by hand: notifications as bytes, and
//! TLS with a client certificate.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use dunlin_simulator::{ClientCertificate, Simulator};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{PAYLOAD, TOPIC, Tap, within};

/// A connection whose ciphertext is kept.
pub type Stream = TlsStream<Tap<TcpStream>>;

pub const TLS12: &SupportedProtocolVersion = &rustls::version::TLS12;
pub const TLS13: &SupportedProtocolVersion = &rustls::version::TLS13;

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// With close_notify.
    Closed,
    /// Without.
    Cut,
    /// With a reset of TCP.
    Reset,
    /// With an alert or anything else.
    Refused(String),
}

/// A connection to `address` as a client of TLS `version` that shows `identity`.
pub async fn try_connect(
    simulator: &Simulator,
    address: SocketAddr,
    identity: Option<&ClientCertificate>,
    version: &'static SupportedProtocolVersion,
) -> io::Result<Stream> {
    try_connect_with(simulator, address, identity, version, &[]).await
}

/// The same with protocols to choose from.
pub async fn try_connect_with(
    simulator: &Simulator,
    address: SocketAddr,
    identity: Option<&ClientCertificate>,
    version: &'static SupportedProtocolVersion,
    protocols: &[&[u8]],
) -> io::Result<Stream> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(simulator.ca_pem().as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes());
            let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes());
            builder
                .with_client_auth_cert(vec![chain.unwrap()], key.unwrap())
                .unwrap()
        }
    };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let stream = Tap {
        stream: TcpStream::connect(address).await?,
        seen: Arc::new(Mutex::new(Vec::new())),
    };
    let name = ServerName::try_from("localhost").unwrap();
    within(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

/// A connection to the gateway with a certificate for `topic`.
pub async fn gateway_as(simulator: &Simulator, topic: &str) -> Stream {
    let identity = simulator.authority().issue_client(topic).unwrap();
    try_connect(simulator, simulator.gateway_addr(), Some(&identity), TLS13)
        .await
        .unwrap()
}

pub async fn gateway(simulator: &Simulator) -> Stream {
    gateway_as(simulator, TOPIC).await
}

/// A connection to the feedback service with a certificate for `topic`.
pub async fn feedback_as(simulator: &Simulator, topic: &str) -> Stream {
    let identity = simulator.authority().issue_client(topic).unwrap();
    try_connect(simulator, simulator.feedback_addr(), Some(&identity), TLS13)
        .await
        .unwrap()
}

/// Sends bytes in one go.
pub async fn send(stream: &mut Stream, bytes: &[u8]) {
    within(stream.write_all(bytes)).await.unwrap();
    within(stream.flush()).await.unwrap();
}

/// Everything that still comes, and how it ends.
pub async fn rest(stream: &mut Stream) -> (Vec<u8>, End) {
    let mut bytes = Vec::new();
    let end = match within(stream.read_to_end(&mut bytes)).await {
        Ok(_) => End::Closed,
        Err(error) => match error.kind() {
            io::ErrorKind::UnexpectedEof => End::Cut,
            io::ErrorKind::ConnectionReset => End::Reset,
            _ => End::Refused(error.to_string()),
        },
    };
    (bytes, end)
}

/// What the gateway says to these bytes until it closes.
pub async fn answer(simulator: &Simulator, bytes: &[u8]) -> (Vec<u8>, End) {
    let mut stream = gateway(simulator).await;
    send(&mut stream, bytes).await;
    rest(&mut stream).await
}

/// A token that is good unless declared otherwise.
pub fn token(number: u8) -> Vec<u8> {
    vec![number; 32]
}

/// A token of one byte, which nobody declared: certainly refused.
pub const BAD_TOKEN: &[u8] = &[0];

/// A notification of command 2 with items 1 to 3.
pub fn notification(identifier: u32, token: &[u8]) -> Vec<u8> {
    let items = [
        item(1, token),
        item(2, PAYLOAD.as_bytes()),
        item(3, &identifier.to_be_bytes()),
    ];
    frame(&items)
}

pub fn frame(items: &[Vec<u8>]) -> Vec<u8> {
    let items = items.concat();
    let length = u32::try_from(items.len()).unwrap().to_be_bytes();
    [&[2], &length[..], &items].concat()
}

pub fn item(id: u8, data: &[u8]) -> Vec<u8> {
    [&[id][..], &sized(data)].concat()
}

/// A notification of command 0.
pub fn simple(token: &[u8], payload: &str) -> Vec<u8> {
    [&[0][..], &sized(token), &sized(payload.as_bytes())].concat()
}

/// A notification of command 1.
pub fn enhanced(identifier: u32, expiry: u32, token: &[u8], payload: &str) -> Vec<u8> {
    let head = [&[1], &identifier.to_be_bytes()[..], &expiry.to_be_bytes()].concat();
    [&head, &sized(token)[..], &sized(payload.as_bytes())].concat()
}

/// The packet that refuses the notification with this identifier.
pub fn packet(status: u8, identifier: u32) -> Vec<u8> {
    [&[8, status], &identifier.to_be_bytes()[..]].concat()
}

/// Waits for something that is about to be.
pub async fn until(mut is_so: impl FnMut() -> bool) {
    within(async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn sized(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
    [&length[..], data].concat()
}
