//! From a private directory to where a COPY step wants it. Directories that are there stay what they are and take in
//! what is new; files replace files; one never replaces the other. All of that is looked at before anything is moved.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::{make_dir, shown, Chosen};
use crate::agent::Actor;
use crate::error::Failure;
use crate::files::rename::rename;

/// Links that one path may lead through, as in the kernel
const LINKS_MAX: usize = 40;

pub struct Destination {
    /// Absolute and without links
    path: PathBuf,
    /// A slash at its end says that it is to be a directory
    is_directory: bool,
    /// The deepest directory on the way to it that is there
    existing: PathBuf,
}

impl Destination {
    /// Errors: `invalid_argument`.
    pub fn resolve(dest: &str, cwd: Option<&str>, actor: &Actor) -> Result<Destination, Failure> {
        if dest.contains('\0') || dest.len() > libc::PATH_MAX as usize {
            return Err(Failure::invalid("The destination is no path."));
        }
        let base = Path::new(cwd.unwrap_or(&actor.user.home));
        if !base.is_absolute() {
            return Err(Failure::invalid("The field 'cwd' must be an absolute path."));
        }
        let fail = |error: io::Error| Failure::from_io(format!("The destination '{}' can't be used", dest), &error);
        let path = without_links(&base.join(dest)).map_err(fail)?;
        let mut existing = path.clone();
        while !existing.is_dir() {
            if fs::symlink_metadata(&existing).is_ok() && existing != path {
                let message =
                    format!("'{}' is not a directory: the destination '{}' is below it.", existing.display(), dest);
                return Err(Failure::invalid(message).with_errno(libc::ENOTDIR));
            }
            existing.pop();
        }
        let is_directory =
            dest.is_empty() || dest.ends_with('/') || dest == "." || dest.ends_with("/.") || path == existing;
        Ok(Destination { path, is_directory, existing })
    }

    pub fn existing(&self) -> &Path {
        &self.existing
    }
}

/// Moves what was chosen of `root` to its destination. Errors: `invalid_argument` (a file where a directory is, or the
/// other way round), as the system has them.
pub fn place(root: &Path, chosen: &Chosen, dest: &Destination, actor: &Actor) -> Result<(), Failure> {
    let must_be_directory = dest.is_directory || chosen.paths.len() > 1;
    let mut moves = Vec::new();
    for path in &chosen.paths {
        let from = root.join(path);
        let is_dir = fs::symlink_metadata(&from).map_err(|error| failed(path, &error))?.is_dir();
        let to = match (is_dir, must_be_directory, path.file_name()) {
            (false, true, Some(name)) => dest.path.join(name),
            _ => dest.path.clone(),
        };
        // Of a directory the contents are meant, and of all the archive there is nothing else.
        let is_merge = is_dir && (must_be_directory || path.as_os_str().is_empty());
        if is_merge && fs::symlink_metadata(&dest.path).is_err() {
            moves.push(Move::Make);
        }
        check(&from, &to, path)?;
        moves.push(if is_dir && is_merge { Move::Merge(from, to) } else { Move::Whole(from, to) });
    }
    if must_be_directory && fs::symlink_metadata(&dest.path).map_or(false, |found| !found.is_dir()) {
        return Err(no_directory(&dest.path));
    }
    for step in moves {
        step.run(dest, actor)?;
    }
    Ok(())
}

enum Move {
    /// Makes the destination itself
    Make,
    /// The contents of a directory
    Merge(PathBuf, PathBuf),
    Whole(PathBuf, PathBuf),
}

impl Move {
    fn run(self, dest: &Destination, actor: &Actor) -> Result<(), Failure> {
        match self {
            Move::Make => make_dir(&dest.path, actor),
            Move::Whole(from, to) if is_directory(&to) => merge(&from, &to),
            Move::Merge(from, to) => merge(&from, &to),
            Move::Whole(from, to) => {
                if let Some(parent) = to.parent() {
                    make_dir(parent, actor)?;
                }
                rename(&from, &to).map_err(|error| failed(&to, &error))
            }
        }
    }
}

