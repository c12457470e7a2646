//! The pipes and terminals between the agent and a process. All are close-on-exec; the agent's ends don't block.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd};

/// Size of a terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    pub cols: u16,
    pub rows: u16,
}

/// A pipe: the reading end, then the writing one.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0; 2];
    check(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) })?;
    Ok(unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) })
}

pub fn dev_null() -> io::Result<OwnedFd> {
    Ok(File::open("/dev/null")?.into())
}

/// A new terminal of that size: the agent's side, then the process's.
pub fn terminal(size: TerminalSize) -> io::Result<(OwnedFd, OwnedFd)> {
    let open = |path: &str, flags| OpenOptions::new().read(true).write(true).custom_flags(flags).open(path);
    let master = open("/dev/ptmx", libc::O_NOCTTY)?;
    let mut number: libc::c_uint = 0;
    let unlocked: libc::c_int = 0;
    check(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK as _, &unlocked) })?;
    check(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTN as _, &mut number) })?;
    let slave = open(&format!("/dev/pts/{}", number), libc::O_NOCTTY)?;
    let (master, slave): (OwnedFd, OwnedFd) = (master.into(), slave.into());
    resize(&master, size)?;
    Ok((master, slave))
}

/// Sets the size; the foreground process hears SIGWINCH.
pub fn resize(terminal: &impl AsRawFd, size: TerminalSize) -> io::Result<()> {
    let size = libc::winsize { ws_row: size.rows, ws_col: size.cols, ws_xpixel: 0, ws_ypixel: 0 };
    check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ as _, &size) })
}

pub fn set_nonblocking(fd: &OwnedFd) -> io::Result<()> {
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    check(flags)?;
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
