//! What works long, or waits for a disk, holds up no other guest.

mod support;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde_json::json;
use support::{start, until, Client, Disk, Helper};

/// As many as the server has unpacked at once, and more.
const UNPACKS: usize = 12;
const STOPS: usize = 32;

#[test]
fn layers_that_are_unpacked_hold_up_no_snapshot_and_no_kill() {
    let helper = Helper::start();
    let mut client = helper.connect();
    client.ask(start("a"));
    client.ask(start("b"));
    let mut unpacking = helper.connect();
    let _held = HeldUnpacks::begin(&helper, &mut unpacking);
    client.ask(json!({ "op": "snapshot", "sandbox": "a", "layer": "ofa" }));
    let snapshot = client.send(json!({ "op": "snapshot", "sandbox": "a", "layer": "again" }));
    client.ask(json!({ "op": "kill", "sandbox": "a" }));
    assert_eq!(client.state("a"), "gone");
    let reply = client.reply_to(snapshot);
    assert!(reply["error"].is_null() || reply["error"]["code"] == "not_found", "{}", reply);
    assert_eq!(client.state("b"), "running");
}

#[test]
fn stops_that_a_disk_holds_up_keep_no_thread_from_what_is_quick() {
    let disk = Disk::new();
    let helper = Helper::start_below(&disk.path);
    let mut client = helper.connect();
    let names: Vec<String> = (0..STOPS).map(|number| format!("s{}", number)).collect();
    let starts: Vec<u64> = names.iter().map(|name| client.send(start(name))).collect();
    for id in starts {
        let reply = client.reply_to(id);
        assert!(reply["error"].is_null(), "{}", reply);
    }
    client.ask(start("other"));
    let frozen = disk.freeze();
    let stops: Vec<u64> = names.iter().map(|name| client.send(json!({ "op": "stop", "sandbox": name }))).collect();
    until("all stops wait for the disk", || waiting(&helper, "stops") == STOPS);
    client.ask(json!({ "op": "stats", "sandbox": "other" }));
    client.ask(json!({ "op": "freeze", "sandbox": "other" }));
    assert_eq!(client.state("other"), "frozen");
    drop(frozen);
    for id in stops {
        let reply = client.reply_to(id);
        assert!(reply["error"].is_null(), "{}", reply);
    }
}

/// Threads of this name that wait in the kernel for what no signal ends.
fn waiting(helper: &Helper, name: &str) -> usize {
    let tasks = fs::read_dir(format!("/proc/{}/task", helper.pid())).unwrap().flatten();
    let stats = tasks.map(|task| fs::read_to_string(task.path().join("stat")).unwrap_or_default());
    stats.filter(|stat| stat.contains(&format!("({}) D", name))).count()
}

/// As many unpacks as the helper does at once, each of which would go on for long, stopped; others wait for them.
struct HeldUnpacks(Vec<libc::pid_t>);

impl HeldUnpacks {
    fn begin(helper: &Helper, client: &mut Client) -> HeldUnpacks {
        make_long_archive(&helper.root.join("spool/long"));
        for number in 0..UNPACKS {
            let layer = format!("long{}", number);
            client.send(json!({ "op": "unpack", "upload": "long", "layer": layer, "format": "tar" }));
        }
        let mut held = HeldUnpacks(Vec::new());
        until("unpacks are under way", || {
            let is_worker = |pid: &libc::pid_t| {
                let line = fs::read(format!("/proc/{}/cmdline", pid)).unwrap_or_default();
                line.windows(12).any(|part| part == b"layer-worker")
            };
            for pid in helper.children().into_iter().filter(is_worker) {
                // SAFETY: no pointers are passed; it is a child of the helper that goes on for long.
                unsafe { libc::kill(pid, libc::SIGSTOP) };
                if !held.0.contains(&pid) {
                    held.0.push(pid);
                }
            }
            held.0.len() >= 4
        });
        held
    }
}

impl Drop for HeldUnpacks {
    fn drop(&mut self) {
        for pid in &self.0 {
            // SAFETY: no pointers are passed; they are stopped, so they are those that were found.
            unsafe { libc::kill(*pid, libc::SIGKILL) };
        }
    }
}

/// Of one file of four gigabytes, which take no room until they are unpacked.
fn make_long_archive(path: &Path) {
    const SIZE: u64 = 4 << 30;
    let mut header = [0u8; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, "file");
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", SIZE));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().copied().map(u32::from).sum();
    header[148..156].copy_from_slice(format!("{:06o}\0 ", sum).as_bytes());
    let file = fs::File::create(path).unwrap();
    file.write_all_at(&header, 0).unwrap();
    file.set_len(512 + SIZE + 1024).unwrap();
}
