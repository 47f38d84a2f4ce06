//! `tcp-socket`: dials out with `TCP_NODELAY` set, then hands out its two streams once each.
//!
//! ```text
//!   create ──► Idle ──connect──► Connecting ──► Connected{read, write}
//!                                     │               └─ send, receive ──► (halves taken)
//!                                     └──► Failed
//! ```

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;
use wasmtime::component::{Access, Accessor, FutureReader, Resource, StreamReader};

use super::streams::{Receive, Send as SendHalf, error_code};
use super::types::{
    Duration as WitDuration, ErrorCode, HostTcpSocket, HostTcpSocketWithStore, IpAddressFamily,
    IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use super::{NetworkView, Sockets};

/// Keep-alive settings, applied when the connection is made.
#[derive(Clone, Copy, Debug)]
struct KeepAlive {
    enabled: bool,
    idle: Duration,
    interval: Duration,
    count: u32,
}

impl Default for KeepAlive {
    /// On by default: an idle connection to APNs that a middlebox has forgotten is noticed within
    /// two minutes.
    fn default() -> Self {
        Self {
            enabled: true,
            idle: Duration::from_secs(60),
            interval: Duration::from_secs(20),
            count: 3,
        }
    }
}

#[derive(Debug)]
enum SocketState {
    Idle,
    Connecting,
    Connected {
        local: SocketAddr,
        remote: SocketAddr,
        read: Option<OwnedReadHalf>,
        write: Option<OwnedWriteHalf>,
    },
    Failed,
}

/// One outgoing TCP connection.
#[derive(Debug)]
pub struct TcpSocket {
    family: IpAddressFamily,
    keep_alive: KeepAlive,
    state: SocketState,
}

type SocketResult<T> = wasmtime::Result<Result<T, ErrorCode>>;
type Socket = Resource<TcpSocket>;
type EndReader = FutureReader<Result<(), ErrorCode>>;

/// Opens a connection with the usual options.
///
/// # Errors
/// If nobody takes it.
pub(crate) async fn dial(address: SocketAddr) -> std::io::Result<TcpStream> {
    dial_with(address, KeepAlive::default()).await
}

/// Opens the connection and sets its options.
async fn dial_with(address: SocketAddr, keep_alive: KeepAlive) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    socket.set_keepalive(keep_alive.enabled)?;
    if keep_alive.enabled {
        socket.set_tcp_keepalive(
            &socket2::TcpKeepalive::new()
                .with_time(keep_alive.idle)
                .with_interval(keep_alive.interval)
                .with_retries(keep_alive.count),
        )?;
    }
    Ok(stream)
}

impl<T: Send> HostTcpSocketWithStore<T> for Sockets {
    async fn connect(
        store: &Accessor<T, Self>,
        socket: Socket,
        remote: IpSocketAddress,
    ) -> SocketResult<()> {
        let remote = from_wit(remote);
        let started = store.with(|mut access| -> SocketResult<KeepAlive> {
            let NetworkView { table, network } = access.get();
            let allowed = network.allows_address(remote);
            let socket = table.get_mut(&socket)?;
            if !matches!(socket.state, SocketState::Idle) {
                return Ok(Err(ErrorCode::InvalidState));
            }
            if !allowed {
                return Ok(Err(ErrorCode::AccessDenied));
            }
            socket.state = SocketState::Connecting;
            Ok(Ok(socket.keep_alive))
        })?;
        let keep_alive = match started {
            Ok(keep_alive) => keep_alive,
            Err(code) => return Ok(Err(code)),
        };
        let dialled = dial_with(remote, keep_alive).await;
        store.with(|mut access| {
            let socket = access.get().table.get_mut(&socket)?;
            Ok(socket
                .connected(dialled)
                .map_err(|error| error_code(&error)))
        })
    }

    fn send(
        mut store: Access<'_, T, Self>,
        socket: Socket,
        mut data: StreamReader<u8>,
    ) -> wasmtime::Result<EndReader> {
        let half = match &mut store.get().table.get_mut(&socket)?.state {
            SocketState::Connected { write, .. } => write.take(),
            _ => None,
        };
        let Some(half) = half else {
            data.close(&mut store)?;
            return refused(&mut store);
        };
        let (end, ended) = oneshot::channel();
        data.pipe(&mut store, SendHalf::new(half, end))?;
        FutureReader::new(&mut store, ended)
    }

