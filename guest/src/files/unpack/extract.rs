//! From an archive to files below a private directory.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{symlink, DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use tar::{Entry, EntryType};

use super::input::{Archive, Input, Meter};
use super::{shown, Unpacked};
use crate::agent::Actor;
use crate::error::{Code, Failure};
use crate::files::attributes;

/// Most that may describe one entry: names of any length, attributes, the map of a sparse file
const HEADERS_MAX_BYTES: u64 = 1 << 20;
/// Directories whose mode and time are set at the end are remembered until then
const DIRECTORY_NAMES_MAX_BYTES: usize = 32 << 20;
const BUFFER_BYTES: usize = 256 * 1024;

/// What one archive may come to.
pub struct Limits {
    /// Contents of all files together
    pub bytes: u64,
    /// Of all kinds
    pub entries: u64,
}

pub struct Extraction<'a> {
    pub root: &'a Path,
    pub actor: &'a Actor,
    pub mode: Option<u32>,
    pub limits: &'a Limits,
}

/// A directory whose attributes are set when nothing changes it any more.
struct Later {
    path: PathBuf,
    mode: u32,
    time: attributes::Time,
}

/// What has come so far.
struct Progress {
    unpacked: Unpacked,
    later: Vec<Later>,
    later_bytes: usize,
    /// The directory that the entry before was in, which is one surely
    parent: PathBuf,
    buffer: Vec<u8>,
}

