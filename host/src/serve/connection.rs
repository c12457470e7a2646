//! One connection: reads requests, writes replies and events as they come. A peer that doesn't read loses it.

use std::collections::HashMap;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use super::Seat;
use crate::cancel::Cancel;
use crate::error::{Code, Failure};
use crate::log;
use crate::pool::lock;
use crate::protocol::{read_message, reply, write_message, MESSAGE_MAX_BYTES};
use crate::requests::{self, Op};

/// More end the connection.
const WAITING_MAX: usize = 1024;
/// Replies and events that the peer hasn't read yet, in bytes. More end the connection: a guest's end is told once.
const UNSENT_MAX_BYTES: usize = 16 * 1024 * 1024;
/// What each takes beside its own bytes.
const MESSAGE_BYTES: usize = 64;
const WRITE_MOST: Duration = Duration::from_secs(30);

pub struct Connection {
    stream: UnixStream,
    outgoing: Mutex<Sender<Vec<u8>>>,
    unsent_bytes: AtomicUsize,
    waiting: Mutex<HashMap<u64, Cancel>>,
    greeted: AtomicBool,
    watching: AtomicBool,
    _seat: Arc<Seat>,
}

impl Connection {
    /// The connection, and what `read` reads from.
    pub fn open(stream: UnixStream, seat: Arc<Seat>) -> io::Result<(Arc<Connection>, UnixStream)> {
        stream.set_write_timeout(Some(WRITE_MOST))?;
        let (reader, writer) = (stream.try_clone()?, stream.try_clone()?);
        let (outgoing, messages) = channel();
        let connection = Arc::new(Connection {
            stream,
            outgoing: Mutex::new(outgoing),
            unsent_bytes: AtomicUsize::new(0),
            waiting: Mutex::default(),
            greeted: AtomicBool::new(false),
            watching: AtomicBool::new(false),
            _seat: seat.clone(),
        });
        let weak = Arc::downgrade(&connection);
        let write = move || {
            write_all(writer, messages, |bytes| {
                if let Some(connection) = weak.upgrade() {
                    connection.unsent_bytes.fetch_sub(bytes, Ordering::Relaxed);
                }
            });
            drop(seat);
        };
        thread::Builder::new().name("replies".to_owned()).spawn(write)?;
        Ok((connection, reader))
    }

    /// Gives each request to `handle`, until the peer has no more or says what is none.
    pub fn read(&self, mut reader: UnixStream, handle: impl Fn(u64, Op)) {
        let ended = loop {
            let message = match read_message(&mut reader) {
                Ok(Some(message)) => message,
                Ok(None) => break None,
                Err(error) => break Some(error.to_string()),
            };
            let (id, op) = match requests::parse(&message) {
                Ok(request) => request,
                Err(failure) => break Some(failure.message),
            };
            {
                let mut waiting = lock(&self.waiting);
                if waiting.len() >= WAITING_MAX {
                    break Some("More requests wait than may.".to_owned());
                }
                if waiting.insert(id, Cancel::new()).is_some() {
                    break Some("Two requests that wait have the same id.".to_owned());
                }
            }
            match op {
                Ok(op) => handle(id, op),
                Err(failure) => self.reply(id, Err(failure)),
            }
        };
        if let Some(error) = ended {
            log::warn("A connection broke off.", json!({ "error": error }));
            self.close();
        }
    }

    /// Answers a request, which then waits no more.
    pub fn reply(&self, id: u64, result: Result<Value, Failure>) {
        if let Err(Failure { code: Code::Internal, message }) = &result {
            log::warn("A request failed.", json!({ "error": message }));
        }
        lock(&self.waiting).remove(&id);
        let mut message = reply(id, result).to_string().into_bytes();
        if message.len() > MESSAGE_MAX_BYTES {
            let why = "The reply is longer than a message may be: it has to be asked for in pages.";
            message = reply(id, Err(Failure::new(Code::ResourceExhausted, why))).to_string().into_bytes();
        }
        self.send(message);
    }

    /// The event goes to the peer, behind what there is to send.
    pub fn tell(&self, event: &Value) {
        self.send(event.to_string().into_bytes());
    }

    fn send(&self, message: Vec<u8>) {
        let size = message.len() + MESSAGE_BYTES;
        if self.unsent_bytes.fetch_add(size, Ordering::Relaxed) + size > UNSENT_MAX_BYTES {
            return self.close();
        }
        // Nobody takes it once the connection has ended.
        let _ = lock(&self.outgoing).send(message);
    }

    pub fn cancel(&self, id: u64) {
        let found = lock(&self.waiting).get(&id).cloned();
        if let Some(cancel) = found {
            cancel.cancel(Failure::new(Code::Canceled, "The request was taken back."));
        }
    }

    pub fn cancel_all(&self, why: Failure) {
        let all: Vec<Cancel> = lock(&self.waiting).values().cloned().collect();
        all.iter().for_each(|cancel| cancel.cancel(why.clone()));
    }

    /// What ends this request.
    pub fn cancel_of(&self, id: u64) -> Cancel {
        lock(&self.waiting).get(&id).cloned().unwrap_or_default()
    }

    pub fn greet(&self) {
        self.greeted.store(true, Ordering::Release);
    }

    pub fn is_greeted(&self) -> bool {
        self.greeted.load(Ordering::Acquire)
    }

    pub fn watch(&self) {
        self.watching.store(true, Ordering::Release);
    }

    pub fn is_watching(&self) -> bool {
        self.watching.load(Ordering::Acquire)
    }

    pub fn close_reading(&self) {
        // It may have ended by itself.
        let _ = self.stream.shutdown(Shutdown::Read);
    }

    /// Until the peer has all that was said to it, or for so long.
    pub fn wait_sent(&self, most: Duration) {
        let deadline = Instant::now() + most;
        while self.unsent_bytes.load(Ordering::Relaxed) > 0 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn close(&self) {
        // It may have ended by itself.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// Until the connection is dropped, or the peer takes no more.
fn write_all(mut writer: UnixStream, messages: Receiver<Vec<u8>>, sent: impl Fn(usize)) {
    for message in messages {
        if write_message(&mut writer, &message).is_err() {
            let _ = writer.shutdown(Shutdown::Both);
            return;
        }
        sent(message.len() + MESSAGE_BYTES);
    }
}