    fn receive(
        mut store: Access<'_, T, Self>,
        socket: Socket,
    ) -> wasmtime::Result<(StreamReader<u8>, EndReader)> {
        let half = match &mut store.get().table.get_mut(&socket)?.state {
            SocketState::Connected { read, .. } => read.take(),
            _ => None,
        };
        let Some(half) = half else {
            let nothing = StreamReader::new(&mut store, std::iter::empty())?;
            return Ok((nothing, refused(&mut store)?));
        };
        let (end, ended) = oneshot::channel();
        let stream = StreamReader::new(&mut store, Receive::new(half, end))?;
        Ok((stream, FutureReader::new(&mut store, ended)?))
    }
}

/// The future of a stream that cannot be had: the socket is not connected, or it was taken before.
fn refused<T: Send>(store: &mut Access<'_, T, Sockets>) -> wasmtime::Result<EndReader> {
    FutureReader::new(store, async {
        wasmtime::error::Ok(Err(ErrorCode::InvalidState))
    })
}

impl TcpSocket {
    fn connected(&mut self, dialled: std::io::Result<TcpStream>) -> std::io::Result<()> {
        let addresses =
            dialled.and_then(|stream| Ok((stream.local_addr()?, stream.peer_addr()?, stream)));
        match addresses {
            Ok((local, remote, stream)) => {
                let (read, write) = stream.into_split();
                let (read, write) = (Some(read), Some(write));
                self.state = SocketState::Connected {
                    local,
                    remote,
                    read,
                    write,
                };
                Ok(())
            }
            Err(error) => {
                self.state = SocketState::Failed;
                Err(error)
            }
        }
    }

    fn set_keep_alive(&mut self, set: impl FnOnce(&mut KeepAlive)) -> Result<(), ErrorCode> {
        if !matches!(self.state, SocketState::Idle) {
            return Err(ErrorCode::InvalidState);
        }
        set(&mut self.keep_alive);
        Ok(())
    }
}