impl Extraction<'_> {
    pub fn run(&self, input: Input) -> Result<Unpacked, Failure> {
        let meter = Rc::new(Meter::default());
        let mut archive = tar::Archive::new(input.open(Rc::clone(&meter)).map_err(|error| damaged(None, &error))?);
        let mut progress = Progress {
            unpacked: Unpacked { files: 0, bytes: 0 },
            later: Vec::new(),
            later_bytes: 0,
            parent: PathBuf::new(),
            buffer: vec![0; BUFFER_BYTES],
        };
        let mut last: Option<PathBuf> = None;
        let mut entries = archive.entries().map_err(|error| damaged(None, &error))?;
        let mut count = 0;
        loop {
            meter.allow(HEADERS_MAX_BYTES);
            let mut entry = match entries.next() {
                None => break,
                // The reader has another word for an end within a header.
                Some(Err(_)) if meter.is_at_end() => return Err(broken_off(last.as_deref())),
                Some(entry) => entry.map_err(|error| damaged(last.as_deref(), &error))?,
            };
            count += 1;
            let path = clean(&entry.path_bytes())?;
            if count > self.limits.entries {
                let message = format!("The archive has more than {} entries: '{}'.", self.limits.entries, shown(&path));
                return Err(Failure::new(Code::ResourceExhausted, message));
            }
            meter.allow(u64::MAX);
            self.take(&mut entry, &path, &mut progress)?;
            last = Some(path);
        }
        if meter.is_at_end() {
            return Err(broken_off(last.as_deref()));
        }
        finish(archive.into_inner(), &meter).map_err(|error| damaged(last.as_deref(), &error))?;
        self.settle(progress)
    }

    fn take(&self, entry: &mut Entry<'_, Archive>, path: &Path, progress: &mut Progress) -> Result<(), Failure> {
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        let fail = |error: io::Error| failed(path, &error);
        let time = time_of(entry).map_err(|error| damaged(Some(path), &error))?;
        let mode = self.mode.unwrap_or(entry.header().mode().map_err(|error| damaged(Some(path), &error))? & 0o7777);
        if path.as_os_str().is_empty() {
            return match kind {
                EntryType::Directory => Ok(()),
                _ => Err(Failure::invalid("The archive has an entry without a name.")),
            };
        }
        self.make_parents(path, progress)?;
        let target = self.root.join(path);
        match kind {
            EntryType::Directory => {
                if !self.make_directory(&target).map_err(fail)? {
                    return Err(twice(path));
                }
                remember(progress, Later { path: path.to_owned(), mode, time })?;
                return Ok(());
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                self.write(entry, path, &target, progress)?;
            }
            EntryType::Symlink => {
                let link = link_of(entry).ok_or_else(|| Failure::invalid(without_target(path)))?;
                place_new(path, &target, || symlink(&link, &target))?;
            }
            EntryType::Link => self.link(entry, path, &target)?,
            _ => {
                let message =
                    "is neither a file, a directory nor a link: devices, pipes and the like are not unpacked.";
                return Err(Failure::invalid(format!("The archive's entry '{}' {}", shown(path), message)));
            }
        }
        progress.unpacked.files += 1;
        if kind == EntryType::Link {
            // What it is another name of has its attributes.
            return Ok(());
        }
        self.own(&target).map_err(fail)?;
        if kind != EntryType::Symlink {
            fs::set_permissions(&target, Permissions::from_mode(mode)).map_err(fail)?;
        }
        attributes::set_times(&target, time, time).map_err(fail)
    }

    fn write(
        &self,
        entry: &mut Entry<'_, Archive>,
        path: &Path,
        target: &Path,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let fail = |error: io::Error| failed(path, &error);
        let size = entry.size();
        if size > self.limits.bytes - progress.unpacked.bytes {
            let message = format!("The archive has more than {} bytes: '{}'.", self.limits.bytes, shown(path));
            return Err(Failure::new(Code::ResourceExhausted, message));
        }
        // Said before the disk is full for everybody else.
        if size > BUFFER_BYTES as u64 && size > free_bytes(self.root).map_err(fail)? {
            return Err(failed(path, &io::Error::from_raw_os_error(libc::ENOSPC)));
        }
        let mut file = None;
        let create = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(target);
        place_new(path, target, || create().map(|created| file = Some(created)))?;
        let mut file: File = file.ok_or_else(|| twice(path))?;
        let mut written = 0;
        while written < size {
            let bytes = match entry.read(&mut progress.buffer) {
                Ok(0) => return Err(broken_off(Some(path))),
                Ok(bytes) => bytes,
                Err(error) => return Err(damaged(Some(path), &error)),
            };
            file.write_all(&progress.buffer[..bytes]).map_err(fail)?;
            written += bytes as u64;
        }
        progress.unpacked.bytes += written;
        Ok(())
    }

    /// Another name of a file that the archive had before.
    fn link(&self, entry: &Entry<'_, Archive>, path: &Path, target: &Path) -> Result<(), Failure> {
        let name = entry.link_name_bytes().ok_or_else(|| Failure::invalid(without_target(path)))?;
        let source = clean(&name)?;
        let missing = || {
            let message = format!(
                "The archive's entry '{}' is another name of '{}', which is no file of the archive before it.",
                shown(path),
                shown(&source)
            );
            Failure::invalid(message)
        };
        if !is_plain_file(self.root, &source) {
            return Err(missing());
        }
        let source = self.root.join(&source);
        if source == target {
            return Ok(());
        }
        place_new(path, target, || fs::hard_link(&source, target))
    }

    /// Makes what the archive doesn't name of the directories that `path` lies in. None of them may be a link.
    fn make_parents(&self, path: &Path, progress: &mut Progress) -> Result<(), Failure> {
        let parent = path.parent().unwrap_or_else(|| Path::new(""));
        if parent == progress.parent {
            return Ok(());
        }
        let mut above = PathBuf::new();
        for part in parent.components() {
            above.push(part);
            let target = self.root.join(&above);
            match fs::symlink_metadata(&target) {
                Ok(found) if found.is_dir() => {}
                Ok(_) => {
                    let message = format!(
                        "The archive's entry '{}' lies below '{}', which is no directory.",
                        shown(path),
                        shown(&above)
                    );
                    return Err(Failure::invalid(message));
                }
                Err(_) => {
                    self.make_directory(&target).map_err(|error| failed(path, &error))?;
                    if let Some(mode) = self.mode {
                        remember(progress, Later { path: above.clone(), mode, time: attributes::Time::NOW })?;
                    }
                }
            }
        }
        progress.parent = parent.to_owned();
        Ok(())
    }

    /// Whether there is a directory then.
    fn make_directory(&self, target: &Path) -> io::Result<bool> {
        match DirBuilder::new().mode(0o755).create(target) {
            Ok(()) => self.own(target).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(fs::symlink_metadata(target)?.is_dir()),
            Err(error) => Err(error),
        }
    }

    fn own(&self, target: &Path) -> io::Result<()> {
        match self.actor.is_unprivileged {
            true => Ok(()),
            false => attributes::set_owner(target, self.actor.user.uid, self.actor.user.gid),
        }
    }

    /// Directories get their modes and times from the deepest up, as each may forbid or change what comes after.
    fn settle(&self, progress: Progress) -> Result<Unpacked, Failure> {
        for Later { path, mode, time } in progress.later.iter().rev() {
            let target = self.root.join(path);
            let fail = |error: io::Error| failed(path, &error);
            // A name that came twice may be something else by now.
            if fs::symlink_metadata(&target).map_err(fail)?.is_dir() {
                attributes::set_times(&target, *time, *time).map_err(fail)?;
                fs::set_permissions(&target, Permissions::from_mode(*mode)).map_err(fail)?;
            }
        }
        Ok(progress.unpacked)
    }
}

