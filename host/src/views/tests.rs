//! With files of the kernel's and mounts, as root.

use std::fs;
use std::io::Read;
use std::os::unix::io::AsRawFd;

use super::*;
use crate::test_dir::TestDir;

/// A directory with what control groups of version 2 say.
fn groups(directory: &Path, used_bytes: u64) {
    let files = [
        ("memory.max", "268435456\n".to_owned()),
        ("memory.current", format!("{}\n", used_bytes)),
        ("memory.stat", "anon 1048576\n".to_owned()),
        ("cpu.stat", "user_usec 3000000\nsystem_usec 1000000\n".to_owned()),
        ("pids.current", "7\n".to_owned()),
    ];
    files.iter().for_each(|(name, text)| fs::write(directory.join(name), text).unwrap());
}

fn source(directory: &Path) -> ViewSource {
    let of = || directory.to_owned();
    ViewSource { memory: of(), cpu: of(), pids: of(), cpus: vec![0] }
}

fn read(mounts: &[ViewMount], target: &str) -> String {
    let one = mounts.iter().find(|mount| mount.target.to_str() == Ok(target)).expect(target);
    let mut text = String::new();
    let path = format!("/proc/self/fd/{}", one.tree.as_raw_fd());
    File::open(path).unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_guest_sees_its_own_memory_and_cpus_as_they_are_when_it_looks() {
    let (root, group, sandbox) = (TestDir::new(), TestDir::new(), Sandbox::parse("one").unwrap());
    groups(group.path(), 1 << 20);
    let views = Views::open(root.path()).expect("these tests need root");
    let mounts = views.make(&sandbox, &source(group.path())).unwrap();
    assert!(read(&mounts, "proc/meminfo").contains("MemTotal:         262144 kB\nMemFree:          261120 kB\n"));
    assert_eq!(read(&mounts, "proc/swaps").lines().count(), 1);
    assert_eq!(read(&mounts, "proc/sys/kernel/random/boot_id").len(), 37);
    assert!(read(&mounts, "proc/stat").starts_with("cpu  300 0 100 "));
    for mount in &mounts {
        let path = format!("/proc/self/fd/{}", mount.tree.as_raw_fd());
        assert!(fs::OpenOptions::new().write(true).open(path).is_err());
    }
    // Read until the keeper has it: the kernel asks it once it has heard of the guest.
    groups(group.path(), 2 << 20);
    while !read(&mounts, "proc/meminfo").contains("MemFree:          260096 kB\n") {}

    // The next helper goes on with it, and removes what nobody has.
    drop(views);
    let views = Views::open(root.path()).unwrap();
    views.make(&Sandbox::parse("other").unwrap(), &source(group.path())).unwrap();
    views.adopt(&sandbox).unwrap();
    groups(group.path(), 3 << 20);
    while !read(&mounts, "proc/meminfo").contains("MemFree:          259072 kB\n") {}
    views.keep_only(std::slice::from_ref(&sandbox));
    let left = || fs::read_dir(root.path().join("views")).unwrap().count();
    assert_eq!(left(), 1);
    views.remove(&sandbox);
    views.remove(&sandbox);
    assert_eq!(left(), 0);
    assert!(read(&mounts, "proc/meminfo").starts_with("MemTotal:"));
    views.dispose();
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}
