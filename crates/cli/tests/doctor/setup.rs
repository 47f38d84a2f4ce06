//! A folder with a configuration, keys and certificates, and servers to connect to.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dunlin_cli::doctor::{self, DoctorOptions, Line, Report, Severity};
use dunlin_simulator::{CertificateAuthority, Config, Simulator};
use http::{HeaderValue, Response, header};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

pub(crate) const TOPIC: &str = "com.example.shop";

/// How long a server may take in tests: those that answer do so at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// An identity for [`TOPIC`] as Keychain Access exports it, passphrase `secret`.
pub(crate) const KEYCHAIN: &[u8] = include_bytes!("../../../certificates/tests/data/keychain.p12");

/// A key that the configuration knows, for pushes.
pub(crate) const API_KEY: &str = "backend-5b1f0c93d7a84e26";

fn api_key() -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, API_KEY.as_bytes());
    let hash: String = hash.as_ref().iter().map(|it| format!("{it:02x}")).collect();
    format!("[[api_keys]]\nname = \"backend\"\nscopes = [\"send\"]\nsha256 = \"{hash}\"\n")
}

/// A folder with `conf/dunlin.toml`, and secrets beside `conf`.
pub(crate) struct Folder {
    scratch: tempfile::TempDir,
    /// The sections of the configuration, in their order.
    pub(crate) text: String,
}

impl Folder {
    /// With a good signing key, and connections that nobody takes.
    pub(crate) fn new() -> Self {
        let folder = Self::without_key();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        folder.write("conf/key.p8", key.serialize_pem());
        folder.with(
            "[[credentials]]\nkey_id = \"ABC123DEFG\"\nteam_id = \"DEF123GHIJ\"\nkey_file = \
            \"key.p8\"\n",
        )
    }

    pub(crate) fn without_key() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::create_dir(scratch.path().join("conf")).unwrap();
        let text = String::new();
        Self { scratch, text }
    }

    /// Adds to the configuration.
    pub(crate) fn with(mut self, section: &str) -> Self {
        self.text.push_str(section);
        self
    }

    /// The provider API of both environments, where channels are managed, too.
    pub(crate) fn with_apns(self, host: &str, port: u16) -> Self {
        self.with_apns_and_channels(host, port, port)
    }

    /// The same with a port of its own for channels.
    pub(crate) fn with_apns_and_channels(self, host: &str, port: u16, channels: u16) -> Self {
        let section = |environment| {
            format!(
                "[apns.{environment}]\nhost = \"{host}\"\nport = {port}\n\
                 channels = {{ host = \"{host}\", port = {channels} }}\n"
            )
        };
        self.with(&section("development"))
            .with(&section("production"))
    }

    /// The identity `shop` in a file beside `conf`; `more` are further keys.
    pub(crate) fn with_identity(self, file: &str, contents: impl AsRef<[u8]>, more: &str) -> Self {
        self.write(file, contents);
        self.with(&format!(
            "[tls.identities.shop]\ncertificate = \"../{file}\"\n{more}\n"
        ))
    }

    /// A credential with the identity `shop`; `more` are further keys.
    pub(crate) fn with_certificate(self, topic: &str, more: &str) -> Self {
        self.with(&format!(
            "[[credentials]]\nidentity = \"shop\"\ntopics = [\"{topic}\"]\n{more}\n"
        ))
    }

    /// An app with the identity `shop`.
    pub(crate) fn with_app(self, topic: &str, environment: &str, more: &str) -> Self {
        self.with(&format!(
            "[[binary]]\ntopic = \"{topic}\"\nenvironment = \"{environment}\"\nidentity = \
            \"shop\"\n{more}\n"
        ))
    }

    /// Trusts an authority for `localhost`.
    pub(crate) fn with_trust(self, authority_pem: &str) -> Self {
        self.write("ca.pem", authority_pem);
        self.with("[tls.trust]\nlocalhost = \"../ca.pem\"\n")
    }

    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path
    }

    pub(crate) fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// Writes the configuration and says where it is.
    pub(crate) fn config(&self) -> PathBuf {
        // No port of the machine's is to matter, nor that nobody could call.
        let listen = "[host]\nlisten = \"127.0.0.1:0\"\n";
        let listen = if self.text.contains("[host]") {
            ""
        } else {
            listen
        };
        self.write(
            "conf/dunlin.toml",
            format!("{}{}{listen}", self.text, api_key()),
        )
    }

    pub(crate) async fn examine(&self) -> Report {
        self.examine_for(PATIENCE).await
    }

    pub(crate) async fn examine_for(&self, patience: Duration) -> Report {
        self.examine_with(DoctorOptions {
            patience,
            ..DoctorOptions::default()
        })
        .await
    }

    pub(crate) async fn examine_with(&self, options: DoctorOptions) -> Report {
        let report = doctor::examine(&self.config(), options).await;
        for Line { advice, .. } in &report.lines {
            assert!(advice.is_empty() || advice.ends_with('.'), "{advice}");
        }
        report
    }
}

