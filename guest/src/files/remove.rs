//! Removes a file or a whole tree, however deep: it walks by directory handles, one open at a time, and never follows
//! a link.

use std::ffi::{CStr, CString, OsStr};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::io::{AsRawFd, FromRawFd, RawFd};
use std::path::Path;

/// Removes `path` with all below it. Success where nothing is there.
pub fn remove(path: &Path) -> io::Result<()> {
    let name = c_string(path.as_os_str())?;
    match remove_entry(libc::AT_FDCWD, &name) {
        Ok(Removed::Yes) => Ok(()),
        Ok(Removed::HasContents) => remove_tree(&name),
        // Below a file there is nothing, too.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A directory that the walk is in, below the root of the removal.
struct Level {
    /// The name in the directory above
    name: CString,
    /// Device and inode of the directory above, to find back to by `..`
    above: (u64, u64),
}

fn remove_tree(root: &CStr) -> io::Result<()> {
    let mut levels: Vec<Level> = Vec::new();
    let mut current = open_dir(libc::AT_FDCWD, root)?;
    loop {
        if let Some(child) = empty(&current)? {
            let above = identity(&current)?;
            current = open_dir(current.as_raw_fd(), &child)?;
            levels.push(Level { name: child, above });
            continue;
        }
        let level = match levels.pop() {
            Some(level) => level,
            None => break,
        };
        let parent = open_dir(current.as_raw_fd(), CStr::from_bytes_with_nul(b"..\0").unwrap_or_default())?;
        if identity(&parent)? != level.above {
            // Somebody moved the directory while it was being removed.
            return Err(io::Error::from_raw_os_error(libc::EBUSY));
        }
        current = parent;
        remove_entry(current.as_raw_fd(), &level.name)?;
    }
    remove_entry(libc::AT_FDCWD, root).map(|_| ())
}

/// Removes what it can of a directory; returns the first directory in it that has contents itself.
fn empty(dir: &File) -> io::Result<Option<CString>> {
    // By the handle, whatever the path to it is now.
    for entry in fs::read_dir(format!("/proc/self/fd/{}", dir.as_raw_fd()))? {
        let name = c_string(&entry?.file_name())?;
        match remove_entry(dir.as_raw_fd(), &name) {
            Ok(Removed::Yes) => {}
            Ok(Removed::HasContents) => return Ok(Some(name)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

enum Removed {
    Yes,
    HasContents,
}

fn remove_entry(dir: RawFd, name: &CStr) -> io::Result<Removed> {
    let unlink = |flags| match unsafe { libc::unlinkat(dir, name.as_ptr(), flags) } {
        0 => Ok(Removed::Yes),
        _ => Err(io::Error::last_os_error()),
    };
    let error = match unlink(0) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EISDIR | libc::EPERM)) => error,
        result => return result,
    };
    match unlink(libc::AT_REMOVEDIR) {
        Err(second) => match second.raw_os_error() {
            Some(libc::ENOTEMPTY | libc::EEXIST) => Ok(Removed::HasContents),
            // Not a directory after all: what the first call said stands.
            Some(libc::ENOTDIR) => Err(error),
            _ => Err(second),
        },
        result => result,
    }
}

fn open_dir(dir: RawFd, name: &CStr) -> io::Result<File> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    match unsafe { libc::openat(dir, name.as_ptr(), flags) } {
        fd if fd >= 0 => Ok(unsafe { File::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn identity(dir: &File) -> io::Result<(u64, u64)> {
    let metadata = dir.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

fn c_string(name: &OsStr) -> io::Result<CString> {
    Ok(CString::new(name.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::test_dir::TestDir;

    #[test]
    fn removes_a_tree_but_not_what_links_point_to() {
        let dir = TestDir::new();
        let (tree, kept) = (dir.path().join("tree"), dir.path().join("kept"));
        fs::create_dir_all(tree.join("a/b/c")).unwrap();
        fs::create_dir_all(tree.join("d")).unwrap();
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("f"), "").unwrap();
        fs::write(tree.join("a/b/f"), "").unwrap();
        std::os::unix::fs::symlink(&kept, tree.join("a/link")).unwrap();
        remove(&tree).unwrap();
        assert!(!tree.exists());
        assert!(kept.join("f").exists());
    }

    #[test]
    fn removing_nothing_succeeds() {
        let dir = TestDir::new();
        remove(&dir.path().join("none")).unwrap();
        fs::write(dir.path().join("f"), "").unwrap();
        remove(&dir.path().join("f/below")).unwrap();
    }

    #[test]
    fn a_tree_may_be_deeper_than_any_path() {
        let dir = TestDir::new();
        let name = CString::new("d".repeat(200)).unwrap();
        let mut current = File::open(dir.path()).unwrap();
        for _ in 0..200 {
            assert_eq!(unsafe { libc::mkdirat(current.as_raw_fd(), name.as_ptr(), 0o755) }, 0);
            current = open_dir(current.as_raw_fd(), &name).unwrap();
        }
        let top = dir.path().join(name.to_str().unwrap());
        remove(&top).unwrap();
        assert!(!top.exists());
    }
}