fn remember(progress: &mut Progress, later: Later) -> Result<(), Failure> {
    progress.later_bytes += later.path.as_os_str().len() + std::mem::size_of::<Later>();
    if progress.later_bytes > DIRECTORY_NAMES_MAX_BYTES {
        let message = format!("The archive has too many directories: '{}'.", shown(&later.path));
        return Err(Failure::new(Code::ResourceExhausted, message));
    }
    progress.later.push(later);
    Ok(())
}

/// Reads what follows the last entry, so that the check sum at the end of a gzip is looked at, and the host is heard out.
fn finish(mut archive: Archive, meter: &Meter) -> io::Result<()> {
    meter.allow(HEADERS_MAX_BYTES);
    io::copy(&mut archive, &mut io::sink())?;
    archive.drain()
}

/// A later entry of one name replaces an earlier one, but a directory.
fn place_new(path: &Path, target: &Path, mut make: impl FnMut() -> io::Result<()>) -> Result<(), Failure> {
    let fail = |error: io::Error| failed(path, &error);
    match make() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::symlink_metadata(target).map_err(fail)?.is_dir() {
                return Err(twice(path));
            }
            fs::remove_file(target).map_err(fail)?;
            make().map_err(fail)
        }
        result => result.map_err(fail),
    }
}

/// Whether a regular file is there, without a link on the way.
fn is_plain_file(root: &Path, path: &Path) -> bool {
    let mut target = root.to_owned();
    let parts: Vec<Component<'_>> = path.components().collect();
    parts.iter().enumerate().all(|(index, part)| {
        target.push(part);
        let found = fs::symlink_metadata(&target);
        found.map_or(false, |found| if index + 1 == parts.len() { found.is_file() } else { found.is_dir() })
    }) && !parts.is_empty()
}

/// A name of the archive as a path below its root. Errors: `invalid_argument`.
fn clean(name: &[u8]) -> Result<PathBuf, Failure> {
    let path = Path::new(std::ffi::OsStr::from_bytes(name));
    let mut cleaned = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => cleaned.push(name),
            Component::CurDir => {}
            _ => {
                let message = format!(
                    "The archive's entry '{}' is outside of it: absolute paths and '..' are not unpacked.",
                    shown(path)
                );
                return Err(Failure::invalid(message));
            }
        }
    }
    Ok(cleaned)
}

fn link_of(entry: &Entry<'_, Archive>) -> Option<PathBuf> {
    let name = entry.link_name_bytes()?;
    let path = PathBuf::from(std::ffi::OsStr::from_bytes(&name));
    (!path.as_os_str().is_empty()).then_some(path)
}

/// Newer archives have times with fractions beside the header's.
fn time_of(entry: &mut Entry<'_, Archive>) -> io::Result<attributes::Time> {
    let seconds = entry.header().mtime()?;
    if let Some(extensions) = entry.pax_extensions()? {
        let mut times = extensions.flatten().filter(|extension| extension.key_bytes() == b"mtime");
        if let Some(time) = times.next().and_then(|time| attributes::Time::parse(time.value().ok()?)) {
            return Ok(time);
        }
    }
    Ok(attributes::Time::from_seconds(seconds))
}

fn free_bytes(path: &Path) -> io::Result<u64> {
    attributes::free_bytes(path)
}

fn without_target(path: &Path) -> String {
    format!("The archive's entry '{}' is a link without a target.", shown(path))
}

fn twice(path: &Path) -> Failure {
    Failure::invalid(format!("The archive has '{}' both as a directory and as something else.", shown(path)))
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::from_io(format!("'{}' can't be unpacked", shown(path)), error)
}

/// `last`: the entry that was read last, if any.
fn damaged(last: Option<&Path>, error: &io::Error) -> Failure {
    match (last, error.kind()) {
        (_, io::ErrorKind::ConnectionAborted) => Failure::invalid("The archive was not sent to its end."),
        (_, io::ErrorKind::UnexpectedEof) => broken_off(last),
        (None, _) => Failure::invalid(format!("This is no tar archive, plain or in gzip: {}.", error)),
        (Some(last), _) => Failure::invalid(format!("The archive is damaged behind '{}': {}.", shown(last), error)),
    }
}

fn broken_off(last: Option<&Path>) -> Failure {
    Failure::invalid(match last {
        None => "This is no tar archive, plain or in gzip, or it breaks off within its first entry.".to_owned(),
        Some(last) => format!("The archive breaks off behind '{}'.", shown(last)),
    })
}
