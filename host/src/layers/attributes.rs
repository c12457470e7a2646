//! Extended attributes of open files and directories.

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::io::{AsRawFd, BorrowedFd};

/// Of a directory: nothing of the layers below shows through.
pub const OPAQUE: &str = "trusted.overlay.opaque";
/// Of a file: its data lies in a layer below; of a directory: so does it, under another name.
const BORROWED: [&str; 2] = ["trusted.overlay.metacopy", "trusted.overlay.redirect"];
/// The kernel takes no more.
const NAMES_MAX_BYTES: usize = 64 * 1024;
pub const VALUE_MAX_BYTES: usize = 64 * 1024;

/// Whether a layer keeps an attribute of an archive: those of people, and capabilities of programs. Never overlay's own.
pub fn is_kept(name: &[u8]) -> bool {
    name == b"security.capability" || (name.starts_with(b"user.") && !name.starts_with(b"user.overlay."))
}

/// Of what a sandbox has changed: access lists too.
fn is_copied(name: &[u8]) -> bool {
    is_kept(name) || name.starts_with(b"system.posix_acl_")
}

pub fn is_opaque(file: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(get(file, &text(OPAQUE))?.map_or(false, |value| value == b"y"))
}

pub fn set_opaque(file: BorrowedFd<'_>) -> io::Result<()> {
    set(file, &text(OPAQUE), b"y")
}

/// Copies what layers keep. Errors: also where the data of `from` lies elsewhere.
pub fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    for name in list(from)? {
        let bytes = name.to_bytes();
        if BORROWED.iter().any(|borrowed| borrowed.as_bytes() == bytes) {
            return Err(io::Error::new(io::ErrorKind::Other, "a file's data lies in another layer"));
        }
        if !is_copied(bytes) {
            continue;
        }
        if let Some(value) = get(from, &name)? {
            set(to, &name, &value)?;
        }
    }
    Ok(())
}

pub fn set(file: BorrowedFd<'_>, name: &CStr, value: &[u8]) -> io::Result<()> {
    // SAFETY: name and value live for the call.
    let result = unsafe { libc::fsetxattr(file.as_raw_fd(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn get(file: BorrowedFd<'_>, name: &CStr) -> io::Result<Option<Vec<u8>>> {
    let mut value = vec![0u8; VALUE_MAX_BYTES];
    // SAFETY: the kernel writes at most as many bytes as the buffer has.
    let length = unsafe { libc::fgetxattr(file.as_raw_fd(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    match length {
        -1 => match io::Error::last_os_error() {
            error if matches!(error.raw_os_error(), Some(libc::ENODATA | libc::EOPNOTSUPP)) => Ok(None),
            error => Err(error),
        },
        length => {
            value.truncate(length as usize);
            Ok(Some(value))
        }
    }
}

fn list(file: BorrowedFd<'_>) -> io::Result<Vec<CString>> {
    let mut names = vec![0u8; NAMES_MAX_BYTES];
    // SAFETY: the kernel writes at most as many bytes as the buffer has.
    let length = unsafe { libc::flistxattr(file.as_raw_fd(), names.as_mut_ptr().cast(), names.len()) };
    if length < 0 {
        let error = io::Error::last_os_error();
        return if error.raw_os_error() == Some(libc::EOPNOTSUPP) { Ok(Vec::new()) } else { Err(error) };
    }
    names.truncate(length as usize);
    let parts = names.split(|&byte| byte == 0).filter(|name| !name.is_empty());
    Ok(parts.map(|name| CString::new(name).expect("was cut at its zeros")).collect())
}

fn text(name: &str) -> CString {
    CString::new(name).expect("has no zero")
}
