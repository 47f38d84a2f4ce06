//! What may be reached, what an outage costs, and how a silence ends.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::Empty;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::net::TcpListener;

use super::*;

fn to(hosts: &[(&str, u16)]) -> HttpClient {
    let host = |(name, port): &(&str, u16)| AllowedHost {
        name: (*name).to_owned(),
        port: *port,
    };
    let hosts: Vec<AllowedHost> = hosts.iter().map(host).collect();
    let tls = Provider::new(std::iter::empty(), std::iter::empty()).unwrap();
    HttpClient::new(&hosts, Arc::default(), tls)
}

fn request(uri: &str) -> http::Request<WasiBody> {
    let body = Empty::<Bytes>::new().map_err(|never| match never {});
    http::Request::get(uri).body(body.boxed_unsync()).unwrap()
}

async fn error(client: &HttpClient, uri: &str) -> Error {
    let sent = client.clone().send(request(uri), None).await;
    sent.expect_err("an error")
}

#[test]
fn only_servers_of_the_configuration_are_reached_and_only_over_https() {
    let client = to(&[("API.push.apple.com", 443), ("::1", 2197)]);
    for (uri, allowed) in [
        ("https://api.push.apple.com/3/device/a1", true),
        ("https://Api.Push.Apple.com:443/", true),
        ("https://[::1]:2197/", true),
        ("https://api.push.apple.com:2197/", false),
        ("http://api.push.apple.com/", false),
        ("http://api.push.apple.com:443/", false),
        ("https://[::1]/", false),
        ("https://example.com/", false),
        ("/", false),
    ] {
        let uri: http::Uri = uri.parse().unwrap();
        assert_eq!(client.server(&uri).is_some(), allowed, "{uri}");
    }
}

#[tokio::test]
async fn what_is_not_allowed_is_denied_before_anything_is_looked_up() {
    let denied = error(&to(&[]), "https://localhost/").await;
    assert!(matches!(denied, Error::HttpRequestDenied), "{denied:?}");
    let mut none = Hooks(None);
    let sent = none.send_request(
        request("https://localhost/"),
        None,
        Box::new(async { Ok(()) }),
    );
    let denied = Box::into_pin(sent).await;
    assert!(matches!(denied, Err(Error::HttpRequestDenied)));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_from_one_that_did_not_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let refused = error(
        &to(&[("127.0.0.1", port)]),
        &format!("https://127.0.0.1:{port}/"),
    )
    .await;
    assert!(matches!(refused, Error::ConnectionRefused), "{refused:?}");
    let client = to(&[("name.invalid", 443)]);
    let unknown = error(&client, "https://name.invalid/").await;
    // A resolver that nobody answers takes its time.
    let is_told = matches!(unknown, Error::DnsError { .. } | Error::ConnectionTimeout);
    assert!(is_told, "{unknown:?}");
}

