//! An end to connections of this machine whose other end is gone and says nothing of it, as a guest with a kernel of its own that was
//! killed. Else whoever reads from one would wait for good.

use std::io;
use std::net::Ipv4Addr;

use super::netlink::{Batch, Socket};

const BY_FAMILY: u16 = 20;
const DESTROY: u16 = 21;
/// Connections that have begun, and not only linger: established, being made, or half closed.
const STATES: u32 = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9;
const ID: std::ops::Range<usize> = 4..52;
/// Of the peer's address, in a message about a socket
const PEER: std::ops::Range<usize> = 24..28;
const AT_ONCE: usize = 64;

/// Ends all TCP connections of the thread's name space to this address; whoever has them is told at once. Errors: also where the kernel
/// can't end connections of others.
pub fn cut_connections(to: Ipv4Addr) -> io::Result<()> {
    let mut socket = Socket::open(libc::NETLINK_SOCK_DIAG)?;
    let mut batch = Batch::default();
    batch.put(BY_FAMILY, libc::NLM_F_DUMP, &header(&[0; 48]), |_| {});
    let mut found: Vec<[u8; 48]> = Vec::new();
    socket.dump(batch, |body| {
        if body.get(PEER) == Some(&to.octets()) {
            found.extend(body.get(ID).and_then(|id| <[u8; 48]>::try_from(id).ok()));
        }
    })?;
    for some in found.chunks(AT_ONCE) {
        let mut batch = Batch::default();
        for id in some {
            batch.add(DESTROY, 0, &header(id), |_| {});
        }
        match socket.request(batch) {
            // It has ended by itself meanwhile.
            Err((_, error)) if error.raw_os_error() != Some(libc::ENOENT) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn header(id: &[u8; 48]) -> Vec<u8> {
    let mut header = vec![libc::AF_INET as u8, libc::IPPROTO_TCP as u8, 0, 0];
    header.extend_from_slice(&STATES.to_ne_bytes());
    header.extend_from_slice(id);
    header
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn who_reads_from_a_connection_that_is_cut_is_told() {
        let (address, other) = (Ipv4Addr::new(127, 77, 3, 9), Ipv4Addr::new(127, 77, 3, 10));
        let connect = |address| {
            let listener = TcpListener::bind((address, 0)).unwrap();
            let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (stream, listener.accept().unwrap().0)
        };
        let ((mut cut, _peer), (kept, mut kept_peer)) = (connect(address), connect(other));
        cut_connections(address).unwrap();
        assert_eq!(cut.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        io::Write::write_all(&mut &kept, b"x").unwrap();
        assert_eq!(kept_peer.read(&mut [0]).unwrap(), 1);
    }
}
