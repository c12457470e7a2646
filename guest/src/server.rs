//! Accepts connections and serves one request on each.

use std::cell::Cell;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::io::{FromRawFd, RawFd};
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::time::{sleep, timeout};

use crate::agent::Agent;
use crate::args::Listen;
use crate::connection::{linger, Closed, Reader, Served, Stop, Writer};
use crate::error::{Code, Failure};
use crate::fields::Fields;
use crate::frame::{header, Incoming, Outgoing, SECRET_BYTES};
use crate::init::release_memory;
use crate::ops::{self, Call};
use crate::stream::Stream;

/// Connections served at once.
const CONNECTIONS_MAX: usize = 4096;
/// After this many at once the heap is worth tidying.
const BURST_CONNECTIONS: usize = 64;
/// Time for a host to send its request, authentication included.
const REQUEST_TIME: Duration = Duration::from_secs(10);
/// Time before the next try when the system has no room for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What a host must know to be served over TCP.
pub struct Secret([u8; SECRET_BYTES]);

impl Secret {
    pub fn new(bytes: [u8; SECRET_BYTES]) -> Secret {
        Secret(bytes)
    }

    /// Takes the same time wherever the two differ: the volatile reads keep the compiler from stopping early.
    fn matches(&self, given: &[u8]) -> bool {
        let mut difference = (given.len() != SECRET_BYTES) as u8;
        for (ours, theirs) in self.0.iter().zip(given) {
            difference |= unsafe { std::ptr::read_volatile(ours) } ^ theirs;
        }
        difference == 0
    }
}

enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

pub struct Server {
    listener: Listener,
    agent: Rc<Agent>,
    secret: Option<Secret>,
    connections: Cell<usize>,
    /// Most connections since there were none
    busiest: Cell<usize>,
}

impl Server {
    /// Starts to listen, unless a socket that listens was given. A unix socket gets mode 0600 and takes the place of a
    /// stale one.
    pub async fn bind(listen: &Listen, agent: Rc<Agent>, secret: Option<Secret>) -> io::Result<Rc<Server>> {
        let listener = match listen {
            Listen::Unix(path) => Listener::Unix(bind_unix(path)?),
            Listen::Fd(fd) => Listener::Unix(inherit_unix(*fd)?),
            Listen::Tcp(address) => Listener::Tcp(TcpListener::bind(address).await?),
        };
        Ok(Rc::new(Server { listener, agent, secret, connections: Cell::new(0), busiest: Cell::new(0) }))
    }

    /// Serves for as long as the agent lives.
    pub async fn run(self: Rc<Self>) {
        loop {
            match self.accept().await {
                Ok(stream) if self.connections.get() < CONNECTIONS_MAX => {
                    self.count_up();
                    let server = Rc::clone(&self);
                    tokio::task::spawn_local(async move {
                        server.serve(&stream).await;
                        server.count_down();
                    });
                }
                Ok(stream) => refuse(&stream),
                // Out of files, or a connection that went before it was taken.
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    fn count_up(&self) {
        self.connections.set(self.connections.get() + 1);
        self.busiest.set(self.busiest.get().max(self.connections.get()));
    }

    fn count_down(&self) {
        self.connections.set(self.connections.get() - 1);
        if self.connections.get() == 0 && self.busiest.replace(0) >= BURST_CONNECTIONS {
            release_memory();
        }
    }

    async fn accept(&self) -> io::Result<Stream> {
        match &self.listener {
            Listener::Unix(listener) => Ok(Stream::Unix(listener.accept().await?.0)),
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
        }
    }

    async fn serve(&self, stream: &Stream) {
        match self.request(stream).await {
            Ok(()) | Err(Stop::Closed) => {}
            Err(Stop::Failed(failure)) => {
                if Writer::new(stream).error(&failure).await.is_ok() {
                    linger(stream).await;
                }
            }
        }
    }

    async fn request(&self, stream: &Stream) -> Served {
        let mut reader = Reader::new(stream);
        let payload = timeout(REQUEST_TIME, self.admit(&mut reader)).await.map_err(|_| Closed)??;
        let fields = Fields::parse(&payload)?;
        drop(payload);
        let call = Call { agent: &self.agent, fields, stream, reader, writer: Writer::new(stream) };
        ops::serve(call).await
    }

    /// The request's payload, once the host has shown the secret if there is one.
    async fn admit(&self, reader: &mut Reader<'_>) -> Result<Vec<u8>, Closed> {
        if let Some(secret) = &self.secret {
            let frame = reader.next(&[Incoming::Auth]).await?;
            if !secret.matches(&frame.payload) {
                return Err(Closed);
            }
        }
        Ok(reader.next(&[Incoming::Request]).await?.payload)
    }
}

fn bind_unix(path: &str) -> io::Result<UnixListener> {
    if fs::symlink_metadata(path).map_or(false, |metadata| metadata.file_type().is_socket()) {
        fs::remove_file(path)?;
    }
    // The mode is there from the start, so nobody else gets in between.
    let umask = unsafe { libc::umask(0o177) };
    let listener = UnixListener::bind(path);
    unsafe { libc::umask(umask) };
    let listener = listener?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// The descriptor that this process was started with. Errors: it is no unix socket that listens.
fn inherit_unix(fd: RawFd) -> io::Result<UnixListener> {
    for (option, expected) in [(libc::SO_DOMAIN, libc::AF_UNIX), (libc::SO_ACCEPTCONN, 1)] {
        let (mut value, mut length) = (0 as libc::c_int, std::mem::size_of::<libc::c_int>() as libc::socklen_t);
        let pointer = (&mut value as *mut libc::c_int).cast();
        if unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, option, pointer, &mut length) } != 0 {
            return Err(io::Error::last_os_error());
        }
        if value != expected {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the descriptor is no unix socket that listens"));
        }
    }
    // It was opened for this process, and nothing else here knows of it.
    let listener = unsafe { std::os::unix::net::UnixListener::from_raw_fd(fd) };
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// Says why, as far as it can be said without waiting.
fn refuse(stream: &Stream) {
    let message = format!("The agent already serves {} connections, which is the most.", CONNECTIONS_MAX);
    let payload = Failure::new(Code::ResourceExhausted, message).to_json().to_string();
    let mut frame = header(Outgoing::Error, payload.len()).to_vec();
    frame.extend_from_slice(payload.as_bytes());
    stream.send_now(&frame);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_secret_matches() {
        let secret = Secret::new([b'a'; SECRET_BYTES]);
        assert!(secret.matches(&[b'a'; SECRET_BYTES]));
        assert!(!secret.matches(&[b'a'; SECRET_BYTES - 1]));
        assert!(!secret.matches(b""));
        let mut other = [b'a'; SECRET_BYTES];
        other[63] = b'b';
        assert!(!secret.matches(&other));
    }
}
