//! Removes whole directories, also such that somebody hostile has filled: however deep they are, it takes a few descriptors
//! and no recursion, because what lies in a directory is moved up to the top before the directory goes; however wide, it
//! takes one name at a time.

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::io::{AsFd, BorrowedFd};

use super::sys;

/// Removes `name` in `dir` with all that is in it. Idempotent. Nobody else may change either meanwhile.
pub fn remove_tree(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    match sys::unlink(dir, name) {
        Ok(()) => return Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(()),
        // What Linux and others say of a directory.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EISDIR | libc::EPERM)) => {}
        Err(error) => return Err(error),
    }
    let top = sys::open_dir(dir, name)?;
    let mut moved = 0u64;
    // What is moved up meanwhile is found by the next look, where this one doesn't.
    while sys::each_name(top.as_fd(), |each| remove_one(top.as_fd(), each, &mut moved))? > 0 {}
    sys::rmdir(dir, name)
}

fn remove_one(top: BorrowedFd<'_>, name: &CStr, moved: &mut u64) -> io::Result<()> {
    if !is_dir(top, name)? {
        return sys::unlink(top, name);
    }
    let inner = sys::open_dir(top, name)?;
    let mut clear = |each: &CStr| -> io::Result<()> {
        if !is_dir(inner.as_fd(), each)? {
            return sys::unlink(inner.as_fd(), each);
        }
        match sys::rmdir(inner.as_fd(), each) {
            Err(error) if error.raw_os_error() == Some(libc::ENOTEMPTY) => move_up(inner.as_fd(), each, top, moved),
            other => other,
        }
    };
    while sys::each_name(inner.as_fd(), &mut clear)? > 0 {}
    sys::rmdir(top, name)
}

/// To a name that nobody has: those that are there may look like ours.
fn move_up(from: BorrowedFd<'_>, name: &CStr, top: BorrowedFd<'_>, moved: &mut u64) -> io::Result<()> {
    loop {
        *moved += 1;
        let new = CString::new(format!("moved-{}", moved)).expect("has no zero");
        match sys::rename_new(from, name, top, &new) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {}
            other => return other,
        }
    }
}

fn is_dir(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
    Ok(sys::stat(dir, name)?.st_mode & libc::S_IFMT == libc::S_IFDIR)
}
