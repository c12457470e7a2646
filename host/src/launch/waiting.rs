//! The calls by which a process becomes one that waits: all that doesn't depend on whose guest it will be.

use std::os::unix::io::{AsRawFd, OwnedFd, RawFd};

use super::rights::Rights;
use super::script::{Arg, Script};
use super::steps::{bound_capabilities, enter, make_directory, mount, place, HERE, INERT, INNER, ROOT};
use super::sys::{self, MOVE_MOUNT_F_EMPTY_PATH};
use super::IDS;
use Arg::{Bytes, Text, Value};

/// Directories that show what is the machine's, not the guest's: empty inside. Loop devices say which files they show, and so the
/// names of all sandboxes that have disks of their own.
const HIDDEN_DIRECTORIES: [&str; 6] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/block",
    "/sys/devices/virtual/powercap",
];
/// Files of that kind: nothing is in them inside.
const HIDDEN_FILES: [&str; 7] = [
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/timer_list",
    "/proc/timer_stats",
];
/// Switches of the machine.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

const FILES_MAX: u64 = 1_048_576;
/// Name spaces of each kind that a guest can have at once, of those that it can make.
const SPACES_MAX: &str = "64";
/// What the process that waits is to mount: descriptors that it has under the same numbers.
pub struct Prepared {
    pub system: OwnedFd,
    pub devices: OwnedFd,
    /// Name below /sys/fs/cgroup, none for version 2 alone
    pub groups: Vec<(Option<String>, OwnedFd)>,
}

impl Prepared {
    pub fn descriptors(&self) -> Vec<RawFd> {
        let groups = self.groups.iter().map(|(_, fd)| fd.as_raw_fd());
        [self.system.as_raw_fd(), self.devices.as_raw_fd()].into_iter().chain(groups).collect()
    }
}

/// All that doesn't depend on whose guest it will be.
pub fn script(prepared: &Prepared, rights: Rights) -> Script {
    let mut script = Script::default();
    become_root(&mut script, rights);
    leave_the_machine(&mut script);
    mount_kernel_views(&mut script, prepared);
    if rights.may_mount() {
        make_inner_ids(&mut script);
    }
    hide(&mut script);
    let null = [HERE, Text("/dev/null"), Value(libc::O_RDWR as u64), Value(0)];
    script.keep("open /dev/null", libc::SYS_openat, &null, &[], 0);
    for fd in 0..3 {
        // It may be one of them itself already.
        let args = [Arg::Result(0), Value(fd), Value(0)];
        script.try_call("open its standard streams", libc::SYS_dup3, &args, &[libc::EINVAL]);
    }
    bound(&mut script, rights);
    script
}

/// Root of its own ids, and of nobody's session.
fn become_root(script: &mut Script, rights: Rights) {
    if rights.has_ids() {
        let root = [Value(0), Value(0), Value(0)];
        script.call("take the group 0", libc::SYS_setresgid, &root);
        script.call("take the user 0", libc::SYS_setresuid, &root);
    }
    script.call("drop other groups", libc::SYS_setgroups, &[Value(0), Value(0)]);
    script.call("start a session", libc::SYS_setsid, &[]);
    // KEYCTL_JOIN_SESSION_KEYRING: keys of the helper's session are not the guest's. Kernels may have none.
    script.try_call("leave the keyring", libc::SYS_keyctl, &[Value(1), Value(0)], &[libc::ENOSYS, libc::EDQUOT]);
    script.call("clear the mask of modes", libc::SYS_umask, &[Value(0o022)]);
    // Its groups are the roots of what it sees: it has been moved there by now. Queues are owned by whoever makes the space.
    let spaces = libc::CLONE_NEWCGROUP | libc::CLONE_NEWIPC;
    script.call("hide control groups", libc::SYS_unshare, &[Value(spaces as u64)]);
}

/// A user name space below its own, of the same ids, for what it becomes. A process is there until that has ids: the second
/// of the name space of processes, of which this is the first. What mounts and processes are made of is counted by the outer one.
fn make_inner_ids(script: &mut Script) {
    let label = "make a second user name space";
    for kind in ["user", "mnt", "pid"] {
        write_to(script, label, &format!("/proc/sys/user/max_{}_namespaces", kind), SPACES_MAX);
    }
    // Whoever has changed its ids owns no file of its own in /proc.
    let dumpable = |is: u64| [Value(libc::PR_SET_DUMPABLE as u64), Value(is), Value(0), Value(0), Value(0)];
    script.call(label, libc::SYS_prctl, &dumpable(1));
    let flags = libc::CLONE_NEWUSER | libc::SIGCHLD;
    script.keep(label, libc::SYS_clone, &[Value(flags as u64), Value(0), Value(0), Value(0), Value(0)], &[], 0);
    for kind in ["uid", "gid"] {
        write_to(script, label, &format!("/proc/2/{}_map", kind), &format!("0 0 {}\n", IDS));
    }
    let space = [HERE, Text("/proc/2/ns/user"), Value(libc::O_CLOEXEC as u64), Value(0)];
    script.keep(label, libc::SYS_openat, &space, &[], 1);
    // It may be that already.
    let inner = [Arg::Result(1), Value(INNER as u64), Value(libc::O_CLOEXEC as u64)];
    script.try_call(label, libc::SYS_dup3, &inner, &[libc::EINVAL]);
    script.call(label, libc::SYS_kill, &[Arg::Result(0), Value(libc::SIGKILL as u64)]);
    script.call(label, libc::SYS_wait4, &[Arg::Result(0), Value(0), Value(0), Value(0)]);
    script.call(label, libc::SYS_prctl, &dumpable(0));
}

