//! The life of guests, as the server asks for it.

mod support;

use std::fs;
use std::process::Command;

use serde_json::json;
use support::{agent_answers, is_deep, start, until, Disk, Helper};

#[test]
fn a_guest_lives_through_all_that_is_asked_of_it() {
    let helper = Helper::start();
    let mut client = helper.connect();
    let started = client.ask(start("a"));
    assert!(started["pid"].as_u64().unwrap() > 1);
    assert!(agent_answers(&helper.root, "a"));
    // Held to as many CPUs as it has: programs inside see no more.
    let status = fs::read_to_string(format!("/proc/{}/status", started["pid"])).unwrap();
    let cpus = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim();
    assert!(cpus.parse::<u32>().is_ok(), "{}", cpus);
    assert_eq!(client.refused(start("a")), "conflict");
    let found = client.ask(json!({ "op": "find", "sandbox": "a" }));
    assert_eq!((&found["state"], &found["note"]), (&json!("running"), &json!("a note")));
    assert_eq!((&found["layers"], &found["pid"]), (&json!(["base"]), &started["pid"]));
    assert_eq!(client.ask(json!({ "op": "list" })), json!({ "sandboxes": ["a"], "more": false }));
    assert!(client.ask(json!({ "op": "stats", "sandbox": "a" }))["pids"].as_u64().unwrap() >= 1);
    assert_eq!(client.refused(json!({ "op": "remove-layer", "layer": "base" })), "conflict");

    client.ask(json!({ "op": "freeze", "sandbox": "a" }));
    client.ask(json!({ "op": "freeze", "sandbox": "a" }));
    assert_eq!(client.state("a"), "frozen");
    client.ask(json!({ "op": "set-egress", "sandbox": "a", "egress": "closed" }));
    client.ask(json!({ "op": "thaw", "sandbox": "a" }));
    client.ask(json!({ "op": "thaw", "sandbox": "a" }));
    assert_eq!(client.state("a"), "running");
    assert!(agent_answers(&helper.root, "a"));

    client.ask(json!({ "op": "freeze", "sandbox": "a" }));
    client.ask(json!({ "op": "stop", "sandbox": "a" }));
    client.ask(json!({ "op": "stop", "sandbox": "a" }));
    assert_eq!(client.state("a"), "stopped");
    assert_eq!(client.refused(json!({ "op": "freeze", "sandbox": "a" })), "failed_precondition");
    let booted = client.ask(json!({ "op": "boot", "sandbox": "a", "egress": "open" }));
    assert_ne!(booted["pid"], started["pid"]);
    assert!(agent_answers(&helper.root, "a"));
    assert_eq!(client.refused(json!({ "op": "boot", "sandbox": "a", "egress": "open" })), "conflict");

    client.ask(json!({ "op": "kill", "sandbox": "a" }));
    client.ask(json!({ "op": "kill", "sandbox": "a" }));
    assert_eq!(client.state("a"), "gone");
    for op in ["freeze", "thaw", "stop", "stats"] {
        assert_eq!(client.refused(json!({ "op": op, "sandbox": "a" })), "not_found", "{}", op);
    }
    client.ask(start("a"));
    client.ask(json!({ "op": "freeze", "sandbox": "a" }));
    client.ask(json!({ "op": "kill", "sandbox": "a" }));
    client.ask(json!({ "op": "remove-layer", "layer": "base" }));
    assert_eq!(client.refused(start("a")), "not_found");
    assert_eq!(client.ask(json!({ "op": "list" })), json!({ "sandboxes": [], "more": false }));
}

#[test]
fn a_guest_goes_however_deep_its_directories_are() {
    let helper = Helper::start();
    let mut client = helper.connect();
    client.ask(start("a"));
    client.ask(json!({ "op": "stop", "sandbox": "a" }));
    // Each is put into a new one: no path would be long enough to make the innermost by.
    let upper = helper.root.join("guests/a/upper");
    let (deep, outer) = (upper.join("deep"), upper.join("outer"));
    fs::create_dir(&deep).unwrap();
    for _ in 0..5000 {
        fs::create_dir(&outer).unwrap();
        fs::rename(&deep, outer.join("deep")).unwrap();
        fs::rename(&outer, &deep).unwrap();
    }
    client.ask(json!({ "op": "kill", "sandbox": "a" }));
    until("its files are gone", || fs::read_dir(helper.root.join("trash")).unwrap().next().is_none());
    assert_eq!(client.ask(json!({ "op": "list" })), json!({ "sandboxes": [], "more": false }));
}

