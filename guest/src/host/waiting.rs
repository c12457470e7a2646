//! What a process waits for that others feed.

use std::fs::File;
use std::io::{self, Read};
use std::mem;
use std::os::unix::io::{FromRawFd, RawFd};
use std::time::Instant;

use super::checked;

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

/// Lines of standard input, which arrive in pieces.
#[derive(Default)]
pub struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// The lines that are whole now. None at the end.
    pub fn read(&mut self) -> io::Result<Option<Vec<Vec<u8>>>> {
        let mut buffer = [0u8; 4096];
        let input = mem::ManuallyDrop::new(unsafe { File::from_raw_fd(0) });
        let length = (&*input).read(&mut buffer)?;
        if length == 0 {
            return Ok(None);
        }
        self.rest.extend_from_slice(&buffer[..length]);
        let mut lines: Vec<Vec<u8>> = self.rest.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        self.rest = lines.pop().unwrap_or_default();
        Ok(Some(lines))
    }
}
