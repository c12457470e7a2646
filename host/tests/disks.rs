//! Guests whose disk has a limit.

mod support;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::io::AsRawFd;
use std::path::Path;
use std::thread;

use serde_json::{json, Value};
use support::{agent_answers, start, until, Helper};

const SIZE_MB: u64 = 64;

fn start_limited(sandbox: &str) -> Value {
    let mut request = start(sandbox);
    request["diskMb"] = SIZE_MB.into();
    request
}

/// Writes as root inside until it fails. Returns how many bytes, and why no more.
fn fill(pid: &Value, name: &str) -> (u64, io::Error) {
    let (root, map) =
        (format!("/proc/{}/root/tmp", pid), fs::read_to_string(format!("/proc/{}/uid_map", pid)).unwrap());
    let base: i64 = map.split_whitespace().nth(1).unwrap().parse().unwrap();
    // Opened as root outside; what is made below is made by root inside.
    let directory = File::open(root).unwrap();
    let path = format!("/proc/self/fd/{}/{}", directory.as_raw_fd(), name);
    let work = move || {
        // SAFETY: no pointers are passed; the thread ends with this.
        unsafe {
            libc::syscall(libc::SYS_setfsgid, base);
            libc::syscall(libc::SYS_setfsuid, base);
        }
        let mut written = 0;
        let mut file = match OpenOptions::new().create(true).append(true).open(&path) {
            Ok(file) => file,
            Err(error) => return (0, error),
        };
        loop {
            match file.write(&[7; 1 << 16]) {
                Ok(length) => written += length as u64,
                Err(error) => return (written, error),
            }
        }
    };
    thread::spawn(work).join().unwrap()
}

/// Files below the root that are disks of the machine.
fn attached(root: &Path) -> BTreeSet<String> {
    let devices = fs::read_dir("/sys/block").unwrap().flatten();
    let files = devices.filter_map(|device| fs::read_to_string(device.path().join("loop/backing_file")).ok());
    files.filter(|file| file.starts_with(root.to_str().unwrap())).collect()
}

#[test]
fn a_full_disk_is_one_guests_own() {
    let mut helper = Helper::start();
    let mut client = helper.connect();
    assert_eq!(client.ask(json!({ "op": "hello", "protocol": 1 }))["features"]["diskLimit"], json!({ "has": true }));
    let started = client.ask(start_limited("a"));
    client.ask(start_limited("b"));
    let (written, error) = fill(&started["pid"], "full");
    assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
    assert!((SIZE_MB * 3 / 4..=SIZE_MB).contains(&(written >> 20)), "{}", written);
    assert!(agent_answers(&helper.root, "a"));
    // Which sandboxes there are is no guest's to see.
    let devices = fs::read_dir(format!("/proc/{}/root/sys/devices/virtual/block", started["pid"])).unwrap();
    assert_eq!((devices.count(), attached(&helper.root).iter().any(|file| file.contains("guests/b"))), (0, true));
    let other = client.ask(json!({ "op": "find", "sandbox": "b" }));
    assert!(fill(&other["pid"], "full").0 >> 20 >= SIZE_MB * 3 / 4);

    // All of its life goes on.
    client.ask(json!({ "op": "freeze", "sandbox": "a" }));
    client.ask(json!({ "op": "thaw", "sandbox": "a" }));
    let made = client.ask(json!({ "op": "snapshot", "sandbox": "a", "layer": "one" }));
    assert!(made["sizeBytes"].as_u64().unwrap() >= written);
    client.ask(json!({ "op": "stop", "sandbox": "a" }));
    // Whoever looks at all devices keeps it a moment.
    until("its disk is no device", || !attached(&helper.root).iter().any(|file| file.contains("guests/a")));
    let again = client.ask(json!({ "op": "snapshot", "sandbox": "a", "layer": "two", "brief": true }));
    assert_eq!(again, made);
    assert_eq!(again["layers"], start("a")["layers"]);
    let booted = client.ask(json!({ "op": "boot", "sandbox": "a", "egress": "open" }));
    assert!(agent_answers(&helper.root, "a"));
    assert_eq!(fs::metadata(format!("/proc/{}/root/tmp/full", booted["pid"])).unwrap().len(), written);

    // A helper that starts finds it, and one that ended by itself is used again.
    helper.crash();
    helper.start_again();
    let mut client = helper.connect();
    assert_eq!(client.state("a"), "running");
    client.ask(json!({ "op": "snapshot", "sandbox": "a", "layer": "three" }));
    // SAFETY: no pointers are passed; it is the guest's first process.
    unsafe { libc::kill(booted["pid"].as_i64().unwrap() as libc::pid_t, libc::SIGKILL) };
    until("it has stopped", || client.state("a") == "stopped");
    let booted = client.ask(json!({ "op": "boot", "sandbox": "a", "egress": "open" }));
    assert_eq!(fill(&booted["pid"], "more").1.raw_os_error(), Some(libc::ENOSPC));
    client.ask(json!({ "op": "kill", "sandbox": "a" }));
    client.ask(json!({ "op": "kill", "sandbox": "b" }));
    until("their disks are gone", || !attached(&helper.root).iter().any(|file| !file.contains("/disks/")));
    // Without a limit there is none.
    client.ask(start("a"));
    assert!(helper.root.join("guests/a/upper").is_dir());
    client.ask(json!({ "op": "kill", "sandbox": "a" }));
    client.ask(json!({ "op": "end" }));
    helper.wait();
    until("no disk is left", || attached(&helper.root).is_empty());
}

#[test]
fn a_disk_that_a_crash_has_left_in_disorder_is_used_again() {
    let helper = Helper::start();
    let mut client = helper.connect();
    client.ask(start_limited("a"));
    // As a machine leaves it that lost its power: what has been written of it by now, and nothing says that it was unmounted.
    let (image, copy) = (helper.root.join("guests/a/disk"), helper.root.join("copy"));
    fs::copy(&image, &copy).unwrap();
    client.ask(json!({ "op": "stop", "sandbox": "a" }));
    let state = |path: &Path| fs::read(path).unwrap()[1024 + 58] & 1;
    // A process that was being made meanwhile has the helper's descriptors for a moment.
    until("it is unmounted in order", || state(&image) == 1);
    assert_eq!(state(&copy), 0);
    fs::rename(copy, image).unwrap();
    client.ask(json!({ "op": "boot", "sandbox": "a", "egress": "open" }));
    assert!(agent_answers(&helper.root, "a"));
}