#[test]
fn of_entries_of_an_archive_with_one_name_the_last_counts() {
    let helper = Helper::start();
    let mut client = helper.connect();
    let mut archive = tar::Builder::new(fs::File::create(helper.root.join("spool/twice")).unwrap());
    for (kind, name) in
        [(tar::EntryType::Directory, "a"), (tar::EntryType::Regular, "a/b"), (tar::EntryType::Regular, "a")]
    {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(0);
        archive.append_data(&mut header, name, std::io::empty()).unwrap();
    }
    drop(archive.into_inner().unwrap());
    client.ask(json!({ "op": "unpack", "upload": "twice", "layer": "twice", "format": "tar" }));
    assert!(helper.root.join("layers/twice/diff/a").is_file());
}

#[test]
fn an_end_that_nobody_asked_for_is_told_once() {
    let helper = Helper::start();
    let mut client = helper.connect();
    client.ask(json!({ "op": "watch" }));
    for sandbox in ["a", "b"] {
        let pid = client.ask(start(sandbox))["pid"].as_i64().unwrap();
        if sandbox == "b" {
            // SAFETY: no pointers are passed; the guest is alive.
            unsafe { libc::kill(pid as libc::pid_t, libc::SIGKILL) };
        }
    }
    assert_eq!(client.next_event(), json!({ "event": "gone", "sandbox": "b" }));
    assert_eq!(client.state("b"), "stopped");
    client.ask(json!({ "op": "kill", "sandbox": "a" }));
    client.ask(json!({ "op": "kill", "sandbox": "b" }));
    // Whatever there is to tell comes before the reply to what is asked after it.
    assert!(client.events.is_empty());
    // Slots that are ready are made of groups and one interface.
    until("nothing is left", || helper.remains().iter().all(|name| name.starts_with("/sys/")));
}

#[test]
fn a_stop_says_so_only_once_the_files_are_written() {
    let helper = Helper::start();
    let mut client = helper.connect();
    let pid = client.ask(start("a"))["pid"].as_i64().unwrap();
    client.ask(json!({ "op": "watch" }));
    // SAFETY: no pointers are passed; the guest is alive.
    unsafe { libc::kill(pid as libc::pid_t, libc::SIGKILL) };
    assert_eq!(client.next_event(), json!({ "event": "gone", "sandbox": "a" }));
    // It has stopped by itself, so nobody has written anything yet, and the directory can't be opened for that.
    let limit = helper.limit_descriptors(3);
    for _ in 0..2 {
        assert_eq!(client.refused(json!({ "op": "stop", "sandbox": "a" })), "resource_exhausted");
    }
    helper.limit_descriptors(limit);
    client.ask(json!({ "op": "stop", "sandbox": "a" }));
    client.ask(json!({ "op": "boot", "sandbox": "a", "egress": "open" }));
    assert!(agent_answers(&helper.root, "a"));
}

#[test]
fn a_guest_that_cant_be_looked_at_isnt_said_to_be_cut_off() {
    let helper = Helper::start();
    let mut client = helper.connect();
    client.ask(start("a"));
    // The state of its control group is in a file.
    let limit = helper.limit_descriptors(3);
    assert_eq!(client.refused(json!({ "op": "find", "sandbox": "a" })), "unavailable");
    helper.limit_descriptors(limit);
    assert_eq!(client.state("a"), "running");
}

