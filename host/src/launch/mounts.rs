//! Mounts without a place: made by the helper, attached by the process that becomes a guest.

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

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

/// The guest's root: the layers, lowest first, below `upper` of `storage`, which also has an empty `work`. With ids,
/// files have on the disk the owners that they have inside.
pub fn root(layers: &[BorrowedFd], storage: BorrowedFd, ids: Option<Ids>) -> io::Result<OwnedFd> {
    // Overlayfs makes its own files as whoever mounts it; nobody of the machine has an id inside but the guest's.
    let _as_guest = ids.map(|ids| FileIds::assume(ids.base)).transpose()?;
    let mapped = |directory: BorrowedFd| -> io::Result<OwnedFd> {
        let mount = sys::clone_mount(directory)?;
        if let Some(ids) = ids {
            sys::set_attributes(mount.as_fd(), 0, Some(ids.namespace))?;
        }
        Ok(mount)
    };
    let context = FsContext::open(name(b"overlay\0"))?;
    context.string("source", "overlay")?;
    // Directories that are copied as layers must say all by themselves, whatever this kernel's defaults are.
    for key in ["index", "metacopy", "redirect_dir"] {
        context.string(key, "off")?;
    }
    // Mounts without a place live as long as their descriptors. Topmost first.
    let layers = layers.iter().rev().map(|layer| mapped(*layer)).collect::<io::Result<Vec<_>>>()?;
    for layer in &layers {
        add_directory(&context, "lowerdir+", layer.as_fd())?;
    }
    let storage = mapped(storage)?;
    for (key, directory) in [("upperdir", "upper"), ("workdir", "work")] {
        add_directory(&context, key, open_directory(storage.as_fd(), directory)?.as_fd())?;
    }
    // Devices are only in /dev, whatever layers have.
    context.mount(MOUNT_ATTR_NODEV)
}

/// By descriptor since Linux 6.13, before that by its path.
fn add_directory(context: &FsContext, key: &str, directory: BorrowedFd) -> io::Result<()> {
    match context.descriptor(key, directory) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            context.string(key, &format!("/proc/self/fd/{}", directory.as_raw_fd()))
        }
        result => result,
    }
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

fn open_directory(place: BorrowedFd, name: &str) -> io::Result<OwnedFd> {
    let path = CString::new(name)?;
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let fd = unsafe { libc::openat(place.as_raw_fd(), path.as_ptr(), flags) };
    check(fd)?;
    // Just made, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
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
