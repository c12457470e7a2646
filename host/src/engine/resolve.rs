//! Paths that are resolved without following any link.

use std::ffi::CStr;
use std::io;
use std::mem;
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::checked;

/// The kernel's `struct open_how`.
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
const RESOLVE_NO_SYMLINKS: u64 = 0x04;

/// Opens `path` below `dir`; a link anywhere in it, the last name included, is `ELOOP`.
pub fn open_without_links(dir: RawFd, path: &CStr, flags: libc::c_int) -> io::Result<OwnedFd> {
    let how = OpenHow {
        flags: (flags | libc::O_CLOEXEC | libc::O_NOFOLLOW) as u64,
        mode: 0,
        resolve: RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    let fd = unsafe { libc::syscall(libc::SYS_openat2, dir, path.as_ptr(), &how, mem::size_of::<OpenHow>()) };
    Ok(unsafe { OwnedFd::from_raw_fd(checked(fd)? as RawFd) })
}

/// What kind of file an open one is, and its mode.
pub fn mode_of(file: &impl AsRawFd) -> io::Result<libc::mode_t> {
    let mut stat: libc::stat = unsafe { mem::zeroed() };
    checked(unsafe { libc::fstat(file.as_raw_fd(), &mut stat) }.into())?;
    Ok(stat.st_mode)
}
