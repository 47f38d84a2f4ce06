//! Random bodies, paths, headers and frames on every call: none is answered by a 5xx, stops an
//! instance, or has an answer that speaks of the language that this is written in.

use std::time::Duration;

use dunlin_test_support::mutate::{Noise, mutated};
use dunlin_tests::stack::{API_KEY, token};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How many requests; `DUNLIN_SWEEP` says another number.
const REQUESTS: u64 = 1_000;

/// Longest wait for an answer or for the end of a connection.
const PATIENCE: Duration = Duration::from_secs(60);

/// What only a Rust programmer, or serde, would say. In front of each is what may not be a letter.
const OF_RUST: [&str; 23] = [
    "struct ",
    "enum ",
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "i32",
    "i64",
    "f64",
    "usize",
    "variant",
    "Option",
    "Vec<",
    "String",
    "tuple",
    "newtype",
    "RawValue",
    "serde",
    "panicked",
    "unwrap",
    "Utf8Error",
    "invalid type",
];

/// Method and path of every call; `{}` stands for something that is looked up.
const CALLS: [(&str, &str); 18] = [
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("POST", "/v1/push"),
    ("POST", "/v1/push"),
    ("POST", "/v1/push"),
    ("GET", "/v1/devices?alias=anna&limit=2"),
    (
        "GET",
        "/v1/devices?topic=com.example.app&tag=news&cursor=00",
    ),
    ("POST", "/v1/devices"),
    ("PUT", "/v1/devices/{}"),
    ("GET", "/v1/devices/{}?topic=com.example.app"),
    ("DELETE", "/v1/devices/{}?topic=com.example.app"),
    ("POST", "/v1/devices/{}/logout"),
    ("POST", "/v1/devices/{}/restore?topic=com.example.app"),
    ("POST", "/v1/broadcasts"),
    ("GET", "/v1/channels/{}?bundle_id=com.example.app"),
    ("POST", "/v1/tasks/sweep"),
    ("GET", "/v1/receipts/{}"),
];

const BODIES: [&str; 14] = [
    r#"{"to":{"token":"00ff00ff00ff00ff"},"topic":"com.example.app",
        "payload":{"aps":{"alert":"Hi"}}}"#,
    r#"{"to":{"tokens":["<00ff 00ff>","ABCD"]},"topic":"com.example.app","environment":"production",
        "push_type":"background","priority":5,"ttl_s":3600,"dry_run":true,"via":"http2",
        "payload":{"aps":{"content-available":1}}}"#,
    r#"{"to":{"alias":"anna"},"expiration":1900000000,"collapse_id":"news","push_type":"alert",
        "idempotency_key":"k-1",
        "payload":{"aps":{"alert":{"title":"\u00e9"},"badge":0},"own":[1]}}"#,
    r#"{"to":{"aliases":["anna","ben"]},"topic":"com.example.app.voip","push_type":"voip",
        "priority":10,"payload":{"call":1}}"#,
    r#"{"to":{"token":"0a"},"topic":"a","id":"01234567-89ab-cdef-0123-456789abcdef","payload":{}}"#,
    r#"{"topic":"com.example.app","alias":"anna","tags":["news","b"],"environment":"development"}"#,
    r#"{"token":"0a0b0c0d","topic":"com.example.app","replaces":"0102","alias":"ben"}"#,
    "oldToken=0a0b&newToken=0c0d&topic=com.example.app&alias=anna",
    r#"{"topic":"com.example.app"}"#,
    r#"{"bundle_id":"com.example.app","channel":"dHN0LXNyY2gtY2hubA==","expiration":0,
        "priority":10,"payload":{"aps":{"timestamp":1,"event":"update","content-state":{}}}}"#,
    r#"{"bundle_id":"com.example.app","environment":"development","store":"most-recent"}"#,
    "",
    "[]",
    "null",
];

const HEADERS: [&str; 12] = [
    "content-type: application/json",
    "content-type: application/x-www-form-urlencoded",
    "content-type: text/plain;charset=utf-8",
    "content-type: multipart/form-data; boundary=x",
    "content-encoding: gzip",
    "idempotency-key: \"a\"",
    "authorization: Basic YTpi",
    "expect: 100-continue",
    "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "accept: text/html",
    "if-match: *",
    "x-own: value",
];

