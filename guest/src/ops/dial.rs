//! `dial`: connects the host to a TCP port as the sandbox sees it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Call;
use crate::connection::{Closed, Served, Stop};
use crate::error::{Code, Failure};
use crate::interfaces;
use crate::race::both;
use crate::stream::{Chunk, Stream};

/// Time for one address to answer; inside the sandbox that is at once.
const CONNECT_TIME: Duration = Duration::from_secs(5);

pub async fn dial(call: Call<'_>) -> Served {
    let port = call.fields.number("port", 1, u16::MAX.into())? as u16;
    let hosts = match call.fields.opt_string("host")? {
        None => {
            let mut hosts = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
            hosts.extend(interfaces::addresses().into_iter().filter(|host| !host.is_loopback()));
            hosts
        }
        Some(host) => vec![host
            .parse()
            .map_err(|_| Failure::invalid("The field 'host' must be an IP address: the agent resolves no names."))?],
    };
    // Whatever the host sends before it has its answer waits in the socket.
    let target = Stream::Tcp(connect(&hosts, port).await?);
    call.writer.reply(&json!({})).await?;
    let Call { stream, reader, .. } = call;
    target.write_all(&reader.into_rest(), &[]).await.map_err(Closed::from)?;
    both(pump(stream, &target), pump(&target, stream)).await.map_err(|_| Stop::Closed)
}

async fn connect(hosts: &[IpAddr], port: u16) -> Result<TcpStream, Failure> {
    let mut refused = io::Error::from_raw_os_error(libc::ECONNREFUSED);
    for host in hosts {
        match timeout(CONNECT_TIME, TcpStream::connect(SocketAddr::new(*host, port))).await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            // What one address alone says is told; of several, that nobody listens.
            Ok(Err(error)) if hosts.len() == 1 => refused = error,
            Err(_) if hosts.len() == 1 => refused = io::Error::from_raw_os_error(libc::ETIMEDOUT),
            _ => {}
        }
    }
    let failure = Failure::from_io(format!("Port {} can't be connected to", port), &refused);
    Err(Failure { code: Code::Unavailable, ..failure })
}

/// Copies until the end of `from`, and passes the end on.
async fn pump(from: &Stream, to: &Stream) -> io::Result<()> {
    loop {
        // What can't be written at once is all that is ever copied aside.
        let rest = from.read_with(|bytes| {
            let written = to.try_write(bytes).or_else(|error| match error.kind() {
                io::ErrorKind::WouldBlock => Ok(0),
                _ => Err(error),
            })?;
            io::Result::Ok(bytes[written..].to_vec())
        });
        match rest.await? {
            Chunk::Eof => {
                to.shutdown_write();
                return Ok(());
            }
            Chunk::Bytes(rest) => to.write_all(&rest?, &[]).await?,
        }
        // Two that are always ready must not keep the loop to themselves.
        tokio::task::yield_now().await;
    }
}
