//! A byte stream over either transport. All methods take `&self`, so that one task can read and write at once.

use std::io::{self, IoSlice};
use std::os::unix::io::{AsRawFd, RawFd};

use tokio::net::{TcpStream, UnixStream};

use crate::scratch::with_scratch;

pub enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// What one read brought.
pub enum Chunk<T> {
    Bytes(T),
    Eof,
}

impl Stream {
    /// Waits for bytes and hands them to `take` at once; they are gone when it returns. Safe to cancel.
    pub async fn read_with<T>(&self, mut take: impl FnMut(&[u8]) -> T) -> io::Result<Chunk<T>> {
        loop {
            let read = with_scratch(|buffer| {
                self.try_read(buffer).map(|bytes| match bytes {
                    0 => Chunk::Eof,
                    bytes => Chunk::Bytes(take(&buffer[..bytes])),
                })
            });
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable().await?,
                result => return result,
            }
        }
    }

    /// Writes all of both parts, the second behind the first. Not safe to cancel: a part may be out.
    pub async fn write_all(&self, first: &[u8], second: &[u8]) -> io::Result<()> {
        let total = first.len() + second.len();
        let mut written = 0;
        while written < total {
            let head = &first[written.min(first.len())..];
            let tail = &second[written.saturating_sub(first.len())..];
            match self.try_write_vectored(&[IoSlice::new(head), IoSlice::new(tail)]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => written += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes what the socket takes without waiting.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.try_write(bytes),
            Stream::Tcp(stream) => stream.try_write(bytes),
        }
    }

    /// Sends what a socket that was accepted just now takes, before the event loop knows it. Best effort.
    pub fn send_now(&self, bytes: &[u8]) {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        unsafe { libc::send(self.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) };
    }

    /// Tells the peer that no more bytes come. One that is gone needs no telling.
    pub fn shutdown_write(&self) {
        unsafe { libc::shutdown(self.as_raw_fd(), libc::SHUT_WR) };
    }

    fn as_raw_fd(&self) -> RawFd {
        match self {
            Stream::Unix(stream) => stream.as_raw_fd(),
            Stream::Tcp(stream) => stream.as_raw_fd(),
        }
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.try_read(buffer),
            Stream::Tcp(stream) => stream.try_read(buffer),
        }
    }

    fn try_write_vectored(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.try_write_vectored(parts),
            Stream::Tcp(stream) => stream.try_write_vectored(parts),
        }
    }

    async fn readable(&self) -> io::Result<()> {
        match self {
            Stream::Unix(stream) => stream.readable().await,
            Stream::Tcp(stream) => stream.readable().await,
        }
    }

    async fn writable(&self) -> io::Result<()> {
        match self {
            Stream::Unix(stream) => stream.writable().await,
            Stream::Tcp(stream) => stream.writable().await,
        }
    }
}
