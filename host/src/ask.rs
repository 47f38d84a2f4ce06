//! Asking the service that is running: one HTTP/1.1 request to the address of the configuration.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::Error;

/// Largest answer, in bytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// As text; what is not UTF-8 is replaced.
    pub body: String,
}

/// Sends a request and waits for the whole answer, at most `patience`.
///
/// # Errors
/// If nobody listens, or there is no answer in time; the error names the address.
pub async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    key: Option<&str>,
    body: Vec<u8>,
    patience: Duration,
) -> Result<Answer, Error> {
    let address = reachable(address);
    let failed = |why: &dyn std::fmt::Display| Error::new(format!("http://{address}: {why}"));
    let asked = async {
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| failed(&error))?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| failed(&error))?;
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, address.to_string());
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(key) = key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        let request = request.body(Full::new(Bytes::from(body)));
        let request = request.map_err(|error| failed(&error))?;
        let response = sender.send_request(request).await;
        let (head, body) = response.map_err(|error| failed(&error))?.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        let body = body.map_err(|error| failed(&error))?.to_bytes();
        Ok(Answer {
            status: head.status.as_u16(),
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    };
    match tokio::time::timeout(patience, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(failed(&format_args!(
            "no answer within {} s",
            patience.as_secs()
        ))),
    }
}

/// Who listens everywhere is reached on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
