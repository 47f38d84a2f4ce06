//! What the integration tests share: a signing key, a client on the `h2` crate, raw frames, a
//! client of the binary gateway and the feedback service, and a plain HTTP/1.1 client for the
//! control API.

pub mod legacy;
pub mod raw;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use dunlin_simulator::{ClientCertificate, Clock, Config, PublicKey, Simulator, TrustedKey};
use h2::client::SendRequest;
use http::Request;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Nothing here takes longer unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The present of tests that do not care.
pub const NOW_S: u64 = 1_700_000_000;

pub const TOKEN: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
pub const TOPIC: &str = "com.example.app";
pub const PAYLOAD: &str = r#"{"aps":{"alert":"hi"}}"#;
pub const BROADCAST: &str =
    r#"{"aps":{"timestamp":1700000000,"event":"update","content-state":{"score":3}}}"#;
/// The body that makes a channel which stores no message.
pub const NEW_CHANNEL: &str = r#"{"message-storage-policy":0,"push-type":"LiveActivity"}"#;

/// A signing key made for one test.
pub struct Key {
    pair: EcdsaKeyPair,
    key_id: String,
    team_id: String,
}

impl Key {
    pub fn new(key_id: &str, team_id: &str) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
        Self {
            pair,
            key_id: key_id.into(),
            team_id: team_id.into(),
        }
    }

    pub fn trusted(&self) -> TrustedKey {
        TrustedKey {
            key_id: self.key_id.clone(),
            team_id: self.team_id.clone(),
            public_key: PublicKey::from_sec1(self.pair.public_key().as_ref()).unwrap(),
            topics: None,
            environment: None,
        }
    }

    pub fn bearer(&self, issued_s: u64) -> String {
        let header = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, self.key_id);
        let claims = format!(r#"{{"iss":"{}","iat":{issued_s}}}"#, self.team_id);
        self.signed(&header, &claims)
    }

    /// A token of any header and claims.
    pub fn signed(&self, header: &str, claims: &str) -> String {
        let signed = [header, claims]
            .map(|part| URL_SAFE_NO_PAD.encode(part))
            .join(".");
        let signature = self
            .pair
            .sign(&SystemRandom::new(), signed.as_bytes())
            .unwrap();
        format!("bearer {signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// A configuration that stands at [`NOW_S`] and trusts `key`.
pub fn config(key: &Key) -> Config {
    let clock = Clock::new(|| NOW_S * 1000);
    Config {
        keys: vec![key.trusted()],
        clock,
        ..Config::default()
    }
}

/// A running simulator and a key it trusts.
pub async fn start() -> (Simulator, Key) {
    let key = Key::new("KEY1", "TEAM1");
    (Simulator::start(config(&key)).await.unwrap(), key)
}

pub async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it took too long")
}

/// A TLS connection as APNs wants it, or with other protocols.
pub async fn tls(
    simulator: &Simulator,
    ca_pem: &str,
    name: &str,
    protocols: &[&[u8]],
) -> io::Result<TlsStream<TcpStream>> {
    tls_to(simulator.provider_addr(), ca_pem, name, protocols).await
}

/// The same to another address.
pub async fn tls_to(
    address: SocketAddr,
    ca_pem: &str,
    name: &str,
    protocols: &[&[u8]],
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    within(TlsConnector::from(Arc::new(config)).connect(name, tcp)).await
}

/// An HTTP/2 connection to a simulator.
pub struct Client {
    pub requests: SendRequest<Bytes>,
    /// Every byte the server sent.
    pub seen: Arc<Mutex<Vec<u8>>>,
    /// How the connection ended.
    pub end: JoinHandle<Result<(), h2::Error>>,
}

impl Client {
    pub async fn connect(simulator: &Simulator) -> Self {
        Self::connect_offering(simulator, &[b"h2"]).await
    }

    /// The same with other protocols in the handshake, or none.
    pub async fn connect_offering(simulator: &Simulator, protocols: &[&[u8]]) -> Self {
        let address = simulator.provider_addr();
        let connected = Self::try_offering(simulator, address, protocols).await;
        connected.unwrap()
    }

    /// The same to where channels are managed.
    pub async fn connect_for_channels(simulator: &Simulator) -> Self {
        let address = simulator.channels_addr();
        Self::try_connect(simulator, address).await.unwrap()
    }

    /// The same where it may fail.
    pub async fn try_connect(simulator: &Simulator, address: SocketAddr) -> io::Result<Self> {
        Self::try_offering(simulator, address, &[b"h2"]).await
    }

    async fn try_offering(
        simulator: &Simulator,
        address: SocketAddr,
        protocols: &[&[u8]],
    ) -> io::Result<Self> {
        let tls = tls_to(address, simulator.ca_pem(), "localhost", protocols).await?;
        Self::over(tls).await
    }

    /// An HTTP/2 connection to the provider API with a certificate in the place of provider tokens.
    pub async fn connect_as(
        simulator: &Simulator,
        identity: &ClientCertificate,
    ) -> io::Result<Self> {
        let address = simulator.provider_addr();
        let identity = Some(identity);
        let tls =
            legacy::try_connect_with(simulator, address, identity, legacy::TLS13, &[b"h2"]).await?;
        Self::over(tls).await
    }

    async fn over<S>(tls: S) -> io::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let tapped = Tap {
            stream: tls,
            seen: Arc::clone(&seen),
        };
        let handshake = within(h2::client::handshake(tapped)).await;
        let (requests, connection) = handshake.map_err(io::Error::other)?;
        Ok(Self {
            requests,
            seen,
            end: tokio::spawn(connection),
        })
    }

    /// Sends a push; the future is its answer.
    pub async fn begin(
        &self,
        push: Push,
    ) -> Result<impl Future<Output = Result<Answer, h2::Error>> + use<>, h2::Error> {
        let mut ready = within(self.requests.clone().ready()).await?;
        let body = push.body.clone();
        let (response, mut stream) = ready.send_request(push.request(), body.is_empty())?;
        if !body.is_empty() {
            stream.send_data(body, true)?;
        }
        Ok(async move {
            let (head, mut body) = response.await?.into_parts();
            let mut bytes = Vec::new();
            while let Some(chunk) = body.data().await {
                bytes.extend_from_slice(&chunk?);
            }
            let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
            let headers = head
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect();
            Ok(Answer {
                status: head.status.as_u16(),
                headers,
                body: bytes,
            })
        })
    }

    /// Sends the head of a push; the future is its answer's status, and the function sends the
    /// body.
    pub async fn begin_without_body(
        &self,
        push: Push,
    ) -> (impl Future<Output = Result<u16, h2::Error>>, impl FnOnce()) {
        let mut ready = within(self.requests.clone().ready()).await.unwrap();
        let body = push.body.clone();
        let (response, mut stream) = ready.send_request(push.request(), false).unwrap();
        let answer = async move { Ok(response.await?.status().as_u16()) };
        (answer, move || stream.send_data(body, true).unwrap())
    }

    /// Sends a push and waits for its answer.
    pub async fn push(&self, push: Push) -> Result<Answer, h2::Error> {
        within(self.begin(push).await?).await
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn reason(&self) -> (u16, String) {
        let json: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        (
            self.status,
            json["reason"].as_str().unwrap_or_default().to_owned(),
        )
    }
}

/// A push that would be accepted, to be changed.
#[derive(Clone)]
pub struct Push {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Push {
    pub fn new(authorization: &str) -> Self {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Self {
            method: "POST",
            path: format!("/3/device/{TOKEN}"),
            headers: vec![
                header("authorization", authorization),
                header("apns-topic", TOPIC),
                header("apns-push-type", "alert"),
            ],
            body: Bytes::from_static(PAYLOAD.as_bytes()),
        }
    }

    /// A broadcast that would be accepted if the channel is there.
    pub fn broadcast(authorization: &str, channel_id: &str) -> Self {
        let push = Self {
            path: format!("/4/broadcasts/apps/{TOPIC}"),
            ..Self::new(authorization)
        };
        push.without("apns-topic")
            .with("apns-push-type", "liveactivity")
            .with("apns-channel-id", channel_id)
            .with("apns-expiration", "0")
            .with("apns-priority", "10")
            .body(BROADCAST)
    }

    /// A call about the channels of an app: `channels` or `all-channels`.
    pub fn manage(method: &'static str, authorization: &str, of: &str) -> Self {
        Self {
            method,
            path: format!("/1/apps/{TOPIC}/{of}"),
            headers: vec![("authorization".to_owned(), authorization.to_owned())],
            body: Bytes::new(),
        }
    }

    pub fn to(self, token: &str) -> Self {
        Self {
            path: format!("/3/device/{token}"),
            ..self
        }
    }

    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            ..self
        }
    }

    /// Adds a header in the place of one of the same name.
    pub fn with(self, name: &str, value: &str) -> Self {
        self.without(name).also(name, value)
    }

    /// Adds a header.
    pub fn also(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    fn request(&self) -> Request<()> {
        let uri = format!("https://localhost{}", self.path);
        let builder = Request::builder().method(self.method).uri(uri);
        let add = |builder: http::request::Builder, (name, value): &(String, String)| {
            builder.header(name, value)
        };
        self.headers.iter().fold(builder, add).body(()).unwrap()
    }
}

/// Keeps a copy of what is read.
pub struct Tap<S> {
    pub stream: S,
    pub seen: Arc<Mutex<Vec<u8>>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.seen
            .lock()
            .unwrap()
            .extend_from_slice(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// One request to the control API: status, headers as text, body.
pub async fn control(
    simulator: &Simulator,
    method: &str,
    target: &str,
    headers: &str,
    body: &str,
) -> (u16, String, String) {
    let mut tcp = TcpStream::connect(simulator.control_addr()).await.unwrap();
    let length = body.len();
    let request = format!(
        "{method} {target} HTTP/1.1\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\
        \r\n{body}"
    );
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    within(tcp.read_to_end(&mut answer)).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), body.to_owned())
}

/// The same with the right `Host`, as JSON.
pub async fn control_json(
    simulator: &Simulator,
    method: &str,
    target: &str,
    body: &str,
) -> (u16, Value) {
    let (status, _, body) = control(simulator, method, target, "host: localhost\r\n", body).await;
    (status, serde_json::from_str(&body).unwrap_or_default())
}
