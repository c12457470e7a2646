//! Netlink: messages to the kernel about interfaces and rules, and what it answers. A socket belongs for good to the
//! network name space of the thread that made it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::mem;
use std::os::unix::io::{FromRawFd, RawFd};

/// Longest time that the kernel may take for an answer, in seconds: others may hold its lock of interfaces.
const TIMEOUT_S: libc::time_t = 10;
/// The kernel's answers come in pieces of at most 32 KiB.
const ANSWER_MAX_BYTES: usize = 64 * 1024;
const HEADER_BYTES: usize = 16;
const NESTED: u16 = libc::NLA_F_NESTED as u16;

/// Messages that are sent at once and handled in their order.
#[derive(Default)]
pub struct Batch {
    bytes: Vec<u8>,
    acknowledged: usize,
}

/// A message's attributes, as they are added.
pub struct Attributes<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Batch {
    /// One that the kernel says the outcome of.
    pub fn add(&mut self, kind: u16, flags: i32, header: &[u8], fill: impl FnOnce(&mut Attributes)) {
        self.acknowledged += 1;
        self.put(kind, flags | libc::NLM_F_ACK, header, fill);
    }

    /// One without an answer, or with others than that.
    pub fn put(&mut self, kind: u16, flags: i32, header: &[u8], fill: impl FnOnce(&mut Attributes)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&((flags | libc::NLM_F_REQUEST) as u16).to_ne_bytes());
        // Its number, which sending gives it, and ours, which the kernel knows.
        self.bytes.extend_from_slice(&[0; 8]);
        self.bytes.extend_from_slice(header);
        align(&mut self.bytes);
        fill(&mut Attributes { bytes: &mut self.bytes });
        let length = (self.bytes.len() - start) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }
}

impl Attributes<'_> {
    pub fn bytes(&mut self, kind: u16, value: &[u8]) {
        self.bytes.extend_from_slice(&((value.len() + 4) as u16).to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        align(self.bytes);
    }

    pub fn u32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_ne_bytes());
    }

    /// With the zero at the end that the kernel wants.
    pub fn text(&mut self, kind: u16, value: &str) {
        let mut value = value.as_bytes().to_vec();
        value.push(0);
        self.bytes(kind, &value);
    }

    pub fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Attributes)) {
        let start = self.bytes.len();
        self.bytes(kind | NESTED, &[]);
        fill(&mut Attributes { bytes: self.bytes });
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }

    /// What isn't an attribute and stands in front of some: the header within a veth's description.
    pub fn raw(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        align(self.bytes);
    }
}

pub struct Socket {
    file: File,
    /// Numbers up to this one are of earlier batches, whose answers may come late
    numbered: u32,
}

impl Socket {
    /// `protocol`: `NETLINK_ROUTE` or `NETLINK_NETFILTER`.
    pub fn open(protocol: i32) -> io::Result<Socket> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, protocol) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // The descriptor was just made and is nobody else's.
        let file = unsafe { File::from_raw_fd(fd) };
        let timeout = libc::timeval { tv_sec: TIMEOUT_S, tv_usec: 0 };
        set_option(fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, &timeout)?;
        // An error then quotes no message, however long it was.
        set_option(fd, libc::SOL_NETLINK, libc::NETLINK_CAP_ACK, &1i32)?;
        Ok(Socket { file, numbered: 0 })
    }

    /// Sends messages and waits for the outcome of each: the first error, if any, with the place of its message from 1.
    pub fn request(&mut self, batch: Batch) -> Result<(), (usize, io::Error)> {
        let mut first: Option<(usize, io::Error)> = None;
        let mut missing = batch.acknowledged;
        let before = self.send(batch).map_err(|error| (0, error))?;
        while missing > 0 {
            let answers = |kind: u16, number: u32, body: &[u8]| {
                if number > before && i32::from(kind) == libc::NLMSG_ERROR {
                    missing = missing.saturating_sub(1);
                    if let Err(error) = outcome_of(body) {
                        first.get_or_insert(((number - before) as usize, error));
                    }
                }
            };
            self.receive(answers).map_err(|error| (0, error))?;
        }
        first.map_or(Ok(()), Err)
    }

    /// Every message that answers the one of `batch`, without its header.
    pub fn dump(&mut self, batch: Batch, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let before = self.send(batch)?;
        let mut outcome = None;
        while outcome.is_none() {
            self.receive(|kind, number, body| match i32::from(kind) {
                _ if number <= before => {}
                libc::NLMSG_DONE => outcome = Some(Ok(())),
                libc::NLMSG_ERROR => outcome = Some(outcome_of(body)),
                _ => each(body),
            })?;
        }
        outcome.unwrap_or(Ok(()))
    }

    /// Numbers the messages on from those before, and says what the last of these was.
    fn send(&mut self, mut batch: Batch) -> io::Result<u32> {
        let before = self.numbered;
        let mut at = 0;
        while at < batch.bytes.len() {
            self.numbered += 1;
            batch.bytes[at + 8..at + 12].copy_from_slice(&self.numbered.to_ne_bytes());
            at += read_u32(&batch.bytes[at..]) as usize;
        }
        (&self.file).write_all(&batch.bytes)?;
        Ok(before)
    }

    fn receive(&self, mut each: impl FnMut(u16, u32, &[u8])) -> io::Result<()> {
        let mut buffer = vec![0; ANSWER_MAX_BYTES];
        let length = match (&self.file).read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT))
            }
            outcome => outcome?,
        };
        let mut rest = &buffer[..length];
        while rest.len() >= HEADER_BYTES {
            let size = read_u32(rest) as usize;
            let kind = u16::from_ne_bytes([rest[4], rest[5]]);
            if size < HEADER_BYTES || size > rest.len() {
                return Err(io::Error::from_raw_os_error(libc::EPROTO));
            }
            each(kind, read_u32(&rest[8..]), &rest[HEADER_BYTES..size]);
            rest = &rest[aligned(size).min(rest.len())..];
        }
        Ok(())
    }
}

/// The attributes that follow a message's own header: kind, value.
pub fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while bytes.len() >= 4 {
        let size = usize::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
        if size < 4 || size > bytes.len() {
            break;
        }
        let kind = u16::from_ne_bytes([bytes[2], bytes[3]]) & !NESTED;
        found.push((kind, &bytes[4..size]));
        bytes = &bytes[aligned(size).min(bytes.len())..];
    }
    found
}

pub fn read_u32(bytes: &[u8]) -> u32 {
    u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// Of a message that says so: zero, or an error's number.
fn outcome_of(body: &[u8]) -> io::Result<()> {
    match body.get(..4).map_or(libc::EPROTO, |code| -(read_u32(code) as i32)) {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

fn aligned(length: usize) -> usize {
    (length + 3) & !3
}

fn align(bytes: &mut Vec<u8>) {
    bytes.resize(aligned(bytes.len()), 0);
}

fn set_option<T>(fd: RawFd, level: i32, name: i32, value: &T) -> io::Result<()> {
    let size = mem::size_of::<T>() as libc::socklen_t;
    // The kernel reads `size` bytes of a value that outlives the call.
    match unsafe { libc::setsockopt(fd, level, name, (value as *const T).cast(), size) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