/// One HTTP/1.1 request, mostly near a good one.
fn request(noise: &mut Noise) -> Vec<u8> {
    let (method, path) = noise.pick(&CALLS);
    let known = token(noise.below(3) as u32);
    let mut path = path.replace("{}", &known).into_bytes();
    let mut body = match noise.below(4) {
        0 => noise.pick(&BODIES).as_bytes().to_vec(),
        _ => mutated(&BODIES, noise),
    };
    let mut headers = vec![format!("authorization: Bearer {API_KEY}").into_bytes()];
    if noise.below(3) == 0 {
        path = mutated(&[path.clone(), b"/v1/devices/%00%ff/..".to_vec()], noise);
        // Blanks and line ends would make it another request.
        path.retain(|octet| octet.is_ascii_graphic());
        path.insert(0, b'/');
        path.truncate(4_000);
    }
    for _ in 0..noise.below(3) {
        let header = match noise.below(2) {
            0 => noise.pick(&HEADERS).as_bytes().to_vec(),
            _ => mutated(&HEADERS, noise),
        };
        let taken = |octet: &u8| !matches!(octet, b'\r' | b'\n');
        headers.push(header.into_iter().filter(taken).collect());
    }
    if noise.below(16) == 0 {
        body = noise.octets(1_000);
    }
    let mut bytes = format!("{method} ").into_bytes();
    bytes.extend(path);
    bytes.extend(b" HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
    for header in headers {
        bytes.extend(header);
        bytes.extend(b"\r\n");
    }
    bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).into_bytes());
    bytes.extend(body);
    bytes
}

/// Frames of HTTP/2 after its preface and SETTINGS: some good, some noise.
fn frames(noise: &mut Noise) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    // :method GET, :scheme http, :path /, and more where the noise adds it.
    let head: &[u8] = b"\x82\x86\x84\x41\x04test";
    for _ in 0..1 + noise.below(20) {
        let payload = match noise.below(3) {
            0 => head.to_vec(),
            1 => mutated(&[head], noise),
            _ => {
                let length = noise.below(64);
                noise.octets(length)
            }
        };
        let length = match noise.below(8) {
            0 => noise.below(1 << 14),
            _ => payload.len(),
        };
        bytes.extend(&(length as u32).to_be_bytes()[1..]);
        bytes.extend([noise.below(11) as u8, noise.number() as u8]);
        bytes.extend(&(noise.below(9) as u32).to_be_bytes());
        bytes.extend(payload);
    }
    bytes
}

/// What comes back until the other side closes; it is told that nothing more comes.
async fn exchange(address: std::net::SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A side that has refused the beginning need not read the rest.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // A reset is an end too.
    let _ = read.expect("an end in time");
    answer
}

fn check(request: &[u8], answer: &[u8]) {
    let text = String::from_utf8_lossy(answer);
    let shown = || format!("{}\n->\n{text}", request.escape_ascii());
    // HTTP that cannot be read may be answered by the end of the connection.
    if let Some(status) = text.split(' ').nth(1) {
        assert!(!status.starts_with('5'), "{}", shown());
    }
    let Some((_, body)) = text.split_once("\r\n\r\n") else {
        return;
    };
    if !body.contains("urn:dunlin:") {
        return;
    }
    for word in OF_RUST {
        let found = body.match_indices(word).any(|(at, _)| {
            let before = body[..at].chars().next_back();
            !before.is_some_and(|before| before.is_alphanumeric())
        });
        // What the caller has sent may be quoted.
        let own = request.windows(word.len()).any(|it| it == word.as_bytes());
        assert!(!found || own, "{word:?} in {}", shown());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_requests_never_get_a_5xx_or_hear_of_rust() {
    if dunlin_tests::stack::wants_the_host("an account of stopped instances") {
        return;
    }
    let (_folder, stack) = crate::stack().await;
    for n in 0..3 {
        let path = format!("/v1/devices/{}", token(n));
        let body = r#"{"topic":"com.example.app","alias":"anna","tags":["news"]}"#;
        assert!(stack.call("PUT", &path, body).await.status < 300);
    }
    let count = std::env::var("DUNLIN_SWEEP");
    let count = count.map_or(REQUESTS, |count| count.parse().unwrap());
    for seed in 0..count {
        let mut noise = Noise::new(seed);
        if seed % 10 == 9 {
            exchange(stack.address, &frames(&mut noise)).await;
            continue;
        }
        let request = request(&mut noise);
        check(&request, &exchange(stack.address, &request).await);
    }
    let metrics = stack.call("GET", "/metrics", "").await.text();
    let failed = metrics
        .lines()
        .filter(|line| line.contains("stopped") || line.contains("failed"));
    for line in failed.filter(|line| !line.starts_with('#')) {
        assert!(line.ends_with(" 0"), "{line}");
    }
    assert_eq!(stack.call("GET", "/readyz", "").await.status, 200);
    stack.stop().await;
}
