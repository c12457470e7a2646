//! Copies file metadata (extended attributes `user.e2b.*`) between two directories that have the same files: from a
//! container's layer to that of the image made of it, because the engine leaves them out of images.

use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::io::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::resolve::{mode_of, open_without_links};
use super::xattr;

/// Set on `to` once it has all, to a file system's root that no container shows.
const DONE: &[u8] = b"user.e2b-server.has-metadata\0";

/// Copies what the regular files and directories below `from` have; those that `to` lacks are left out. Nothing may
/// change either meanwhile. Errors: also where `to` has had other metadata before: layers with the same files are one
/// and the same to the engine.
pub fn copy(from: &str, to: &str) -> io::Result<()> {
    let (from, to) = (File::open(from)?, File::open(to)?);
    let done = CStr::from_bytes_with_nul(DONE).expect("ends with its only zero");
    let is_done = xattr::has(to.as_raw_fd(), done)?;
    let mut pending = vec![PathBuf::from(".")];
    while let Some(path) = pending.pop() {
        let directory = open_below(&from, &path)?;
        for entry in fs::read_dir(path_of(&directory))? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if !kind.is_file() && !kind.is_dir() {
                continue;
            }
            let path = path.join(entry.file_name());
            let (source, target) = (open_below(&from, &path)?, open_below(&to, &path));
            match target {
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
                target => copy_one(&source, &target?, is_done)?,
            }
            if kind.is_dir() {
                pending.push(path);
            }
        }
    }
    xattr::mark(to.as_raw_fd(), done)
}

fn copy_one(source: &OwnedFd, target: &OwnedFd, is_done: bool) -> io::Result<()> {
    if mode_of(source)? & libc::S_IFMT != mode_of(target)? & libc::S_IFMT {
        return Ok(());
    }
    let target = c_path_of(target)?;
    let attributes = xattr::read_raw(&c_path_of(source)?)?;
    if is_done && attributes != xattr::read_raw(&target)? {
        return Err(io::Error::new(io::ErrorKind::Other, "another image has the same files with other metadata"));
    }
    if is_done || attributes.is_empty() {
        return Ok(());
    }
    xattr::write_raw(&target, &attributes)
}

/// Names the inode and doesn't open it: a pipe would wait, and a device act.
fn open_below(root: &File, path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    open_without_links(root.as_raw_fd(), &path, libc::O_PATH)
}

fn path_of(file: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn c_path_of(file: &OwnedFd) -> io::Result<CString> {
    Ok(CString::new(path_of(file).into_os_string().into_vec())?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::test_dir::TestDir;

    fn set(path: &Path, name: &str, value: &str) {
        let path = CString::new(path.as_os_str().as_bytes()).unwrap();
        let pair = (CString::new(name).unwrap(), value.as_bytes().to_vec());
        xattr::write_raw(&path, &BTreeMap::from([pair])).unwrap();
    }

    fn get(path: &Path) -> Vec<Vec<u8>> {
        let path = CString::new(path.as_os_str().as_bytes()).unwrap();
        xattr::read_raw(&path).unwrap().into_values().collect()
    }
    #[test]
    fn copies_what_lies_at_the_same_place_and_follows_no_link() {
        let (from, to, outside) = (TestDir::new(), TestDir::new(), TestDir::new());
        for dir in [&from, &to, &outside] {
            fs::create_dir(dir.path().join("sub")).unwrap();
            fs::write(dir.path().join("sub/file"), "text").unwrap();
        }
        fs::write(from.path().join("only-here"), "text").unwrap();
        for name in ["sub", "sub/file", "only-here"] {
            set(&from.path().join(name), "user.e2b.key", name);
        }
        set(&from.path().join("sub/file"), "user.other", "stays");

        let paths = [&from, &to].map(|dir| dir.path().to_str().unwrap().to_owned());
        copy(&paths[0], &paths[1]).unwrap();
        assert_eq!(get(&to.path().join("sub/file")), [b"sub/file"]);
        assert_eq!(get(&to.path().join("sub")), [b"sub"]);

        // A second time is fine with the same metadata, and refused with other.
        copy(&paths[0], &paths[1]).unwrap();
        set(&from.path().join("sub/file"), "user.e2b.key", "other");
        assert!(copy(&paths[0], &paths[1]).unwrap_err().to_string().contains("other metadata"));
        assert_eq!(get(&to.path().join("sub/file")), [b"sub/file"]);

        // Where a link stands in the target, nothing is set at its other end.
        let linked = TestDir::new();
        symlink(outside.path().join("sub"), linked.path().join("sub")).unwrap();
        let error = copy(&paths[0], linked.path().to_str().unwrap()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
        assert!(get(&outside.path().join("sub/file")).is_empty());
        assert!(get(&outside.path().join("sub")).is_empty());
    }
}
