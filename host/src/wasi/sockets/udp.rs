//! UDP, which the function does not get: every call answers `not-supported`.

use wasmtime::component::{Accessor, Resource};

use super::types::{
    ErrorCode, HostUdpSocket, HostUdpSocketWithStore, IpAddressFamily, IpSocketAddress,
};
use super::{NetworkView, Sockets};

/// Never made.
#[derive(Debug)]
pub enum UdpSocket {}

type SocketResult<T> = wasmtime::Result<Result<T, ErrorCode>>;
type Socket = Resource<UdpSocket>;

fn refuse<T>() -> SocketResult<T> {
    Ok(Err(ErrorCode::NotSupported))
}

impl<T: Send> HostUdpSocketWithStore<T> for Sockets {
    async fn send(
        _: &Accessor<T, Self>,
        _: Socket,
        _: Vec<u8>,
        _: Option<IpSocketAddress>,
    ) -> SocketResult<()> {
        refuse()
    }

    async fn receive(_: &Accessor<T, Self>, _: Socket) -> SocketResult<(Vec<u8>, IpSocketAddress)> {
        refuse()
    }
}

impl HostUdpSocket for NetworkView<'_> {
    fn create(&mut self, _: IpAddressFamily) -> SocketResult<Socket> {
        refuse()
    }

    fn bind(&mut self, _: Socket, _: IpSocketAddress) -> SocketResult<()> {
        refuse()
    }

    fn connect(&mut self, _: Socket, _: IpSocketAddress) -> SocketResult<()> {
        refuse()
    }

    fn disconnect(&mut self, _: Socket) -> SocketResult<()> {
        refuse()
    }

    fn get_local_address(&mut self, _: Socket) -> SocketResult<IpSocketAddress> {
        refuse()
    }

    fn get_remote_address(&mut self, _: Socket) -> SocketResult<IpSocketAddress> {
        refuse()
    }

    fn get_address_family(&mut self, _: Socket) -> wasmtime::Result<IpAddressFamily> {
        Err(wasmtime::format_err!("there are no UDP sockets"))
    }

    fn get_unicast_hop_limit(&mut self, _: Socket) -> SocketResult<u8> {
        refuse()
    }

    fn set_unicast_hop_limit(&mut self, _: Socket, _: u8) -> SocketResult<()> {
        refuse()
    }

    fn get_receive_buffer_size(&mut self, _: Socket) -> SocketResult<u64> {
        refuse()
    }

    fn set_receive_buffer_size(&mut self, _: Socket, _: u64) -> SocketResult<()> {
        refuse()
    }

    fn get_send_buffer_size(&mut self, _: Socket) -> SocketResult<u64> {
        refuse()
    }

    fn set_send_buffer_size(&mut self, _: Socket, _: u64) -> SocketResult<()> {
        refuse()
    }

    fn drop(&mut self, socket: Socket) -> wasmtime::Result<()> {
        self.table.delete(socket)?;
        Ok(())
    }
}
