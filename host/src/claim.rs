//! An instance's name on the machine, which control groups, interfaces and rules begin with: one directory has it, also between two
//! helpers of that directory. A helper of another directory would take its guests for nobody's, and end them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Code, Failure};
use crate::names::Instance;
use crate::root::{self, Root};

/// Goes with the machine's start, as all does that has the name.
const DIRECTORY: &str = "/run";
const ROOT_MAX_BYTES: u64 = 4096;

/// Held as long as the helper runs.
pub struct Claim {
    path: PathBuf,
    /// Holds the lock, and has the directory's path in it
    _file: File,
}

impl Claim {
    /// Errors: `failed_precondition` where another directory has it.
    pub fn take(instance: &Instance, root: &Root) -> Result<Claim, Failure> {
        let path = Path::new(DIRECTORY).join(format!("e2bn-{}.root", instance));
        let failed = |error: io::Error| Failure::from_io(format!("{} can't be used", path.display()), &error);
        let mut file = loop {
            let file = open(&path).map_err(failed)?;
            if !root::take(&file).map_err(failed)? {
                let why = format!("Another helper runs with the instance {}.", instance);
                return Err(Failure::new(Code::FailedPrecondition, why));
            }
            // Whoever had it may have removed it meanwhile.
            if is_at(&file, &path) {
                break file;
            }
        };
        let mut other = String::new();
        (&mut file).take(ROOT_MAX_BYTES).read_to_string(&mut other).map_err(failed)?;
        if Path::new(&other) != root.path() && has_guests(Path::new(&other)).map_err(failed)? {
            let why = format!("The sandboxes of {} have the instance {}.", other, instance);
            return Err(Failure::new(Code::FailedPrecondition, why));
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(root.path().to_string_lossy().as_bytes())
        };
        write(&mut file).map_err(failed)?;
        Ok(Claim { path, _file: file })
    }

    /// Without guests the name is anybody's.
    pub fn give_up(&self) {
        // What stays says the same as no file, once there are no guests.
        let _ = fs::remove_file(&self.path);
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)
}

fn is_at(file: &File, path: &Path) -> bool {
    let id = |found: &fs::Metadata| (found.dev(), found.ino());
    matches!((file.metadata(), fs::symlink_metadata(path)), (Ok(one), Ok(other)) if id(&one) == id(&other))
}

/// A claim that is new, or whose writing broke off, names no directory, least of all the one that the helper is started in. Errors:
/// it couldn't be looked at, and there may be some.
fn has_guests(root: &Path) -> io::Result<bool> {
    if !root.is_absolute() {
        return Ok(false);
    }
    match fs::read_dir(root.join("guests")) {
        Ok(mut guests) => Ok(guests.next().transpose()?.is_some()),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_names_no_directory_is_nobodys() {
        // This crate's sources have a directory `guests`, as a helper's root does.
        let sources = std::env::current_dir().unwrap().join("src");
        let has = |root: &Path| has_guests(root).unwrap();
        assert_eq!([sources.as_path(), Path::new("src"), Path::new("")].map(has), [true, false, false]);
    }
}
