//! A request of the provider API handed to HTTP/2.

use crate::http2::{self, Header, Indexing, StreamId};
use crate::provider::{HeaderIndexing, Request};
use crate::time::Now;

/// Most headers that are not pseudo-headers.
const HEADERS: usize = 8;

/// Appends the request, and returns the stream it is on.
///
/// # Errors
/// If the connection cannot take it.
pub(super) fn send(
    http2: &mut http2::Connection,
    now: Now,
    request: &Request<'_>,
    out: &mut Vec<u8>,
) -> Result<StreamId, http2::SendError> {
    let mut headers = [Header {
        name: "",
        value: "",
        indexing: Indexing::Without,
    }; HEADERS];
    let mut count = 0;
    let (mut method, mut path, mut authority) = ("", "", "");
    for header in request.headers() {
        match header.name {
            ":path" => path = header.value,
            ":authority" => authority = header.value,
            ":method" => method = header.value,
            ":scheme" => {}
            name => {
                if let Some(place) = headers.get_mut(count) {
                    let indexing = match header.indexing {
                        HeaderIndexing::Incremental => Indexing::Incremental,
                        HeaderIndexing::Without => Indexing::Without,
                    };
                    *place = Header {
                        name,
                        value: header.value,
                        indexing,
                    };
                    count += 1;
                }
            }
        }
    }
    let headers = headers.get(..count).unwrap_or_default();
    let scheme = "https";
    let body = request.body();
    http2.send_request(
        now,
        &http2::Request {
            method,
            scheme,
            authority,
            path,
            headers,
            body,
        },
        out,
    )
}
