//! From a request to its answer: what the head decides at once, and what has to wait.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::{Request, Response, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::Service;

use super::HostReply;
use super::answer::{self, AnswerBody};
use super::body::{self, RequestRoom};
use super::client_connection::{ClientConnection, Instruction, Lease};
use super::connections::Connections;
use super::gate::{Keys, check_host, has_lines};
use super::patient::Patient;
use super::probes::{self, Metrics, Probe};
use super::problem::{Problem, respond};
use super::work::Work;
use crate::metrics::Status;

/// What every connection shares.
pub(super) struct Front<W> {
    pub work: Arc<W>,
    pub status: Arc<Status>,
    /// Absent where the function has no calls that need a key.
    pub keys: Option<Keys>,
    pub metrics: Metrics,
    pub connections: Arc<Connections>,
}

/// The front as one connection has it.
pub(super) struct Desk<W> {
    pub front: Arc<Front<W>>,
    pub client: Arc<ClientConnection>,
}

type Working = Pin<Box<dyn Future<Output = Response<AnswerBody>> + Send>>;

/// An answer that is there, or that is worked on. The error is a stream that is refused.
pub(super) enum Answering {
    Now(Option<Result<Response<AnswerBody>, h2::Error>>),
    Later(Working),
}

impl Future for Answering {
    type Output = Result<Response<AnswerBody>, h2::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            // It is asked once.
            Self::Now(answer) => answer.take().map_or(Poll::Pending, Poll::Ready),
            Self::Later(working) => working.as_mut().poll(context).map(Ok),
        }
    }
}

impl<W: Work> Service<Request<Incoming>> for Desk<W> {
    type Response = Response<AnswerBody>;
    type Error = h2::Error;
    type Future = Answering;

    /// What can be said by the head alone is said here, before anything is kept of the request.
    fn call(&self, request: Request<Incoming>) -> Answering {
        self.client.head(request.version());
        let decided = self.decide(&request).err();
        let Some(lease) = self.client.begin(decided.is_none()) else {
            self.front.status.request(true);
            return self.refuse(&request);
        };
        if let Some(decided) = decided {
            self.front
                .status
                .request(matches!(decided, Decided::Refused(_)));
            let answer = answer::whole(decided.into_answer(), Some(lease));
            let answer = answer::for_method(request.method(), answer);
            return Answering::Now(Some(Ok(answer)));
        }
        let (front, client) = (Arc::clone(&self.front), Arc::clone(&self.client));
        Answering::Later(Box::pin(front.function(request, client, lease)))
    }
}

/// What is decided without the function.
enum Decided {
    /// By the host.
    Refused(Problem),
    /// In the function's place: it would say the same.
    Unadmitted(dunlin::api::Problem),
    /// A probe has its answer.
    Probed(Box<HostReply>),
}

impl Decided {
    fn into_answer(self) -> HostReply {
        match self {
            Self::Refused(problem) => problem.into_response(),
            Self::Unadmitted(problem) => respond(problem.into_reply()),
            Self::Probed(answer) => *answer,
        }
    }
}

impl<W: Work> Desk<W> {
    /// The answer to everything but a call that the function is to be asked.
    fn decide<B>(&self, request: &Request<B>) -> Result<(), Decided> {
        let front = &self.front;
        check_host(request).map_err(Decided::Refused)?;
        let (fields, most) = (
            request.headers().len(),
            front.connections.limits.head_fields,
        );
        if fields > most {
            return Err(Decided::Refused(Problem::too_many_fields(most, fields)));
        }
        let probes_only = self.client.probes_only.load(Ordering::Relaxed);
        if probes_only {
            // One question, and it makes place.
            self.client.tell(Instruction::Finish);
        }
        if let Some(probe) = Probe::of(request.uri().path()) {
            let unready = || front.work.unready();
            let method = request.method();
            let answer = probes::answer(probe, method, &front.status, &front.metrics, unready);
            return Err(Decided::Probed(Box::new(answer)));
        }
        if let Some(keys) = &front.keys {
            let method = request.method().as_str();
            keys.admit(method, request.uri(), request.headers())
                .map_err(Decided::Unadmitted)?;
        }
        if probes_only {
            return Err(Decided::Refused(Problem::no_place()));
        }
        Ok(())
    }

    /// There is no place for the request, nor for an answer that would have to wait.
    fn refuse<B>(&self, request: &Request<B>) -> Answering {
        Answering::Now(Some(match request.version() {
            Version::HTTP_2 => Err(h2::Reason::REFUSED_STREAM.into()),
            // There is one on such a connection, and it is the last.
            _ => {
                self.client.tell(Instruction::Finish);
                Ok(answer::whole(Problem::no_place().into_response(), None))
            }
        }))
    }
}

impl<W: Work> Front<W> {
    async fn function(
        self: Arc<Self>,
        request: Request<Incoming>,
        client: Arc<ClientConnection>,
        mut lease: Lease,
    ) -> Response<AnswerBody> {
        let method = request.method().clone();
        let answered = self.ask(request, &client, &mut lease).await;
        self.status.request(answered.is_err());
        let answer = match answered {
            Ok(answer) => answer::function(answer, lease),
            Err(problem) => answer::whole(problem.into_response(), Some(lease)),
        };
        answer::for_method(&method, answer)
    }

    async fn ask(
        &self,
        request: Request<Incoming>,
        client: &ClientConnection,
        lease: &mut Lease,
    ) -> Result<crate::dispatch::Response, Problem> {
        let limits = &self.connections.limits;
        if self.keys.is_some() && has_lines(&request) {
            let stopping = self.connections.stopping();
            let mut request =
                request.map(|body| Patient::new(body, limits, stopping).boxed_unsync());
            request.headers_mut().remove(TRANSFER_ENCODING);
            return Ok(self.work.call_streamed(request, &mut lease.room).await?);
        }
        let (mut head, body) = request.into_parts();
        let mut room = RequestRoom::new(&self.connections, client);
        let head_bytes = body::head_bytes(&head.uri, &head.headers);
        let body = body::whole(body, head_bytes, limits, &mut room).await?;
        set_length(&mut head.headers, &body);
        let request = Request::from_parts(head, body);
        Ok(self.work.call(request, &mut lease.room).await?)
    }
}

/// The body's length is known now, whatever framing it came with.
fn set_length(headers: &mut http::HeaderMap, body: &Bytes) {
    headers.remove(TRANSFER_ENCODING);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
}
