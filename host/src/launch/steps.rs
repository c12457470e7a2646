//! What both lists of calls are made of: that of a process that comes to wait, and that of one that becomes a guest.

use std::os::unix::io::RawFd;

use super::script::{Arg, Script};
use super::sys::MOVE_MOUNT_F_EMPTY_PATH;
use Arg::{Fd, Received, Text, Value};

/// Where a guest's root is before it is the root.
pub const ROOT: &str = "/root";
pub const INERT: u64 = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
/// More than any kernel has.
const CAPABILITIES_MAX: u64 = 64;
/// The second user name space of a process that waits, where there is one.
pub const INNER: RawFd = 3;
pub const HERE: Arg<'static> = Value(libc::AT_FDCWD as i64 as u64);

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

/// Takes all capabilities but these from what processes can ever have.
pub fn bound_capabilities(script: &mut Script, kept: u64) {
    for capability in (0..CAPABILITIES_MAX).filter(|number| kept >> number & 1 == 0) {
        let args = [Value(libc::PR_CAPBSET_DROP as u64), Value(capability), Value(0), Value(0), Value(0)];
        // Numbers that this kernel doesn't have.
        script.try_call("drop capabilities", libc::SYS_prctl, &args, &[libc::EINVAL]);
    }
}
