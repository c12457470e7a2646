//! The kernel's inotify. Its descriptor doesn't block.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

/// What is asked of a directory: the same as Go's fsnotify does.
const MASK: u32 = libc::IN_CREATE
    | libc::IN_MOVED_TO
    | libc::IN_MOVED_FROM
    | libc::IN_MODIFY
    | libc::IN_ATTRIB
    | libc::IN_DELETE
    | libc::IN_DELETE_SELF
    | libc::IN_MOVE_SELF
    | libc::IN_ONLYDIR;
/// An event's fixed part: wd, mask, cookie, length of the name.
const EVENT_BYTES: usize = 16;

pub struct Inotify(Arc<OwnedFd>);

impl Inotify {
    pub fn open() -> io::Result<Inotify> {
        match unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) } {
            fd if fd >= 0 => Ok(Inotify(Arc::new(unsafe { OwnedFd::from_raw_fd(fd) }))),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// To wait on until there is something to read.
    pub fn descriptor(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.0)
    }

    /// Watches a directory; the same directory always has the same number.
    pub fn add(&self, path: &Path, follows_link: bool) -> io::Result<i32> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        let mask = if follows_link { MASK } else { MASK | libc::IN_DONT_FOLLOW };
        match unsafe { libc::inotify_add_watch(self.0.as_raw_fd(), path.as_ptr(), mask) } {
            wd if wd >= 0 => Ok(wd),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// One that the kernel has removed already is fine.
    pub fn remove(&self, wd: i32) {
        unsafe { libc::inotify_rm_watch(self.0.as_raw_fd(), wd) };
    }

    /// Bytes that can be read now.
    pub fn pending_bytes(&self) -> usize {
        let mut bytes: libc::c_int = 0;
        match unsafe { libc::ioctl(self.0.as_raw_fd(), libc::FIONREAD as _, &mut bytes) } {
            0 => usize::try_from(bytes).unwrap_or(0),
            _ => 0,
        }
    }

    /// Reads whole events; none where there are no more.
    pub fn read(&self, buffer: &mut [u8]) -> usize {
        let read = unsafe { libc::read(self.0.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
        usize::try_from(read).unwrap_or(0)
    }
}

/// One event as the kernel wrote it.
#[derive(Debug, PartialEq, Eq)]
pub struct Event<'a> {
    pub wd: i32,
    pub mask: u32,
    /// The same in both halves of a rename
    pub cookie: u32,
    /// Empty where the directory itself is meant
    pub name: &'a [u8],
    /// What it took in the queue
    pub bytes: usize,
}

impl Event<'_> {
    pub fn is(&self, mask: u32) -> bool {
        self.mask & mask != 0
    }
}

/// Cuts what was read into events.
pub struct Events<'a>(pub &'a [u8]);

impl<'a> Iterator for Events<'a> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Event<'a>> {
        let field = |offset: usize| {
            let bytes = self.0.get(offset..offset + 4)?;
            Some(u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        };
        let (wd, mask, cookie, name_bytes) = (field(0)?, field(4)?, field(8)?, field(12)? as usize);
        let bytes = EVENT_BYTES.checked_add(name_bytes)?;
        let padded = self.0.get(EVENT_BYTES..bytes)?;
        self.0 = &self.0[bytes..];
        let name = padded.split(|byte| *byte == 0).next().unwrap_or_default();
        Some(Event { wd: wd as i32, mask, cookie, name, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(wd: i32, mask: u32, cookie: u32, name: &[u8], padding: usize) -> Vec<u8> {
        let mut bytes = wd.to_ne_bytes().to_vec();
        for field in [mask, cookie, (name.len() + padding) as u32] {
            bytes.extend(field.to_ne_bytes());
        }
        bytes.extend(name);
        bytes.resize(bytes.len() + padding, 0);
        bytes
    }

    proptest! {
        #[test]
        fn any_bytes_are_cut_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let total: usize = Events(&bytes).map(|event| event.bytes).sum();
            prop_assert!(total <= bytes.len());
        }

        #[test]
        fn events_are_cut_as_they_were_written(
            written in proptest::collection::vec((any::<i32>(), any::<u32>(), any::<u32>(), "[a-z]{0,20}", 0usize..16), 0..20),
        ) {
            let bytes: Vec<u8> = written
                .iter()
                .flat_map(|(wd, mask, cookie, name, padding)| encode(*wd, *mask, *cookie, name.as_bytes(), *padding))
                .collect();
            let cut: Vec<_> = Events(&bytes)
                .map(|event| (event.wd, event.mask, event.cookie, String::from_utf8_lossy(event.name).into_owned()))
                .collect();
            let expected: Vec<_> = written.into_iter().map(|(wd, mask, cookie, name, _)| (wd, mask, cookie, name)).collect();
            prop_assert_eq!(cut, expected);
        }
    }
}
