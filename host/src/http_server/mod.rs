//! HTTP/1.1 and h2c in: connections become requests with a whole body, answers go back as they are
//! taken.
//!
//! ```text
//!   accept ─► Connections (places, idle time) ─► Desk: what the head decides
//!                                                  │ probes: answered by the host, whatever waits
//!                                                  │ no key: 401, 403; the body is not read
//!                                                  ▼
//! body (room as it arrives) ─► Work (room for the answer) ─► AnswerBody in pieces
//!      └─ one of lines: Patient, as it comes ─► Work ─► the same
//! ```
//!
//! Invariant: whatever a client does or does not take, what is held for all of them together has a
//! bound; [`Limits`] has the sums. Time is measured as progress: each piece of a body has its time
//! to come, and each piece of an answer to be taken.

mod answer;
mod body;
mod client_connection;
mod connections;
mod exec;
mod front;
mod gate;
mod io;
mod limits;
mod patient;
mod probes;
mod problem;
mod work;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tracing::{debug, error, info, warn};

use crate::metrics::Status;
use client_connection::{ClientConnection, Instruction};
use connections::{Connections, sweep_for_ever};
use exec::AtOnce;
use front::{Desk, Front};
pub(crate) use gate::Keys;
use io::Watched;
pub use limits::Limits;
use probes::Metrics;
pub use work::Work;

/// An answer of the host, its body in memory.
type HostReply = Response<Bytes>;

/// How often a quiet h2c client is asked whether it is there, and how long it may take to say so.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// How long to wait before accepting again after the system refused (no file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a client may send ahead of what is read, in bytes: on a stream and on a connection.
const STREAM_WINDOW: u32 = 128 * 1024;
const CONNECTION_WINDOW: u32 = 512 * 1024;

/// What the kernel keeps of what a client does not take, in bytes; it doubles it for itself.
const SEND_BUFFER: u32 = 64 * 1024;

/// Connections that the kernel holds for us until they are accepted. With the usual 128 a burst of
/// clients waits a second for their retransmitted SYN.
const BACKLOG: u32 = 4_096;

/// What is behind a listener.
#[derive(Debug)]
pub struct Server<W> {
    work: Arc<W>,
    status: Arc<Status>,
    keys: Option<Keys>,
    limits: Limits,
}

impl<W: Work> Server<W> {
    /// Answers by `work`, whoever asks.
    pub const fn new(work: Arc<W>, status: Arc<Status>, limits: Limits) -> Self {
        Self {
            work,
            status,
            keys: None,
            limits,
        }
    }

    /// Answers those by `work` that have a key of this configuration. The others are told so before
    /// their bodies are read.
    #[must_use]
    pub fn with_keys(self, settings: dunlin::config::Settings) -> Self {
        Self {
            keys: Some(Keys::new(settings)),
            ..self
        }
    }

    /// Serves `listener` until `stop` resolves, then lets open requests finish, at most `patience`.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
        patience: Duration,
    ) {
        let most = self.limits.connections + self.limits.spare_connections;
        let places = Arc::new(Semaphore::new(most));
        let connections = Connections::new(self.limits);
        let front = Arc::new(Front {
            work: self.work,
            status: self.status,
            keys: self.keys,
            metrics: Metrics::default(),
            connections: Arc::clone(&connections),
        });
        let mut sweeper = JoinSet::new();
        sweeper.spawn(sweep_for_ever(Arc::clone(&connections)));
        let entrance = match Entrance::open() {
            Ok(entrance) => entrance,
            Err(error) => {
                error!(%error, "there is no thread to accept connections on");
                return;
            }
        };
        let Some(mut accepting) = entrance.accept(listener, front, &places) else {
            return;
        };
        tokio::select! {
            _ = &mut accepting => {}
            () = stop => {}
        }
        // The listener goes with it.
        accepting.abort();
        let _ = accepting.await;
        info!("finishing open requests");
        connections.stop();
        connections.tell_all(Instruction::Finish);
        let all = places.acquire_many(u32::try_from(most).unwrap_or(u32::MAX));
        if tokio::time::timeout(patience, all).await.is_err() {
            warn!("requests were still open when the shutdown time ran out");
            connections.tell_all(Instruction::Cut);
        }
    }
}