/// An outage is one attempt for all who wait for it, and not one for each.
#[tokio::test]
async fn those_who_wait_for_one_connection_share_its_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let accepted = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&accepted);
    tokio::spawn(async move {
        // Each is closed before the handshake.
        while listener.accept().await.is_ok() {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let client = to(&[("127.0.0.1", port)]);
    let uri = format!("https://127.0.0.1:{port}/");
    let errors = join_all((0..50).map(|_| error(&client, &uri))).await;
    for error in errors {
        assert!(matches!(error, Error::DestinationUnavailable), "{error:?}");
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
    error(&client, &uri).await;
    assert_eq!(
        accepted.load(Ordering::SeqCst),
        2,
        "whoever comes later tries"
    );
}

/// RFC 9113, section 6.7. It is only asked while something waits for an answer, and then not in
/// vain.
#[tokio::test]
async fn a_server_that_falls_silent_is_asked_by_a_ping_and_then_given_up() {
    const EMPTY_SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const PREFACE_BYTES: usize = 24;
    const PING: u8 = 6;
    let (near, mut far) = duplex(64 * 1024);
    let server = tokio::spawn(async move {
        far.write_all(&EMPTY_SETTINGS).await.unwrap();
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.unwrap();
        heard
    });
    let soon = Duration::from_millis(20);
    let (mut sender, _) = speak("server", near, (soon, soon)).await.unwrap();
    let (request, _) = Watched::wrap(request("https://server/"));
    let sent = timeout(Duration::from_secs(60), sender.try_send_request(request)).await;
    let failed = sent.expect("given up").expect_err("nobody has answered");
    let told = unanswered(&failed.into_error());
    assert!(matches!(told, Error::ConnectionTerminated), "{told:?}");
    let heard = server.await.unwrap();
    let mut frames = &heard[PREFACE_BYTES..];
    let mut kinds = Vec::new();
    while let [a, b, c, kind, ..] = *frames {
        kinds.push(kind);
        frames = &frames[9 + u32::from_be_bytes([0, a, b, c]) as usize..];
    }
    assert!(kinds.contains(&PING), "{kinds:?}");
}

/// The frames of a client, as far as this test reads them.
struct Frames<S> {
    stream: S,
    /// Requests that have begun.
    requests: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    /// Sends these, then a PING, and reads up to its answer: whatever the client had to send after
    /// the first has come before it.
    async fn after(&mut self, frames: &[u8]) {
        const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        let bytes = [frames, &PING].concat();
        self.stream.write_all(&bytes).await.unwrap();
        while self.next().await != (6, 1) {}
    }

    /// Kind and flags of the next one.
    async fn next(&mut self) -> (u8, u8) {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.unwrap();
        let [a, b, c, kind, flags, ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload).await.unwrap();
        self.requests += usize::from(kind == 1);
        (kind, flags)
    }
}

/// APNs allows one until it has seen a provider token, and its SETTINGS take a round trip to come.
#[tokio::test]
async fn never_more_requests_are_on_a_connection_than_the_server_has_allowed() {
    let allowed = |streams: u8| [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, streams];
    let (near, mut far) = duplex(64 * 1024);
    let server = tokio::spawn(async move {
        far.read_exact(&mut [0; 24]).await.unwrap();
        let mut frames = Frames {
            stream: far,
            requests: 0,
        };
        while frames.requests == 0 {
            frames.next().await;
        }
        let mut seen = Vec::new();
        // The SETTINGS; again; and the answer to the first, with room for three.
        let ok: [u8; 10] = [0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88];
        let more = [&ok[..], &allowed(3)].concat();
        for (bytes, expected) in [(&allowed(1)[..], 1), (&allowed(1), 1), (&more, 4)] {
            frames.after(bytes).await;
            while frames.requests < expected {
                frames.next().await;
            }
            for _ in 0..10 {
                frames.after(&[]).await;
            }
            seen.push(frames.requests);
        }
        seen
    });
    let never = Duration::from_secs(3_600);
    let (sender, _) = speak("server", near, (never, never)).await.unwrap();
    let requests = (0..8).map(|_| {
        let mut sender = sender.clone();
        let (request, _) = Watched::wrap(request("https://server/"));
        async move { sender.try_send_request(request).await }
    });
    let requests = tokio::spawn(join_all(requests));
    assert_eq!(server.await.unwrap(), [1, 1, 4]);
    requests.abort();
}

/// What is handed to a connection at the moment of its end may come back only when nobody has it
/// any more.
#[tokio::test]
async fn a_connection_that_has_ended_is_kept_by_nobody() {
    let client = to(&[("server", 443)]);
    let at = ("server".to_owned(), 443);
    let (near, far) = duplex(64 * 1024);
    let never = Duration::from_secs(3_600);
    let (sender, ended) = speak("server", near, (never, never)).await.unwrap();
    let server = &client.0.servers[&at];
    server.0.lock().await.sender = Some(sender);
    let forgetting = tokio::spawn(Arc::clone(&client.0).forget(at.clone(), 0, ended));
    assert!(server.0.lock().await.usable().is_some());
    drop(far);
    timeout(Duration::from_secs(60), forgetting)
        .await
        .expect("it ends")
        .unwrap();
    assert!(server.0.lock().await.sender.is_none());
}
