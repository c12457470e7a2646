//! What both lists of calls are made of: that of a process that comes to wait, and that of one that becomes a guest.

use std::os::unix::io::RawFd;

use super::script::{Arg, Script};
use super::sys::MOVE_MOUNT_F_EMPTY_PATH;
use Arg::{Fd, Received, Text, Value};

/// Where a guest's root is before it is the root.
pub const ROOT: &str = "/root";
pub const INERT: u64 = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
pub const HERE: Arg<'static> = Value(libc::AT_FDCWD as i64 as u64);

/// chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, sys_chroot, mknod, audit_write,
/// setfcap: an engine's defaults but for raw sockets.
const CAPABILITIES: [u32; 13] = [0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 27, 29, 31];
const MKNOD: u32 = 27;
/// Without a user name space root could make devices of the machine.
pub fn capabilities(has_ids: bool) -> u64 {
    CAPABILITIES.iter().filter(|number| has_ids || **number != MKNOD).fold(0, |set, number| set | 1 << number)
}

/// Makes a mount the root, and leaves the one before.
pub fn enter(script: &mut Script, path: &str) {
    let label = "change the root";
    script.call(label, libc::SYS_chdir, &[Text(path)]);
    script.call(label, libc::SYS_pivot_root, &[Text("."), Text(".")]);
    // The old root is on top of the new one now.
    script.call(label, libc::SYS_umount2, &[Text("."), Value(libc::MNT_DETACH as u64)]);
    script.call(label, libc::SYS_chdir, &[Text("/")]);
}

pub fn make_directory(script: &mut Script, path: &str) {
    let args = [HERE, Text(path), Value(0o755)];
    script.try_call(&format!("make {}", path), libc::SYS_mkdirat, &args, &[libc::EEXIST]);
}

pub fn mount(script: &mut Script, kind: &str, path: &str, flags: u64, options: &str) {
    let args = [Text(kind), Text(path), Text(kind), Value(flags), Text(options)];
    script.call(&format!("mount {}", path), libc::SYS_mount, &args);
}

/// Arguments of `move_mount` for a descriptor of this number.
pub fn place(fd: RawFd, path: &str) -> [Arg<'_>; 5] {
    [Fd(fd), Text(""), HERE, Text(path), Value(MOVE_MOUNT_F_EMPTY_PATH)]
}

/// Arguments of `move_mount` for one of the descriptors that came.
pub fn attach(index: usize, path: &str) -> [Arg<'_>; 5] {
    [Received(index), Text(""), HERE, Text(path), Value(MOVE_MOUNT_F_EMPTY_PATH)]
}
