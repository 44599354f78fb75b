//! Listening on loopback, and on nothing else.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is open to other machines.
    #[error(
        "{address} is no loopback address; credentials are not checked here, so only this machine may call: use 127.0.0.1 or [::1]"
    )]
    NotLoopback {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// Another program listens there.
    #[error("{address} is taken by another program; stop it or take another port (0 takes any free one)")]
    Taken {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// The operating system refused for another reason.
    #[error("cannot listen on {address}: {source}")]
    Refused {
        /// The address that was asked for.
        address: SocketAddr,
        /// The operating system's reason.
        source: std::io::Error,
    },
}

/// A listener on a loopback address, and its address with the port that it got. Its connections send small answers at
/// once. Needs a runtime.
pub(crate) fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ListenError> {
    if !address.ip().is_loopback() {
        return Err(ListenError::NotLoopback { address });
    }
    let listener = bind(address).map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => ListenError::Taken { address },
        _ => ListenError::Refused { address, source },
    })?;
    let address = listener.local_addr().map_err(|source| ListenError::Refused { address, source })?;
    Ok((listener, address))
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Accepted connections inherit it; dynoxide takes a listener and leaves its connections as they come.
    socket.set_nodelay(true)?;
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}
