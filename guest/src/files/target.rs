//! A file that is written. A watcher must see exactly create, attribute change, write (e2b-wire 3.3), so nothing is
//! called that isn't needed: open, fchown, write, and extended attributes only where some change. One that is there
//! already is made the user's before it is emptied (e2b-wire 3.4).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::io::AsRawFd;

use serde_json::Value;

use super::dirs::make_parents;
use super::entry::{describe_open, path_failure};
use super::source::check_regular;
use super::xattr;
use crate::agent::Actor;
use crate::error::Failure;
use crate::fields::StringMap;
use crate::users::Names;

pub struct Target {
    path: String,
    file: File,
}

impl Target {
    /// Creates or truncates the file, makes it the user's and gives it its metadata. Errors: `invalid_argument` (a
    /// directory, a pipe, …).
    pub fn open(path: String, metadata: &StringMap, actor: &Actor) -> Result<Target, Failure> {
        let fail = |error: io::Error| path_failure("written", &path, &error);
        let is_new = match fs::metadata(&path) {
            Ok(found) => check_regular(&path, &found).map(|()| false)?,
            Err(_) => make_parents(&path, actor).map(|_| true)?,
        };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(&path)
            .map_err(fail)?;
        let found = file.metadata().map_err(fail)?;
        check_regular(&path, &found)?;
        own(&file, actor).map_err(fail)?;
        if !is_new || found.len() > 0 {
            file.set_len(0).map_err(fail)?;
        }
        xattr::replace(file.as_raw_fd(), metadata).map_err(fail)?;
        Ok(Target { path, file })
    }

    /// Appends in as few writes as the system takes. Errors: `resource_exhausted` (`ENOSPC`).
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| path_failure("written", &self.path, &error))
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// The file as it is now.
    pub fn describe(&self) -> Result<Value, Failure> {
        let metadata = self.file.metadata().map_err(|error| path_failure("read", &self.path, &error))?;
        Ok(describe_open(&self.path, &metadata, &Names::load()))
    }
}

/// Always called, as a watcher waits for it. Where ownership can't be changed (/proc) it must be right already.
pub fn own(file: &File, actor: &Actor) -> io::Result<()> {
    let result = unsafe { libc::fchown(file.as_raw_fd(), actor.user.uid, actor.user.gid) };
    if result == 0 || actor.is_unprivileged {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    let metadata = file.metadata()?;
    if metadata.uid() == actor.user.uid && metadata.gid() == actor.user.gid {
        return Ok(());
    }
    Err(error)
}