/// The lines about something, and how bad they are.
pub(crate) fn about<'a>(report: &'a Report, subject: &str) -> Vec<(Severity, &'a str)> {
    let lines = report.lines.iter();
    lines
        .filter(|line| line.subject.starts_with(subject))
        .map(|line| (line.severity, line.what.as_str()))
        .collect()
}

/// The one line about something that is not all right.
pub(crate) fn only<'a>(report: &'a Report, subject: &str) -> (Severity, &'a Line) {
    let bad: Vec<&Line> = report
        .lines
        .iter()
        .filter(|line| line.subject.starts_with(subject) && line.severity != Severity::Ok)
        .collect();
    let [line] = bad.as_slice() else {
        panic!("{subject}: {}", report.text());
    };
    (line.severity, line)
}

/// A port on loopback where nobody listens.
pub(crate) async fn nobody() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

/// One that takes every key.
pub(crate) async fn simulator(authority: &CertificateAuthority) -> Simulator {
    simulator_that(authority, true).await
}

/// One that takes every key, or none.
pub(crate) async fn simulator_that(
    authority: &CertificateAuthority,
    accept_any_key: bool,
) -> Simulator {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = Config {
        control: any,
        authority: Some(authority.clone()),
        accept_any_key,
        ..Config::default()
    };
    Simulator::start(config).await.unwrap()
}

/// A certificate and its key as PEM, valid from one year to another.
pub(crate) fn identity(topic: &str, years: (i32, i32)) -> (String, KeyPair) {
    issued("Apple Push Services", topic, years)
}

/// The same for [`TOPIC`], of a kind of Apple's.
pub(crate) fn identity_named(kind: &str, years: (i32, i32)) -> (String, KeyPair) {
    issued(kind, TOPIC, years)
}

fn issued(kind: &str, topic: &str, years: (i32, i32)) -> (String, KeyPair) {
    let mut params = CertificateParams::default();
    let name = &mut params.distinguished_name;
    *name = rcgen::DistinguishedName::new();
    let user_id = rcgen::DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 1]);
    name.push(user_id, topic);
    name.push(rcgen::DnType::CommonName, format!("{kind}: {topic}"));
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), key)
}

/// An authority for the servers made here.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }
}

/// A provider API that answers every request 403, with this `date`; `None`: without one. To a push
/// it says that it does not know the device.
pub(crate) struct Api {
    pub(crate) name: &'static str,
    pub(crate) protocol: &'static [u8],
    pub(crate) date: Option<String>,
}

impl Api {
    pub(crate) fn new() -> Self {
        Self {
            name: "localhost",
            protocol: b"h2",
            date: None,
        }
    }

    /// Listens on loopback; the port.
    pub(crate) async fn start(self, authority: &Authority) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = acceptor(authority, self.name, self.protocol);
        let date = self.date.map(|date| HeaderValue::try_from(date).unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(acceptor.clone(), stream, date.clone()));
            }
        });
        port
    }
}

/// A provider API that takes every request and answers none; the port.
pub(crate) async fn silent(authority: &Authority) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = acceptor(authority, "localhost", b"h2");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let answer = service_fn(|_: http::Request<hyper::body::Incoming>| {
                    std::future::pending::<Result<Response<Full<bytes::Bytes>>, std::io::Error>>()
                });
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    port
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream, date: Option<HeaderValue>) {
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let answer = service_fn(|request: http::Request<_>| {
        let (status, body) = match *request.method() == http::Method::POST {
            true => (
                http::StatusCode::BAD_REQUEST,
                r#"{"reason":"BadDeviceToken"}"#,
            ),
            false => (http::StatusCode::FORBIDDEN, ""),
        };
        let mut response = Response::new(Full::<bytes::Bytes>::from(body));
        *response.status_mut() = status;
        if let Some(date) = &date {
            response.headers_mut().insert(header::DATE, date.clone());
        }
        async { Ok::<_, std::convert::Infallible>(response) }
    });
    let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    server.auto_date_header(false);
    let _ = server.serve_connection(TokioIo::new(stream), answer).await;
}

fn acceptor(authority: &Authority, name: &str, protocol: &[u8]) -> TlsAcceptor {
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority.issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    TlsAcceptor::from(Arc::new(config))
}
