//! Clients of the service that cost little: requests are made beforehand, and of an answer only
//! what tells success is looked at. All of them run on the calling thread.

mod h2c;
mod http1;
mod lines;

pub use lines::{Lines, lines};

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use tokio::net::TcpStream;

/// Longest wait for all that was asked for.
const PATIENCE: Duration = Duration::from_secs(120);

/// How the service is asked.
#[derive(Debug, Clone, Copy)]
pub enum Protocol {
    /// Keep-alive, one request at a time on each connection.
    Http1,
    /// HTTP/2 without TLS, with so many streams at once on each connection.
    H2c(usize),
}

/// Connections, each asking again as soon as it was answered.
#[derive(Debug, Clone, Copy)]
pub struct Clients {
    pub protocol: Protocol,
    pub connections: usize,
}

/// A request in both protocols.
#[derive(Debug)]
pub struct Call {
    /// Head and body.
    pub http1: Vec<u8>,
    /// A block of HPACK.
    pub headers: Vec<u8>,
    pub body: Vec<u8>,
}

impl Call {
    /// `POST` with a body, `GET` without one.
    pub fn new(path: &str, key: &str, body: Vec<u8>) -> Self {
        let length = body.len();
        let method = if length == 0 { "GET" } else { "POST" };
        let mut http1 = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        )
        .into_bytes();
        http1.extend_from_slice(&body);
        Self {
            http1,
            headers: h2c::headers(path, key, length),
            body,
        }
    }
}

/// Makes the request of a number.
pub type Make<'a> = dyn Fn(u64) -> Rc<Call> + 'a;

/// What is asked for, and what an answer has to have.
pub struct Load<'a> {
    pub address: SocketAddr,
    pub clients: Clients,
    pub requests: u64,
    pub make: &'a Make<'a>,
    pub statuses: Range<u16>,
    /// Somewhere in the first or the last bytes of the body.
    pub expects: &'a str,
}

/// How it went.
#[derive(Debug)]
pub struct Done {
    pub elapsed: Duration,
    /// Of each request, sorted.
    pub times: Vec<Duration>,
}

/// Bytes at both ends of a body in which what is expected has to be.
const ENDS: usize = 512;

impl Load<'_> {
    /// Asks for everything, and fails at the first answer that is another.
    pub fn run(&self) -> Result<Done, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let course = Course {
            load: self,
            asked: Cell::new(0),
            times: RefCell::new(Vec::with_capacity(self.requests as usize)),
        };
        let elapsed = runtime.block_on(async {
            let connect = (0..self.clients.connections).map(|_| connect(self.address));
            let sockets = try_join_all(connect).await?;
            let began = Instant::now();
            let all = join_all(sockets.into_iter().map(|socket| course.connection(socket)));
            let all = tokio::time::timeout(PATIENCE, all).await;
            let elapsed = began.elapsed();
            let all = all.map_err(|_| format!("no end within {PATIENCE:?}"))?;
            all.into_iter().collect::<Result<(), _>>()?;
            Ok::<_, String>(elapsed)
        })?;
        let mut times = course.times.into_inner();
        times.sort_unstable();
        Ok(Done { elapsed, times })
    }
}

/// The requests of one run, which all connections share.
struct Course<'a> {
    load: &'a Load<'a>,
    asked: Cell<u64>,
    times: RefCell<Vec<Duration>>,
}

impl Course<'_> {
    async fn connection(&self, socket: TcpStream) -> Result<(), String> {
        match self.load.clients.protocol {
            Protocol::Http1 => http1::ask(socket, self).await,
            Protocol::H2c(streams) => h2c::ask(socket, streams, self).await,
        }
    }

    fn next(&self) -> Option<Rc<Call>> {
        let number = self.asked.get();
        (number < self.load.requests).then(|| {
            self.asked.set(number + 1);
            (self.load.make)(number)
        })
    }

    fn answered(&self, asked: Instant, status: u16, body: &[u8]) -> Result<(), String> {
        self.times.borrow_mut().push(asked.elapsed());
        if self.load.statuses.contains(&status) && has(body, self.load.expects) {
            return Ok(());
        }
        let shown = body.get(..body.len().min(ENDS)).unwrap_or_default();
        Err(format!(
            "expected {:?} with {}, got {status} with {}",
            self.load.statuses,
            self.load.expects,
            String::from_utf8_lossy(shown)
        ))
    }
}

fn has(body: &[u8], expected: &str) -> bool {
    let first = body.get(..body.len().min(ENDS)).unwrap_or_default();
    let last = body.get(body.len().saturating_sub(ENDS)..);
    let has = |bytes: &[u8]| {
        let mut windows = bytes.windows(expected.len());
        windows.any(|window| window == expected.as_bytes())
    };
    expected.is_empty() || has(first) || has(last.unwrap_or_default())
}

async fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    let connected = TcpStream::connect(address).await;
    let socket = connected.map_err(|error| format!("connecting: {error}"))?;
    socket.set_nodelay(true).map_err(lost)?;
    Ok(socket)
}

/// Of an error on the way, what to say.
fn lost(error: std::io::Error) -> String {
    format!("the service's connection: {error}")
}