async fn accept_for_ever<W: Work>(
    listener: std::net::TcpListener,
    front: Arc<Front<W>>,
    places: Arc<Semaphore>,
    lobby: Handle,
) {
    let builder = connection_builder(&front.connections.limits);
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            error!(%error, "connections cannot be accepted");
            return;
        }
    };
    loop {
        let place = free_place(&front.connections, &places).await;
        match listener.accept().await {
            Ok((stream, peer)) => {
                prepare(&stream);
                let talk = Talk::new(stream, peer, &front, place, &builder);
                lobby.spawn(talk.run(Arc::clone(&front)));
            }
            Err(error) => {
                warn!(%error, "accept failed");
                front.connections.make_place();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A place, for which somebody may have to go first.
async fn free_place(connections: &Connections, places: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    loop {
        if places.available_permits() == 0 {
            connections.make_place();
        }
        let place = Arc::clone(places).acquire_owned();
        if let Ok(Ok(place)) = tokio::time::timeout(ACCEPT_PAUSE, place).await {
            return place;
        }
    }
}

/// Where connections come in, on two threads of their own.
///
/// The door accepts them, and is told by the system what their sockets bring: neither waits for
/// what others have asked. The lobby answers those that have shown no key yet, and has less of the
/// processor than the threads that work for the others. However much there is to refuse, pushes go
/// on, and whoever comes is let in.
struct Entrance {
    door: Option<Runtime>,
    lobby: Option<Runtime>,
}

/// How much less the lobby has, as `nice` has it.
const LOBBY_NICE: i32 = 5;

impl Entrance {
    fn open() -> std::io::Result<Self> {
        let thread = |name, nice| {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .thread_name(name)
                .on_thread_start(move || {
                    // On Linux it is the thread's.
                    if let Err(error) = rustix::process::nice(nice) {
                        debug!(%error, "no lower priority");
                    }
                })
                .enable_all()
                .build()
        };
        Ok(Self {
            door: Some(thread("door", 0)?),
            lobby: Some(thread("lobby", LOBBY_NICE)?),
        })
    }

    /// Begins to accept; `None` if the listener cannot be used.
    fn accept<W: Work>(
        &self,
        listener: TcpListener,
        front: Arc<Front<W>>,
        places: &Arc<Semaphore>,
    ) -> Option<JoinHandle<()>> {
        let (door, lobby) = (self.door.as_ref()?, self.lobby.as_ref()?);
        // The door has to be told of it by the system, and not the thread that bound it.
        let listener = listener
            .into_std()
            .inspect_err(|error| error!(%error, "connections cannot be accepted"))
            .ok()?;
        let lobby = lobby.handle().clone();
        Some(door.spawn(accept_for_ever(listener, front, Arc::clone(places), lobby)))
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        for runtime in [self.door.take(), self.lobby.take()].into_iter().flatten() {
            // It is not to be waited for where nothing may block.
            runtime.shutdown_background();
        }
    }
}

type HttpConnection<W> = auto::Connection<'static, TokioIo<Watched>, Desk<W>, AtOnce>;

/// A connection, for as long as it is there.
struct Talk<W: Work> {
    connection: Pin<Box<HttpConnection<W>>>,
    client: Arc<ClientConnection>,
    done: Instruction,
    _known: Known,
}

impl<W: Work> Talk<W> {
    fn new(
        stream: TcpStream,
        peer: SocketAddr,
        front: &Arc<Front<W>>,
        place: OwnedSemaphorePermit,
        builder: &auto::Builder<AtOnce>,
    ) -> Self {
        let client = front.connections.add(peer);
        let known = Known {
            connections: Arc::clone(&front.connections),
            number: client.number,
            _place: place,
        };
        let desk = Desk {
            front: Arc::clone(front),
            client: Arc::clone(&client),
        };
        let io = TokioIo::new(Watched::new(stream, Arc::clone(&client)));
        let connection = builder.serve_connection(io, desk).into_owned();
        Self {
            connection: Box::pin(connection),
            client,
            done: Instruction::None,
            _known: known,
        }
    }

    /// In the lobby until it has shown a key, and then where its requests are worked on.
    async fn run(mut self, front: Arc<Front<W>>) {
        if self.goes_on(true).await {
            let home = front.work.home();
            home.handle.clone().spawn(async move {
                self.client.move_in();
                self.goes_on(false).await;
                drop(home);
            });
        }
    }

    /// Talks until it ends, or until it has shown a key, if it is in the lobby; whether it goes on.
    async fn goes_on(&mut self, is_in_lobby: bool) -> bool {
        let Self {
            connection,
            client,
            done,
            ..
        } = self;
        while *done < Instruction::Cut {
            let talking = poll_fn(|context| {
                client.begin_turn();
                connection.as_mut().poll(context)
            });
            tokio::select! {
                ended = talking => {
                    if let Err(error) = ended {
                        debug!(peer = %client.peer, %error, "connection ended");
                    }
                    return false;
                }
                instruction = client.told(*done, is_in_lobby) => {
                    if instruction == *done {
                        return true;
                    }
                    *done = instruction;
                }
            }
            if *done == Instruction::Finish {
                connection.as_mut().graceful_shutdown();
            }
        }
        false
    }
}

/// The place of a connection among the others, which ends with it however it ends.
struct Known {
    connections: Arc<Connections>,
    number: u64,
    _place: OwnedSemaphorePermit,
}

impl Drop for Known {
    fn drop(&mut self) {
        self.connections.remove(self.number);
    }
}

fn connection_builder(limits: &Limits) -> auto::Builder<AtOnce> {
    let mut builder = auto::Builder::new(AtOnce);
    builder
        .http1()
        .timer(TokioTimer::new())
        // Heads and idle connections have their times in `Limits`, as those of HTTP/2 have.
        .header_read_timeout(None)
        .max_headers(limits.head_fields)
        .max_buf_size(limits.head_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(answer::PIECE)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    builder
}

fn prepare(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "no TCP_NODELAY");
    }
}

/// Binds, with an error that names the address.
///
/// # Errors
/// If the address cannot be bound.
pub fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listen = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // A restart must not wait for the connections of the last run to time out.
        socket.set_reuseaddr(true)?;
        // Connections have what their listener has.
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|error| {
        std::io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    })
}
