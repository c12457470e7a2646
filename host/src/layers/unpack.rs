//! The tar of an OCI layer becomes a directory that overlay takes. Runs where `worker` has made the layer's directory the
//! root of all there is: so links may lead where they like, and paths are resolved as the archive's maker meant them.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::io::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use tar::{Archive, Entry, EntryType};

use super::copy::Made;
use super::{attributes, remove, sys};
use crate::error::{Code, Failure};

const ENTRIES_MAX: u64 = 4_000_000;
/// Names of directories that hide what is below, in bytes, all together.
const OPAQUES_MAX_BYTES: usize = 4 << 20;
/// The highest owner that sandboxes have; files of others become `NOBODY`'s.
const OWNER_MAX: u64 = 65_535;
const NOBODY: u32 = 65_534;
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const BUFFER_BYTES: usize = 256 * 1024;

pub struct Unpacked {
    pub made: Made,
    /// Directories that hide what lies below them, from the layer's directory; to be marked by who may
    pub opaque: Vec<Vec<u8>>,
}

/// `prefix`: the layer's directory; empty where it is the root. Errors: `invalid_argument`, `resource_exhausted`.
pub fn unpack(archive: File, prefix: &[u8]) -> Result<Unpacked, Failure> {
    let limit = archive.metadata().map_err(io_failure)?.len();
    let cwd = File::open("/").map_err(io_failure)?;
    let mut unpacker = Unpacker {
        cwd: cwd.into(),
        prefix: prefix.to_vec(),
        made: Made::default(),
        opaque: BTreeSet::new(),
        opaque_bytes: 0,
        dir_times: Vec::new(),
        limit,
    };
    let mut archive = Archive::new(BufReader::with_capacity(BUFFER_BYTES, archive));
    for entry in archive.entries().map_err(read_failure)? {
        let entry = entry.map_err(read_failure)?;
        unpacker.made.entries += 1;
        if unpacker.made.entries > ENTRIES_MAX {
            return Err(Failure::new(Code::ResourceExhausted, "The layer has more files than a layer may have."));
        }
        unpacker.unpack(entry)?;
    }
    unpacker.into_result()
}

struct Unpacker {
    /// For calls that want a directory; all paths are absolute
    cwd: OwnedFd,
    prefix: Vec<u8>,
    made: Made,
    opaque: BTreeSet<Vec<u8>>,
    opaque_bytes: usize,
    /// Set at the end, as making what is in them changes them
    dir_times: Vec<(CString, sys::Times)>,
    /// Most that all files have together: what the archive has. Sparse ones could claim any size.
    limit: u64,
}

/// What an entry says of itself, beside its name.
struct Attributes {
    uid: u32,
    gid: u32,
    mode: u32,
    times: sys::Times,
    extended: Vec<(CString, Vec<u8>)>,
}

