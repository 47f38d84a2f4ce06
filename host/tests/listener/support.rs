//! A listener with a stub behind it, and clients of both versions that do as they are told.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use dunlin::config::Settings;
use dunlin_host::dispatch::{Body, DispatchError, Response, StreamedRequest, WholeRequest};
use dunlin_host::http_server::{Limits, Server, Work, bind};
use dunlin_host::metrics::Status;
use dunlin_host::room::Room;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wasmtime_wasi_http::WasiBody;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A key that may send.
pub const KEY: &str = "send-only";

/// How long a wait of the listener is where a test waits for its end.
pub const SHORT: Duration = Duration::from_millis(100);

/// Limits under which nothing is closed for being slow.
pub fn patient() -> Limits {
    Limits {
        place_time: Duration::from_millis(20),
        head_time: PATIENCE,
        idle_time: PATIENCE,
        body_time: PATIENCE,
        body_grace: PATIENCE,
        answer_time: PATIENCE,
        keyless_answer_time: PATIENCE,
        room_time: PATIENCE,
        sweep: Duration::from_millis(10),
        ..Limits::default()
    }
}

/// Ends a test that would hang.
pub async fn bounded<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, test)
        .await
        .expect("the test hangs")
}

/// Waits until something is so.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("never so: {what}"));
}

/// What is behind the listener: `/large/{n}` has n bytes, `/never` has no answer, everything else
/// says how long the request's body was.
#[derive(Debug, Default)]
pub struct Stub {
    pub calls: AtomicUsize,
    pub is_full: AtomicBool,
}

impl Stub {
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Work for Stub {
    async fn call(
        &self,
        request: WholeRequest,
        room: &mut Room,
    ) -> Result<Response, DispatchError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let path = request.uri().path();
        let body = match path.strip_prefix("/large/") {
            _ if path == "/never" => std::future::pending().await,
            Some(length) => {
                let length = length.parse().unwrap();
                if !room.try_fit(length) {
                    return Err(DispatchError::Overloaded);
                }
                vec![b'x'; length]
            }
            None => request.body().len().to_string().into_bytes(),
        };
        let body = Full::new(Bytes::from(body)).map_err(|never| match never {});
        Ok(http::Response::new(Body::Function(body.boxed_unsync())))
    }

    /// Says the body again as it comes, and how it ended.
    async fn call_streamed(
        &self,
        request: StreamedRequest,
        _: &mut Room,
    ) -> Result<Response, DispatchError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let body = Echo(Some(request.into_body()));
        Ok(http::Response::new(Body::Function(body.boxed_unsync())))
    }

    fn unready(&self) -> Vec<Cow<'static, str>> {
        let is_full = self.is_full.load(Ordering::SeqCst);
        is_full
            .then_some("every queue is full".into())
            .into_iter()
            .collect()
    }
}

/// The body of a request as the body of its answer; the last of it says how it ended.
struct Echo(Option<WasiBody>);

impl http_body::Body for Echo {
    type Data = Bytes;
    type Error = wasmtime_wasi_http::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(body) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let how = match ready!(http_body::Body::poll_frame(Pin::new(body), cx)) {
            Some(Ok(frame)) => return Poll::Ready(Some(Ok(frame))),
            Some(Err(error)) => format!("{error:?}"),
            None => "whole".to_owned(),
        };
        self.0 = None;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(how)))))
    }
}

/// A listener.
pub struct Host {
    pub address: SocketAddr,
    pub stub: Arc<Stub>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Host {
    /// Everybody may ask everything.
    pub fn open(limits: Limits) -> Self {
        Self::start(limits, |server| server)
    }

    /// Whoever asks for more than the probes needs [`KEY`].
    pub fn keyed(limits: Limits) -> Self {
        let text = "[[api_keys]]\nname = 'a'\nscopes = ['send']\nsha256 = \
                    'e3175375aca59a85de2ecdbc356e1b89d751e70162fadaec9952819e33874ddf'";
        let settings = Settings::parse(text).unwrap();
        Self::start(limits, |server| server.with_keys(settings))
    }

    fn start(limits: Limits, with: impl FnOnce(Server<Stub>) -> Server<Stub>) -> Self {
        let stub = Arc::<Stub>::default();
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let server = with(Server::new(
            Arc::clone(&stub),
            Arc::<Status>::default(),
            limits,
        ));
        let (stop, stopped) = oneshot::channel();
        let stopped = async move {
            let _ = stopped.await;
        };
        let running = tokio::spawn(server.serve(listener, stopped, PATIENCE));
        Self {
            address,
            stub,
            stop,
            running,
        }
    }

    pub async fn stop(self) {
        let _ = self.stop.send(());
        bounded(self.running).await.unwrap();
    }

    /// One request of HTTP/1.1 on a connection of its own, and all of what comes back.
    pub async fn ask(&self, head: &str) -> String {
        let mut client = self.say(head).await;
        bounded(read(&mut client)).await
    }

    /// A connection on which this was sent.
    pub async fn say(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    /// `GET`, as a probe does it; the status and the body.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let text = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let answer = self.ask(&text).await;
        let body = answer.split_once("\r\n\r\n").unwrap_or_default().1;
        (status(&answer), body.to_owned())
    }

    /// A connection of HTTP/2 whose streams have so much of a window.
    pub async fn h2(&self, window: u32) -> H2 {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(window);
        let (send, connection) = builder.handshake(stream).await.unwrap();
        // It answers PINGs.
        let ended = tokio::spawn(async move {
            let _ = connection.await;
        });
        H2 {
            send,
            ended,
            address: self.address,
        }
    }
}

/// The status of an answer of HTTP/1.1; 0 if there is none.
pub fn status(answer: &str) -> u16 {
    let code = answer.split(' ').nth(1).map(str::parse);
    code.and_then(Result::ok).unwrap_or_default()
}

/// All that comes, until the other side closes or resets.
pub async fn read(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A client of HTTP/2.
pub struct H2 {
    send: SendRequest<Bytes>,
    ended: JoinHandle<()>,
    address: SocketAddr,
}

impl H2 {
    /// Resolves when the listener has closed the connection.
    pub async fn ends(self) {
        let Self { send, ended, .. } = self;
        bounded(ended).await.unwrap();
        drop(send);
    }

    /// Closes the connection, whatever is open on it.
    pub async fn close(self) {
        self.ended.abort();
        let _ = self.ended.await;
    }

    pub fn is_open(&self) -> bool {
        !self.ended.is_finished()
    }

    /// A request with the key, whose body follows unless it `is_whole`.
    pub async fn request(
        &mut self,
        method: &str,
        path: &str,
        key: Option<&str>,
        is_whole: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let uri = format!("http://{}{path}", self.address);
        let mut request = http::Request::builder().method(method).uri(uri);
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        self.send_request(request.body(()).unwrap(), is_whole).await
    }

    pub async fn send_request(
        &mut self,
        request: http::Request<()>,
        is_whole: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        std::future::poll_fn(|context| self.send.poll_ready(context)).await?;
        self.send.send_request(request, is_whole)
    }

    /// `GET` with the key; the status.
    pub async fn get(&mut self, path: &str) -> Result<http::Response<RecvStream>, h2::Error> {
        let (response, _) = self.request("GET", path, Some(KEY), true).await?;
        bounded(response).await
    }
}
