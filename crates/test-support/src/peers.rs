//! Programs that are not ours, as the other side of a test: found on `PATH`, run on loopback,
//! killed when the test is done with them.

use std::env;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Nothing is waited for any longer than this.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Where the program is. Without it the test is to be skipped, with the reason printed.
///
/// # Panics
/// If it is absent and the environment says `DUNLIN_REQUIRE_PEERS=1`.
pub fn require(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        let package = PACKAGES.iter().find(|(program, _)| *program == name);
        let package = package.map_or(name, |(_, package)| package);
        let remedy = format!("apt-get install {package}");
        crate::skip(&format!("{name} is not on PATH"), &remedy);
    }
    found
}

/// The packages of Debian with programs of other names.
const PACKAGES: [(&str, &str); 5] = [
    ("nghttpd", "nghttp2-server"),
    ("nghttp", "nghttp2-client"),
    ("h2load", "nghttp2-client"),
    ("node", "nodejs"),
    ("tinyproxy", "tinyproxy-bin"),
];

/// A child process that listens on loopback and does not outlive this.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts a program that takes its port as an argument: `command` makes it from a free port.
    /// The port may be taken by somebody else in between, so another one is tried then.
    pub fn on_free_port(command: impl Fn(u16) -> Command) -> Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let address = free_address();
            let mut command = command(address.port());
            let child = command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let mut server = Self {
                child: child.spawn().unwrap(),
                address,
            };
            if server.answers(deadline) {
                return server;
            }
            assert!(Instant::now() < deadline, "{command:?} does not listen");
        }
    }

    /// Starts a program that prints its port as its first line, and ends with its input.
    pub fn that_prints_its_port(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let port = line.trim().parse().unwrap_or(0);
        let server = Self {
            child,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        };
        assert_ne!(port, 0, "{command:?} printed no port but {line:?}");
        server
    }

    /// Tries to connect until the program listens or has ended.
    fn answers(&mut self, deadline: Instant) -> bool {
        while Instant::now() < deadline {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_ok() {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
}
