//! What of an archive a COPY step means.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::{shown, Chosen};
use crate::error::{Code, Failure};

/// Longest source that is taken
const SOURCE_MAX_BYTES: usize = 4096;

pub struct Pattern {
    /// The source as a path below the archive's root; empty for all of it
    path: PathBuf,
}

impl Pattern {
    /// Errors: `invalid_argument`.
    pub fn parse(src: &str) -> Result<Pattern, Failure> {
        if src.len() > SOURCE_MAX_BYTES || src.contains('\0') {
            return Err(Failure::invalid("The source of a copy is a path or a pattern of at most 4096 bytes."));
        }
        let mut path = PathBuf::new();
        for part in Path::new(src).components() {
            match part {
                Component::Normal(name) => path.push(name),
                Component::CurDir | Component::RootDir => {}
                _ => {
                    let message = format!("The source '{}' leads out of what was uploaded.", shown(Path::new(src)));
                    return Err(Failure::invalid(message));
                }
            }
        }
        Ok(Pattern { path })
    }

    /// Finds it below `root`; a name is taken as it is before it is taken as a pattern. Errors: `not_found`,
    /// `invalid_argument` (a broken pattern).
    pub fn choose(&self, root: &Path, src: &str) -> Result<Chosen, Failure> {
        if is_there(root, &self.path) {
            return Ok(Chosen { paths: vec![self.path.clone()] });
        }
        let missing = || {
            let message = format!("Nothing that was uploaded is named by '{}'.", shown(Path::new(src)));
            Failure::new(Code::NotFound, message).with_errno(libc::ENOENT)
        };
        let pattern = self.path.as_os_str().as_bytes();
        if !pattern.iter().any(|byte| b"*?[{\\".contains(byte)) {
            return Err(missing());
        }
        fast_glob::validate(pattern)
            .map_err(|error| Failure::invalid(format!("'{}' is no pattern: {}.", shown(Path::new(src)), error)))?;
        // At the start it would mean the opposite, which no COPY does.
        let pattern = match pattern.first() {
            Some(b'!') => [b"\\", pattern].concat(),
            _ => pattern.to_vec(),
        };
        let paths = matching(root, &pattern).map_err(|error| Failure::from_io("The upload can't be read", &error))?;
        match paths.is_empty() {
            true => Err(missing()),
            false => Ok(Chosen { paths }),
        }
    }
}

/// Whether a path is there without a link on the way to it.
fn is_there(root: &Path, path: &Path) -> bool {
    let mut target = root.to_owned();
    let count = path.components().count();
    path.components().enumerate().all(|(index, part)| {
        target.push(part);
        fs::symlink_metadata(&target).map_or(false, |found| found.is_dir() || index + 1 == count)
    })
}

/// In the order of their names. What lies in a directory that matches isn't looked at: it comes with that.
fn matching(root: &Path, pattern: &[u8]) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(root.join(&directory))? {
            let entry = entry?;
            let path = directory.join(entry.file_name());
            if fast_glob::glob_match(pattern, path.as_os_str().as_bytes()) {
                found.push(path);
            } else if entry.file_type()?.is_dir() {
                pending.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::test_dir::TestDir;

    fn chosen(root: &Path, src: &str) -> Result<Vec<String>, Failure> {
        let chosen = Pattern::parse(src)?.choose(root, src)?;
        Ok(chosen.paths.iter().map(|path| path.to_str().unwrap().to_owned()).collect())
    }

    #[test]
    fn names_come_before_patterns() {
        let dir = TestDir::new();
        for path in ["a/x.py", "a/y.txt", "a/b/z.py", "[1].txt", "1.txt", "!n", ".hidden"] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink("/etc", dir.path().join("link")).unwrap();
        let chosen = |src: &str| chosen(dir.path(), src);
        assert_eq!(chosen(".").unwrap(), [""]);
        assert_eq!(chosen("./a/").unwrap(), ["a"]);
        assert_eq!(chosen("/a/b").unwrap(), ["a/b"]);
        assert_eq!(chosen("[1].txt").unwrap(), ["[1].txt"]);
        assert_eq!(chosen("[^0].txt").unwrap(), ["1.txt"]);
        assert_eq!(chosen("?.txt").unwrap(), ["1.txt"]);
        assert_eq!(chosen("**/*.py").unwrap(), ["a/b/z.py", "a/x.py"]);
        assert_eq!(chosen("a/*").unwrap(), ["a/b", "a/x.py", "a/y.txt"]);
        assert_eq!(chosen("a/*.{py,txt}").unwrap(), ["a/x.py", "a/y.txt"]);
        assert_eq!(chosen("!*").unwrap(), ["!n"]);
        assert_eq!(chosen(".h*").unwrap(), [".hidden"]);
        assert_eq!(chosen("link").unwrap(), ["link"]);
        for src in ["b", "*.rs", "link/passwd", "link/*", "a/x.py/y"] {
            assert_eq!(chosen(src).unwrap_err().code, Code::NotFound, "{}", src);
        }
        for src in ["a[", "../x*", "a/../../b"] {
            assert_eq!(chosen(src).unwrap_err().code, Code::InvalidArgument, "{}", src);
        }
    }
}
