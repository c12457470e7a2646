//! One connection of the host: frames in and out, and the ways it ends.

use std::io;
use std::time::Duration;

use serde_json::Value;

use crate::error::{Code, Failure};
use crate::frame::{header, Decoder, Frame, Gathered, Incoming, Outgoing, Violation, JSON_MAX_BYTES};
use crate::stream::{Chunk, Stream};

/// Time that a host gets to take an error in while it still sends, before the connection goes.
const LINGER: Duration = Duration::from_secs(5);

/// The connection is of no more use: the host is gone or broke the protocol. There is nobody to tell.
#[derive(Debug)]
pub struct Closed;

impl From<io::Error> for Closed {
    fn from(_: io::Error) -> Closed {
        Closed
    }
}

impl From<Violation> for Closed {
    fn from(_: Violation) -> Closed {
        Closed
    }
}

/// Why an operation stopped before its end.
#[derive(Debug)]
pub enum Stop {
    /// To be told to the host
    Failed(Failure),
    Closed,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure)
    }
}

impl From<Closed> for Stop {
    fn from(_: Closed) -> Stop {
        Stop::Closed
    }
}

/// What an operation that serves a connection comes to.
pub type Served = Result<(), Stop>;

/// The host's half of a connection.
pub struct Reader<'a> {
    stream: &'a Stream,
    decoder: Decoder,
}

impl<'a> Reader<'a> {
    pub fn new(stream: &'a Stream) -> Reader<'a> {
        Reader { stream, decoder: Decoder::default() }
    }

    /// The next frame, which must be one of `admitted`. Safe to cancel.
    pub async fn next(&mut self, admitted: &[Incoming]) -> Result<Frame, Closed> {
        loop {
            if let Some(frame) = self.decoder.next(admitted)? {
                return Ok(frame);
            }
            let decoder = &mut self.decoder;
            match self.stream.read_with(|bytes| decoder.push(bytes)).await? {
                Chunk::Bytes(()) => {}
                Chunk::Eof => return Err(Closed),
            }
        }
    }

    /// Appends input to `into` until that has `limit` bytes or all has come. Returns whether it is all. Not safe to cancel.
    pub async fn gather(&mut self, into: &mut Vec<u8>, limit: usize) -> Result<bool, Closed> {
        let mut gathered = self.decoder.gather(into, limit)?;
        while gathered == Gathered::Some {
            let decoder = &mut self.decoder;
            match self.stream.read_with(|bytes| decoder.gather_from(bytes, into, limit)).await? {
                Chunk::Bytes(now) => gathered = now?,
                Chunk::Eof => return Err(Closed),
            }
        }
        Ok(gathered == Gathered::All)
    }

    /// Resolves when the host closes or sends anything, where the operation admits nothing. Safe to cancel.
    pub async fn closed(&mut self) -> Closed {
        match self.next(&[]).await {
            Ok(_) => Closed,
            Err(closed) => closed,
        }
    }

    /// Bytes that arrived behind the last frame.
    pub fn into_rest(self) -> Vec<u8> {
        self.decoder.into_rest()
    }
}

/// The agent's half of a connection.
#[derive(Clone, Copy)]
pub struct Writer<'a> {
    stream: &'a Stream,
}

impl<'a> Writer<'a> {
    pub fn new(stream: &'a Stream) -> Writer<'a> {
        Writer { stream }
    }

    /// Sends a frame of bytes, at most `BYTES_MAX_BYTES`. Not safe to cancel.
    pub async fn bytes(self, kind: Outgoing, payload: &[u8]) -> Result<(), Closed> {
        self.stream.write_all(&header(kind, payload.len()), payload).await?;
        Ok(())
    }

    pub async fn reply(self, value: &Value) -> Served {
        self.json(Outgoing::Reply, value).await
    }

    pub async fn item(self, value: &Value) -> Served {
        self.json(Outgoing::Item, value).await
    }

    pub async fn end(self, value: &Value) -> Served {
        self.json(Outgoing::End, value).await
    }

    pub async fn error(self, failure: &Failure) -> Result<(), Closed> {
        self.bytes(Outgoing::Error, failure.to_json().to_string().as_bytes()).await
    }

    async fn json(self, kind: Outgoing, value: &Value) -> Served {
        self.text(kind, &value.to_string()).await
    }

    /// Sends JSON that is text already.
    pub async fn text(self, kind: Outgoing, payload: &str) -> Served {
        if payload.len() > JSON_MAX_BYTES {
            return Err(Failure::new(Code::ResourceExhausted, "The answer is longer than 4 MiB.").into());
        }
        Ok(self.bytes(kind, payload.as_bytes()).await?)
    }
}

/// Takes in and drops what the host still sends, until it closes: a socket closed with unread bytes would be reset,
/// and the host might never see the error that was its answer.
pub async fn linger(stream: &Stream) {
    stream.shutdown_write();
    let drain = async { while let Ok(Chunk::Bytes(())) = stream.read_with(|_| ()).await {} };
    let _ = tokio::time::timeout(LINGER, drain).await;
}
