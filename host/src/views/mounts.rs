//! Read-only files in a container's mount namespace, from outside: written where the container doesn't see them, taken as
//! detached mounts, and moved over what is there. No path in the container is resolved but the target's.

use std::ffi::CStr;
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::mem;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::engine::checked;
use crate::engine::namespace::refusal;
use crate::engine::resolve::{mode_of, open_without_links};

const EMPTY: &[u8] = b"\0";
const PROC_SUPER_MAGIC: i64 = 0x9fa0;
const SYSFS_MAGIC: i64 = 0x6265_6572;

const OPEN_TREE_CLONE: libc::c_uint = 1;
const OPEN_TREE_CLOEXEC: libc::c_uint = libc::O_CLOEXEC as libc::c_uint;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 0x04;
const MOVE_MOUNT_T_EMPTY_PATH: libc::c_uint = 0x40;
const MOUNT_ATTR_RDONLY: u64 = 0x01;
const MOUNT_ATTR_NOSUID: u64 = 0x02;
const MOUNT_ATTR_NODEV: u64 = 0x04;
const MOUNT_ATTR_NOEXEC: u64 = 0x08;

/// The kernel's `struct mount_attr`.
#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Whether `path` below `root` is the kernel's own file; only ours lies over one. Errors: neither.
pub fn is_kernels(root: RawFd, path: &CStr) -> io::Result<bool> {
    let file = open_without_links(root, path, libc::O_PATH)?;
    let mut system: libc::statfs = unsafe { mem::zeroed() };
    checked(unsafe { libc::fstatfs(file.as_raw_fd(), &mut system) }.into())?;
    if mode_of(&file)? & libc::S_IFMT != libc::S_IFREG {
        return Err(refusal("what is to be replaced in the container is no file"));
    }
    Ok(matches!(system.f_type as i64, PROC_SUPER_MAGIC | SYSFS_MAGIC))
}

/// Writes a new file in the place of any of that name, and takes it as a read-only mount that is nowhere yet.
pub fn write_detached(dir: &File, name: &CStr, text: &str) -> io::Result<OwnedFd> {
    remove(dir, name)?;
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let fd = checked(unsafe { libc::openat(dir.as_raw_fd(), name.as_ptr(), flags, 0o444) }.into())?;
    let mut file = unsafe { File::from_raw_fd(fd as RawFd) };
    // For everyone inside, whatever this process gives to new files.
    file.set_permissions(Permissions::from_mode(0o444))?;
    file.write_all(text.as_bytes())?;
    detached(dir, name)
}

/// Idempotent. A mount of the file needs its name until it is attached.
pub fn remove(dir: &File, name: &CStr) -> io::Result<()> {
    match checked(unsafe { libc::unlinkat(dir.as_raw_fd(), name.as_ptr(), 0) }.into()) {
        Err(error) if error.raw_os_error() != Some(libc::ENOENT) => Err(error),
        _ => Ok(()),
    }
}

/// Puts a detached mount over `path` of this process's mount namespace.
pub fn attach(tree: &OwnedFd, path: &CStr) -> io::Result<()> {
    let target = open_without_links(libc::AT_FDCWD, path, libc::O_PATH)?;
    let flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    let (from, to, empty) = (tree.as_raw_fd(), target.as_raw_fd(), c_str(EMPTY).as_ptr());
    checked(unsafe { libc::syscall(libc::SYS_move_mount, from, empty, to, empty, flags) })?;
    Ok(())
}

fn detached(dir: &File, name: &CStr) -> io::Result<OwnedFd> {
    let flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | libc::AT_SYMLINK_NOFOLLOW as libc::c_uint;
    let fd = checked(unsafe { libc::syscall(libc::SYS_open_tree, dir.as_raw_fd(), name.as_ptr(), flags) })?;
    let tree = unsafe { OwnedFd::from_raw_fd(fd as RawFd) };
    let attributes = MountAttr {
        attr_set: MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let (fd, empty, size) = (tree.as_raw_fd(), c_str(EMPTY).as_ptr(), mem::size_of::<MountAttr>());
    checked(unsafe { libc::syscall(libc::SYS_mount_setattr, fd, empty, libc::AT_EMPTY_PATH, &attributes, size) })?;
    Ok(tree)
}

pub fn c_str(bytes: &'static [u8]) -> &'static CStr {
    CStr::from_bytes_with_nul(bytes).expect("ends with its only zero")
}
