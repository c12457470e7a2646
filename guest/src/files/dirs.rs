//! Makes directories for a user.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::entry::path_failure;
use crate::agent::Actor;
use crate::error::{Code, Failure};
use crate::paths::parent_of;

/// Makes the directory and its parents. Errors: `conflict` where it is there already, `invalid_argument` where
/// something else is.
pub fn make(path: &str, actor: &Actor) -> Result<(), Failure> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let failure = Failure::new(Code::Conflict, format!("directory already exists: '{}'", path));
            return Err(failure.with_errno(libc::EEXIST));
        }
        Ok(_) => return Err(not_a_directory(path)),
        Err(_) => {}
    }
    make_all(path, actor)
}

/// Makes what is missing of the directory that `path` lies in.
pub fn make_parents(path: &str, actor: &Actor) -> Result<(), Failure> {
    match parent_of(path) {
        Some(parent) => make_all(parent, actor),
        None => Ok(()),
    }
}

/// Makes the directory and its parents. Success where it is there already.
pub fn make_all(path: &str, actor: &Actor) -> Result<(), Failure> {
    let mut missing = Vec::new();
    let mut next = Some(path);
    while let Some(path) = next {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => break,
            Ok(_) => return Err(not_a_directory(path)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => missing.push(path),
            Err(error) if error.raw_os_error() == Some(libc::ENOTDIR) => missing.push(path),
            Err(error) => return Err(path_failure("created", path, &error)),
        }
        next = parent_of(path);
    }
    for path in missing.into_iter().rev() {
        match fs::create_dir(path) {
            Ok(()) => own(Path::new(path), actor).map_err(|error| path_failure("given to the user", path, &error))?,
            // Somebody else made it meanwhile, or it is `a/..`, which the steps before made.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && Path::new(path).is_dir() => {}
            Err(error) => return Err(path_failure("created", path, &error)),
        }
    }
    Ok(())
}

/// Gives a new file or directory to the user.
fn own(path: &Path, actor: &Actor) -> io::Result<()> {
    if actor.is_unprivileged {
        return Ok(());
    }
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    match unsafe { libc::lchown(path.as_ptr(), actor.user.uid, actor.user.gid) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn not_a_directory(path: &str) -> Failure {
    Failure::invalid(format!("path '{}' is a file, not a directory", path)).with_errno(libc::ENOTDIR)
}
