//! An APNs that costs next to nothing: whatever ends a stream is answered by 200.
//!
//! It decodes no header and keeps no stream. It counts streams and bodies, checksums the bodies,
//! and answers each END_STREAM by one HEADERS frame made beforehand, in which only the last twelve
//! digits of `apns-id` change: they are the number of the stream. What a read has brought is
//! answered by one write. So that every client is answered by the same work, TLS is 1.3 with
//! AES-128-GCM.
//!
//! Limits: [`MOST_CONNECTIONS`] at once, each a thread; a frame of 16 KiB; [`STREAMS`] streams, as
//! many as APNs allows. Windows are so wide that nobody waits for them.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::crypto::ring::{self, cipher_suite::TLS13_AES_128_GCM_SHA256};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection};

use crate::frames::{self, Frame};

/// Streams that a connection may have open.
pub const STREAMS: u32 = 1_000;

const MOST_CONNECTIONS: u64 = 256;

/// Names that its certificate is for: ours, and those that the peers do not let go of.
const NAMES: [&str; 4] = [
    "localhost",
    "127.0.0.1",
    "api.push.apple.com",
    "api.development.push.apple.com",
];

/// Bytes that are read at once.
const READ: usize = 256 << 10;

/// What the connection's window is opened by, whenever as much was used.
const WINDOW: u32 = 1 << 29;

/// The window of each stream.
const STREAM_WINDOW: u32 = 1 << 24;

/// Longest wait for a client that does not take its answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// `:status: 200`, and an `apns-id` without indexing and without Huffman's code.
const ANSWER: &[u8] = b"\x88\x00\x07apns-id\x2400000000-0000-4000-8000-000000000000";

/// Both listeners and what they have counted. The threads go on until the process ends.
pub struct Server {
    pub tls: SocketAddr,
    pub cleartext: SocketAddr,
    /// What clients have to trust, in PEM.
    pub authority: String,
    counted: Arc<Counted>,
}

#[derive(Default)]
struct Counted {
    answered: AtomicU64,
    bytes: AtomicU64,
    checksum: AtomicU64,
    accepted: AtomicU64,
    open: AtomicU64,
}

/// What has come so far, of all connections.
#[derive(Debug, Clone, Copy)]
pub struct Received {
    /// Streams that ended, each of which was answered.
    pub answered: u64,
    /// Bytes of bodies.
    pub bytes: u64,
    /// The sum of the checksums of all bodies.
    pub checksum: u64,
    /// Connections.
    pub connections: u64,
}

impl Received {
    /// Says what is wrong, if since then not just `pushes` of this payload have come.
    pub fn check(self, before: Self, pushes: u64, payload: &str) -> Result<(), String> {
        let answered = self.answered - before.answered;
        let bytes = self.bytes - before.bytes;
        let sum = self.checksum.wrapping_sub(before.checksum);
        let expected = checksum(payload.as_bytes()).wrapping_mul(pushes);
        if (answered, bytes, sum) == (pushes, pushes * payload.len() as u64, expected) {
            return Ok(());
        }
        Err(format!(
            "expected {pushes} bodies of {} bytes, got {answered} with {bytes} bytes in all, {}",
            payload.len(),
            if sum == expected {
                "intact"
            } else {
                "with another checksum"
            },
        ))
    }
}

impl Server {
    /// Begins to listen on loopback.
    pub fn start() -> io::Result<Self> {
        let counted = Arc::<Counted>::default();
        let (authority, config) = identity().map_err(io::Error::other)?;
        let config = Arc::new(config);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let tls = listener.local_addr()?;
        listen(listener, &counted, move |socket, counted| {
            serve_tls(socket, Arc::clone(&config), counted)
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let cleartext = listener.local_addr()?;
        listen(listener, &counted, serve_cleartext);
        Ok(Self {
            tls,
            cleartext,
            authority,
            counted,
        })
    }

    pub fn received(&self) -> Received {
        Received {
            answered: self.counted.answered.load(Relaxed),
            bytes: self.counted.bytes.load(Relaxed),
            checksum: self.counted.checksum.load(Relaxed),
            connections: self.counted.accepted.load(Relaxed),
        }
    }
}

/// A certificate authority in PEM, and a server's side of TLS with a certificate of it.
fn identity() -> Result<(String, ServerConfig), Box<dyn std::error::Error + Send + Sync>> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let name = &mut params.distinguished_name;
    name.push(DnType::CommonName, "Dunlin's benchmark");
    let key = KeyPair::generate()?;
    let authority = params.self_signed(&key)?;
    let issuer = Issuer::new(params, key);

    let mut params = CertificateParams::new(NAMES.map(str::to_owned))?;
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;

    let mut provider = ring::default_provider();
    provider.cipher_suites = vec![TLS13_AES_128_GCM_SHA256];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.send_tls13_tickets = 0;
    Ok((authority.pem(), config))
}

/// Serves each connection on a thread of its own.
fn listen(
    listener: TcpListener,
    counted: &Arc<Counted>,
    serve: impl Fn(TcpStream, &Counted) -> io::Result<()> + Send + Sync + 'static,
) {
    let (counted, serve) = (Arc::clone(counted), Arc::new(serve));
    thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            if counted.open.fetch_add(1, Relaxed) >= MOST_CONNECTIONS {
                counted.open.fetch_sub(1, Relaxed);
                continue;
            }
            counted.accepted.fetch_add(1, Relaxed);
            let (counted, serve) = (Arc::clone(&counted), Arc::clone(&serve));
            thread::spawn(move || {
                let ended = socket
                    .set_nodelay(true)
                    .and_then(|()| socket.set_write_timeout(Some(PATIENCE)))
                    .and_then(|()| serve(socket, &counted));
                counted.open.fetch_sub(1, Relaxed);
                // A client that was killed resets its connection.
                if let Err(error) = ended
                    && !matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
                    )
                {
                    eprintln!("the server has closed a connection: {error}");
                }
            });
        }
    });
}

