//! One directory of what others, stacked like overlay's layers, show together. A single one is a plain copy.
//!
//! What a sandbox has made may be as deep and as wide as it likes: there is no recursion, and names are taken one by one
//! below descriptors. Nobody changes the sources meanwhile; if somebody does, links still lead nowhere.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::{attributes, data, sys};
use crate::error::{Code, Failure};

/// Each level takes descriptors.
const DEPTH_MAX: usize = 4096;
/// Names, in all.
const ENTRIES_MAX: u64 = 8_000_000;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Files {
    /// Theirs are independent of the sources'.
    Copied,
    /// As copied, and they begin to be written to the disk at once, as somebody is about to wait for that.
    Written,
    /// They are the sources' own, by another name, where the file system allows: for what nobody changes any more.
    Linked,
}

#[derive(Clone, Copy)]
pub struct Options {
    pub files: Files,
    /// Nothing lies below the result: what only hides things there is left out. Else there is one source.
    pub is_whole: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    pub size_bytes: u64,
    pub entries: u64,
}

/// What a name is, going by the topmost source that has it.
enum Plan {
    Whiteout,
    /// Of these sources, topmost first; `is_closed`: what lies below doesn't show.
    Dir {
        sources: Vec<usize>,
        is_closed: bool,
    },
    Other {
        source: usize,
    },
}

struct Frame {
    name: CString,
    sources: Vec<OwnedFd>,
    target: OwnedFd,
    left: Vec<(CString, Plan)>,
}

struct Copy {
    options: Options,
    made: Made,
    /// Files with several names: where the first of them is in the result
    links: HashMap<(u64, u64), CString>,
}

/// Fills the empty directory `target` with what `sources`, topmost first, show together.
pub fn copy(sources: Vec<OwnedFd>, target: &OwnedFd, options: Options) -> Result<Made, Failure> {
    let mut copy = Copy { options, made: Made::default(), links: HashMap::new() };
    let top = target.try_clone().map_err(failure)?;
    let root = target.as_fd();
    let mut stack = vec![copy.enter(CString::default(), sources, top).map_err(failure)?];
    while let Some(frame) = stack.last_mut() {
        let (name, plan) = match frame.left.pop() {
            Some(next) => next,
            None => {
                copy.leave(frame).map_err(failure)?;
                stack.pop();
                continue;
            }
        };
        copy.made.entries += 1;
        if copy.made.entries > ENTRIES_MAX {
            return Err(Failure::new(Code::ResourceExhausted, "There are more files than a layer may have."));
        }
        match plan {
            Plan::Whiteout => {
                if !options.is_whole {
                    sys::make_whiteout(frame.target.as_fd(), &name).map_err(failure)?;
                }
            }
            Plan::Dir { sources, .. } => {
                let opened = sources.iter().map(|&source| sys::open_dir(frame.sources[source].as_fd(), &name));
                let opened = opened.collect::<io::Result<Vec<_>>>().map_err(failure)?;
                sys::mkdir(frame.target.as_fd(), &name, 0o700).map_err(failure)?;
                let made = sys::open_dir(frame.target.as_fd(), &name).map_err(failure)?;
                if stack.len() == DEPTH_MAX {
                    return Err(Failure::new(
                        Code::ResourceExhausted,
                        "There are more directories in one another than a layer may have.",
                    ));
                }
                stack.push(copy.enter(name, opened, made).map_err(failure)?);
            }
            Plan::Other { source } => {
                let path = path_of(&stack, &name);
                let frame = stack.last().expect("there is one");
                let from = frame.sources[source].as_fd();
                copy.copy_one(from, &name, frame.target.as_fd(), (root, &path)).map_err(failure)?;
            }
        }
    }
    Ok(copy.made)
}

fn failure(error: io::Error) -> Failure {
    Failure::from_io("The files can't be copied", &error)
}

/// From the result's root.
fn path_of(stack: &[Frame], name: &CStr) -> CString {
    let mut path = Vec::new();
    for frame in &stack[1..] {
        path.extend_from_slice(frame.name.to_bytes());
        path.push(b'/');
    }
    path.extend_from_slice(name.to_bytes());
    CString::new(path).expect("made of names without zeros")
}

