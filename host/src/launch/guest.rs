//! The calls by which a process that waits becomes a guest's agent.

use std::io;

use super::rights::Rights;
use super::script::{Arg, Script};
use super::steps::{attach, bound_capabilities, enter, make_directory, mount, HERE, INERT, INNER, ROOT};
use super::sys::{self, MOVE_MOUNT_T_EMPTY_PATH};
use super::Plan;
use Arg::{Bytes, Received, Strings, Text, Value};

/// Where guests have the agent's file.
const AGENT_DIR: &str = "/run/e2b-guest";
const AGENT: &str = "/run/e2b-guest/agent";
const AGENT_ARGS: [&str; 5] = [AGENT, "--listen", "fd:3", "--mounts", "fd:4"];
const AGENT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const LISTENER: u64 = 3;
const MOUNTS: u64 = 4;
const SECCOMP_FILTER_FLAG_NEW_LISTENER: u64 = 1 << 3;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// A guest of this plan, whose root is mounted already. The descriptors that go with it are the agent's mount, the listening
/// socket, and the plan's covers in order.
pub fn script(plan: &Plan, rights: Rights, filter: &[u8]) -> Script {
    let mut script = Script::default();
    for name in ["/proc", "/sys", "/dev"] {
        move_into_root(&mut script, name);
    }
    enter(&mut script, ROOT);
    mount_shared_memory(&mut script, plan.memory_bytes / 2);
    make_directory(&mut script, "/run");
    make_directory(&mut script, AGENT_DIR);
    // Not whatever an earlier run of the guest has put there: a pipe would have this wait for who reads it.
    write_file(&mut script, AGENT, &[]);
    script.call("attach the agent", sys::MOVE_MOUNT, &attach(0, AGENT));
    make_directory(&mut script, "/etc");
    for file in plan.files {
        write_file(&mut script, file.path, file.bytes);
    }
    for (index, cover) in plan.covers.iter().enumerate() {
        let label = format!("cover {}", cover.path);
        script.try_call(&label, sys::MOVE_MOUNT, &attach(2 + index, cover.path), &[libc::ENOENT, libc::ENOTDIR]);
    }
    let name = plan.hostname;
    script.call("set the host name", libc::SYS_sethostname, &[Text(name), Value(name.len() as u64)]);
    if rights.may_mount() {
        enter_inner_ids(&mut script, rights);
    }
    confine(&mut script, rights, filter);
    script.call("hand the socket over", libc::SYS_dup3, &[Received(1), Value(LISTENER), Value(0)]);
    let hostname = format!("HOSTNAME={}", name);
    let environment = [AGENT_PATH, &hostname, "HOME=/root"];
    let mut args = &AGENT_ARGS[..3];
    if rights.may_mount() {
        script.call("hand its mounts over", libc::SYS_dup3, &[Arg::Result(0), Value(MOUNTS), Value(0)]);
        args = &AGENT_ARGS;
    }
    script.call("run the agent", libc::SYS_execve, &[Text(AGENT), Strings(args), Strings(&environment)]);
    script
}

/// A copy of all mounts, owned by the second user name space: there they are locked, each as it is. Whoever enters one has all
/// capabilities in it, so these are bounded again.
fn enter_inner_ids(script: &mut Script, rights: Rights) {
    let label = "enter its second user name space";
    script.call(label, libc::SYS_setns, &[Arg::Fd(INNER), Value(libc::CLONE_NEWUSER as u64)]);
    script.call(label, libc::SYS_unshare, &[Value(libc::CLONE_NEWNS as u64)]);
    bound_capabilities(script, rights.capabilities());
}

/// The filter first: who has no more than a guest's capabilities may not add one without giving up sudo.
fn confine(script: &mut Script, rights: Rights, filter: &[u8]) {
    let flags = if rights.may_mount() { SECCOMP_FILTER_FLAG_NEW_LISTENER } else { 0 };
    // SECCOMP_SET_MODE_FILTER
    script.keep("filter system calls", libc::SYS_seccomp, &[Value(1), Value(flags), Arg::Filter(filter)], &[], 0);
    let (kept, header) = (rights.capabilities(), [CAPABILITY_VERSION_3, 0]);
    let (low, high) = (kept as u32, (kept >> 32) as u32);
    let bytes = |words: &[u32]| words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>();
    // Effective, permitted, inheritable; the low halves, then the high ones.
    let args = [Bytes(&bytes(&header)), Bytes(&bytes(&[low, low, 0, high, high, 0]))];
    script.call("drop capabilities", libc::SYS_capset, &args);
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

/// What a failed call means: the image's fault, or the machine's.
pub fn is_fault_of_image(label: &str, error: &io::Error) -> bool {
    let is_about_files = ["use the image's", "write ", "make /", "attach the agent"];
    let errors: [i32; 5] = [libc::ENOTDIR, libc::ELOOP, libc::ENOENT, libc::EISDIR, libc::EROFS];
    is_about_files.iter().any(|start| label.starts_with(start))
        && error.raw_os_error().map_or(false, |number| errors.contains(&number))
}