fn serve_cleartext(mut socket: TcpStream, counted: &Counted) -> io::Result<()> {
    let (mut wire, mut plain, mut out) = (vec![0; READ], Vec::new(), Vec::new());
    let mut connection = Connection::default();
    loop {
        let read = socket.read(&mut wire)?;
        if read == 0 {
            return Ok(());
        }
        plain.extend_from_slice(wire.get(..read).unwrap_or_default());
        connection.take(&mut plain, &mut out, counted)?;
        socket.write_all(&out)?;
        out.clear();
    }
}

fn serve_tls(
    mut socket: TcpStream,
    config: Arc<ServerConfig>,
    counted: &Counted,
) -> io::Result<()> {
    let mut tls = ServerConnection::new(config).map_err(io::Error::other)?;
    tls.set_buffer_limit(None);
    let (mut wire, mut plain, mut out) = (vec![0; READ], Vec::new(), Vec::new());
    let mut connection = Connection::default();
    loop {
        let read = socket.read(&mut wire)?;
        if read == 0 {
            return Ok(());
        }
        let mut came = wire.get(..read).unwrap_or_default();
        while !came.is_empty() {
            tls.read_tls(&mut came)?;
            let state = tls.process_new_packets().map_err(io::Error::other)?;
            let (had, more) = (plain.len(), state.plaintext_bytes_to_read());
            plain.resize(had + more, 0);
            let room = plain.get_mut(had..).unwrap_or_default();
            tls.reader().read_exact(room)?;
        }
        connection.take(&mut plain, &mut out, counted)?;
        tls.writer().write_all(&out)?;
        out.clear();
        while tls.wants_write() {
            tls.write_tls(&mut out)?;
        }
        socket.write_all(&out)?;
        out.clear();
    }
}

/// What has to be known of a connection: nearly nothing.
#[derive(Default)]
struct Connection {
    has_begun: bool,
    /// Bytes of DATA since the window was opened last.
    used: u32,
}

impl Connection {
    /// Takes all whole frames off `input`, and appends what they are answered by.
    fn take(
        &mut self,
        input: &mut Vec<u8>,
        out: &mut Vec<u8>,
        counted: &Counted,
    ) -> io::Result<()> {
        let mut at = 0;
        if !self.has_begun {
            if input.len() < frames::PREFACE.len() {
                return Ok(());
            }
            if !input.starts_with(frames::PREFACE) {
                return Err(io::Error::other("expected the preface of HTTP/2"));
            }
            at = frames::PREFACE.len();
            self.begin(out);
        }
        let (mut answered, mut bytes, mut sum) = (0, 0, 0_u64);
        while let Some((frame, length)) = Frame::first(input.get(at..).unwrap_or_default())? {
            at += length;
            match (frame.kind, frame.flags) {
                (frames::DATA, _) => {
                    let data = frame.data();
                    self.used += frame.payload.len() as u32;
                    bytes += data.len() as u64;
                    sum = sum.wrapping_add(checksum(data));
                }
                (frames::SETTINGS, 0) => {
                    frames::append(out, (frames::SETTINGS, frames::ACK), 0, b"")
                }
                (frames::PING, 0) => {
                    frames::append(out, (frames::PING, frames::ACK), 0, frame.payload);
                }
                _ => {}
            }
            if frame.ends_stream() {
                answer(out, frame.stream);
                answered += 1;
            }
        }
        input.drain(..at);
        if self.used >= WINDOW {
            frames::append_window(out, self.used);
            self.used = 0;
        }
        counted.answered.fetch_add(answered, Relaxed);
        counted.bytes.fetch_add(bytes, Relaxed);
        counted.checksum.fetch_add(sum, Relaxed);
        Ok(())
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        self.has_begun = true;
        frames::append_settings(
            out,
            &[
                (frames::MAX_CONCURRENT_STREAMS, STREAMS),
                (frames::INITIAL_WINDOW_SIZE, STREAM_WINDOW),
            ],
        );
        // As much again is opened before this is used up.
        frames::append_window(out, 2 * WINDOW);
    }
}

fn answer(out: &mut Vec<u8>, stream: u32) {
    let flags = frames::END_STREAM | frames::END_HEADERS;
    frames::append(out, (frames::HEADERS, flags), stream, ANSWER);
    let digits = out.len().saturating_sub(10);
    let mut rest = stream;
    for digit in out.get_mut(digits..).into_iter().flatten().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

/// Eight bytes at a time, each step by a multiplication; of nothing 0. The bodies of this benchmark
/// are shorter than a frame, so that each is summed up as a whole.
fn checksum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mix = |sum: u64, word: u64| (sum.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    let sum = words
        .iter()
        .fold(0, |sum, word| mix(sum, u64::from_be_bytes(*word)));
    rest.iter()
        .fold(sum, |sum, byte| mix(sum, u64::from(*byte)))
}
