//! Runs the feedback service on one TLS connection: sends the topic's list, closes, and finds out
//! whether the client has it.
//!
//! Source: `docs/protocols.md`, section 2: transmission begins at once, and the service closes when
//! it is done. RFC 8446 6.1 (close_notify).
//!
//! ```text
//! [ sending ] --all sent--> [ closed by us ] --close_notify, then FIN--> read: the list is cleared
//!      |                          '--reset, or FIN without close_notify--> the list stays
//!      '--client closes or breaks--> the list stays
//! ```
//!
//! A client that dies while bytes are on their way can have sent its close_notify before: so a
//! close that comes before everything was sent does not count, and neither does one that a reset of
//! TCP follows.
//!
//! Limit: none on how long a client may take to close. Its connection counts among the open ones.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::server::TlsStream;

use super::lists::Reading;
use crate::fault::{Action, Fault, FeedbackAction};
use crate::state::State;
use crate::stats::Service;
use crate::tls;

/// Serves a connection until it is over.
pub(crate) async fn serve(state: Arc<State>, tls: TlsStream<TcpStream>, number: u64) {
    let Some(topic) = tls::topic_of(&tls) else {
        tracing::debug!(
            connection = number,
            "expected a topic, got a certificate without"
        );
        return;
    };
    let fault = state.faults().for_connection(Service::Feedback);
    let reading = state.feedback().begin(topic);
    let mut open = OpenReading {
        state,
        reading,
        is_read: false,
    };
    let total = open.reading.segments.iter().map(Bytes::len).sum();
    let plan = Plan::of(fault, total);
    open.is_read = give(tls, &open.reading, &plan).await;
}

/// A reading that is ended even if its task is.
struct OpenReading {
    state: Arc<State>,
    reading: Reading,
    is_read: bool,
}

impl Drop for OpenReading {
    fn drop(&mut self) {
        self.state.feedback().finish(&self.reading, self.is_read);
    }
}

/// How the list is sent.
struct Plan {
    delay_ms: u64,
    /// Bytes that are sent of it.
    length: usize,
    /// Whether that is all of it.
    is_whole: bool,
    /// Bytes of a piece.
    piece: usize,
    end: End,
}

/// What follows.
enum End {
    Close,
    Linger,
    Cut,
    Garbage,
    Silence,
}

impl Plan {
    fn of(fault: Option<Fault>, total: usize) -> Self {
        let whole = Self {
            delay_ms: fault.as_ref().map_or(0, |fault| fault.delay_ms),
            length: total,
            is_whole: true,
            piece: PIECE,
            end: End::Close,
        };
        let up_to = |bytes: u64| usize::try_from(bytes).map_or(total, |bytes| bytes.min(total));
        match fault.map(|fault| fault.action) {
            Some(Action::Feedback(FeedbackAction::Cut { after_bytes })) => Self {
                length: up_to(after_bytes),
                is_whole: false,
                end: End::Cut,
                ..whole
            },
            Some(Action::Feedback(FeedbackAction::Silence { after_bytes })) => Self {
                length: up_to(after_bytes),
                is_whole: false,
                end: End::Silence,
                ..whole
            },
            Some(Action::Feedback(FeedbackAction::Garbage { after_bytes })) => Self {
                length: up_to(after_bytes),
                is_whole: false,
                end: End::Garbage,
                ..whole
            },
            Some(Action::Feedback(FeedbackAction::Linger)) => Self {
                end: End::Linger,
                ..whole
            },
            Some(Action::Feedback(FeedbackAction::Truncate { bytes })) => Self {
                length: total - up_to(bytes),
                is_whole: bytes == 0,
                ..whole
            },
            Some(Action::Feedback(FeedbackAction::Dribble { bytes })) => Self {
                piece: up_to(bytes).max(1),
                ..whole
            },
            // No other action is set off by a connection to the feedback service.
            _ => whole,
        }
    }
}

/// Sends what is planned; whether the client has certainly got the whole list.
async fn give(tls: TlsStream<TcpStream>, reading: &Reading, plan: &Plan) -> bool {
    sleep(Duration::from_millis(plan.delay_ms)).await;
    let (mut from_client, mut to_client) = tokio::io::split(tls);
    let mut scrap = [0; 4096];
    let is_sent = tokio::select! {
        biased;
        sent = send(&mut to_client, reading, plan) => sent.is_ok(),
        // The client has nothing to say before the end.
        () = async { while let Ok(1..) = from_client.read(&mut scrap).await {} } => false,
    };
    if !is_sent {
        return false;
    }
    let mut tls = from_client.unsplit(to_client);
    match plan.end {
        End::Close => tls.shutdown().await.is_ok() && closes(&mut tls).await && plan.is_whole,
        End::Linger => end_tls(&mut tls).await.is_ok() && closes(&mut tls).await,
        End::Cut => false,
        End::Garbage => {
            if tls.get_mut().0.write_all(NO_TLS).await.is_ok() {
                tls::discard(&mut tls).await;
            }
            false
        }
        End::Silence => {
            tls::discard(&mut tls).await;
            false
        }
    }
}

async fn send<S: AsyncWrite + Unpin>(
    stream: &mut S,
    reading: &Reading,
    plan: &Plan,
) -> std::io::Result<()> {
    let mut left = plan.length;
    for segment in &reading.segments {
        let length = left.min(segment.len());
        for piece in segment.get(..length).unwrap_or(segment).chunks(plan.piece) {
            stream.write_all(piece).await?;
            stream.flush().await?;
        }
        left -= length;
    }
    Ok(())
}

/// Says that nothing more comes, and leaves TCP open.
async fn end_tls(tls: &mut TlsStream<TcpStream>) -> std::io::Result<()> {
    tls.get_mut().1.send_close_notify();
    tls.flush().await
}

/// Waits until the client closes; whether it does so in good order, TLS first and then TCP.
async fn closes(tls: &mut TlsStream<TcpStream>) -> bool {
    let mut scrap = [0; 4096];
    loop {
        match tls.read(&mut scrap).await {
            Ok(0) => break,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    let tcp = tls.get_mut().0;
    loop {
        match tcp.read(&mut scrap).await {
            Ok(0) => return matches!(tcp.take_error(), Ok(None)),
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

/// In the place of a record: type and version of one, and a length that none has.
const NO_TLS: &[u8] = &[23, 3, 3, 0xff, 0xff];

/// Bytes of a piece, if nothing else is asked for.
const PIECE: usize = 256 * 1024;
