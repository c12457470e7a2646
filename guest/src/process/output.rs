//! From a process's pipes to its subscribers. With several subscribers each gets every byte and the slowest sets the
//! pace: while a subscriber's queue is full nothing is read, and the process waits in its own write. With none, what is
//! read is dropped, so that no process blocks.

use std::cell::RefCell;
use std::io;
use std::os::unix::io::{AsRawFd, OwnedFd};
use std::rc::Rc;

use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, watch, Mutex};

use super::replay::Ring;
use super::status::End;
use crate::frame::Outgoing;
use crate::race::{race, Either};
use crate::scratch::with_scratch;

/// Most bytes of one frame from stdout or stderr (e2b-wire 3.2).
pub const PIPE_CHUNK_BYTES: usize = 32 * 1024;
/// Most bytes of one frame from a terminal.
pub const PTY_CHUNK_BYTES: usize = 16 * 1024;
/// Events that wait for one subscriber, at most: half a megabyte with the largest chunks.
const QUEUE_EVENTS: usize = 16;
/// What a pipe can hold at most; bounds how long a process that goes on writing can keep an end waiting.
const DRAIN_MAX_BYTES: usize = 1024 * 1024;

/// What a subscriber hears.
#[derive(Clone)]
pub enum Event {
    Bytes(Outgoing, Rc<[u8]>),
    /// The last event
    End(End),
}

/// The subscribers of one process, and what those to come will want to know.
pub struct Output {
    pub ring: Rc<Ring>,
    subscribers: RefCell<Vec<mpsc::Sender<Event>>>,
    /// Held for each event, so that all subscribers and the ring have one order of the outputs
    turn: Mutex<()>,
}

impl Output {
    pub fn new(ring: Rc<Ring>) -> Output {
        Output { ring, subscribers: RefCell::default(), turn: Mutex::default() }
    }

    /// Everything from now on. Dropping the receiver ends the subscription.
    pub fn subscribe(&self) -> mpsc::Receiver<Event> {
        let (sender, receiver) = mpsc::channel(QUEUE_EVENTS);
        self.subscribers.borrow_mut().push(sender);
        receiver
    }

    /// Hands an event to every subscriber, waiting for those whose queue is full.
    pub async fn publish(&self, event: Event) {
        let _turn = self.turn.lock().await;
        if let Event::Bytes(kind, bytes) = &event {
            self.ring.push(*kind, bytes);
        }
        let subscribers = self.subscribers.borrow().clone();
        for subscriber in &subscribers {
            // One that is gone is dropped below.
            let _ = subscriber.send(event.clone()).await;
        }
        self.subscribers.borrow_mut().retain(|subscriber| !subscriber.is_closed());
    }

    /// Ends every subscription, after the `end` event.
    pub fn close(&self) {
        self.subscribers.borrow_mut().clear();
    }
}

/// One of a process's outputs.
pub struct Source {
    pub fd: Rc<AsyncFd<OwnedFd>>,
    pub kind: Outgoing,
}

impl Source {
    /// Publishes until the other side is closed by all who hold it or, once `drain` says so, until what is already
    /// in the pipe has been read.
    pub async fn pump(self, output: Rc<Output>, mut drain: watch::Receiver<bool>) {
        loop {
            let readable = match race(drain.wait_for(|drain| *drain), self.fd.readable()).await {
                Either::Left(_) => return self.drain(&output).await,
                Either::Right(readable) => readable,
            };
            let read = match readable {
                Err(_) => return,
                Ok(mut guard) => match guard.try_io(|fd| self.read(fd.as_raw_fd())) {
                    Err(_would_block) => continue,
                    Ok(read) => read,
                },
            };
            match read {
                Ok(Some(bytes)) => output.publish(Event::Bytes(self.kind, bytes)).await,
                // A terminal without a process on its other side answers EIO.
                Ok(None) | Err(_) => return,
            }
            // A process that never stops writing must not keep the loop to itself.
            tokio::task::yield_now().await;
        }
    }

    async fn drain(&self, output: &Output) {
        let mut drained = 0;
        while drained < DRAIN_MAX_BYTES {
            match self.read(self.fd.as_raw_fd()) {
                Ok(Some(bytes)) => {
                    drained += bytes.len();
                    output.publish(Event::Bytes(self.kind, bytes)).await;
                }
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// One read; none at the end.
    fn read(&self, fd: i32) -> io::Result<Option<Rc<[u8]>>> {
        let most = if self.kind == Outgoing::Pty { PTY_CHUNK_BYTES } else { PIPE_CHUNK_BYTES };
        with_scratch(|buffer| match unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), most.min(buffer.len())) } {
            0 => Ok(None),
            bytes if bytes > 0 => Ok(Some(Rc::from(&buffer[..bytes as usize]))),
            _ => Err(io::Error::last_os_error()),
        })
    }
}
