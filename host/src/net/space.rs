//! Network name spaces. A thread enters one and never comes back, so that no other work of the helper runs in it.

use std::ffi::{CStr, CString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::io::{AsRawFd, BorrowedFd};
use std::thread;

const OWN: &str = "/proc/thread-self/ns/net";

/// A new one, and what `set_up` makes of it from within.
pub fn create<T: Send>(set_up: impl FnOnce() -> io::Result<T> + Send) -> io::Result<(File, T)> {
    apart(|| {
        check(unsafe { libc::unshare(libc::CLONE_NEWNET) })?;
        Ok((File::open(OWN)?, set_up()?))
    })
}

/// Runs `work` within one.
pub fn within<T: Send>(space: BorrowedFd<'_>, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    apart(|| {
        check(unsafe { libc::setns(space.as_raw_fd(), libc::CLONE_NEWNET) })?;
        work()
    })
}

/// Sets a variable of the name space that the thread is in. `name`: below /proc/sys/net.
pub fn set_variable(name: &str, value: &str) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(format!("/proc/sys/net/{}", name))?;
    io::Write::write_all(&mut &file, value.as_bytes())
}

/// As `set_variable`, where the kernel has it: one without IPv6 has none to turn off.
pub fn set_variable_if_any(name: &str, value: &str) -> io::Result<()> {
    match set_variable(name, value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// A variable's value in the name space that the thread is in.
pub fn variable(name: &str) -> io::Result<String> {
    fs::read_to_string(format!("/proc/sys/net/{}", name))
}

/// Mounts the thread's name space over a file, so that it stays without a process.
pub fn mount_own(target: &CStr) -> io::Result<()> {
    let source = CString::new(OWN)?;
    let none = std::ptr::null();
    // Paths that end with a zero and outlive the call.
    check(unsafe { libc::mount(source.as_ptr(), target.as_ptr(), none, libc::MS_BIND, none.cast()) })
}

/// That of a process, which isn't the helper's own. Errors: `NotFound`.
pub fn of_process(pid: libc::pid_t) -> io::Result<File> {
    let file = File::open(format!("/proc/{}/ns/net", pid))?;
    let is_own = file.metadata()?.ino() == fs::metadata(OWN)?.ino();
    if is_own {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(file)
}

/// What the kernel says in a file below /proc/net of the name space that the thread is in.
pub fn read(name: &str) -> io::Result<String> {
    fs::read_to_string(format!("/proc/thread-self/net/{}", name))
}

fn apart<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| match thread::Builder::new().stack_size(256 * 1024).spawn_scoped(scope, work)?.join() {
        Ok(outcome) => outcome,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

fn check(outcome: i32) -> io::Result<()> {
    match outcome {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
