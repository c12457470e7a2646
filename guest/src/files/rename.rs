//! Moves a file or directory. Where the system can't (another file system, or a directory from a lower layer of an
//! overlay) it is copied beside its destination, renamed into place, and removed where it was.

use std::ffi::CString;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{symlink, DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::remove::remove;
use super::xattr;
use crate::init::random_uuid;

/// Renames `from` to `to`, whose directory exists.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.raw_os_error() == Some(libc::EXDEV) => copy_into_place(from, to),
        result => result,
    }
}

fn copy_into_place(from: &Path, to: &Path) -> io::Result<()> {
    if to.starts_with(from) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let beside = to.with_file_name(format!(".e2b-move-{}", random_uuid()));
    let placed = copy_tree(from, &beside).and_then(|()| fs::rename(&beside, to));
    if placed.is_err() {
        // What is left of a failed copy is of no use; the failure itself is what counts.
        let _ = remove(&beside);
        return placed;
    }
    remove(from)
}

/// A directory whose contents are being copied.
struct Level {
    from: PathBuf,
    to: PathBuf,
    metadata: Metadata,
    entries: fs::ReadDir,
}

/// Copies with owners, permissions, times and metadata.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    let mut levels = Vec::new();
    levels.extend(copy_one(from.to_owned(), to.to_owned())?);
    while let Some(level) = levels.last_mut() {
        match level.entries.next() {
            Some(entry) => {
                let name = entry?.file_name();
                let deeper = copy_one(level.from.join(&name), level.to.join(&name))?;
                levels.extend(deeper);
            }
            None => {
                // Only now: a directory may be read-only, and its time changes with each entry.
                copy_attributes(&level.from, &level.to, &level.metadata)?;
                levels.pop();
            }
        }
    }
    Ok(())
}

/// Copies what isn't a directory; makes a directory and returns it to be walked.
fn copy_one(from: PathBuf, to: PathBuf) -> io::Result<Option<Level>> {
    let metadata = fs::symlink_metadata(&from)?;
    let kind = metadata.file_type();
    if kind.is_dir() {
        DirBuilder::new().mode(0o700).create(&to)?;
        let entries = fs::read_dir(&from)?;
        return Ok(Some(Level { from, to, metadata, entries }));
    }
    if kind.is_symlink() {
        symlink(fs::read_link(&from)?, &to)?;
    } else if kind.is_file() {
        let mut source = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(&from)?;
        let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&to)?;
        io::copy(&mut source, &mut target)?;
    } else {
        let path = c_string(&to)?;
        check(unsafe { libc::mknod(path.as_ptr(), metadata.mode(), metadata.rdev()) })?;
    }
    copy_attributes(&from, &to, &metadata)?;
    Ok(None)
}

fn copy_attributes(from: &Path, to: &Path, metadata: &Metadata) -> io::Result<()> {
    let path = c_string(to)?;
    let owned = check(unsafe { libc::lchown(path.as_ptr(), metadata.uid(), metadata.gid()) });
    if unsafe { libc::geteuid() } == 0 {
        owned?;
    }
    if !metadata.file_type().is_symlink() {
        if metadata.is_file() {
            let attributes = xattr::read(&c_string(from)?);
            if !attributes.is_empty() {
                use std::os::unix::io::AsRawFd;
                xattr::replace(File::open(to)?.as_raw_fd(), &attributes)?;
            }
        }
        fs::set_permissions(to, fs::Permissions::from_mode(metadata.mode() & 0o7777))?;
    }
    let time = |seconds: i64, nanoseconds: i64| libc::timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = [time(metadata.atime(), metadata.atime_nsec()), time(metadata.mtime(), metadata.mtime_nsec())];
    check(unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), times.as_ptr(), libc::AT_SYMLINK_NOFOLLOW) })
}

fn c_string(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::test_dir::TestDir;

    #[test]
    fn a_copy_has_all_that_a_rename_keeps() {
        let dir = TestDir::new();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("sub")).unwrap();
        fs::write(from.join("sub/f"), "contents").unwrap();
        fs::set_permissions(from.join("sub/f"), fs::Permissions::from_mode(0o751)).unwrap();
        symlink("sub/f", from.join("link")).unwrap();
        fs::set_permissions(from.join("sub"), fs::Permissions::from_mode(0o555)).unwrap();
        let before = fs::metadata(from.join("sub")).unwrap();

        copy_into_place(&from, &to).unwrap();
        assert!(!from.exists());
        assert_eq!(fs::read_to_string(to.join("link")).unwrap(), "contents");
        assert_eq!(fs::metadata(to.join("sub/f")).unwrap().mode() & 0o7777, 0o751);
        let after = fs::metadata(to.join("sub")).unwrap();
        assert_eq!(after.mode(), before.mode());
        assert_eq!((after.mtime(), after.mtime_nsec()), (before.mtime(), before.mtime_nsec()));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        fs::set_permissions(to.join("sub"), fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_failed_copy_leaves_nothing_behind() {
        let dir = TestDir::new();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(&from).unwrap();
        fs::create_dir_all(to.join("in-the-way")).unwrap();
        assert_eq!(copy_into_place(&from, &to).unwrap_err().raw_os_error(), Some(libc::ENOTEMPTY));
        assert!(from.exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        assert!(copy_into_place(&from, &from.join("inside")).is_err());
    }
}
