//! What a process waits for that others feed.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::io::{AsRawFd, RawFd};
use std::time::Instant;

use crate::engine::checked;

/// Which of the files have something to read; a negative one never has. Waits until `deadline`.
pub fn wait(files: [RawFd; 2], deadline: Instant) -> io::Result<[bool; 2]> {
    let mut polled = files.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let millis = deadline.saturating_duration_since(Instant::now()).as_millis() as libc::c_int + 1;
    match checked(unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, millis) }.into()) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        Err(_) => Ok([false; 2]),
        Ok(_) => Ok(polled.map(|one| one.revents != 0)),
    }
}

/// Lines that arrive in pieces.
pub struct Lines<'a> {
    input: &'a File,
    rest: Vec<u8>,
}

impl<'a> Lines<'a> {
    pub fn of(input: &'a File) -> Lines<'a> {
        Lines { input, rest: Vec::new() }
    }

    /// The lines that are whole now. None at the end.
    pub fn read(&mut self) -> io::Result<Option<Vec<Vec<u8>>>> {
        let mut buffer = [0u8; 4096];
        let length = self.input.read(&mut buffer)?;
        if length == 0 {
            return Ok(None);
        }
        self.rest.extend_from_slice(&buffer[..length]);
        let mut lines: Vec<Vec<u8>> = self.rest.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        self.rest = lines.pop().unwrap_or_default();
        Ok(Some(lines))
    }
}

impl AsRawFd for Lines<'_> {
    fn as_raw_fd(&self) -> RawFd {
        self.input.as_raw_fd()
    }
}
