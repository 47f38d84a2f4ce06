//! What does the work behind the listener: the dispatcher, or what a test has in its place.

use std::borrow::Cow;

use crate::dispatch::{DispatchError, Dispatcher, Home, Response, StreamedRequest, WholeRequest};
use crate::room::Room;

/// Whoever answers requests.
pub trait Work: Send + Sync + 'static {
    /// Runs one request to its answer, for which it makes `room` first.
    fn call(
        &self,
        request: WholeRequest,
        room: &mut Room,
    ) -> impl Future<Output = Result<Response, DispatchError>> + Send;

    /// The same of a request whose body goes on while it is answered; until the answer has begun.
    fn call_streamed(
        &self,
        request: StreamedRequest,
        room: &mut Room,
    ) -> impl Future<Output = Result<Response, DispatchError>> + Send;

    /// Where a connection is to live that asks for work.
    fn home(&self) -> Home {
        Home::here()
    }

    /// Why no work is taken, in a few words each, for people; empty if it is.
    fn unready(&self) -> Vec<Cow<'static, str>>;
}

impl Work for Dispatcher {
    async fn call(
        &self,
        request: WholeRequest,
        room: &mut Room,
    ) -> Result<Response, DispatchError> {
        Self::call(self, request, room).await
    }

    fn home(&self) -> Home {
        Self::home(self)
    }

    async fn call_streamed(
        &self,
        request: StreamedRequest,
        room: &mut Room,
    ) -> Result<Response, DispatchError> {
        Self::call_streamed(self, request, room).await
    }

    fn unready(&self) -> Vec<Cow<'static, str>> {
        Self::unready(self)
    }
}
