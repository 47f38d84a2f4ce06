//! HTTP/1.1 written by hand: what a test sends is what it says, complete or not.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer read to its end.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    head: String,
    /// The body without its framing.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header, whose name is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of text")
    }

    /// Asserts that this is the host's problem document of this status and rule.
    #[track_caller]
    pub fn is_problem(&self, status: u16, rule: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let kind = self.header("content-type");
        assert_eq!(kind, Some("application/problem+json"));
        let text = self.text();
        assert!(text.contains(&format!("\"urn:dunlin:{rule}\"")), "{text}");
        assert!(text.contains(&format!("\"status\":{status}")), "{text}");
    }

    /// Asserts that this is a 200 with this body.
    #[track_caller]
    pub fn is_ok(&self, body: &str) {
        assert_eq!((self.status, self.text()), (200, body));
    }
}

/// Connects and sends these bytes, which may be less than a request.
pub async fn open(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(bytes).await.expect("sent");
    stream
}

/// Reads the answer on a connection that the host closes after it.
pub async fn read_answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("an answer");
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no head in {:?}", String::from_utf8_lossy(&bytes)));
    let head = String::from_utf8(bytes[..end].to_vec()).expect("a head of text");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let mut answer = Answer {
        status: status.expect("a status"),
        head,
        body: bytes.split_off(end + 4),
    };
    if let Some(length) = answer.header("content-length") {
        assert_eq!(answer.body.len().to_string(), length, "a broken-off body");
    } else if answer.header("transfer-encoding") == Some("chunked") {
        answer.body = unchunked(&answer.body);
    }
    answer
}

/// One request on a connection of its own.
pub async fn request(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> Answer {
    let length = body.len();
    let mut bytes = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n"
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    read_answer(open(address, &bytes).await).await
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = rest.iter().position(|byte| *byte == b'\r').expect("a size");
        let size = std::str::from_utf8(&rest[..line]).expect("a size in text");
        let size = usize::from_str_radix(size, 16).expect("a size in hexadecimal");
        rest = &rest[line + 2..];
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
}
