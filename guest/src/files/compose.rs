//! Several files become one: they are copied behind each other into a new file beside the destination, which then takes
//! its place. Until that moment nothing else is touched.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::dirs::make_parents;
use super::entry::{describe, path_failure};
use super::source::check_regular;
use super::target::own;
use crate::agent::Actor;
use crate::error::Failure;
use crate::init::random_uuid;
use crate::paths::parent_of;
use crate::users::Names;

/// Bytes that one step copies, at most.
const STEP_BYTES: u64 = 16 * 1024 * 1024;

pub struct Composition {
    destination: String,
    sources: Vec<String>,
    /// What is still to be copied, by index; the first one may be open
    left: VecDeque<usize>,
    open: Option<File>,
    scratch: Scratch,
}

/// The new file; gone with its owner unless it was put in place.
struct Scratch {
    path: PathBuf,
    file: File,
    is_placed: bool,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.is_placed {
            // What is left of a failed composition is of no use; the failure itself is what counts.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Composition {
    /// Looks at every path and makes the new file. Errors: `not_found` (a source), `invalid_argument` (a directory, a
    /// pipe, …).
    pub fn begin(sources: Vec<String>, destination: String, actor: &Actor) -> Result<Composition, Failure> {
        for source in &sources {
            check_regular(source, &fs::metadata(source).map_err(|error| path_failure("read", source, &error))?)?;
        }
        match fs::metadata(&destination) {
            Ok(found) => check_regular(&destination, &found)?,
            Err(_) => make_parents(&destination, actor)?,
        }
        let fail = |error: io::Error| path_failure("written", &destination, &error);
        if destination.ends_with('/') {
            return Err(fail(io::Error::from_raw_os_error(libc::EISDIR)));
        }
        let path = Path::new(parent_of(&destination).unwrap_or("/")).join(format!(".e2b-compose-{}", random_uuid()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path).map_err(fail)?;
        let scratch = Scratch { path, file, is_placed: false };
        own(&scratch.file, actor).map_err(fail)?;
        let left = (0..sources.len()).collect();
        Ok(Composition { destination, sources, left, open: None, scratch })
    }

    /// Copies a bounded number of bytes, within the kernel where it can. Returns whether that was all. Errors:
    /// `resource_exhausted` (`ENOSPC`).
    pub fn copy_some(&mut self) -> Result<bool, Failure> {
        let mut budget = STEP_BYTES;
        while let (Some(index), true) = (self.left.front().copied(), budget > 0) {
            let path = &self.sources[index];
            let source = match self.open.take() {
                Some(source) => source,
                None => open_source(path)?,
            };
            // A full disk is the destination's matter, and the only likely one.
            let copied = io::copy(&mut (&source).take(budget), &mut self.scratch.file)
                .map_err(|error| path_failure("composed", &self.destination, &error))?;
            if copied < budget {
                self.left.pop_front();
            } else {
                self.open = Some(source);
            }
            budget -= copied;
        }
        Ok(self.left.is_empty())
    }

    /// Puts the new file in place, removes the sources and describes the destination. Errors: as the system has them;
    /// a source that can't be removed is named, while the destination is complete.
    pub fn finish(mut self) -> Result<Value, Failure> {
        let destination = Path::new(&self.destination);
        let fail = |error: io::Error| path_failure("written", &self.destination, &error);
        let composed = self.scratch.file.metadata().map_err(fail)?;
        fs::rename(&self.scratch.path, destination).map_err(fail)?;
        self.scratch.is_placed = true;
        for source in &self.sources {
            match fs::symlink_metadata(source) {
                Ok(found) if (found.dev(), found.ino()) == (composed.dev(), composed.ino()) => continue,
                _ => {}
            }
            match fs::remove_file(source) {
                Ok(()) => {}
                // Given twice, or gone by itself.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let action = format!("removed, though '{}' is composed", self.destination);
                    return Err(path_failure(&action, source, &error));
                }
            }
        }
        describe(destination, &self.destination, &Names::load()).map_err(fail)
    }
}

fn open_source(path: &str) -> Result<File, Failure> {
    let fail = |error: io::Error| path_failure("read", path, &error);
    // What it is may have changed since it was looked at: it is opened without waiting for anybody.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let source = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(fail)?;
    check_regular(path, &source.metadata().map_err(fail)?)?;
    Ok(source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::test_dir::TestDir;
    use crate::users::User;

    fn nobody_special() -> Actor {
        let user = User { name: "x".to_owned(), uid: 0, gid: 0, groups: Vec::new(), home: "/".to_owned() };
        Actor { user, workdir: None, is_unprivileged: true }
    }

    #[test]
    fn what_is_given_up_leaves_nothing_behind() {
        let dir = TestDir::new();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        // More than one step copies.
        File::create(path("source")).unwrap().set_len(STEP_BYTES + 1).unwrap();
        let mut composition = Composition::begin(vec![path("source")], path("whole"), &nobody_special()).unwrap();
        assert_eq!(composition.copy_some(), Ok(false));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        drop(composition);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(fs::metadata(path("source")).unwrap().len(), STEP_BYTES + 1);
    }

    #[test]
    fn steps_add_up() {
        let dir = TestDir::new();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        File::create(path("large")).unwrap().set_len(STEP_BYTES).unwrap();
        fs::write(path("small"), "end").unwrap();
        let sources = vec![path("large"), path("small")];
        let mut composition = Composition::begin(sources, path("whole"), &nobody_special()).unwrap();
        let mut steps = 1;
        while !composition.copy_some().unwrap() {
            steps += 1;
        }
        assert!(steps > 1);
        assert_eq!(composition.finish().unwrap()["size"], STEP_BYTES + 3);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
