//! A private directory, gone with its owner. It is used by its handle, so that nobody who may write beside it can put
//! something else in its place.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::io::AsRawFd;
use std::path::{Path, PathBuf};

use crate::error::Failure;
use crate::files::remove::remove;
use crate::init::random_uuid;

pub struct Scratch {
    /// Path of it through the handle of the directory that it is in
    path: PathBuf,
    /// Path of it through its own handle
    root: PathBuf,
    _parent: File,
    _handle: File,
}

impl Scratch {
    /// Makes one in `directory`, which exists. Errors: as the system has them.
    pub fn create(directory: &Path) -> Result<Scratch, Failure> {
        let fail = |error| Failure::from_io(format!("Nothing can be unpacked to '{}'", directory.display()), &error);
        let parent = open(directory).map_err(fail)?;
        let path = by_handle(&parent).join(format!(".e2b-unpack-{}", random_uuid()));
        DirBuilder::new().mode(0o700).create(&path).map_err(fail)?;
        match open(&path) {
            Ok(handle) => Ok(Scratch { path, root: by_handle(&handle), _parent: parent, _handle: handle }),
            Err(error) => {
                let _ = fs::remove_dir(&path);
                Err(fail(error))
            }
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left of an archive is of no use; why it is left is what counts.
        let _ = remove(&self.path);
    }
}

fn open(directory: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW).open(directory)
}

fn by_handle(directory: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()))
}
