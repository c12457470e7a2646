//! Processes by descriptor: a pid alone may be another's by the time it is used.

use std::fs;
use std::io;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// As long as any: nothing is done between two turns.
const REAP_TURN: Duration = Duration::from_secs(3600);
const REAP_STACK_BYTES: usize = 64 * 1024;

/// When the process began, in the kernel's ticks since the machine's start: field 22 of its `stat`. Errors: see `is_gone`.
pub fn start_time(pid: u32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid))?;
    // The name before may have spaces and brackets.
    let field = stat.rsplit_once(')').and_then(|(_, fields)| fields.split_ascii_whitespace().nth(19));
    field.and_then(|text| text.parse().ok()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Whether an error says that there is no such process. Any other says nothing of it: it couldn't be looked at.
pub fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

/// A descriptor for the process that has this pid and began then, if it hasn't ended. Errors: that couldn't be seen.
pub fn open(pid: u32, started: u64) -> io::Result<Option<OwnedFd>> {
    // SAFETY: no pointers are passed.
    let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if pidfd < 0 {
        return match io::Error::last_os_error() {
            // The second: a pid that is a thread's by now.
            error if is_gone(&error) || error.raw_os_error() == Some(libc::EINVAL) => Ok(None),
            error => Err(error),
        };
    }
    // SAFETY: the descriptor is new and nobody else's.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd as RawFd) };
    // Looked at after it is held: the pid can't have passed on between the two.
    let is_it = match start_time(pid) {
        Ok(time) => time == started && !is_ended(pidfd.as_fd()),
        Err(error) if is_gone(&error) => false,
        Err(error) => return Err(error),
    };
    Ok(is_it.then_some(pidfd))
}

/// Where that can't be seen it hasn't.
pub fn is_ended(pidfd: BorrowedFd) -> bool {
    wait_readable(pidfd.as_raw_fd(), Duration::ZERO).unwrap_or(false)
}

/// Whether it ended within the time. Where it is a child of this process, it is also reaped.
pub fn wait(pidfd: &OwnedFd, most: Duration) -> io::Result<bool> {
    let ended = wait_readable(pidfd.as_raw_fd(), most)?;
    if ended {
        reap(pidfd);
    }
    Ok(ended)
}

/// Frees the pid of an ended child; of what is no child, its new parent does.
pub fn reap(pidfd: &OwnedFd) {
    // SAFETY: all zeros is a value of this plain structure, which lives for the call.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let options = libc::WEXITED | libc::WNOHANG;
    // SAFETY: as above.
    unsafe { libc::waitid(libc::P_PIDFD, pidfd.as_raw_fd() as libc::id_t, &mut info, options) };
}

/// Reaps a child that was told to end and hasn't yet, whenever it does. Without a thread it keeps its pid until the helper ends.
pub fn reap_behind(pidfd: Arc<OwnedFd>) {
    let reap = move || while let Ok(false) = wait(&pidfd, REAP_TURN) {};
    let _ = thread::Builder::new().name("reap".to_owned()).stack_size(REAP_STACK_BYTES).spawn(reap);
}

pub fn kill(pidfd: BorrowedFd) -> io::Result<()> {
    // SAFETY: the signal's details are absent, which is a null pointer.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            libc::SIGKILL,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    match sent {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Differs with every start of the machine.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

fn wait_readable(descriptor: RawFd, most: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + most;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up: else the last part of a millisecond would be spent turning.
        let milliseconds = (left.as_micros() + 999) / 1000;
        let mut poll = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
        // SAFETY: one structure, which lives for the call.
        match unsafe { libc::poll(&mut poll, 1, milliseconds.min(60_000) as i32) } {
            1 => return Ok(true),
            0 if left.is_zero() => return Ok(false),
            0 => {}
            _ => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn knows_a_process_by_when_it_began() {
        let mut child = Command::new("sleep").arg("100").spawn().unwrap();
        let started = start_time(child.id()).unwrap();
        assert!(open(child.id(), started + 1).unwrap().is_none());
        let pidfd = open(child.id(), started).unwrap().unwrap();
        assert!(!wait(&pidfd, Duration::from_millis(1)).unwrap());
        child.kill().unwrap();
        assert!(wait(&pidfd, Duration::from_secs(60)).unwrap());
        let _ = child.wait();
        assert!(open(child.id(), started).unwrap().is_none());
    }
}
