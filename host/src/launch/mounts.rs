//! Mounts that the helper makes: most without a place, attached by the process that becomes a guest.

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::sys::{self, FileIds, FsContext, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY};

/// Attributes of what is there to be looked at.
const INERT: u64 = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
const DEVICES_SIZE: &str = "64m";
/// Name, major and minor number.
const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];
/// Name, and what it leads to.
const LINKS: [(&str, &str); 6] = [
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
];
/// Where the process mounts more.
const DIRECTORIES: [&str; 3] = ["pts", "shm", "mqueue"];

/// Ids of a guest's own: its user name space, and which id of the machine its root is.
#[derive(Clone, Copy)]
pub struct Ids<'a> {
    pub namespace: BorrowedFd<'a>,
    pub base: u32,
}

/// Directories that the guest's root is made of, mounted without a place. With ids, files have on the disk the owners
/// that they have inside.
pub struct Parts<'a> {
    layers: Vec<OwnedFd>,
    storage: BorrowedFd<'a>,
    ids: Option<Ids<'a>>,
}

impl<'a> Parts<'a> {
    /// `layers`, lowest first; The calling thread sees them. `storage`: a mount without a place that
    /// nobody else has, with `upper` and an empty `work`.
    pub fn open(layers: &[BorrowedFd], storage: BorrowedFd<'a>, ids: Option<Ids<'a>>) -> io::Result<Parts<'a>> {
        let map = |mount: BorrowedFd| ids.map_or(Ok(()), |ids| sys::set_attributes(mount, 0, Some(ids.namespace)));
        let open = |layer: &BorrowedFd| -> io::Result<OwnedFd> {
            let mount = sys::clone_mount(*layer)?;
            map(mount.as_fd())?;
            Ok(mount)
        };
        let layers = layers.iter().map(open).collect::<io::Result<_>>()?;
        map(storage)?;
        Ok(Parts { layers, storage, ids })
    }
}

/// Mounts the guest's root at the directory `root` of the working directory, which has nothing else. The thread's mount
/// name space must be one that goes: the parts stay in it.
pub fn root(parts: &Parts) -> io::Result<()> {
    // Overlayfs makes its own files as whoever mounts it; nobody of the machine has an id inside but the guest's.
    let _as_guest = parts.ids.map(|ids| FileIds::assume(ids.base)).transpose()?;
    // Before Linux 6.15 overlayfs takes no directory of a mount without a place.
    let place = |mount: BorrowedFd, name: &str| -> io::Result<()> {
        let name = CString::new(name)?;
        check(unsafe { libc::mkdir(name.as_ptr(), 0o700) })?;
        sys::attach(mount, &name)
    };
    for (index, layer) in parts.layers.iter().enumerate() {
        place(layer.as_fd(), &index.to_string())?;
    }
    place(parts.storage, "storage")?;
    // Topmost first, by short names: all options fit a page. Directories that are copied as layers must say all by
    // themselves, whatever this kernel's defaults are.
    let lower = (0..parts.layers.len()).rev().map(|index| index.to_string()).collect::<Vec<_>>().join(":");
    let directories = format!("lowerdir={},upperdir=storage/upper,workdir=storage/work", lower);
    // Volatile, or each end of a guest would wait until the file system that it is on has written all that anybody has, and
    // each `fsync` inside for the disk. What a guest has is worth nothing after the machine's crash unless it was stopped
    // before, and then its files have been written.
    let options = CString::new(format!("{},index=off,metacopy=off,redirect_dir=off,volatile", directories))?;
    let (kind, target) = (name(b"overlay\0"), name(b"root\0"));
    // Devices are only in /dev, whatever layers have.
    let flags = libc::MS_NODEV;
    let options = options.as_ptr().cast();
    check(unsafe { libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, options) })
}

/// An empty /dev with the devices that programs need. `base`: the id that is the guest's root.
pub fn devices(base: u32) -> io::Result<OwnedFd> {
    let context = FsContext::open(name(b"tmpfs\0"))?;
    context.string("source", "tmpfs")?;
    context.string("size", DEVICES_SIZE)?;
    context.string("mode", "755")?;
    let owner = base.to_string();
    context.string("uid", &owner)?;
    context.string("gid", &owner)?;
    let mount = context.mount(MOUNT_ATTR_NOSUID)?;
    let place = mount.as_raw_fd();
    for (name, major, minor) in DEVICES {
        let path = CString::new(name)?;
        let device = libc::makedev(major, minor);
        check(unsafe { libc::mknodat(place, path.as_ptr(), libc::S_IFCHR, device) })?;
        check(unsafe { libc::fchmodat(place, path.as_ptr(), 0o666, 0) })?;
        own(place, &path, base)?;
    }
    for (name, target) in LINKS {
        let (path, target) = (CString::new(name)?, CString::new(target)?);
        check(unsafe { libc::symlinkat(target.as_ptr(), place, path.as_ptr()) })?;
        own(place, &path, base)?;
    }
    for name in DIRECTORIES {
        let path = CString::new(name)?;
        check(unsafe { libc::mkdirat(place, path.as_ptr(), 0o755) })?;
        own(place, &path, base)?;
    }
    Ok(mount)
}

/// What /sys shows of the network name space that the calling thread is in.
pub fn system() -> io::Result<OwnedFd> {
    let context = FsContext::open(name(b"sysfs\0"))?;
    context.string("source", "sysfs")?;
    context.mount(INERT)
}

/// A directory to look at.
pub fn view(directory: BorrowedFd) -> io::Result<OwnedFd> {
    let mount = sys::clone_mount(directory)?;
    sys::set_attributes(mount.as_fd(), INERT, None)?;
    Ok(mount)
}

/// A file to be run, root's where its file system can say so.
pub fn program(file: BorrowedFd, ids: Option<Ids>) -> io::Result<OwnedFd> {
    let attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    let mount = sys::clone_mount(file)?;
    if let Some(ids) = ids {
        if sys::set_attributes(mount.as_fd(), attributes, Some(ids.namespace)).is_ok() {
            return Ok(mount);
        }
    }
    sys::set_attributes(mount.as_fd(), attributes, None)?;
    Ok(mount)
}

fn own(place: libc::c_int, path: &CStr, owner: u32) -> io::Result<()> {
    check(unsafe { libc::fchownat(place, path.as_ptr(), owner, owner, libc::AT_SYMLINK_NOFOLLOW) })
}

fn name(bytes: &'static [u8]) -> &'static CStr {
    CStr::from_bytes_with_nul(bytes).expect("names end with their only zero byte")
}

fn check(result: libc::c_int) -> io::Result<()> {
    match result {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
