//! Runs the binary gateway on one TLS connection.
//!
//! Source: `docs/protocols.md` 1.5: after an error response the connection is closed and what was
//! sent after the refused notification is discarded.
//!
//! ```text
//! [ reading ] --end--> [ delay ] --> packet? --> [ closing: close_notify, FIN ] --.
//!      |            .---------------------------------------------------------------'
//!      |            '--> [ discarding: until the client is gone, or LINGER ] --> dropped
//!      '--client closes, or a cut--> dropped
//! ```
//!
//! Discarding goes on after the close because a socket that is dropped with unread bytes resets the
//! connection, and the packet on its way would be lost. Apple's gateway could lose it so; a test
//! asks for that with the fault `gateway_reset`.
//!
//! Limit: [`READ`] bytes are read at a time, and no more than one frame is kept.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;

use super::session::{ConnectionEnd, Ending, Session};
use crate::fault::{Action, Fault, GatewayAction};
use crate::state::State;
use crate::stats::Service;
use crate::tls;

/// Serves a connection until it is over.
pub(crate) async fn serve(state: Arc<State>, mut tls: TlsStream<TcpStream>, number: u64) {
    let cut = state.faults().for_connection(Service::Gateway);
    let session = Session::new(state, number, tls::topic_of(&tls));
    if let Some(end) = read(session, &mut tls, cut.and_then(CutPoint::of)).await {
        finish(tls, end).await;
    }
}

/// A place in the stream of bytes where a fault happens.
struct CutPoint {
    /// Bytes that are still read before.
    left: u64,
    /// How long reading stops; `None` cuts the connection.
    pause_ms: Option<u64>,
}

impl CutPoint {
    fn of(fault: Fault) -> Option<Self> {
        let (left, pause_ms) = match fault.action {
            Action::Gateway(GatewayAction::Cut { after_bytes }) => (after_bytes, None),
            Action::Gateway(GatewayAction::Slow { after_bytes }) => {
                (after_bytes, Some(fault.delay_ms))
            }
            // No other action is set off by a connection.
            _ => return None,
        };
        Some(Self { left, pause_ms })
    }
}

/// Reads until something ends the connection; `None` if there is nothing more to do with it.
async fn read(
    mut session: Session,
    tls: &mut TlsStream<TcpStream>,
    mut cut: Option<CutPoint>,
) -> Option<ConnectionEnd> {
    let mut buffer = BytesMut::new();
    loop {
        if let Some(CutPoint { left: 0, pause_ms }) = cut {
            sleep(Duration::from_millis(pause_ms?)).await;
            cut = None;
        }
        buffer.reserve(READ);
        let room = cut.as_ref().map_or(u64::MAX, |cut| cut.left);
        match (&mut *tls).take(room).read_buf(&mut buffer).await {
            Ok(0) => {
                return Some(ConnectionEnd {
                    delay_ms: 0,
                    ending: Ending::Close,
                });
            }
            Ok(read) => {
                if let Some(cut) = &mut cut {
                    cut.left -= u64::try_from(read).unwrap_or(u64::MAX).min(cut.left);
                }
            }
            Err(error) => {
                tracing::debug!(%error, "a connection to the gateway broke");
                return None;
            }
        }
        if let Some(end) = session.take(&mut buffer) {
            return Some(end);
        }
    }
}

async fn finish(mut tls: TlsStream<TcpStream>, end: ConnectionEnd) {
    if end.delay_ms > 0 {
        let delay = sleep(Duration::from_millis(end.delay_ms));
        tokio::pin!(delay);
        tokio::select! {
            () = &mut delay => {}
            () = tls::discard(&mut tls) => delay.await,
        }
    }
    match end.ending {
        Ending::Silence => return tls::discard(&mut tls).await,
        Ending::Reset => return tls::reset(tls),
        Ending::Packet { bytes, split } => {
            let size = if split { 1 } else { bytes.len() };
            for part in bytes.chunks(size) {
                if tls.write_all(part).await.is_err() || tls.flush().await.is_err() {
                    return;
                }
            }
        }
        Ending::Close => {}
    }
    // It fails only if the client is gone already.
    let _ = tls.shutdown().await;
    let _ = timeout(LINGER, tls::discard(&mut tls)).await;
}

/// Bytes read at a time.
const READ: usize = 64 * 1024;

/// How long a client may take to close as well.
const LINGER: Duration = Duration::from_secs(2);
