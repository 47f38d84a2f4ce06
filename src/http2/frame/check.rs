//! What a frame must be whatever is in it: on the connection or on a stream, and of a length.

use super::head::Head;
use crate::http2::error::ConnectionError;
use crate::http2::stream_id::StreamId;

/// For frames that belong to a stream.
pub(super) fn require_stream(head: Head) -> Result<StreamId, ConnectionError> {
    if head.stream == StreamId::CONNECTION {
        let (kind, got) = (head.kind, head.stream);
        return Err(ConnectionError::WrongStream {
            kind,
            expected: "other than 0",
            got,
        });
    }
    Ok(head.stream)
}

/// For frames that belong to the connection.
pub(super) fn require_connection(head: Head) -> Result<(), ConnectionError> {
    if head.stream != StreamId::CONNECTION {
        let (kind, got) = (head.kind, head.stream);
        return Err(ConnectionError::WrongStream {
            kind,
            expected: "0",
            got,
        });
    }
    Ok(())
}

/// A payload of exactly `N` octets.
pub(super) fn exactly<const N: usize>(
    head: Head,
    payload: &[u8],
    expected: &'static str,
) -> Result<[u8; N], ConnectionError> {
    <[u8; N]>::try_from(payload).map_err(|_| ConnectionError::FrameLength {
        kind: head.kind,
        expected,
        got: payload.len(),
    })
}