#[test]
fn who_keeps_what_guests_see_goes_on_after_a_time_without_descriptors() {
    let helper = Helper::start();
    let mut client = helper.connect();
    let pid = client.ask(start("a"))["pid"].to_string();
    // The helper is asked before each read of it, and each takes a descriptor.
    let look = || fs::read_to_string(format!("/proc/{}/root/proc/meminfo", pid));
    for _ in 0..2 {
        until("a look is refused", || {
            let limit = helper.limit_descriptors(3);
            let is_refused = look().is_err();
            helper.limit_descriptors(limit);
            is_refused
        });
        until("a look is answered", || look().is_ok());
    }
}

/// A process that waits for a disk doesn't end, whatever it is told.
#[test]
fn a_kill_that_a_disk_holds_up_is_answered_and_goes_on_behind() {
    // An answer takes as long as a helper waits for processes: twenty seconds.
    if !is_deep() {
        return;
    }
    let helper = Helper::start();
    let mut client = helper.connect();
    let disk = Disk::new();
    let frozen = disk.freeze();
    let pid = client.ask(start("a"))["pid"].to_string();
    let command = format!("echo > {}/file", disk.path.display());
    let mut writer = Command::new("nsenter").args(["-t", &pid, "-p", "sh", "-c", &command]).spawn().unwrap();
    until("it waits for the disk", || disk.has_waiting(&writer));
    assert_eq!(client.refused(json!({ "op": "kill", "sandbox": "a" })), "deadline_exceeded");
    // Its name is free for no other yet, and it is no guest any more.
    assert_eq!(client.state("a"), "gone");
    assert_eq!(client.refused(start("a")), "conflict");
    drop(frozen);
    writer.wait().unwrap();
    until("it is gone", || client.try_ask(start("a"))["error"].is_null());
    until("its files are gone", || fs::read_dir(helper.root.join("trash")).unwrap().next().is_none());
}

#[test]
fn a_kill_goes_before_what_waits_and_ends_it() {
    let helper = Helper::start();
    let mut client = helper.connect();
    // More than are ready, so that some wait for a slot.
    let starts: Vec<u64> = (0..40).map(|number| client.send(start(&format!("s{}", number)))).collect();
    let kills: Vec<u64> =
        (0..40).map(|number| client.send(json!({ "op": "kill", "sandbox": format!("s{}", number) }))).collect();
    let canceled = client.send(start("c"));
    client.ask(json!({ "op": "cancel", "of": canceled }));
    for id in starts {
        let reply = client.reply_to(id);
        assert!(reply["error"].is_null() || reply["error"]["code"] == "not_found", "{}", reply);
    }
    for id in kills {
        assert!(client.reply_to(id)["error"].is_null());
    }
    let reply = client.reply_to(canceled);
    assert!(reply["error"].is_null() || reply["error"]["code"] == "canceled", "{}", reply);
    client.ask(json!({ "op": "kill", "sandbox": "c" }));
    assert_eq!(client.ask(json!({ "op": "list" })), json!({ "sandboxes": [], "more": false }));
}

#[test]
fn guests_that_come_and_go_leave_nothing() {
    let mut helper = Helper::start();
    let mut client = helper.connect();
    let rounds = if is_deep() { 100 } else { 5 };
    let at_once = 10;
    let mut descriptors = 0;
    for round in 0..rounds {
        let names: Vec<String> = (0..at_once).map(|number| format!("r{}n{}", round, number)).collect();
        let starts: Vec<u64> = names.iter().map(|name| client.send(start(name))).collect();
        for id in starts {
            let reply = client.reply_to(id);
            assert!(reply["error"].is_null(), "{}", reply);
        }
        let kills: Vec<u64> = names.iter().map(|name| client.send(json!({ "op": "kill", "sandbox": name }))).collect();
        for id in kills {
            assert!(client.reply_to(id)["error"].is_null());
        }
        if round == 1 {
            descriptors = helper.descriptors();
        }
    }
    // Slots that are ready have some; there are as many of these as after the first rounds, or fewer.
    until("descriptors are freed", || helper.descriptors() <= descriptors + 64);
    drop(client);
    assert!(helper.remains().iter().any(|name| name.contains("/net/")));
    helper.end();
    assert_eq!(helper.remains(), Default::default());
}