impl Copy {
    fn enter(&self, name: CString, sources: Vec<OwnedFd>, target: OwnedFd) -> io::Result<Frame> {
        let mut plans: BTreeMap<CString, Plan> = BTreeMap::new();
        for (source, dir) in sources.iter().enumerate() {
            for name in sys::names(dir.as_fd())? {
                let stat = sys::stat(dir.as_fd(), &name)?;
                let is_dir = stat.st_mode & libc::S_IFMT == libc::S_IFDIR;
                match plans.get_mut(&name) {
                    None if sys::is_whiteout(&stat) => drop(plans.insert(name, Plan::Whiteout)),
                    None if is_dir => {
                        let is_closed = is_opaque(dir.as_fd(), &name)?;
                        plans.insert(name, Plan::Dir { sources: vec![source], is_closed });
                    }
                    None => drop(plans.insert(name, Plan::Other { source })),
                    Some(Plan::Dir { sources, is_closed }) if !*is_closed => {
                        if is_dir {
                            sources.push(source);
                        }
                        *is_closed = !is_dir || is_opaque(dir.as_fd(), &name)?;
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(Frame { name, sources, target, left: plans.into_iter().rev().collect() })
    }

    /// Once all is in it, because making that changes its times.
    fn leave(&self, frame: &Frame) -> io::Result<()> {
        let (from, to) = (frame.sources[0].as_fd(), frame.target.as_fd());
        copy_metadata(from, to)?;
        if !self.options.is_whole && attributes::is_opaque(from)? {
            attributes::set_opaque(to)?;
        }
        sys::set_times(to, sys::times_of(&sys::fstat(from)?))
    }

    /// `place`: the result's root, and where in it this is.
    fn copy_one(
        &mut self,
        from: BorrowedFd<'_>,
        name: &CStr,
        to: BorrowedFd<'_>,
        place: (BorrowedFd<'_>, &CStr),
    ) -> io::Result<()> {
        let stat = sys::stat(from, name)?;
        let kind = stat.st_mode & libc::S_IFMT;
        if !matches!(kind, libc::S_IFREG | libc::S_IFLNK | libc::S_IFIFO) {
            // Sockets mean nothing without who listens, and devices are the runtime's to give.
            return Ok(());
        }
        if kind == libc::S_IFREG {
            self.made.size_bytes += (stat.st_size as u64).min(stat.st_blocks as u64 * 512);
        }
        // Another file system, or one that has its fill of names for the file.
        if self.options.files == Files::Linked && sys::link(from, name, to, name).is_ok() {
            return Ok(());
        }
        match kind {
            libc::S_IFREG => self.copy_file(from, name, to, place),
            libc::S_IFLNK => {
                sys::symlink(&sys::read_link(from, name)?, to, name)?;
                finish(to, name, &stat)
            }
            _ => {
                sys::mknod(to, name, libc::S_IFIFO | 0o600)?;
                sys::chown_at(to, name, stat.st_uid, stat.st_gid)?;
                sys::chmod_at(to, name, stat.st_mode & 0o7777)?;
                sys::set_times_at(to, name, sys::times_of(&stat))
            }
        }
    }

    fn copy_file(
        &mut self,
        from: BorrowedFd<'_>,
        name: &CStr,
        to: BorrowedFd<'_>,
        (root, path): (BorrowedFd<'_>, &CStr),
    ) -> io::Result<()> {
        // Without waiting, should it be a pipe by now.
        let source = sys::open(from, name, libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOATIME, 0)?;
        let stat = sys::fstat(source.as_fd())?;
        if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
            return Err(io::Error::new(io::ErrorKind::Other, "a file changed while it was copied"));
        }
        let inode = (stat.st_dev as u64, stat.st_ino as u64);
        if stat.st_nlink > 1 {
            // A path that is too long for one call is copied again.
            let is_linked = self.links.get(&inode).map_or(false, |first| sys::link(root, first, to, name).is_ok());
            if is_linked {
                return Ok(());
            }
            self.links.insert(inode, path.to_owned());
        }
        let target = sys::open(to, name, libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL, 0o600)?;
        data::copy(source.as_raw_fd(), target.as_raw_fd(), stat.st_size, self.options.files == Files::Written)?;
        copy_metadata(source.as_fd(), target.as_fd())?;
        sys::set_times(target.as_fd(), sys::times_of(&stat))
    }
}

fn is_opaque(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
    attributes::is_opaque(sys::open_dir(dir, name)?.as_fd())
}

/// A change of owner takes set-user-id bits and capabilities away, so these come after it.
fn copy_metadata(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    let stat = sys::fstat(from)?;
    sys::chown(to, stat.st_uid, stat.st_gid)?;
    sys::chmod(to, stat.st_mode & 0o7777)?;
    attributes::copy(from, to)
}

fn finish(to: BorrowedFd<'_>, name: &CStr, stat: &libc::stat) -> io::Result<()> {
    sys::chown_at(to, name, stat.st_uid, stat.st_gid)?;
    sys::set_times_at(to, name, sys::times_of(stat))
}
