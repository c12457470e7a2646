//! File metadata as it is on disk: extended attributes `user.e2b.*`.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::io::RawFd;
use std::ptr;

const PREFIX: &str = "user.e2b.";
/// The kernel's limits on the list of names and on one value.
const LIST_MAX_BYTES: usize = 64 * 1024;
const VALUE_MAX_BYTES: usize = 64 * 1024;

/// Names and values as they are on disk.
pub type RawMetadata = BTreeMap<CString, Vec<u8>>;

/// All the metadata of what `path` resolves to, as it is. A file system without extended attributes has none.
pub fn read_raw(path: &CStr) -> io::Result<RawMetadata> {
    let list = |buffer: &mut [u8]| unsafe { libc::listxattr(path.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) };
    let mut metadata = RawMetadata::new();
    for name in names(list) {
        let value = fetch(VALUE_MAX_BYTES, |buffer| unsafe {
            libc::getxattr(path.as_ptr(), name.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len())
        });
        metadata.insert(name, value.ok_or_else(io::Error::last_os_error)?);
    }
    Ok(metadata)
}

/// Adds to the metadata of what `path` resolves to.
pub fn write_raw(path: &CStr, metadata: &RawMetadata) -> io::Result<()> {
    for (name, value) in metadata {
        let (bytes, length) = (value.as_ptr().cast(), value.len());
        if unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), bytes, length, 0) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Whether an open file has this attribute, which may be one of any name.
pub fn has(fd: RawFd, name: &CStr) -> io::Result<bool> {
    if unsafe { libc::fgetxattr(fd, name.as_ptr(), ptr::null_mut(), 0) } >= 0 {
        return Ok(true);
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::ENODATA) => Ok(false),
        error => Err(error),
    }
}

/// Gives an open file an attribute without a value.
pub fn mark(fd: RawFd, name: &CStr) -> io::Result<()> {
    if unsafe { libc::fsetxattr(fd, name.as_ptr(), ptr::null(), 0, 0) } == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

/// The names with our prefix that `list` gives.
fn names(list: impl Fn(&mut [u8]) -> libc::ssize_t) -> Vec<CString> {
    let bytes = fetch(LIST_MAX_BYTES, list).unwrap_or_default();
    let ours = bytes.split(|byte| *byte == 0).filter(|name| name.starts_with(PREFIX.as_bytes()));
    ours.filter_map(|name| CString::new(name).ok()).collect()
}

/// Calls with a small buffer first and then with one that is surely large enough.
fn fetch(max_bytes: usize, call: impl Fn(&mut [u8]) -> libc::ssize_t) -> Option<Vec<u8>> {
    for size in [256, max_bytes] {
        let mut buffer = vec![0; size];
        let length = call(&mut buffer);
        if length >= 0 {
            buffer.truncate(length as usize);
            return Some(buffer);
        }
        if io::Error::last_os_error().raw_os_error() != Some(libc::ERANGE) {
            return None;
        }
    }
    None
}
