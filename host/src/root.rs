//! The helper's directory: who may go where in it, and that there is one helper for it.

use std::ffi::CString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::io::AsRawFd;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::error::Failure;
use crate::log;
use crate::names::Sandbox;

pub struct Root {
    path: PathBuf,
    /// Whose the agents' sockets and the spool are
    owner: u32,
    /// Holds the lock, which ends with this process: it is no child's, unlike `flock`'s
    _lock: File,
}

/// Why there is no root to work in.
pub enum NoRoot {
    /// Another helper has it
    Taken,
    Failed(Failure),
}

impl From<Failure> for NoRoot {
    fn from(failure: Failure) -> NoRoot {
        NoRoot::Failed(failure)
    }
}

impl Root {
    /// Makes what is missing, and takes the lock. `owner`: the user that the server is.
    pub fn open(path: &Path, owner: u32) -> Result<Root, NoRoot> {
        let made = (|| {
            // The server has to get to the sockets and to the spool; nobody has to see what else is there.
            directory(path, 0o711, 0)?;
            let path = fs::canonicalize(path)?;
            check_above(&path)?;
            let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(path.join("lock"))?;
            Ok((path, lock))
        })();
        let (path, lock) = made.map_err(|error| failed(path, &error))?;
        if !take(&lock).map_err(|error| failed(&path, &error))? {
            return Err(NoRoot::Taken);
        }
        let parts = [("guests", 0o700, 0), ("layers", 0o700, 0), ("trash", 0o700, 0), ("sockets", 0o711, 0)];
        for (name, mode, owner) in parts.into_iter().chain([("spool", 0o700, owner)]) {
            directory(&path.join(name), mode, owner).map_err(|error| failed(&path, &error))?;
        }
        Ok(Root { path, owner, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn owner(&self) -> u32 {
        self.owner
    }

    pub fn host_socket(&self) -> PathBuf {
        self.path.join("host.sock")
    }

    pub fn guests(&self) -> PathBuf {
        self.path.join("guests")
    }

    pub fn guest(&self, sandbox: &Sandbox) -> PathBuf {
        self.guests().join(sandbox.as_str())
    }

    pub fn sockets(&self) -> PathBuf {
        self.path.join("sockets")
    }

    pub fn socket(&self, sandbox: &Sandbox) -> PathBuf {
        self.sockets().join(format!("{}.sock", sandbox))
    }

    /// Where the agent of a guest that is asked by its network listens: an address and a port.
    pub fn agent_address(&self, sandbox: &Sandbox) -> PathBuf {
        self.sockets().join(format!("{}.address", sandbox))
    }

    /// What a connection to such an agent begins with.
    pub fn agent_secret(&self, sandbox: &Sandbox) -> PathBuf {
        self.sockets().join(format!("{}.secret", sandbox))
    }

    pub fn layers(&self) -> PathBuf {
        self.path.join("layers")
    }

    /// Disks that no guest has yet.
    pub fn disks(&self) -> PathBuf {
        self.path.join("disks")
    }

    /// Where what has no name any more waits to be removed.
    pub fn trash(&self) -> PathBuf {
        self.path.join("trash")
    }
}

pub fn chown(path: &Path, owner: u32) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the path is a string that ends with a zero, and lives for the call.
    match unsafe { libc::lchown(path.as_ptr(), owner, u32::MAX) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// For whoever started the helper, who named the directory.
fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::from_io(format!("The directory {} can't be used", path.display()), error)
}

/// Whoever can write above it could put another directory in its place. One whose owner isn't root, or whose group may write, is where
/// the operator has put it, and said in the log.
fn check_above(path: &Path) -> io::Result<()> {
    for above in path.ancestors().skip(1) {
        let found = fs::symlink_metadata(above)?;
        // Of what is in a sticky directory only its owner changes the name.
        let writers = if found.mode() & libc::S_ISVTX == 0 { found.mode() & 0o022 } else { 0 };
        if writers & 0o002 != 0 {
            let why = format!("everybody may write in {}", above.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        if found.uid() != 0 || writers != 0 {
            let fields = json!({ "directory": above.display().to_string(), "owner": found.uid() });
            log::warn("Others than root can put another directory in the place of the helper's.", fields);
        }
    }
    Ok(())
}

/// As it is to be, whoever made it.
fn directory(path: &Path, mode: u32, owner: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(path)?;
    let found = fs::symlink_metadata(path)?;
    if !found.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::ENOTDIR));
    }
    if found.uid() != owner {
        chown(path, owner)?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Whether the lock was free. It ends with this process.
pub fn take(file: &File) -> io::Result<bool> {
    // SAFETY: all zeros is a value of this plain structure: the whole file.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    // SAFETY: the descriptor is open and the structure lives for the call.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &lock) } == 0 {
        return Ok(true);
    }
    match io::Error::last_os_error() {
        error if matches!(error.raw_os_error(), Some(libc::EACCES | libc::EAGAIN)) => Ok(false),
        error => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_dir::TestDir;

    #[test]
    fn a_directory_that_everybody_can_put_another_in_the_place_of_is_none() {
        let above = TestDir::new();
        let check = |mode| {
            fs::set_permissions(above.path(), fs::Permissions::from_mode(mode)).unwrap();
            check_above(&above.path().join("root")).is_ok()
        };
        assert_eq!([0o755, 0o1777, 0o777].map(check), [true, true, false]);
    }
}
