//! The body of a request, whole. Room is taken as it arrives and not as it is announced, and what
//! arrives is copied into one buffer: a byte costs a byte, in whatever frames or chunks it came.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Incoming};
use tokio::time::Instant;

use super::client_connection::ClientConnection;
use super::connections::Connections;
use super::limits::Limits;
use super::problem::Problem;
use crate::dispatch::DispatchError;
use crate::room::Room;

/// Of a request's head and body, what the first budget is for; the rest is for the second. So
/// nobody's large bodies keep the small ones out.
const SMALL: usize = 16 * 1024;

/// Pieces that a body may come in, however small; after these 16 bytes each on average.
const FREE_PIECES: usize = 1_024;
const PIECE_BYTES: usize = 16;

/// What a field of a head takes beside its name and its value, in bytes: about that in a map of
/// them.
const FIELD_BYTES: usize = 64;

/// The room of one request.
#[derive(Debug)]
pub(super) struct RequestRoom {
    small: Room,
    large: Room,
}

impl RequestRoom {
    pub fn new(connections: &Connections, client: &ClientConnection) -> Self {
        let [small, large] = &connections.requests;
        let [small_share, large_share] = &client.requests;
        Self {
            small: small.room(small_share),
            large: large.room(large_share),
        }
    }

    fn fit(&mut self, bytes: usize) -> Result<(), Problem> {
        let fits = self.small.try_fit(bytes.min(SMALL))
            && (bytes <= SMALL || self.large.try_fit(bytes - SMALL));
        fits.then_some(())
            .ok_or_else(|| Problem::from(DispatchError::Overloaded))
    }
}

/// Bytes that a head takes, about.
pub(super) fn head_bytes(uri: &http::Uri, headers: &HeaderMap) -> usize {
    let fields = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + FIELD_BYTES);
    uri.path().len() + uri.query().map_or(0, str::len) + fields.sum::<usize>()
}

/// When the next piece of a body has to be there.
fn due(limits: &Limits, received: usize) -> Duration {
    let at_rate = received as f64 / limits.body_rate.max(1) as f64;
    let at_rate = Duration::try_from_secs_f64(at_rate).unwrap_or(limits.body_time);
    limits
        .body_grace
        .saturating_add(at_rate)
        .min(limits.body_time)
}

/// Collects the body, so that a slow client holds a buffer and not a place in an instance. `head`
/// bytes are in the room beside it.
///
/// # Errors
/// If it is too large, too slow, in too many pieces, or broken off; or if there is no room for it.
pub(super) async fn whole(
    body: Incoming,
    head: usize,
    limits: &Limits,
    room: &mut RequestRoom,
) -> Result<Bytes, Problem> {
    room.fit(head)?;
    let largest = limits.body_bytes;
    // A body that announces too much need not be sent.
    if body.size_hint().lower() > largest as u64 {
        return Err(Problem::body_too_large(largest));
    }
    collect(body, head, limits, |bytes| room.fit(bytes)).await
}

async fn collect<B>(
    mut body: B,
    head: usize,
    limits: &Limits,
    mut fit: impl FnMut(usize) -> Result<(), Problem>,
) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    let begun = Instant::now();
    let mut pieces = 0_usize;
    let mut received = BytesMut::new();
    while !body.is_end_stream() {
        let due = begun + due(limits, received.len());
        let frame = match tokio::time::timeout_at(due, body.frame()).await {
            Err(_) => return Err(Problem::body_timeout(limits)),
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(Problem::broken_body()),
            Ok(Some(Ok(frame))) => frame,
        };
        // Trailers say nothing here.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let length = received.len() + data.len();
        if length > limits.body_bytes {
            return Err(Problem::body_too_large(limits.body_bytes));
        }
        pieces += 1;
        if pieces > FREE_PIECES + length / PIECE_BYTES {
            return Err(Problem::body_in_pieces(pieces, length));
        }
        // A buffer that grows has up to twice the length.
        fit(head + received.capacity().max(length))?;
        received.extend_from_slice(&data);
    }
    fit(head + received.capacity())?;
    Ok(received.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    /// A body of so many pieces of so many bytes.
    async fn collected(pieces: usize, size: usize) -> Result<usize, String> {
        let frames = (0..pieces).map(move |_| {
            let data = Bytes::from(vec![b'x'; size]);
            Ok::<_, std::convert::Infallible>(Frame::data(data))
        });
        let body = StreamBody::new(futures_util::stream::iter(frames));
        let limits = Limits {
            body_bytes: 100_000,
            ..Limits::default()
        };
        let collected = collect(body, 0, &limits, |_| Ok(())).await;
        collected
            .map(|bytes| bytes.len())
            .map_err(|problem| format!("{problem:?}"))
    }

    #[tokio::test]
    async fn a_body_in_single_bytes_has_an_end() {
        assert_eq!(collected(1_000, 1).await, Ok(1_000));
        let refused = collected(50_000, 1).await.unwrap_err();
        assert!(refused.contains("body-in-pieces"), "{refused}");
        assert_eq!(collected(5_000, 20).await, Ok(100_000));
        let refused = collected(5_001, 20).await.unwrap_err();
        assert!(refused.contains("body-too-large"), "{refused}");
    }

    #[test]
    fn a_body_has_to_keep_arriving() {
        let limits = Limits {
            body_time: Duration::from_secs(30),
            body_grace: Duration::from_secs(5),
            body_rate: 1_000,
            ..Limits::default()
        };
        assert_eq!(due(&limits, 0), Duration::from_secs(5));
        assert_eq!(due(&limits, 10_000), Duration::from_secs(15));
        assert_eq!(due(&limits, 1_000_000), Duration::from_secs(30));
    }

    #[tokio::test]
    async fn no_room_is_an_overload() {
        let frames = [Ok::<_, std::convert::Infallible>(Frame::data(
            Bytes::from_static(b"1234"),
        ))];
        let body = StreamBody::new(futures_util::stream::iter(frames));
        let (mut asked, limits) = (Vec::new(), Limits::default());
        let refused = collect(body, 100, &limits, |bytes| {
            asked.push(bytes);
            Err(Problem::from(DispatchError::Overloaded))
        });
        let refused = refused.await.unwrap_err();
        assert!(format!("{refused:?}").contains("overloaded"));
        assert_eq!(asked, [104]);
    }
}
