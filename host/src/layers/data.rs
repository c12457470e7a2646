//! Copies what a file holds, but not its holes: a file of a terabyte that has none of it takes nothing.

use std::io;
use std::os::unix::io::RawFd;

#[cfg(test)]
mod tests;

/// `FICLONE` of linux/fs.h: both share their blocks until one is written to.
const CLONE: u64 = 0x4004_9409;
/// Also what is written to the disk at a time, while the next is copied
const STEP_MAX_BYTES: i64 = 2 << 20;

/// `to` is empty; `size` is what `from` has, in bytes. `is_written`: see `Files::Written`.
pub fn copy(from: RawFd, to: RawFd, size: i64, is_written: bool) -> io::Result<()> {
    if size == 0 {
        return Ok(());
    }
    // SAFETY: no pointers.
    if unsafe { libc::ioctl(to, CLONE as _, from) } == 0 {
        return Ok(());
    }
    let mut at = 0;
    while at < size {
        let (start, end) = match extent(from, at, size)? {
            Some(extent) => extent,
            None => break,
        };
        copy_range(from, to, start, end, is_written)?;
        at = end;
    }
    // SAFETY: no pointers.
    match unsafe { libc::ftruncate(to, size) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// The next data from `at` on: where it begins and ends.
fn extent(file: RawFd, at: i64, size: i64) -> io::Result<Option<(i64, i64)>> {
    // SAFETY: no pointers.
    let start = unsafe { libc::lseek(file, at, libc::SEEK_DATA) };
    if start < 0 {
        let error = io::Error::last_os_error();
        return match error.raw_os_error() {
            Some(libc::ENXIO) => Ok(None),
            // File systems that know no holes.
            Some(libc::EINVAL) => Ok(Some((at, size))),
            _ => Err(error),
        };
    }
    // SAFETY: no pointers.
    let end = unsafe { libc::lseek(file, start, libc::SEEK_HOLE) };
    Ok(Some((start, if end < 0 { size } else { end.min(size) })))
}

fn copy_range(from: RawFd, to: RawFd, start: i64, end: i64, is_written: bool) -> io::Result<()> {
    let (mut at, mut across) = (start, false);
    while at < end {
        let step = (end - at).min(STEP_MAX_BYTES);
        match copy_part(from, to, at, step, across) {
            Ok(0) => return Ok(()),
            Ok(copied) => {
                // Not small ones, which the kernel writes better together.
                if is_written && copied == STEP_MAX_BYTES {
                    begin_writing(to, at);
                }
                at += copied;
            }
            Err(error) => match error.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EXDEV | libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP) if !across => across = true,
                _ => return Err(error),
            },
        }
    }
    Ok(())
}

/// `across`: between file systems, which may share nothing. Returns how many bytes; 0: `from` has no more.
fn copy_part(from: RawFd, to: RawFd, at: i64, step: i64, across: bool) -> io::Result<i64> {
    let (mut read_at, mut write_at) = (at, at);
    // SAFETY: the offsets live for the calls, which move them.
    let copied = unsafe {
        match across {
            false => libc::copy_file_range(from, &mut read_at, to, &mut write_at, step as usize, 0),
            true => match libc::lseek(to, at, libc::SEEK_SET) {
                -1 => -1,
                _ => libc::sendfile(to, from, &mut read_at, step as usize),
            },
        }
    };
    match copied {
        -1 => Err(io::Error::last_os_error()),
        copied => Ok(copied as i64),
    }
}

/// Whoever waits for it sees what fails.
fn begin_writing(file: RawFd, from: i64) {
    // SAFETY: no pointers.
    unsafe { libc::sync_file_range(file, from, STEP_MAX_BYTES, libc::SYNC_FILE_RANGE_WRITE) };
}
