//! Gives a container a boot id of its own: a read-only file over /proc/sys/kernel/random/boot_id in its mount
//! namespace. The engine's runtime refuses such a mount in a container's description, so it is made from outside, once
//! the container runs.
//!
//! The file is written outside of what the container sees, taken as a detached mount, and moved into the container's
//! namespace: no path in there but the target's is resolved. It loses its name, so that it goes with the mount.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Write};
use std::mem;
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::checked;
use super::namespace::{self, refusal};
use super::resolve::{mode_of, open_without_links};
use crate::init::random_uuid;

const TARGET: &[u8] = b"/proc/sys/kernel/random/boot_id\0";
const EMPTY: &[u8] = b"\0";
const PROC_SUPER_MAGIC: i64 = 0x9fa0;

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

/// Binds a fresh uuid in the mount namespace of process `pid`, which has to belong to `container`, unless it has one. `scratch` is a
/// directory that no container sees.
pub fn bind(pid: u32, container: &str, scratch: &str) -> io::Result<()> {
    let namespace = namespace::open(pid, container, "mnt")?;
    let scratch = File::open(scratch)?;
    let name = CString::new(format!(".boot-id-{}", random_uuid()))?;
    let text = format!("{}\n", random_uuid());
    let bound = write_file(&scratch, &name, &text).and_then(|()| move_into(&scratch, &name, &namespace));
    // The mount needs the file, and not its name.
    checked(unsafe { libc::unlinkat(scratch.as_raw_fd(), name.as_ptr(), 0) }.into())?;
    bound
}

/// Takes the file as a detached mount, enters the namespace and attaches it there.
fn move_into(scratch: &File, name: &CStr, namespace: &File) -> io::Result<()> {
    let tree = detached_mount(scratch, name)?;
    checked(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNS) }.into())?;
    let target = open_without_links(libc::AT_FDCWD, c_str(TARGET), libc::O_PATH)?;
    if !is_kernels(&target)? {
        return Ok(());
    }
    let flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    let (from, to, empty) = (tree.as_raw_fd(), target.as_raw_fd(), c_str(EMPTY).as_ptr());
    checked(unsafe { libc::syscall(libc::SYS_move_mount, from, empty, to, empty, flags) })?;
    Ok(())
}

/// A new file that nobody can write to once this is closed.
fn write_file(dir: &File, name: &CStr, text: &str) -> io::Result<()> {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let fd = checked(unsafe { libc::openat(dir.as_raw_fd(), name.as_ptr(), flags, 0o444) }.into())?;
    unsafe { File::from_raw_fd(fd as RawFd) }.write_all(text.as_bytes())
}

/// A file as a read-only mount that is nowhere yet.
fn detached_mount(dir: &File, name: &CStr) -> io::Result<OwnedFd> {
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

/// Whether it is the kernel's own file; only ours lies over that. Errors: neither.
fn is_kernels(file: &OwnedFd) -> io::Result<bool> {
    let mut system: libc::statfs = unsafe { mem::zeroed() };
    checked(unsafe { libc::fstatfs(file.as_raw_fd(), &mut system) }.into())?;
    if mode_of(file)? & libc::S_IFMT != libc::S_IFREG {
        return Err(refusal("the container has no boot id to replace"));
    }
    Ok(system.f_type as i64 == PROC_SUPER_MAGIC)
}

fn c_str(bytes: &'static [u8]) -> &'static CStr {
    CStr::from_bytes_with_nul(bytes).expect("ends with its only zero")
}