fn write_to(script: &mut Script, label: &str, path: &str, text: &str) {
    script.keep(label, libc::SYS_openat, &[HERE, Text(path), Value(libc::O_WRONLY as u64), Value(0)], &[], 1);
    script.call(label, libc::SYS_write, &[Arg::Result(1), Bytes(text.as_bytes()), Value(text.len() as u64)]);
    script.call(label, libc::SYS_close, &[Arg::Result(1)]);
}

/// Changes the root for an empty one. `/proc` is mounted before, as the kernel allows that only who sees all of another.
fn leave_the_machine(script: &mut Script) {
    let private: u64 = libc::MS_REC | libc::MS_PRIVATE;
    script.call("keep mounts to itself", libc::SYS_mount, &[Text("none"), Text("/"), Value(0), Value(private)]);
    script.keep("make /proc", sys::FSOPEN, &[Text("proc"), Value(1)], &[], 0);
    let source = [Arg::Result(0), Value(sys::FSCONFIG_SET_STRING.into()), Text("source"), Text("proc"), Value(0)];
    script.call("make /proc", sys::FSCONFIG, &source);
    let create = [Arg::Result(0), Value(sys::FSCONFIG_CMD_CREATE.into()), Value(0), Value(0), Value(0)];
    script.call("make /proc", sys::FSCONFIG, &create);
    script.keep("make /proc", sys::FSMOUNT, &[Arg::Result(0), Value(1), Value(INERT_ATTRIBUTES)], &[], 1);
    mount(script, "tmpfs", "/proc", libc::MS_NOSUID | libc::MS_NODEV, "size=64k,mode=755");
    enter(script, "/proc");
    for name in ["/proc", "/sys", "/dev", ROOT] {
        make_directory(script, name);
    }
    let place = [Arg::Result(1), Text(""), HERE, Text("/proc"), Value(MOVE_MOUNT_F_EMPTY_PATH)];
    script.call("attach /proc", sys::MOVE_MOUNT, &place);
}

/// The same attributes, for `fsmount`.
const INERT_ATTRIBUTES: u64 = sys::MOUNT_ATTR_NOSUID | sys::MOUNT_ATTR_NODEV | sys::MOUNT_ATTR_NOEXEC;

fn mount_kernel_views(script: &mut Script, prepared: &Prepared) {
    script.call("attach /sys", sys::MOVE_MOUNT, &place(prepared.system.as_raw_fd(), "/sys"));
    script.call("attach /dev", sys::MOVE_MOUNT, &place(prepared.devices.as_raw_fd(), "/dev"));
    let terminals = "newinstance,ptmxmode=0666,mode=0620,gid=5";
    mount(script, "devpts", "/dev/pts", libc::MS_NOSUID | libc::MS_NOEXEC, terminals);
    mount(script, "mqueue", "/dev/mqueue", INERT, "");
    if prepared.groups.iter().any(|(name, _)| name.is_some()) {
        mount(script, "tmpfs", "/sys/fs/cgroup", INERT, "size=64k,mode=755");
    }
    for (name, fd) in &prepared.groups {
        let path = name.as_ref().map_or("/sys/fs/cgroup".to_owned(), |name| format!("/sys/fs/cgroup/{}", name));
        if name.is_some() {
            make_directory(script, &path);
        }
        script.call(&format!("attach {}", path), sys::MOVE_MOUNT, &place(fd.as_raw_fd(), &path));
    }
}

/// What is the machine's can't be seen or changed. A kernel doesn't have all of it.
fn hide(script: &mut Script) {
    let absent = [libc::ENOENT, libc::ENOTDIR];
    for path in HIDDEN_DIRECTORIES {
        let args = [Text("tmpfs"), Text(path), Text("tmpfs"), Value(INERT | libc::MS_RDONLY), Text("size=4k")];
        script.try_call(&format!("hide {}", path), libc::SYS_mount, &args, &absent);
    }
    for path in HIDDEN_FILES {
        let args = [Text("/dev/null"), Text(path), Value(0), Value(libc::MS_BIND)];
        script.try_call(&format!("hide {}", path), libc::SYS_mount, &args, &absent);
    }
    for path in READ_ONLY {
        let label = format!("make {} read-only", path);
        let bind = [Text(path), Text(path), Value(0), Value(libc::MS_BIND)];
        script.try_call(&label, libc::SYS_mount, &bind, &absent);
        let flags = INERT | libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY;
        script.try_call(&label, libc::SYS_mount, &[Value(0), Text(path), Value(0), Value(flags)], &absent);
    }
    if_any_read_only_groups(script);
}

fn if_any_read_only_groups(script: &mut Script) {
    let flags = INERT | libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY;
    let args = [Value(0), Text("/sys/fs/cgroup"), Value(0), Value(flags)];
    // Where /sys has no such directory there are no groups.
    script.try_call("make /sys/fs/cgroup read-only", libc::SYS_mount, &args, &[libc::ENOENT, libc::EINVAL]);
}

/// Limits that hold until the guest changes them, and capabilities that nothing inside gets back.
fn bound(script: &mut Script, rights: Rights) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    let files = limit.rlim_max.min(FILES_MAX);
    set_limit(script, "open files", libc::RLIMIT_NOFILE as u64, files, files);
    unsafe { libc::getrlimit(libc::RLIMIT_CORE, &mut limit) };
    set_limit(script, "core files", libc::RLIMIT_CORE as u64, 0, limit.rlim_max);
    bound_capabilities(script, rights.capabilities());
}

fn set_limit(script: &mut Script, what: &str, resource: u64, soft: u64, hard: u64) {
    let bytes: Vec<u8> = [soft, hard].iter().flat_map(|value| value.to_ne_bytes()).collect();
    let args = [Value(0), Value(resource), Bytes(&bytes), Value(0)];
    script.call(&format!("limit {}", what), libc::SYS_prlimit64, &args);
}