/// Looks whether everything of `from` can be put at `to`.
fn check(from: &Path, to: &Path, named: &Path) -> Result<(), Failure> {
    let mut pending = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = pending.pop() {
        let there = match fs::symlink_metadata(&to) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT)) => continue,
            Err(error) => return Err(failed(&to, &error)),
            Ok(there) => there,
        };
        let new = fs::symlink_metadata(&from).map_err(|error| failed(named, &error))?;
        match (new.is_dir(), there.is_dir()) {
            (true, true) => {
                for name in names(&from).map_err(|error| failed(named, &error))? {
                    pending.push((from.join(&name), to.join(&name)));
                }
            }
            (true, false) => return Err(no_directory(&to)),
            (false, true) => {
                let message = format!("'{}' is a directory, which a file can't replace.", to.display());
                return Err(Failure::invalid(message).with_errno(libc::EISDIR));
            }
            (false, false) => {}
        }
    }
    Ok(())
}

/// Puts what is in `from` into `to`, which is a directory.
fn merge(from: &Path, to: &Path) -> Result<(), Failure> {
    let mut pending = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = pending.pop() {
        for name in names(&from).map_err(|error| failed(&to, &error))? {
            let (from, to) = (from.join(&name), to.join(&name));
            if is_directory(&from) && is_directory(&to) {
                pending.push((from, to));
            } else {
                rename(&from, &to).map_err(|error| failed(&to, &error))?;
            }
        }
    }
    Ok(())
}

fn names(directory: &Path) -> io::Result<Vec<OsString>> {
    fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect()
}

fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).map_or(false, |found| found.is_dir())
}

/// Follows every link of an absolute path, also one that leads to nothing; what isn't there stays as it is named.
fn without_links(path: &Path) -> io::Result<PathBuf> {
    let parts = |path: &Path| -> VecDeque<OsString> {
        path.components().filter(|part| *part != Component::RootDir).map(|part| part.as_os_str().to_owned()).collect()
    };
    let mut resolved = PathBuf::from("/");
    let mut pending = parts(path);
    let mut links = 0;
    while let Some(part) = pending.pop_front() {
        if part == "." {
            continue;
        }
        if part == ".." {
            resolved.pop();
            continue;
        }
        let next = resolved.join(&part);
        match fs::symlink_metadata(&next) {
            Ok(found) if found.file_type().is_symlink() => {
                links += 1;
                if links > LINKS_MAX {
                    return Err(io::Error::from_raw_os_error(libc::ELOOP));
                }
                let target = fs::read_link(&next)?;
                if target.is_absolute() {
                    resolved = PathBuf::from("/");
                }
                let mut rest = parts(&target);
                rest.append(&mut pending);
                pending = rest;
            }
            Err(error) if !matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => return Err(error),
            _ => resolved = next,
        }
    }
    Ok(resolved)
}

fn no_directory(path: &Path) -> Failure {
    Failure::invalid(format!("'{}' is not a directory, and a directory can't replace it.", path.display()))
        .with_errno(libc::ENOTDIR)
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::from_io(format!("'{}' can't be put in place", shown(path)), error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::test_dir::TestDir;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_to_where_they_lead_also_to_nothing() {
        let dir = TestDir::new();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("real/sub")).unwrap();
        symlink("real", at("link")).unwrap();
        symlink(at("real/none"), at("dangling")).unwrap();
        symlink("loop", at("loop")).unwrap();
        let resolved = |name: &str| without_links(&at(name)).unwrap();
        assert_eq!(resolved("link/sub/../new/./x"), at("real/new/x"));
        assert_eq!(resolved("dangling/x"), at("real/none/x"));
        assert_eq!(resolved("none/../link"), at("real"));
        assert_eq!(without_links(&at("loop")).unwrap_err().raw_os_error(), Some(libc::ELOOP));
    }
}
