//! The calls by which a process becomes one that waits, and by which that becomes a guest's agent.

use std::io;
use std::os::unix::io::{AsRawFd, OwnedFd};

use libc::c_int;

use super::script::{Arg, Script};
use super::sys::{self, MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH};
use super::Plan;
use Arg::{Bytes, Fd, Received, Strings, Text, Value};

/// Where guests have the agent's file.
const AGENT_DIR: &str = "/run/e2b-guest";
const AGENT: &str = "/run/e2b-guest/agent";
const AGENT_ARGS: [&str; 3] = [AGENT, "--listen", "fd:3"];
const AGENT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const LISTENER: u64 = 3;
/// Where a guest's root is before it is the root.
const ROOT: &str = "/root";

/// Directories that show what is the machine's, not the guest's: empty inside.
const HIDDEN_DIRECTORIES: [&str; 5] =
    ["/proc/acpi", "/proc/asound", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"];
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

/// chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, sys_chroot, mknod, audit_write,
/// setfcap: an engine's defaults but for raw sockets.
const CAPABILITIES: [u32; 13] = [0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 27, 29, 31];
const MKNOD: u32 = 27;
/// More than any kernel has.
const CAPABILITIES_MAX: u64 = 64;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

const FILES_MAX: u64 = 1_048_576;
const INERT: u64 = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
const HERE: Arg<'static> = Value(libc::AT_FDCWD as i64 as u64);

/// What the process that waits is to mount: descriptors that it has under the same numbers.
pub struct Prepared {
    pub system: OwnedFd,
    pub devices: OwnedFd,
    /// Name below /sys/fs/cgroup, none for version 2 alone
    pub groups: Vec<(Option<String>, OwnedFd)>,
}

impl Prepared {
    pub fn descriptors(&self) -> Vec<c_int> {
        let groups = self.groups.iter().map(|(_, fd)| fd.as_raw_fd());
        [self.system.as_raw_fd(), self.devices.as_raw_fd()].into_iter().chain(groups).collect()
    }
}

/// All that doesn't depend on whose guest it will be.
pub fn park(prepared: &Prepared, has_ids: bool) -> Script {
    let mut script = Script::default();
    become_root(&mut script, has_ids);
    leave_the_machine(&mut script);
    mount_kernel_views(&mut script, prepared);
    hide(&mut script);
    let null = [HERE, Text("/dev/null"), Value(libc::O_RDWR as u64), Value(0)];
    script.keep("open /dev/null", libc::SYS_openat, &null, &[], 0);
    for fd in 0..3 {
        // It may be one of them itself already.
        let args = [Arg::Result(0), Value(fd), Value(0)];
        script.try_call("open its standard streams", libc::SYS_dup3, &args, &[libc::EINVAL]);
    }
    bound(&mut script, has_ids);
    script
}

/// A guest of this plan. The descriptors that go with it are the root's mount, the agent's, the listening socket, and the
/// plan's covers in order.
pub fn launch(plan: &Plan, has_ids: bool, filter: &[u8]) -> Script {
    let mut script = Script::default();
    script.call("attach the root", sys::MOVE_MOUNT, &attach(0, ROOT));
    for name in ["/proc", "/sys", "/dev"] {
        move_into_root(&mut script, name);
    }
    enter(&mut script, ROOT);
    mount_shared_memory(&mut script, plan.memory_bytes / 2);
    make_directory(&mut script, "/run");
    make_directory(&mut script, AGENT_DIR);
    let create = [HERE, Text(AGENT), Value((libc::O_WRONLY | libc::O_CREAT | libc::O_CLOEXEC) as u64), Value(0o644)];
    script.keep("make the agent's file", libc::SYS_openat, &create, &[], 0);
    script.call("close the agent's file", libc::SYS_close, &[Arg::Result(0)]);
    script.call("attach the agent", sys::MOVE_MOUNT, &attach(1, AGENT));
    make_directory(&mut script, "/etc");
    for file in plan.files {
        write_file(&mut script, file.path, file.bytes);
    }
    for (index, cover) in plan.covers.iter().enumerate() {
        let label = format!("cover {}", cover.path);
        script.try_call(&label, sys::MOVE_MOUNT, &attach(3 + index, cover.path), &[libc::ENOENT, libc::ENOTDIR]);
    }
    let name = plan.hostname;
    script.call("set the host name", libc::SYS_sethostname, &[Text(name), Value(name.len() as u64)]);
    confine(&mut script, has_ids, filter);
    script.call("hand the socket over", libc::SYS_dup3, &[Received(2), Value(LISTENER), Value(0)]);
    let hostname = format!("HOSTNAME={}", name);
    let environment = [AGENT_PATH, &hostname, "HOME=/root"];
    script.call("run the agent", libc::SYS_execve, &[Text(AGENT), Strings(&AGENT_ARGS), Strings(&environment)]);
    script
}

/// Root of its own ids, and of nobody's session.
fn become_root(script: &mut Script, has_ids: bool) {
    if has_ids {
        let root = [Value(0), Value(0), Value(0)];
        script.call("take the group 0", libc::SYS_setresgid, &root);
        script.call("take the user 0", libc::SYS_setresuid, &root);
    }
    script.call("drop other groups", libc::SYS_setgroups, &[Value(0), Value(0)]);
    script.call("start a session", libc::SYS_setsid, &[]);
    // KEYCTL_JOIN_SESSION_KEYRING: keys of the helper's session are not the guest's. Kernels may have none.
    script.try_call("leave the keyring", libc::SYS_keyctl, &[Value(1), Value(0)], &[libc::ENOSYS, libc::EDQUOT]);
    script.call("clear the mask of modes", libc::SYS_umask, &[Value(0o022)]);
    // Its groups are the roots of what it sees: it has been moved there by now.
    script.call("hide control groups", libc::SYS_unshare, &[Value(libc::CLONE_NEWCGROUP as u64)]);
}

/// Changes the root for an empty one. `/proc` is mounted before, as the kernel allows that only who sees all of another.
fn leave_the_machine(script: &mut Script) {
    let private = (libc::MS_REC | libc::MS_PRIVATE) as u64;
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
fn bound(script: &mut Script, has_ids: bool) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    let files = limit.rlim_max.min(FILES_MAX);
    set_limit(script, "open files", libc::RLIMIT_NOFILE as u64, files, files);
    unsafe { libc::getrlimit(libc::RLIMIT_CORE, &mut limit) };
    set_limit(script, "core files", libc::RLIMIT_CORE as u64, 0, limit.rlim_max);
    let kept = capabilities(has_ids);
    for capability in (0..CAPABILITIES_MAX).filter(|number| kept >> number & 1 == 0) {
        let args = [Value(libc::PR_CAPBSET_DROP as u64), Value(capability), Value(0), Value(0), Value(0)];
        // Numbers that this kernel doesn't have.
        script.try_call("drop capabilities", libc::SYS_prctl, &args, &[libc::EINVAL]);
    }
}

fn set_limit(script: &mut Script, what: &str, resource: u64, soft: u64, hard: u64) {
    let bytes: Vec<u8> = [soft, hard].iter().flat_map(|value| value.to_ne_bytes()).collect();
    let args = [Value(0), Value(resource), Bytes(&bytes), Value(0)];
    script.call(&format!("limit {}", what), libc::SYS_prlimit64, &args);
}

/// The filter first: who has no more than a guest's capabilities may not add one without giving up sudo.
fn confine(script: &mut Script, has_ids: bool, filter: &[u8]) {
    // SECCOMP_SET_MODE_FILTER
    script.call("filter system calls", libc::SYS_seccomp, &[Value(1), Value(0), Arg::Filter(filter)]);
    let (kept, header) = (capabilities(has_ids), [CAPABILITY_VERSION_3, 0]);
    let (low, high) = (kept as u32, (kept >> 32) as u32);
    let bytes = |words: &[u32]| words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>();
    // Effective, permitted, inheritable; the low halves, then the high ones.
    let args = [Bytes(&bytes(&header)), Bytes(&bytes(&[low, low, 0, high, high, 0]))];
    script.call("drop capabilities", libc::SYS_capset, &args);
}

/// Without a user name space root could make devices of the machine.
fn capabilities(has_ids: bool) -> u64 {
    CAPABILITIES.iter().filter(|number| has_ids || **number != MKNOD).fold(0, |set, number| set | 1 << number)
}

/// Moves what is mounted at `path` to the same place in the root. An image that has a link there is none for a guest.
fn move_into_root(script: &mut Script, path: &str) {
    let target = format!("{}{}", ROOT, path);
    make_directory(script, &target);
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let label = format!("use the image's {}", path);
    script.keep(&label, libc::SYS_openat, &[HERE, Text(&target), Value(flags as u64), Value(0)], &[], 0);
    let args = [HERE, Text(path), Arg::Result(0), Text(""), Value(MOVE_MOUNT_T_EMPTY_PATH)];
    script.call(&format!("attach {}", path), sys::MOVE_MOUNT, &args);
    script.call(&format!("attach {}", path), libc::SYS_close, &[Arg::Result(0)]);
}

/// Makes a mount the root, and leaves the one before.
fn enter(script: &mut Script, path: &str) {
    let label = "change the root";
    script.call(label, libc::SYS_chdir, &[Text(path)]);
    script.call(label, libc::SYS_pivot_root, &[Text("."), Text(".")]);
    // The old root is on top of the new one now.
    script.call(label, libc::SYS_umount2, &[Text("."), Value(libc::MNT_DETACH as u64)]);
    script.call(label, libc::SYS_chdir, &[Text("/")]);
}

fn mount_shared_memory(script: &mut Script, bytes: u64) {
    mount(script, "tmpfs", "/dev/shm", INERT, &format!("mode=1777,size={}", bytes));
}

/// A new file in place of whatever is there. A directory is no place for one.
fn write_file(script: &mut Script, path: &str, bytes: &[u8]) {
    let label = format!("write {}", path);
    script.try_call(&label, libc::SYS_unlinkat, &[HERE, Text(path), Value(0)], &[libc::ENOENT]);
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
    script.keep(&label, libc::SYS_openat, &[HERE, Text(path), Value(flags as u64), Value(0o644)], &[], 0);
    script.call(&label, libc::SYS_write, &[Arg::Result(0), Bytes(bytes), Value(bytes.len() as u64)]);
    script.call(&label, libc::SYS_close, &[Arg::Result(0)]);
}

fn make_directory(script: &mut Script, path: &str) {
    let args = [HERE, Text(path), Value(0o755)];
    script.try_call(&format!("make {}", path), libc::SYS_mkdirat, &args, &[libc::EEXIST]);
}

fn mount(script: &mut Script, kind: &str, path: &str, flags: u64, options: &str) {
    let args = [Text(kind), Text(path), Text(kind), Value(flags), Text(options)];
    script.call(&format!("mount {}", path), libc::SYS_mount, &args);
}

/// Arguments of `move_mount` for a descriptor of this number.
fn place(fd: c_int, path: &str) -> [Arg<'_>; 5] {
    [Fd(fd), Text(""), HERE, Text(path), Value(MOVE_MOUNT_F_EMPTY_PATH)]
}

/// Arguments of `move_mount` for one of the descriptors that came.
fn attach(index: usize, path: &str) -> [Arg<'_>; 5] {
    [Received(index), Text(""), HERE, Text(path), Value(MOVE_MOUNT_F_EMPTY_PATH)]
}

/// What a failed call means: the image's fault, or the machine's.
pub fn is_fault_of_image(label: &str, error: &io::Error) -> bool {
    let is_about_files = ["use the image's", "write ", "make /", "attach the agent", "make the agent's"];
    let errors: [c_int; 5] = [libc::ENOTDIR, libc::ELOOP, libc::ENOENT, libc::EISDIR, libc::EROFS];
    is_about_files.iter().any(|start| label.starts_with(start))
        && error.raw_os_error().map_or(false, |number| errors.contains(&number))
}
