//! What the API says of a file (e2b-wire 3.3).

use std::ffi::CString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use serde_json::{json, Value};

use super::xattr;
use crate::error::{Code, Failure};
use crate::paths::name_of;
use crate::users::Names;

/// Describes what is at `path`, a symbolic link as itself. `shown` is the path to report.
pub fn describe(path: &Path, shown: &str, names: &Names) -> io::Result<Value> {
    let own = fs::symlink_metadata(path)?;
    if !own.file_type().is_symlink() {
        return Ok(to_json(path, shown, &own, Some(&own), names));
    }
    let target = fs::metadata(path).ok();
    let mut entry = to_json(path, shown, &own, target.as_ref(), names);
    let resolved = fs::canonicalize(path).map_or_else(|_| shown.to_owned(), |path| text(&path));
    entry["symlinkTarget"] = resolved.into();
    Ok(entry)
}

/// Describes an open file as itself, under the path it was opened by.
pub fn describe_open(path: &str, metadata: &Metadata, names: &Names) -> Value {
    to_json(Path::new(path), path, metadata, Some(metadata), names)
}

/// The failure of an operation on `path`.
pub fn path_failure(action: &str, path: &str, error: &io::Error) -> Failure {
    match error.raw_os_error() {
        Some(libc::ENOENT) => {
            Failure::new(Code::NotFound, format!("path '{}' does not exist", path)).with_errno(libc::ENOENT)
        }
        Some(libc::EISDIR) => Failure::invalid(format!("path '{}' is a directory", path)).with_errno(libc::EISDIR),
        _ => Failure::from_io(format!("'{}' can't be {}", path, action), error),
    }
}

/// The failure of an operation that wants a directory.
pub fn not_a_directory(path: &str) -> Failure {
    Failure::invalid(format!("path '{}' is not a directory", path)).with_errno(libc::ENOTDIR)
}

fn to_json(path: &Path, shown: &str, own: &Metadata, resolved: Option<&Metadata>, names: &Names) -> Value {
    let kind = match resolved {
        Some(metadata) if metadata.is_file() => "file",
        Some(metadata) if metadata.is_dir() => "directory",
        _ => "unspecified",
    };
    let mut entry = json!({
        "name": name_of(shown),
        "type": kind,
        "path": shown,
        "size": own.len(),
        "mode": resolved.map_or(0, |metadata| metadata.mode() & 0o777),
        "permissions": permissions(own),
        "owner": names.user(own.uid()),
        "group": names.group(own.gid()),
        "modifiedMs": own.mtime() as f64 * 1e3 + own.mtime_nsec() as f64 / 1e6,
    });
    let metadata = CString::new(path.as_os_str().as_bytes()).map(|path| xattr::read(&path)).unwrap_or_default();
    if !metadata.is_empty() {
        entry["metadata"] = json!(metadata);
    }
    entry
}

/// The text of Go's `FileMode.String()`: a letter for each special bit, or a dash, then the permissions.
fn permissions(metadata: &Metadata) -> String {
    let kind = metadata.file_type();
    let mode = metadata.mode();
    let letters = [
        ("d", kind.is_dir()),
        ("L", kind.is_symlink()),
        ("D", kind.is_block_device() || kind.is_char_device()),
        ("p", kind.is_fifo()),
        ("S", kind.is_socket()),
        ("u", mode & libc::S_ISUID != 0),
        ("g", mode & libc::S_ISGID != 0),
        ("c", kind.is_char_device()),
        ("t", mode & libc::S_ISVTX != 0),
    ];
    let mut text: String = letters.iter().filter(|(_, applies)| *applies).map(|(letter, _)| *letter).collect();
    if text.is_empty() {
        text.push('-');
    }
    for (index, letter) in "rwxrwxrwx".chars().enumerate() {
        text.push(if mode & (0o400 >> index) != 0 { letter } else { '-' });
    }
    text
}

/// A path as text; bytes that are no UTF-8 become replacement characters.
pub fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
