//! Listening on loopback, and on nothing else.

use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error(
        "{address} is not a loopback address: the HTTP API checks no credentials here, so only this machine may call it. \
         Use 127.0.0.1 or [::1]."
    )]
    NotLoopback { address: SocketAddr },
    #[error("{address} is taken by another program: stop it, or use another port (0 takes any free one)")]
    Taken { address: SocketAddr },
    #[error("cannot listen on {address}: {source}")]
    Refused { address: SocketAddr, source: std::io::Error },
}

/// A bound loopback listener, for whichever runtime serves it.
pub(crate) struct Listening {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listening {
    /// Listens on a loopback address; port 0 takes any free one.
    pub(crate) fn on(address: SocketAddr) -> Result<Self, ListenError> {
        if !address.ip().is_loopback() {
            return Err(ListenError::NotLoopback { address });
        }
        let refused = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::AddrInUse => ListenError::Taken { address },
            _ => ListenError::Refused { address, source },
        };
        let listener = bind(address).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, address })
    }

    /// The bound address, with the actual port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The listener, registered with the current Tokio runtime.
    pub(crate) fn into_tokio(self) -> Result<tokio::net::TcpListener, ListenError> {
        let address = self.address;
        tokio::net::TcpListener::from_std(self.listener)
            .map_err(|source| ListenError::Refused { address, source })
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
