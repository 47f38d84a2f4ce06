//! Bodies of lines: sent whole, their answers taken as they come, over one connection for as long
//! as the service keeps it.

use std::time::Duration;

use bytes::Bytes;
use dunlin::api::LINES_TYPE;
use dunlin::terminal::Exit;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;

use super::{Answer, ServiceUrl, reach, request};
use crate::Error;

/// Longest wait for the connection, and for anything of an answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Largest answer that has no lines, in bytes.
const MAX_PROBLEM: usize = 64 * 1024;

/// The status of an answer of lines.
const OK: u16 = 200;

/// Takes an answer of lines as it comes.
pub type TakeBytes<'a> = &'a mut (dyn FnMut(&[u8]) + Send);

/// A service that is sent lines.
#[derive(Debug)]
pub struct LinesClient {
    service: ServiceUrl,
    key: String,
    /// The connection that the last answer came on.
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl LinesClient {
    /// Asks nobody yet.
    pub fn new(service: ServiceUrl, key: String) -> Self {
        Self {
            service,
            key,
            sender: None,
        }
    }

    /// Posts lines. What comes of an answer of lines is taken as it comes, and the one returned has
    /// none of it; any other is returned with its body.
    ///
    /// # Errors
    /// [`Exit::NotReached`] and [`Exit::Unanswered`], with the name of the service: of an answer
    /// that breaks off, what came before it was taken.
    pub async fn post(
        &mut self,
        path: &str,
        body: Vec<u8>,
        take: TakeBytes<'_>,
    ) -> Result<Answer, Error> {
        self.service.check()?;
        let mut request = request(&self.service, "POST", path, Some(&self.key), body)?;
        let kind = HeaderValue::from_static(LINES_TYPE);
        request.headers_mut().insert(CONTENT_TYPE, kind);
        let mut sender = self.connection().await?;
        let sent = in_time(sender.send_request(request)).await;
        let answer = sent.and_then(|sent| sent.map_err(|error| error.to_string()));
        let (head, body) = answer.map_err(|why| self.broken(&why))?.into_parts();
        let status = head.status.as_u16();
        let read = match status {
            OK => take_all(body, take).await.map(|()| String::new()),
            _ => problem(body).await,
        };
        let body = read.map_err(|why| self.broken(&why))?;
        self.sender = Some(sender);
        Ok(Answer { status, body })
    }

    /// The one that is there, if the service has kept it, or a new one.
    async fn connection(&mut self) -> Result<SendRequest<Full<Bytes>>, Error> {
        if let Some(mut sender) = self.sender.take()
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        let not_reached =
            |why: &str| Error::with(Exit::NotReached, format!("{}: {why}", self.service));
        let stream = in_time(reach(&self.service)).await;
        let stream = stream.map_err(|why| not_reached(&why))??;
        let hands = in_time(handshake(TokioIo::new(stream))).await;
        let hands = hands.map_err(|why| not_reached(&why))?;
        let (sender, connection) = hands.map_err(|error| not_reached(&error.to_string()))?;
        tokio::spawn(connection);
        Ok(sender)
    }

    fn broken(&self, why: &str) -> Error {
        Error::with(Exit::Unanswered, format!("{}: {why}", self.service))
    }
}

async fn in_time<T>(what: impl Future<Output = T>) -> Result<T, String> {
    let done = tokio::time::timeout(PATIENCE, what).await;
    done.map_err(|_| format!("nothing within {} s", PATIENCE.as_secs()))
}

async fn take_all(mut body: Incoming, take: TakeBytes<'_>) -> Result<(), String> {
    while let Some(frame) = in_time(body.frame()).await? {
        let frame = frame.map_err(|error| error.to_string())?;
        if let Some(data) = frame.data_ref() {
            take(data);
        }
    }
    Ok(())
}

/// What is said instead of lines, cut where it is too long.
async fn problem(mut body: Incoming) -> Result<String, String> {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_PROBLEM
        && let Some(frame) = in_time(body.frame()).await?
    {
        let frame = frame.map_err(|error| error.to_string())?;
        if let Some(data) = frame.data_ref() {
            let room = MAX_PROBLEM - bytes.len();
            bytes.extend(data.iter().take(room));
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
