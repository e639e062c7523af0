//! The sockets through which name servers are asked.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use hickory_net::runtime::{RuntimeProvider, TokioRuntimeProvider};

type Opening<T> = Pin<Box<dyn Send + Future<Output = io::Result<T>>>>;

/// tokio's sockets, with UDP ones connected to the name server: the kernel then drops what others
/// send, and a server that is not there is known at once (ICMP) and not after a time-out. The
/// library asks for unconnected ones, because other systems refuse to send to an address on a
/// connected socket; Linux does not (udp(7)).
#[derive(Clone, Default)]
pub(super) struct Wire(TokioRuntimeProvider);

impl RuntimeProvider for Wire {
    type Handle = <TokioRuntimeProvider as RuntimeProvider>::Handle;
    type Timer = <TokioRuntimeProvider as RuntimeProvider>::Timer;
    type Udp = <TokioRuntimeProvider as RuntimeProvider>::Udp;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> Self::Handle {
        self.0.create_handle()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        local: Option<SocketAddr>,
        patience: Option<Duration>,
    ) -> Opening<Self::Tcp> {
        self.0.connect_tcp(server, local, patience)
    }

    fn bind_udp(&self, local: SocketAddr, server: SocketAddr) -> Opening<Self::Udp> {
        let binding = self.0.bind_udp(local, server);
        Box::pin(async move {
            let socket = binding.await?;
            socket.connect(server).await?;
            Ok(socket)
        })
    }
}
