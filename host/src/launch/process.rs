//! The child, as its parent sees it.

use std::fs::File;
use std::io;
use std::os::unix::io::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use super::{child, sys};
use crate::processes;

/// Longest that a process may take for one of its scripts, in milliseconds.
pub const PATIENCE_MS: i32 = 20_000;
/// One that waits for a disk ends only after that, and does nothing more until then: nobody waits for it for longer.
const END_MOST: Duration = Duration::from_secs(2);

/// A child that is ended and reaped unless somebody takes it over.
pub struct Process {
    pub pid: u32,
    pub start_time: u64,
    pub pidfd: Option<OwnedFd>,
}

/// What a process says of the script it was given.
pub enum Report {
    Done,
    Failed(usize, io::Error),
    Closed,
}

/// Waits for it. Errors: also `TimedOut`.
pub fn await_report(socket: BorrowedFd) -> io::Result<Report> {
    sys::wait_readable(socket, PATIENCE_MS)?;
    let bytes = sys::receive::<{ child::REPORT_BYTES }>(socket)?;
    Ok(match <[u8; child::REPORT_BYTES]>::try_from(bytes) {
        Err(_) => Report::Closed,
        Ok([a, b, c, d, error @ ..]) => match u32::from_ne_bytes([a, b, c, d]) {
            child::ALL_WELL => Report::Done,
            step => Report::Failed(step as usize, io::Error::from_raw_os_error(i32::from_ne_bytes(error))),
        },
    })
}

impl Process {
    pub fn is_alive(&self) -> bool {
        self.pidfd.as_ref().map_or(false, |pidfd| sys::wait_readable(pidfd.as_fd(), 0).is_err())
    }

    /// Leaves it to the caller: pid, start time, pidfd.
    pub fn take(mut self) -> (u32, u64, OwnedFd) {
        (self.pid, self.start_time, self.pidfd.take().expect("it is there until it is taken"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(pidfd) = self.pidfd.take() {
            // It may have ended by itself.
            let _ = processes::kill(pidfd.as_fd());
            if !processes::wait(&pidfd, END_MOST).unwrap_or(false) {
                processes::reap_behind(Arc::new(pidfd));
            }
        }
    }
}

/// Gives a process's new user name space its ids. Returns the name space.
pub fn map_ids(pid: u32, base: u32, count: u32) -> io::Result<OwnedFd> {
    let file = |name: &str| format!("/proc/{}/{}", pid, name);
    let map = format!("0 {} {}\n", base, count);
    std::fs::write(file("uid_map"), &map)?;
    std::fs::write(file("gid_map"), &map)?;
    Ok(File::open(file("ns/user"))?.into())
}
