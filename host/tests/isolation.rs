//! What a guest shares with the machine and with other guests, as the machine sees it.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{symlink, FileTypeExt};
use std::os::unix::io::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use support::{start, Client, Helper};

/// More than the kernel lets a user have, by default 128, and fewer than a process has descriptors.
const INSTANCES: usize = 1 << 17;

#[test]
fn a_guest_has_name_spaces_of_its_own_and_a_program_that_it_cannot_change() {
    let helper = Helper::start();
    let mut client = helper.connect();
    let (a, b) = (start_of(&mut client, "a"), start_of(&mut client, "b"));
    for kind in ["user", "pid", "mnt", "uts", "ipc", "net", "cgroup"] {
        let of = |pid: &str| fs::read_link(format!("/proc/{}/ns/{}", pid, kind)).unwrap();
        let found: BTreeSet<_> = [of("self"), of(&a), of(&b)].into();
        assert_eq!(found.len(), 3, "{}: {:?}", kind, found);
    }
    let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", a)).unwrap();
    let program = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/run/e2b-guest/agent")).unwrap();
    let flags: BTreeSet<&str> = program.split(' ').nth(5).unwrap().split(',').collect();
    assert!(flags.is_superset(&["ro", "nosuid", "nodev"].into()), "{}", program);
    // Where its agent listens has a file that the machine alone sees.
    assert!(helper.root.join("sockets/a.sock").exists());
    assert!(!mounts.contains("/sockets"), "{}", mounts);
    assert_eq!(sockets_below(Path::new(&format!("/proc/{}/root/run", a))), 0);
    assert_eq!(sockets_below(Path::new(&format!("/proc/{}/root/tmp", a))), 0);
    assert_eq!(fs::read_to_string(format!("/proc/{}/root/proc/interrupts", a)).unwrap(), "");
    let groups =
        Command::new("nsenter").args(["-t", &a, "-C", "cat", &format!("/proc/{}/cgroup", a)]).output().unwrap();
    let groups = String::from_utf8(groups.stdout).unwrap();
    assert!(!groups.is_empty() && groups.lines().all(|line| line.ends_with(":/")), "{}", groups);
}

#[test]
fn what_the_kernel_counts_by_user_is_a_guests_own() {
    let helper = Helper::start();
    let mut client = helper.connect();
    let (a, b) = (start_of(&mut client, "a"), start_of(&mut client, "b"));
    let mut greedy = with_watches(&a, INSTANCES).unwrap();
    assert_eq!(with_watches(&a, 1).err().and_then(|error| error.raw_os_error()), Some(libc::EMFILE));
    let mut other = with_watches(&b, 1).unwrap();
    for child in [&mut greedy, &mut other] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn links_in_place_of_what_is_mounted_are_refused_and_leave_nothing() {
    let helper = Helper::start();
    let mut client = helper.connect();
    for name in ["proc", "sys", "dev"] {
        let tree = helper.root.join("spool").join(format!("{}.tree", name));
        for directory in ["etc", "proc", "sys", "dev", "tmp", "run", "root"] {
            fs::create_dir_all(tree.join(directory)).unwrap();
        }
        fs::remove_dir(tree.join(name)).unwrap();
        symlink("tmp", tree.join(name)).unwrap();
        let archive = helper.root.join("spool").join(name);
        assert!(Command::new("tar").arg("-C").arg(&tree).arg("-cf").arg(&archive).arg(".").status().unwrap().success());
        client.ask(json!({ "op": "unpack", "upload": name, "layer": name, "format": "tar" }));
        let mut request = start(name);
        request["layers"] = json!([name]);
        assert_eq!(client.refused(request), "failed_precondition", "{}", name);
        assert_eq!(client.state(name), "gone");
        assert!(!fs::read_to_string("/proc/self/mountinfo").unwrap().contains(&format!("/layers/{}", name)));
    }
    assert_eq!(client.ask(json!({ "op": "list" }))["sandboxes"], json!([]));
}

fn start_of(client: &mut Client, sandbox: &str) -> String {
    client.ask(start(sandbox))["pid"].to_string()
}

fn sockets_below(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let of = |entry: fs::DirEntry| match entry.file_type().unwrap() {
        kind if kind.is_dir() => sockets_below(&entry.path()),
        kind => kind.is_socket() as usize,
    };
    entries.map(of).sum()
}

/// A process of this guest's root with so many inotify instances, or as many as it can have. Errors: it gets none.
fn with_watches(pid: &str, most: usize) -> io::Result<Child> {
    let namespace = fs::File::open(format!("/proc/{}/ns/user", pid))?;
    let make = move || {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: system calls alone, after a fork; the structure lives for its calls.
        unsafe {
            libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
            limit.rlim_cur = limit.rlim_max;
            let is_there = libc::setrlimit(libc::RLIMIT_NOFILE, &limit) == 0
                && libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWUSER) == 0
                && libc::setresuid(0, 0, 0) == 0
                && libc::inotify_init1(0) >= 0;
            if !is_there {
                return Err(io::Error::last_os_error());
            }
            for _ in 1..most {
                if libc::inotify_init1(0) < 0 {
                    break;
                }
            }
        }
        Ok(())
    };
    // SAFETY: `make` allocates nothing.
    unsafe { Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).pre_exec(make) }.spawn()
}
