//! A guest's directory and its agent's socket.

use std::ffi::CString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::io::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::error::Failure;
use crate::layers::remove_tree;
use crate::names::Sandbox;
use crate::root::{chown, Root};

pub fn names(directory: &Path) -> Result<Vec<String>, Failure> {
    let failed = |error: io::Error| Failure::from_io("What is there can't be listed", &error);
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// An empty directory for a guest.
pub fn make(guest: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(guest)
}

/// Room for what it changes, as far as the machine has any.
pub fn make_upper(guest: &Path) -> io::Result<()> {
    // What the guest sees as its root's own mode.
    DirBuilder::new().mode(0o755).create(guest.join("upper"))?;
    fs::set_permissions(guest.join("upper"), fs::Permissions::from_mode(0o755))
}

/// An empty directory for the overlay to work in, beside `upper`.
pub fn renew_work(storage: &Path) -> io::Result<()> {
    let work = storage.join("work");
    remove(&work)?;
    DirBuilder::new().mode(0o700).create(&work)
}

pub fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    OpenOptions::new().read(true).custom_flags(flags).open(path).map(OwnedFd::from)
}

/// The agent's socket, which listens.
pub fn listen(root: &Root, sandbox: &Sandbox) -> io::Result<UnixListener> {
    let directory = File::open(root.sockets())?;
    // An address of a socket has at most 107 bytes, and the root may be deep.
    let path = format!("/proc/self/fd/{}/{}.sock", directory.as_raw_fd(), sandbox);
    remove_file(Path::new(&path))?;
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    chown(Path::new(&path), root.owner())?;
    Ok(listener)
}

pub fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// As `remove`; nothing where there is none.
pub fn remove_any(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => remove(path),
    }
}

/// What leads to an agent. Idempotent.
pub fn remove_way(root: &Root, sandbox: &Sandbox) -> io::Result<()> {
    for path in [root.socket(sandbox), root.agent_address(sandbox), root.agent_secret(sandbox)] {
        remove_file(&path)?;
    }
    Ok(())
}

/// A file for the server beside the agents' sockets, in the place of the one that was there.
pub fn write_way(root: &Root, path: &Path, text: &str) -> io::Result<()> {
    remove_file(path)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    chown(path, root.owner())
}

/// With all that is in it. A guest can have directories in one another that no stack is deep enough for, and more names in one
/// than fit the memory.
pub fn remove(path: &Path) -> io::Result<()> {
    let (parent, name) = path.parent().zip(path.file_name()).ok_or(io::ErrorKind::InvalidInput)?;
    remove_tree(open_directory(parent)?.as_fd(), &CString::new(name.as_bytes())?)
}

/// All of the file system that this directory is on is on the disk by then.
pub fn sync(directory: &Path) -> io::Result<()> {
    let directory = File::open(directory)?;
    // SAFETY: the descriptor is open.
    match unsafe { libc::syncfs(directory.as_raw_fd()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
