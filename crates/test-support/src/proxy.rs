//! An HTTP proxy that opens tunnels, or does something else when it is asked to: CONNECT and
//! nothing more (RFC 9110, section 9.3.6).
//!
//! It knows every name as 127.0.0.1, so what comes through it was not looked up by who asked.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the proxy does when it is asked for a tunnel.
#[derive(Clone, Copy, Debug)]
pub enum Manner {
    /// Opens it.
    Open,
    /// Says this and closes.
    Say(&'static str),
    /// Says nothing and keeps the connection.
    Hang,
}

/// A running proxy; dropped, it takes no more connections.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts one on a free port of loopback.
    pub async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let heads = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, manner, Arc::clone(&heads)));
            }
        });
        Self {
            address,
            asked,
            task,
        }
    }

    /// The heads of the requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut client: TcpStream, manner: Manner, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match client.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    heads.lock().unwrap().push(head.clone());
    let target = head.strip_prefix("CONNECT ").expect("CONNECT");
    let (target, _) = target.split_once(' ').expect("a target");
    let (_, port) = target.rsplit_once(':').expect("a port");
    match manner {
        Manner::Open => {
            let server = (Ipv4Addr::LOCALHOST, port.parse().unwrap());
            let mut server = TcpStream::connect(server).await.unwrap();
            let reply = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 tests\r\n\r\n";
            // In two pieces, as networks may have it.
            client.write_all(&reply[..20]).await.unwrap();
            client.flush().await.unwrap();
            tokio::task::yield_now().await;
            client.write_all(&reply[20..]).await.unwrap();
            let _ = copy_bidirectional(&mut client, &mut server).await;
        }
        Manner::Say(reply) => {
            let _ = client.write_all(reply.as_bytes()).await;
        }
        Manner::Hang => {
            let _ = client.read_u8().await;
        }
    }
}
