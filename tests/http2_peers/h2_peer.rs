//! A server made of hyperium's h2, in this process: what it answers depends on the path.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread::JoinHandle;

use bytes::Bytes;
use h2::server::{self, SendResponse};
use h2::{Ping, PingPong, Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

/// What the test may ask of the connection as a whole.
#[derive(Clone, Copy, Debug)]
pub enum Command {
    GracefulShutdown,
    AbruptShutdown(Reason),
    InitialWindow(u32),
    /// Sends a PING, and counts its answer.
    Ping,
    /// Lets `/hold` answer.
    Release,
    Stop,
}

/// The server; ends with this.
pub struct H2Peer {
    pub address: SocketAddr,
    commands: mpsc::UnboundedSender<Command>,
    pongs: watch::Receiver<usize>,
    thread: Option<JoinHandle<()>>,
}

impl H2Peer {
    /// Serves one connection.
    pub fn start(builder: &server::Builder) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let (commands, inbox) = mpsc::unbounded_channel();
        let (pong, pongs) = watch::channel(0);
        let builder = builder.clone();
        let thread = std::thread::spawn(move || {
            runtime.block_on(run(listener, builder, inbox, pong));
        });
        Self {
            address,
            commands,
            pongs,
            thread: Some(thread),
        }
    }

    pub fn command(&self, command: Command) {
        self.commands.send(command).unwrap();
    }

    /// How many PINGs of the server were answered.
    pub fn pongs(&self) -> usize {
        *self.pongs.borrow()
    }
}

impl Drop for H2Peer {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Stop);
        let result = self.thread.take().map(JoinHandle::join);
        assert!(matches!(result, Some(Ok(()))) || std::thread::panicking());
    }
}

/// Serves until told to stop; connections one after the other.
async fn run(
    listener: TcpListener,
    builder: server::Builder,
    mut inbox: mpsc::UnboundedReceiver<Command>,
    pong: watch::Sender<usize>,
) {
    loop {
        let socket = tokio::select! {
            accepted = listener.accept() => accepted.unwrap().0,
            command = inbox.recv() => match command {
                Some(Command::Stop) | None => return,
                Some(_) => continue,
            },
        };
        if !serve(socket, &builder, &mut inbox, &pong).await {
            return;
        }
    }
}

/// Serves a connection to its end; false if told to stop.
async fn serve(
    socket: TcpStream,
    builder: &server::Builder,
    inbox: &mut mpsc::UnboundedReceiver<Command>,
    pong: &watch::Sender<usize>,
) -> bool {
    socket.set_nodelay(true).unwrap();
    let Ok(mut connection) = builder.handshake::<_, Bytes>(socket).await else {
        return true;
    };
    let (released, hold) = watch::channel(false);
    let mut ping_pong = connection.ping_pong();
    loop {
        tokio::select! {
            request = connection.accept() => match request {
                Some(Ok((request, respond))) => {
                    tokio::spawn(answer(request, respond, hold.clone()));
                }
                _ => return true,
            },
            command = inbox.recv() => match command {
                Some(Command::GracefulShutdown) => connection.graceful_shutdown(),
                Some(Command::AbruptShutdown(reason)) => connection.abrupt_shutdown(reason),
                Some(Command::InitialWindow(size)) => {
                    connection.set_initial_window_size(size).unwrap();
                }
                Some(Command::Ping) => {
                    let ping_pong = ping_pong.take().unwrap();
                    tokio::spawn(ping(ping_pong, pong.clone()));
                }
                Some(Command::Release) => { released.send_replace(true); }
                Some(Command::Stop) | None => return false,
            },
        }
    }
}

async fn ping(mut ping_pong: PingPong, pong: watch::Sender<usize>) {
    for _ in 0..3 {
        if ping_pong.ping(Ping::opaque()).await.is_ok() {
            pong.send_modify(|count| *count += 1);
        }
    }
}

/// Answers one request. An error is the client's doing: it gave the stream up.
async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    mut hold: watch::Receiver<bool>,
) {
    let path = request.uri().path().to_owned();
    let number = path
        .rsplit('/')
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let result = match path.split('/').nth(1).unwrap_or_default() {
        "echo" => echo(request, respond).await,
        "fields" => fields(&request, respond),
        "large" => large(respond, number).await,
        "field" => long_field(respond, number),
        "trailers" => trailers(respond).await,
        "informational" => informational(respond),
        "hold" => {
            let is_released = hold.wait_for(|released| *released).await.is_ok();
            if is_released {
                echo(request, respond).await
            } else {
                Ok(())
            }
        }
        "reset" => {
            respond.send_reset(Reason::from(number as u32));
            Ok(())
        }
        "reset-after-head" => match respond.send_response(Response::new(()), false) {
            Ok(mut stream) => {
                stream.send_reset(Reason::from(number as u32));
                Ok(())
            }
            Err(error) => Err(error),
        },
        _ => status(respond, 404),
    };
    drop(result);
}

fn status(mut respond: SendResponse<Bytes>, status: u16) -> Result<(), h2::Error> {
    let head = Response::builder().status(status).body(()).unwrap();
    respond.send_response(head, true).map(drop)
}

async fn echo(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let index = request.headers().get("x-index").cloned();
    let mut body = request.into_body();
    let mut all = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        all.extend_from_slice(&piece);
    }
    let mut head = Response::builder().header("content-length", all.len());
    if let Some(index) = index {
        head = head.header("x-index", index);
    }
    let stream = respond.send_response(head.body(()).unwrap(), false)?;
    send(stream, Bytes::from(all)).await.map(drop)
}

/// The fields that begin with "x-", as a body.
fn fields(
    request: &Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let own = request
        .headers()
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-"));
    let lines: Vec<_> = own
        .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()))
        .collect();
    let mut stream = respond.send_response(Response::new(()), false)?;
    stream.send_data(Bytes::from(lines.concat()), true)
}

async fn large(mut respond: SendResponse<Bytes>, len: usize) -> Result<(), h2::Error> {
    let stream = respond.send_response(Response::new(()), false)?;
    send(stream, Bytes::from(vec![b'l'; len])).await.map(drop)
}

/// A field of so many octets that compress to no less.
fn long_field(mut respond: SendResponse<Bytes>, len: usize) -> Result<(), h2::Error> {
    let head = Response::builder()
        .header("x-long", "~".repeat(len))
        .body(())
        .unwrap();
    respond.send_response(head, true).map(drop)
}

async fn trailers(mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let mut stream = respond.send_response(Response::new(()), false)?;
    stream.send_data(Bytes::from_static(b"before"), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-after", "the body".parse().unwrap());
    stream.send_trailers(trailers)
}

fn informational(mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    for code in [100, 103, 103] {
        let head = Response::builder()
            .status(code)
            .header("link", "</a>")
            .body(())
            .unwrap();
        respond.send_informational(head)?;
    }
    status(respond, 204)
}

/// Sends a body as flow control admits it, and ends the stream.
async fn send(
    mut stream: SendStream<Bytes>,
    mut body: Bytes,
) -> Result<SendStream<Bytes>, h2::Error> {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let capacity = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
        let count = capacity.transpose()?.unwrap_or(0).min(body.len());
        stream.send_data(body.split_to(count), false)?;
    }
    stream.send_data(Bytes::new(), true)?;
    Ok(stream)
}
