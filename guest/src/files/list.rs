//! A lexically ordered depth-first walk, in steps: each step makes one batch, so that a walk holds no thread while its
//! host is slow. Links inside are not followed.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::vec;

use serde_json::Value;

use super::entry::{describe, not_a_directory, path_failure, text};
use crate::error::Failure;
use crate::users::Names;

/// Entries of a batch, at most.
const BATCH_ENTRIES: usize = 500;
/// Once a batch's entries are about this long it goes; one entry more still fits the longest frame.
const BATCH_BYTES: usize = 1024 * 1024;
/// What an entry's fixed parts take, about.
const ENTRY_BASE_BYTES: usize = 256;

/// One open directory of the walk.
struct Level {
    path: PathBuf,
    /// Sorted; what is left of it
    names: vec::IntoIter<OsString>,
}

pub struct Walk {
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
        let root = Level { path: PathBuf::from(path), names: sorted_names(Path::new(path)).map_err(fail)? };
        Ok(Walk { levels: vec![root], depth: usize::try_from(depth).unwrap_or(usize::MAX), names: Names::load() })
    }

    /// The next entries; none at the end.
    pub fn next_batch(&mut self) -> Vec<Value> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < BATCH_ENTRIES && bytes < BATCH_BYTES {
            let (path, entry) = match self.next_entry() {
                Some(next) => next,
                None => break,
            };
            bytes += ENTRY_BASE_BYTES + 2 * path.as_os_str().len() + text_bytes(&entry["metadata"]);
            batch.push(entry);
        }
        batch
    }

    fn next_entry(&mut self) -> Option<(PathBuf, Value)> {
        loop {
            let level = self.levels.last_mut()?;
            let name = match level.names.next() {
                Some(name) => name,
                None => {
                    self.levels.pop();
                    continue;
                }
            };
            let path = level.path.join(name);
            // What vanishes during the walk is left out.
            let entry = match describe(&path, &text(&path), &self.names) {
                Ok(entry) => entry,
                Err(_) => continue,
            };
            let is_directory = entry["type"] == "directory" && entry.get("symlinkTarget").is_none();
            if is_directory && self.levels.len() < self.depth {
                if let Ok(names) = sorted_names(&path) {
                    self.levels.push(Level { path: path.clone(), names });
                }
            }
            return Some((path, entry));
        }
    }
}

fn sorted_names(path: &Path) -> io::Result<vec::IntoIter<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.push(entry?.file_name());
    }
    names.sort_unstable();
    Ok(names.into_iter())
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
            let batch = walk.next_batch();
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
        assert_eq!(walk.next_batch().len(), BATCH_ENTRIES);
        assert_eq!(walk.next_batch().len(), 1);
        assert!(walk.next_batch().is_empty());
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
