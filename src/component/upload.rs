//! A body of lines and the answer to it, both as `wasi:http` streams them, or as a command reads
//! and writes them: one type for both, so that what carries lines out is compiled once.

use core::time::Duration;
use std::io::{self, Read as _, Write as _};
use std::rc::Rc;

use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter, spawn_local};

use super::app::{App, Component};
use super::bindings::wasi::http::types::{ErrorCode, Fields, Request, Response, Trailers};
use super::bindings::{wit_future, wit_stream};
use super::{clock, operator};
use crate::api::{LINES_TYPE, Route, aside};
use crate::service::{LinesIn, LinesOut, More, Upload};
use crate::time::Now;

/// Bytes read of a body at a time.
const READ_BYTES: usize = 64 * 1024;

/// How often what was counted is passed on while an answer goes on.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// Why a body is not whole, for the summary.
const BROKEN: &str = "broken-body";
const SLOW: &str = "body-timeout";
const STOPPING: &str = "shutting-down";

/// Begins the answer to a request with lines; both go on when this has returned.
pub(super) fn respond(upload: Upload<Component>, request: Request) -> Result<Response, ErrorCode> {
    let kind = LINES_TYPE.as_bytes().to_vec();
    let mut headers = vec![("content-type".to_owned(), kind)];
    if operator::has_our_host() {
        for name in [aside::AT_ONCE_HEADER, aside::LINES_HEADER] {
            headers.push((name.to_owned(), b"1".to_vec()));
        }
    }
    let headers = fields(&headers)?;
    let (end, trailers) = wit_future::new(|| Ok(None));
    let (output, stream) = wit_stream::new();
    let (response, _) = Response::new(headers, Some(stream), trailers);
    let (_, done) = wit_future::new(|| Ok(()));
    let (input, ending) = Request::consume_body(request, done);
    spawn_local(async move {
        let output = Results {
            to: Some(output),
            counted: clock::now(),
        };
        let ending = Some(ending);
        let input = Body::Stream(input, ending);
        upload.run(input, output).await;
        operator::write_counts();
        if operator::has_our_host() {
            let trailer = (aside::WHOLE_TRAILER.to_owned(), b"1".to_vec());
            // A client that has gone does not want to know.
            let _ = end.write(fields(&[trailer]).map(Some)).await;
        }
    });
    Ok(response)
}

/// Names and values are our own and legal.
pub(super) fn fields(all: &[(String, Vec<u8>)]) -> Result<Fields, ErrorCode> {
    let fields = Fields::from_list(all);
    fields.map_err(|error| ErrorCode::InternalError(Some(format!("headers: {error:?}"))))
}

/// Carries out the lines on the standard input; results go to the standard output.
pub(super) async fn run_command(app: Rc<App>, route: Route) {
    let output = Results {
        to: None,
        counted: clock::now(),
    };
    Upload::of_operator(app, route)
        .run(Body::Stdin, output)
        .await;
    // The reader may have enough.
    let _ = io::stdout().flush();
}

enum Body {
    /// The second says whether the body is whole; asked once.
    Stream(
        StreamReader<u8>,
        Option<FutureReader<Result<Option<Trailers>, ErrorCode>>>,
    ),
    Stdin,
}

/// Appends what comes next of the standard input.
fn read_stdin(bytes: &mut Vec<u8>) -> More {
    let before = bytes.len();
    bytes.resize(before + READ_BYTES, 0);
    let read = io::stdin().read(bytes.get_mut(before..).unwrap_or_default());
    bytes.truncate(before + read.as_ref().map_or(0, |read| *read));
    match read {
        Ok(0) => More::End,
        Ok(_) => More::Bytes,
        Err(_) => More::Stopped(BROKEN),
    }
}

impl LinesIn for Body {
    async fn read(&mut self, bytes: &mut Vec<u8>) -> More {
        let Self::Stream(input, ending) = self else {
            return read_stdin(bytes);
        };
        let mut buffer = core::mem::take(bytes);
        buffer.reserve(READ_BYTES);
        let (result, filled) = input.read(buffer).await;
        *bytes = filled;
        if matches!(result, StreamResult::Complete(_)) {
            return More::Bytes;
        }
        let Some(ending) = ending.take() else {
            return More::End;
        };
        match ending.await {
            Ok(_) => More::End,
            Err(ErrorCode::ConnectionReadTimeout) => More::Stopped(SLOW),
            Err(ErrorCode::ConnectionTerminated) => More::Stopped(STOPPING),
            Err(_) => More::Stopped(BROKEN),
        }
    }
}

struct Results {
    /// The standard output, if it is no stream.
    to: Option<StreamWriter<u8>>,
    counted: Now,
}

impl LinesOut for Results {
    async fn write(&mut self, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        let Some(output) = &mut self.to else {
            let written = io::stdout().write_all(&bytes);
            bytes.clear();
            return written.is_ok().then_some(bytes);
        };
        let rest = output.write_all(bytes).await;
        let now = clock::now();
        if now.since(self.counted) >= COUNT_EVERY {
            self.counted = now;
            operator::write_counts();
        }
        rest.is_empty().then_some(rest)
    }
}
