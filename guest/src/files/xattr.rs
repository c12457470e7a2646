//! File metadata: extended attributes `user.e2b.*`. A file system without them has no metadata.

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::io::RawFd;

use crate::fields::StringMap;

const PREFIX: &str = "user.e2b.";
/// The kernel's limits on the list of names and on one value.
const LIST_MAX_BYTES: usize = 64 * 1024;
const VALUE_MAX_BYTES: usize = 64 * 1024;
/// Names and values together, as read back: keeps every entry far below the longest frame.
const METADATA_MAX_BYTES: usize = 64 * 1024;

/// The metadata of what `path` resolves to; what can't be read is left out.
pub fn read(path: &CStr) -> StringMap {
    let mut metadata = StringMap::new();
    let mut total = 0;
    let list = |buffer: &mut [u8]| unsafe { libc::listxattr(path.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) };
    for name in names(list) {
        let value = fetch(VALUE_MAX_BYTES, |buffer| unsafe {
            libc::getxattr(path.as_ptr(), name.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len())
        });
        let key = String::from_utf8_lossy(&name.to_bytes()[PREFIX.len()..]).into_owned();
        if let Some(value) = value {
            let value = String::from_utf8_lossy(&value).into_owned();
            total += key.len() + value.len();
            if total > METADATA_MAX_BYTES {
                break;
            }
            metadata.insert(key, value);
        }
    }
    metadata
}

/// Makes `metadata` the whole set of an open file. Touches nothing where nothing is to change.
pub fn replace(fd: RawFd, metadata: &StringMap) -> io::Result<()> {
    let list = |buffer: &mut [u8]| unsafe { libc::flistxattr(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
    for name in names(list) {
        let is_kept = name.to_str().map_or(false, |name| metadata.contains_key(&name[PREFIX.len()..]));
        if !is_kept {
            supported(unsafe { libc::fremovexattr(fd, name.as_ptr()) })?;
        }
    }
    for (key, value) in metadata {
        let name = CString::new(format!("{}{}", PREFIX, key))?;
        supported(unsafe { libc::fsetxattr(fd, name.as_ptr(), value.as_ptr().cast(), value.len(), 0) })?;
    }
    Ok(())
}

fn supported(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(()),
        error => Err(error),
    }
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
