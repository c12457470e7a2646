//! A lexically ordered depth-first walk, in steps: each step makes one batch, so that a walk holds no thread while its
//! host is slow. Links inside are not followed.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::io::AsRawFd;
use std::path::{Path, PathBuf};
use std::vec;

use serde_json::Value;

use super::entry::{describe, not_a_directory, path_failure, text};
use crate::error::{Code, Failure};
use crate::users::Names;

/// Entries of a batch, at most.
const BATCH_ENTRIES: usize = 500;
/// Once a batch's entries are about this long it goes; one entry more still fits the longest frame.
const BATCH_BYTES: usize = 1024 * 1024;
/// What an entry's fixed parts take, about.
const ENTRY_BASE_BYTES: usize = 256;

/// Paths that are longer than this go by the handle of their directory: the system takes none of 4096 bytes.
const PATH_BYTES: usize = 3800;
/// Directories that are held open for such paths, at most.
const HANDLES_MAX: usize = 2048;
/// Names that wait for their turn, in bytes, at most; each counts a little more than it has.
const NAMES_MAX_BYTES: usize = 256 * 1024 * 1024;
const NAME_BASE_BYTES: usize = 32;

/// One directory that the walk is in.
struct Level {
    /// Sorted; what is left of it
    names: vec::IntoIter<OsString>,
    /// What its names count
    bytes: usize,
    /// Only where its path is long
    handle: Option<File>,
}

pub struct Walk {
    /// Of the innermost level
    path: PathBuf,
    levels: Vec<Level>,
    depth: usize,
    names: Names,
}

impl Walk {
    /// Opens the root, which may be a link. Errors: `not_found`, `invalid_argument` (no directory).
    pub fn start(path: &str, depth: u64) -> Result<Walk, Failure> {
        let fail = |error: io::Error| path_failure("listed", path, &error);
        let metadata = fs::metadata(path).map_err(fail)?;
        if !metadata.is_dir() {
            return Err(not_a_directory(path));
        }
        let depth = usize::try_from(depth).unwrap_or(usize::MAX);
        let mut walk = Walk { path: PathBuf::from(path), levels: Vec::new(), depth, names: Names::load() };
        let root = walk.open(PathBuf::from(path), None)?;
        walk.levels.push(root);
        Ok(walk)
    }

    /// The next entries; none at the end. Errors where an entry or a directory can't be read: a list is whole or none.
    pub fn next_batch(&mut self) -> Result<Vec<Value>, Failure> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < BATCH_ENTRIES && bytes < BATCH_BYTES {
            let (path_bytes, entry) = match self.next_entry()? {
                Some(next) => next,
                None => break,
            };
            bytes += ENTRY_BASE_BYTES + 2 * path_bytes + text_bytes(&entry["metadata"]);
            batch.push(entry);
        }
        Ok(batch)
    }

    /// The next entry and the length of its path.
    fn next_entry(&mut self) -> Result<Option<(usize, Value)>, Failure> {
        loop {
            let level = match self.levels.last_mut() {
                Some(level) => level,
                None => return Ok(None),
            };
            let name = match level.names.next() {
                Some(name) => name,
                None => {
                    self.levels.pop();
                    if !self.levels.is_empty() {
                        self.path.pop();
                    }
                    continue;
                }
            };
            let path = self.path.join(&name);
            let access = match &level.handle {
                Some(handle) => by_handle(handle).join(&name),
                None => path.clone(),
            };
            let entry = match describe(&access, &text(&path), &self.names) {
                Ok(entry) => entry,
                Err(error) if has_vanished(&error) => continue,
                Err(error) => return Err(path_failure("listed", &text(&path), &error)),
            };
            let path_bytes = path.as_os_str().len();
            let is_directory = entry["type"] == "directory" && entry.get("symlinkTarget").is_none();
            if is_directory && self.levels.len() < self.depth {
                match self.open(path, Some(&access)) {
                    Ok(level) => {
                        self.levels.push(level);
                        self.path.push(name);
                    }
                    Err(failure) if matches!(failure.errno, Some("ENOENT" | "ENOTDIR" | "ELOOP")) => {}
                    Err(failure) => return Err(failure),
                }
            }
            return Ok(Some((path_bytes, entry)));
        }
    }

    /// Reads a directory that is at `path` and can be reached by `access`; absent: the root, which may be a link.
    fn open(&self, path: PathBuf, access: Option<&Path>) -> Result<Level, Failure> {
        let fail = |error: io::Error| path_failure("listed", &text(&path), &error);
        let too_much = |what: &str| {
            Err(Failure::new(Code::ResourceExhausted, format!("'{}' can't be listed whole: {}.", text(&path), what)))
        };
        let handle = match access {
            Some(access) if path.as_os_str().len() > PATH_BYTES => {
                if self.levels.iter().filter(|level| level.handle.is_some()).count() >= HANDLES_MAX {
                    return too_much("the tree is too deep");
                }
                let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
                Some(OpenOptions::new().read(true).custom_flags(flags).open(access).map_err(fail)?)
            }
            _ => None,
        };
        let place = handle.as_ref().map_or_else(|| path.clone(), by_handle);
        let held: usize = self.levels.iter().map(|level| level.bytes).sum();
        let (mut names, mut bytes) = (Vec::new(), 0);
        for entry in fs::read_dir(place).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name();
            bytes += name.len() + NAME_BASE_BYTES;
            if held + bytes > NAMES_MAX_BYTES {
                return too_much("there are too many entries");
            }
            names.push(name);
        }
        names.sort_unstable();
        Ok(Level { names: names.into_iter(), bytes, handle })
    }
}