impl HostTcpSocket for NetworkView<'_> {
    fn create(&mut self, family: IpAddressFamily) -> SocketResult<Socket> {
        let socket = TcpSocket {
            family,
            keep_alive: KeepAlive::default(),
            state: SocketState::Idle,
        };
        Ok(Ok(self.table.push(socket)?))
    }

    fn bind(&mut self, _: Socket, _: IpSocketAddress) -> SocketResult<()> {
        Ok(Err(ErrorCode::NotSupported))
    }

    fn listen(&mut self, _: Socket) -> SocketResult<StreamReader<Socket>> {
        Ok(Err(ErrorCode::NotSupported))
    }

    fn get_local_address(&mut self, socket: Socket) -> SocketResult<IpSocketAddress> {
        Ok(match &self.table.get(&socket)?.state {
            SocketState::Connected { local, .. } => Ok(to_wit(*local)),
            _ => Err(ErrorCode::InvalidState),
        })
    }

    fn get_remote_address(&mut self, socket: Socket) -> SocketResult<IpSocketAddress> {
        Ok(match &self.table.get(&socket)?.state {
            SocketState::Connected { remote, .. } => Ok(to_wit(*remote)),
            _ => Err(ErrorCode::InvalidState),
        })
    }

    fn get_is_listening(&mut self, _: Socket) -> wasmtime::Result<bool> {
        Ok(false)
    }

    fn get_address_family(&mut self, socket: Socket) -> wasmtime::Result<IpAddressFamily> {
        Ok(self.table.get(&socket)?.family)
    }

    fn set_listen_backlog_size(&mut self, _: Socket, _: u64) -> SocketResult<()> {
        Ok(Err(ErrorCode::NotSupported))
    }

    fn get_keep_alive_enabled(&mut self, socket: Socket) -> SocketResult<bool> {
        Ok(Ok(self.table.get(&socket)?.keep_alive.enabled))
    }

    fn set_keep_alive_enabled(&mut self, socket: Socket, value: bool) -> SocketResult<()> {
        Ok(self
            .table
            .get_mut(&socket)?
            .set_keep_alive(|keep| keep.enabled = value))
    }

    fn get_keep_alive_idle_time(&mut self, socket: Socket) -> SocketResult<WitDuration> {
        Ok(Ok(nanos(self.table.get(&socket)?.keep_alive.idle)))
    }

    fn set_keep_alive_idle_time(&mut self, socket: Socket, value: WitDuration) -> SocketResult<()> {
        let socket = self.table.get_mut(&socket)?;
        Ok(socket.set_keep_alive(|keep| keep.idle = at_least_a_second(value)))
    }

    fn get_keep_alive_interval(&mut self, socket: Socket) -> SocketResult<WitDuration> {
        Ok(Ok(nanos(self.table.get(&socket)?.keep_alive.interval)))
    }

    fn set_keep_alive_interval(&mut self, socket: Socket, value: WitDuration) -> SocketResult<()> {
        let socket = self.table.get_mut(&socket)?;
        Ok(socket.set_keep_alive(|keep| keep.interval = at_least_a_second(value)))
    }

    fn get_keep_alive_count(&mut self, socket: Socket) -> SocketResult<u32> {
        Ok(Ok(self.table.get(&socket)?.keep_alive.count))
    }

    fn set_keep_alive_count(&mut self, socket: Socket, value: u32) -> SocketResult<()> {
        // Linux takes 1 to 127.
        let socket = self.table.get_mut(&socket)?;
        Ok(socket.set_keep_alive(|keep| keep.count = value.clamp(1, 127)))
    }

    fn get_hop_limit(&mut self, _: Socket) -> SocketResult<u8> {
        Ok(Err(ErrorCode::NotSupported))
    }

    fn set_hop_limit(&mut self, _: Socket, _: u8) -> SocketResult<()> {
        Ok(Err(ErrorCode::NotSupported))
    }

    fn get_receive_buffer_size(&mut self, _: Socket) -> SocketResult<u64> {
        Ok(Err(ErrorCode::NotSupported))
    }

    fn set_receive_buffer_size(&mut self, _: Socket, _: u64) -> SocketResult<()> {
        Ok(Err(ErrorCode::NotSupported))
    }

    fn get_send_buffer_size(&mut self, _: Socket) -> SocketResult<u64> {
        Ok(Err(ErrorCode::NotSupported))
    }

    fn set_send_buffer_size(&mut self, _: Socket, _: u64) -> SocketResult<()> {
        Ok(Err(ErrorCode::NotSupported))
    }

    fn drop(&mut self, socket: Socket) -> wasmtime::Result<()> {
        self.table.delete(socket)?;
        Ok(())
    }
}

fn nanos(duration: Duration) -> WitDuration {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Guest numbers are clamped: the kernel takes whole seconds from 1 to 32767.
fn at_least_a_second(nanos: WitDuration) -> Duration {
    Duration::from_nanos(nanos).clamp(Duration::from_secs(1), Duration::from_secs(32_767))
}

fn from_wit(address: IpSocketAddress) -> SocketAddr {
    match address {
        IpSocketAddress::Ipv4(Ipv4SocketAddress {
            port,
            address: (a, b, c, d),
        }) => SocketAddr::from(([a, b, c, d], port)),
        IpSocketAddress::Ipv6(v6) => {
            let (a, b, c, d, e, f, g, h) = v6.address;
            let ip = Ipv6Addr::new(a, b, c, d, e, f, g, h);
            SocketAddr::V6(SocketAddrV6::new(ip, v6.port, v6.flow_info, v6.scope_id))
        }
    }
}

fn to_wit(address: SocketAddr) -> IpSocketAddress {
    match address {
        SocketAddr::V4(v4) => {
            let [a, b, c, d] = v4.ip().octets();
            IpSocketAddress::Ipv4(Ipv4SocketAddress {
                port: v4.port(),
                address: (a, b, c, d),
            })
        }
        SocketAddr::V6(v6) => {
            let [a, b, c, d, e, f, g, h] = v6.ip().segments();
            IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port: v6.port(),
                flow_info: v6.flowinfo(),
                address: (a, b, c, d, e, f, g, h),
                scope_id: v6.scope_id(),
            })
        }
    }
}
