//! Copies what a file holds, but not its holes: a file of a terabyte that has none of it takes nothing.

use std::io;
use std::os::unix::io::RawFd;

/// `FICLONE` of linux/fs.h: both share their blocks until one is written to.
const CLONE: u64 = 0x4004_9409;
const BUFFER_BYTES: usize = 256 * 1024;
const STEP_MAX_BYTES: i64 = 1 << 30;

/// `to` is empty; `size` is what `from` has, in bytes.
pub fn copy(from: RawFd, to: RawFd, size: i64) -> io::Result<()> {
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
        copy_range(from, to, start, end)?;
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

fn copy_range(from: RawFd, to: RawFd, start: i64, end: i64) -> io::Result<()> {
    let (mut read_at, mut write_at) = (start, start);
    while read_at < end {
        let step = (end - read_at).min(STEP_MAX_BYTES) as usize;
        // SAFETY: the offsets live for the call, which moves them.
        let copied = unsafe { libc::copy_file_range(from, &mut read_at, to, &mut write_at, step, 0) };
        match copied {
            0 => return Ok(()),
            copied if copied > 0 => {}
            _ => {
                let error = io::Error::last_os_error();
                match error.raw_os_error() {
                    Some(libc::EXDEV | libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP) => {
                        return copy_by_hand(from, to, read_at, end);
                    }
                    Some(libc::EINTR) => {}
                    _ => return Err(error),
                }
            }
        }
    }
    Ok(())
}

fn copy_by_hand(from: RawFd, to: RawFd, mut at: i64, end: i64) -> io::Result<()> {
    let mut buffer = vec![0u8; BUFFER_BYTES];
    while at < end {
        let step = ((end - at) as usize).min(buffer.len());
        // SAFETY: the kernel writes at most `step` bytes, which the buffer has.
        let read = unsafe { libc::pread(from, buffer.as_mut_ptr().cast(), step, at) };
        if read < 0 {
            return Err(io::Error::last_os_error());
        }
        if read == 0 {
            break;
        }
        let mut written = 0;
        while written < read {
            // SAFETY: what is left of the `read` bytes lies in the buffer.
            let count = unsafe {
                let left = buffer.as_ptr().add(written as usize).cast();
                libc::pwrite(to, left, (read - written) as usize, at + written as i64)
            };
            if count < 0 {
                return Err(io::Error::last_os_error());
            }
            written += count;
        }
        at += read as i64;
    }
    Ok(())
}