fn by_handle(directory: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()))
}

/// What vanishes during the walk is left out.
fn has_vanished(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOENT)
}

fn text_bytes(metadata: &Value) -> usize {
    match metadata.as_object() {
        Some(map) => map.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum(),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::test_dir::TestDir;

    fn paths(root: &Path, depth: u64) -> Vec<String> {
        let mut walk = Walk::start(root.to_str().unwrap(), depth).unwrap();
        let mut paths = Vec::new();
        loop {
            let batch = walk.next_batch().unwrap();
            if batch.is_empty() {
                return paths;
            }
            let relative = |entry: &Value| entry["path"].as_str().unwrap()[root.to_str().unwrap().len()..].to_owned();
            paths.extend(batch.iter().map(relative));
        }
    }

    #[test]
    fn walks_in_order_to_the_depth() {
        let dir = TestDir::new();
        for path in ["b/x/deep", "b/y", "a", "c"] {
            fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        fs::write(dir.path().join("b.txt"), "").unwrap();
        assert_eq!(paths(dir.path(), 1), ["/a", "/b", "/b.txt", "/c"]);
        assert_eq!(paths(dir.path(), 2), ["/a", "/b", "/b/x", "/b/y", "/b.txt", "/c"]);
        assert_eq!(paths(dir.path(), u64::MAX), ["/a", "/b", "/b/x", "/b/x/deep", "/b/y", "/b.txt", "/c"]);
    }

    #[test]
    fn reports_under_a_linked_root_and_follows_no_links_inside() {
        let dir = TestDir::new();
        fs::create_dir_all(dir.path().join("real/sub")).unwrap();
        std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink("..", dir.path().join("real/up")).unwrap();
        assert_eq!(paths(&dir.path().join("link"), 9), ["/sub", "/up"]);
    }

    #[test]
    fn large_directories_come_in_batches() {
        let dir = TestDir::new();
        for index in 0..BATCH_ENTRIES + 1 {
            fs::write(dir.path().join(format!("{:04}", index)), "").unwrap();
        }
        let mut walk = Walk::start(dir.path().to_str().unwrap(), 1).unwrap();
        let mut next = || walk.next_batch().unwrap().len();
        assert_eq!((next(), next(), next()), (BATCH_ENTRIES, 1, 0));
    }

    #[test]
    fn a_tree_may_be_deeper_than_any_path() {
        let dir = TestDir::new();
        let name = "d".repeat(100);
        let mut current = File::open(dir.path()).unwrap();
        for _ in 0..100 {
            let inner = by_handle(&current).join(&name);
            fs::create_dir(&inner).unwrap();
            std::os::unix::fs::symlink("..", by_handle(&current).join("link")).unwrap();
            fs::write(by_handle(&current).join("z"), "").unwrap();
            current = File::open(inner).unwrap();
        }
        let paths = paths(dir.path(), u64::MAX);
        assert_eq!(paths.len(), 300);
        assert_eq!(paths[99], format!("/{}", name).repeat(100));
        assert_eq!(paths[299], "/z");
        crate::files::remove::remove(dir.path()).unwrap();
    }

    #[test]
    fn a_file_can_not_be_listed() {
        let dir = TestDir::new();
        let file = dir.path().join("f");
        fs::write(&file, "").unwrap();
        assert_eq!(Walk::start(file.to_str().unwrap(), 1).err().unwrap().errno, Some("ENOTDIR"));
        let missing = dir.path().join("none");
        assert_eq!(Walk::start(missing.to_str().unwrap(), 1).err().unwrap().errno, Some("ENOENT"));
    }
}
