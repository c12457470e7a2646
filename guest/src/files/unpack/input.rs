//! The bytes of an archive, as they come from the host, and what they are: a tar, or a tar within gzip.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use tokio::sync::mpsc::Receiver;

/// What the host sends.
pub enum Piece {
    Bytes(Vec<u8>),
    /// That was all; without it the host has given up
    End,
}

/// Bytes from the host, waited for.
pub struct Input {
    pieces: Receiver<Piece>,
    current: Vec<u8>,
    taken: usize,
    has_ended: bool,
}

impl Input {
    pub fn new(pieces: Receiver<Piece>) -> Input {
        Input { pieces, current: Vec::new(), taken: 0, has_ended: false }
    }

    /// The archive within: gzip is told by its first two bytes.
    pub fn open(mut self, meter: Rc<Meter>) -> io::Result<Archive> {
        let mut first = Vec::new();
        while first.len() < 2 {
            let piece = self.fill_buf()?;
            if piece.is_empty() {
                break;
            }
            first.extend_from_slice(piece);
            let length = piece.len();
            self.consume(length);
        }
        let is_gzip = first.starts_with(&[0x1f, 0x8b]);
        (self.current, self.taken) = (first, 0);
        let source = match is_gzip {
            true => Source::Gzip(Box::new(MultiGzDecoder::new(self))),
            false => Source::Plain(self),
        };
        Ok(Archive { source, meter })
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.taken == self.current.len() && !self.has_ended {
            match self.pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => (self.current, self.taken) = (bytes, 0),
                Some(Piece::End) => self.has_ended = true,
                None => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
        Ok(&self.current[self.taken..])
    }

    fn consume(&mut self, bytes: usize) {
        self.taken += bytes;
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?.read(buffer)?;
        self.consume(bytes);
        Ok(bytes)
    }
}

/// How much may be read of an archive before the next entry has come: what describes entries is kept in memory whole.
#[derive(Default)]
pub struct Meter {
    allowance: Cell<u64>,
    is_at_end: Cell<bool>,
}

impl Meter {
    pub fn allow(&self, bytes: u64) {
        self.allowance.set(bytes);
    }

    /// Whether all of the archive has been read.
    pub fn is_at_end(&self) -> bool {
        self.is_at_end.get()
    }
}

enum Source {
    Plain(Input),
    Gzip(Box<MultiGzDecoder<Input>>),
}

/// The tar itself.
pub struct Archive {
    source: Source,
    meter: Rc<Meter>,
}

impl Archive {
    /// Takes in what the host still sends, of which nothing is wanted.
    pub fn drain(self) -> io::Result<()> {
        let mut input = match self.source {
            Source::Plain(input) => input,
            Source::Gzip(decoder) => decoder.into_inner(),
        };
        loop {
            let length = input.fill_buf()?.len();
            if length == 0 {
                return Ok(());
            }
            input.consume(length);
        }
    }
}

impl Read for Archive {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.meter.allowance.get();
        if left == 0 && !buffer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "what describes an entry is too long"));
        }
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let bytes = match &mut self.source {
            Source::Plain(input) => input.read(&mut buffer[..wanted]),
            Source::Gzip(decoder) => decoder.read(&mut buffer[..wanted]),
        }?;
        self.meter.allowance.set(left - bytes as u64);
        self.meter.is_at_end.set(bytes == 0 && wanted > 0);
        Ok(bytes)
    }
}