impl Unpacker {
    fn unpack(&mut self, mut entry: Entry<'_, impl Read>) -> Result<(), Failure> {
        let kind = entry.header().entry_type();
        let parts = parts_of(&entry.path_bytes())?;
        let name = match parts.last() {
            Some(name) => name.clone(),
            None => return self.set_root(&mut entry),
        };
        let parent = self.make_parents(&parts[..parts.len() - 1])?;
        if name == OPAQUE {
            return self.mark_opaque(&parts[..parts.len() - 1]);
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            // Others of the form are AUFS's own, and of no layer.
            return if hidden.is_empty() || hidden.starts_with(WHITEOUT) { Ok(()) } else { self.hide(&parts, hidden) };
        }
        let place = join(&parent, &name)?;
        let of_entry = || format!("The layer's '{}' can't be unpacked", String::from_utf8_lossy(place.to_bytes()));
        let result = self.place(&mut entry, kind, &place, &parts);
        result.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => Failure::invalid(format!("{}: {}.", of_entry(), error)),
            _ => entry_failure(of_entry(), &error),
        })
    }

    fn place(
        &mut self,
        entry: &mut Entry<'_, impl Read>,
        kind: EntryType,
        place: &CString,
        parts: &[Vec<u8>],
    ) -> io::Result<()> {
        match kind {
            EntryType::Directory => {
                let attributes = attributes_of(entry)?;
                self.make_dir(place, parts)?;
                self.finish(place, &attributes, true)?;
                self.dir_times.push((place.clone(), attributes.times));
                Ok(())
            }
            EntryType::Regular | EntryType::Continuous => self.make_file(entry, place),
            EntryType::Symlink => {
                let attributes = attributes_of(entry)?;
                let target = CString::new(link_of(entry)?).map_err(|_| invalid("its target has a zero"))?;
                self.make_room(place)?;
                sys::symlink(&target, self.cwd.as_fd(), place)?;
                sys::chown_at(self.cwd.as_fd(), place, attributes.uid, attributes.gid)?;
                sys::set_times_at(self.cwd.as_fd(), place, attributes.times)
            }
            EntryType::Link => {
                let target = parts_of(&link_of(entry)?).map_err(|failure| invalid(&failure.message))?;
                let target = self.absolute(&target)?;
                if target.as_bytes() == place.as_bytes() {
                    return Ok(());
                }
                self.make_room(place)?;
                match sys::link(self.cwd.as_fd(), &target, self.cwd.as_fd(), place) {
                    Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                        Err(invalid("the layer has not what it is a link to"))
                    }
                    other => other,
                }
            }
            EntryType::Fifo => {
                let attributes = attributes_of(entry)?;
                self.make_room(place)?;
                sys::mknod(self.cwd.as_fd(), place, libc::S_IFIFO | 0o600)?;
                sys::chown_at(self.cwd.as_fd(), place, attributes.uid, attributes.gid)?;
                sys::chmod_at(self.cwd.as_fd(), place, attributes.mode)?;
                sys::set_times_at(self.cwd.as_fd(), place, attributes.times)
            }
            // A sandbox's devices are the runtime's to give.
            EntryType::Char | EntryType::Block => Ok(()),
            // Comments for archives as a whole.
            EntryType::XGlobalHeader => Ok(()),
            EntryType::GNUSparse => Err(invalid("it is sparse, which no layer's file is")),
            _ => Err(invalid("it is of a kind that layers don't have")),
        }
    }

    fn make_file(&mut self, entry: &mut Entry<'_, impl Read>, place: &CString) -> io::Result<()> {
        let attributes = attributes_of(entry)?;
        let size = entry.size();
        self.made.size_bytes = self.made.size_bytes.saturating_add(size);
        if self.made.size_bytes > self.limit {
            return Err(invalid("it is said to be longer than the archive"));
        }
        self.make_room(place)?;
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
        let mut file = File::from(sys::open(self.cwd.as_fd(), place, flags, 0o600)?);
        let copied = io::copy(entry, &mut file)?;
        if copied != size {
            return Err(invalid("the archive ends in it"));
        }
        file.flush()?;
        set_attributes(&file.into(), &attributes)
    }

    /// Of a directory that was made, or is there.
    fn finish(&self, place: &CStr, attributes: &Attributes, is_dir: bool) -> io::Result<()> {
        let flags = libc::O_RDONLY | if is_dir { libc::O_DIRECTORY } else { 0 };
        set_attributes(&sys::open(self.cwd.as_fd(), place, flags, 0)?, attributes)
    }

    fn set_root(&mut self, entry: &mut Entry<'_, impl Read>) -> Result<(), Failure> {
        if entry.header().entry_type() != EntryType::Directory {
            return Ok(());
        }
        let root = self.absolute(&[]).map_err(io_failure)?;
        let attributes = attributes_of(entry).map_err(io_failure)?;
        self.finish(&root, &attributes, true).map_err(io_failure)?;
        self.dir_times.push((root, attributes.times));
        Ok(())
    }

    /// The path of a directory, made with those above it where they aren't there.
    fn make_parents(&mut self, parts: &[Vec<u8>]) -> Result<Vec<u8>, Failure> {
        let whole = self.absolute(parts).map_err(io_failure)?;
        if self.is_dir(&whole) {
            return Ok(whole.into_bytes());
        }
        for end in 1..=parts.len() {
            let path = self.absolute(&parts[..end]).map_err(io_failure)?;
            if self.is_dir(&path) {
                continue;
            }
            let made = match sys::mkdir(self.cwd.as_fd(), &path, 0o755) {
                Err(error) if error.raw_os_error() == Some(libc::EEXIST) => self.replace_whiteout(&path, &parts[..end]),
                other => other,
            };
            made.map_err(|error| {
                entry_failure(
                    format!("The layer's '{}' can't be a directory", String::from_utf8_lossy(path.as_bytes())),
                    &error,
                )
            })?;
        }
        Ok(whole.into_bytes())
    }

    fn make_dir(&mut self, place: &CString, parts: &[Vec<u8>]) -> io::Result<()> {
        match sys::stat(self.cwd.as_fd(), place) {
            Ok(stat) if stat.st_mode & libc::S_IFMT == libc::S_IFDIR => Ok(()),
            Ok(stat) if sys::is_whiteout(&stat) => self.replace_whiteout(place, parts),
            Ok(_) => {
                sys::unlink(self.cwd.as_fd(), place)?;
                sys::mkdir(self.cwd.as_fd(), place, 0o755)
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => sys::mkdir(self.cwd.as_fd(), place, 0o755),
            Err(error) => Err(error),
        }
    }

    /// What was hidden in this very layer and comes again: what lies below stays hidden.
    fn replace_whiteout(&mut self, place: &CStr, parts: &[Vec<u8>]) -> io::Result<()> {
        if !sys::is_whiteout(&sys::stat(self.cwd.as_fd(), place)?) {
            return Err(invalid("there is something else"));
        }
        sys::unlink(self.cwd.as_fd(), place)?;
        sys::mkdir(self.cwd.as_fd(), place, 0o755)?;
        self.mark_opaque(parts).map_err(|failure| invalid(&failure.message))
    }

    /// Away with what has the name already: of several entries the last one counts.
    fn make_room(&mut self, place: &CStr) -> io::Result<()> {
        match sys::stat(self.cwd.as_fd(), place) {
            Ok(stat) if stat.st_mode & libc::S_IFMT == libc::S_IFDIR => remove::remove_tree(self.cwd.as_fd(), place),
            Ok(_) => sys::unlink(self.cwd.as_fd(), place),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn hide(&mut self, parts: &[Vec<u8>], hidden: &[u8]) -> Result<(), Failure> {
        let mut parts = parts.to_vec();
        *parts.last_mut().expect("it has a name") = hidden.to_vec();
        if hidden == b"." || hidden == b".." {
            return Err(Failure::invalid("The layer hides what is no name."));
        }
        let place = self.absolute(&parts).map_err(io_failure)?;
        match sys::make_whiteout(self.cwd.as_fd(), &place) {
            // It hides what lies below, not what this layer has.
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) && self.is_dir(&place) => self.mark_opaque(&parts),
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
            other => other.map_err(io_failure),
        }
    }

    fn mark_opaque(&mut self, parts: &[Vec<u8>]) -> Result<(), Failure> {
        let path = parts.join(&b'/');
        self.opaque_bytes += path.len();
        self.opaque.insert(path);
        match self.opaque_bytes > OPAQUES_MAX_BYTES {
            true => Err(Failure::new(Code::ResourceExhausted, "The layer hides more directories than a layer may.")),
            false => Ok(()),
        }
    }

    /// Follows links.
    fn is_dir(&self, path: &CStr) -> bool {
        let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
        // SAFETY: the path lives for the call; a descriptor that comes back is nobody else's.
        unsafe {
            let fd = libc::openat(self.cwd.as_raw_fd(), path.as_ptr(), flags);
            if fd >= 0 {
                drop(OwnedFd::from_raw_fd(fd));
            }
            fd >= 0
        }
    }

    fn absolute(&self, parts: &[Vec<u8>]) -> io::Result<CString> {
        let mut path = self.prefix.clone();
        for part in parts {
            path.push(b'/');
            path.extend_from_slice(part);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        CString::new(path).map_err(|_| invalid("its name has a zero"))
    }

    fn finish_times(&self) -> io::Result<()> {
        for (path, times) in self.dir_times.iter().rev() {
            match sys::set_times_at(self.cwd.as_fd(), path, *times) {
                // Replaced by something else since.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => {}
                other => other?,
            }
        }
        Ok(())
    }
}

impl Unpacker {
    fn into_result(self) -> Result<Unpacked, Failure> {
        self.finish_times().map_err(io_failure)?;
        Ok(Unpacked { made: self.made, opaque: self.opaque.into_iter().collect() })
    }
}

/// A change of owner takes set-user-id bits and capabilities away, so these come after it.
fn set_attributes(file: &OwnedFd, attributes: &Attributes) -> io::Result<()> {
    let file = file.as_fd();
    sys::chown(file, attributes.uid, attributes.gid)?;
    sys::chmod(file, attributes.mode)?;
    for (name, value) in &attributes.extended {
        attributes::set(file, name, value)?;
    }
    sys::set_times(file, attributes.times)
}

fn attributes_of(entry: &mut Entry<'_, impl Read>) -> io::Result<Attributes> {
    let mut extended = Vec::new();
    let mut nanos = 0;
    if let Some(extensions) = entry.pax_extensions()? {
        for extension in extensions {
            let extension = extension?;
            if extension.key_bytes() == b"mtime" {
                nanos = nanos_of(extension.value_bytes());
            }
            let name = match extension.key_bytes().strip_prefix(b"SCHILY.xattr.".as_slice()) {
                Some(name) if attributes::is_kept(name) => name,
                _ => continue,
            };
            let value = extension.value_bytes().to_vec();
            if value.len() > attributes::VALUE_MAX_BYTES {
                return Err(invalid("an attribute of it is too long"));
            }
            extended.push((CString::new(name).map_err(|_| invalid("an attribute's name has a zero"))?, value));
        }
    }
    let header = entry.header();
    let seconds = header.mtime().map_err(|_| invalid("its time is none"))?;
    let time = (seconds.min(i64::MAX as u64) as i64, nanos);
    Ok(Attributes {
        uid: owner(header.uid().map_err(|_| invalid("its owner is none"))?),
        gid: owner(header.gid().map_err(|_| invalid("its group is none"))?),
        mode: header.mode().map_err(|_| invalid("its mode is none"))? & 0o7777,
        times: [time, time],
        extended,
    })
}

fn owner(id: u64) -> u32 {
    if id > OWNER_MAX {
        NOBODY
    } else {
        id as u32
    }
}

/// Of a decimal number of seconds.
fn nanos_of(text: &[u8]) -> i64 {
    let text = String::from_utf8_lossy(text);
    let digits: String = text.split('.').nth(1).unwrap_or("").chars().take(9).collect();
    format!("{:0<9}", digits).parse().unwrap_or(0)
}

fn link_of(entry: &Entry<'_, impl Read>) -> io::Result<Vec<u8>> {
    entry.link_name_bytes().map(|name| name.into_owned()).ok_or_else(|| invalid("it is a link to nothing"))
}

/// Errors: `invalid_argument`, for one that leads out.
fn parts_of(path: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    let parts = path.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    let parts: Vec<Vec<u8>> = parts.map(<[u8]>::to_vec).collect();
    match parts.iter().any(|part| part == b"..") {
        true => Err(Failure::invalid("The layer has a file whose name leads out of it.")),
        false => Ok(parts),
    }
}

fn join(parent: &[u8], name: &[u8]) -> Result<CString, Failure> {
    let mut path = if parent == b"/" { Vec::new() } else { parent.to_vec() };
    path.push(b'/');
    path.extend_from_slice(name);
    CString::new(path).map_err(|_| Failure::invalid("The layer has a file whose name has a zero in it."))
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

fn io_failure(error: io::Error) -> Failure {
    entry_failure("The layer can't be unpacked".to_owned(), &error)
}

/// Of the archive as such: what the reader can't make sense of is no error of the system.
fn read_failure(error: io::Error) -> Failure {
    match error.raw_os_error() {
        Some(_) => Failure::from_io("The layer can't be read", &error),
        None => Failure::invalid(format!("The layer is no tar archive: {}.", error)),
    }
}

/// What the archive's names and links lead to is its own fault.
fn entry_failure(what: String, error: &io::Error) -> Failure {
    let failure = Failure::from_io(what, error);
    let is_archives = matches!(
        error.raw_os_error(),
        Some(
            libc::ENAMETOOLONG
                | libc::ENOTDIR
                | libc::ELOOP
                | libc::EISDIR
                | libc::EEXIST
                | libc::EPERM
                | libc::EINVAL
                | libc::EXDEV
        )
    ) || error.raw_os_error().is_none();
    if is_archives {
        Failure::invalid(failure.message)
    } else {
        failure
    }
}
