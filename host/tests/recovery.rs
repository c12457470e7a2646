//! The helper ends at any time, and the next one finds every guest as it is.

mod support;

use std::fs;

use serde_json::json;
use support::{agent_answers, start, until, Helper};

#[test]
fn guests_outlive_the_helper_and_what_is_half_made_does_not() {
    let mut helper = Helper::start();
    let mut client = helper.connect();
    let pid = client.ask(start("runs"))["pid"].clone();
    for sandbox in ["frozen", "stopped", "ends", "cut"] {
        client.ask(start(sandbox));
    }
    client.ask(json!({ "op": "freeze", "sandbox": "frozen" }));
    client.ask(json!({ "op": "stop", "sandbox": "stopped" }));
    let ends = client.ask(json!({ "op": "find", "sandbox": "ends" }))["pid"].as_i64().unwrap();
    helper.crash();
    // SAFETY: no pointers are passed; the guest is alive.
    unsafe { libc::kill(ends as libc::pid_t, libc::SIGKILL) };
    // As if the helper had ended between the record of a start and its process.
    let record = helper.root.join("guests/cut/record.json");
    let text = fs::read_to_string(&record).unwrap().replace("\"running\"", "\"starting\"");
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let cut = value["pid"].as_u64().unwrap();
    for field in ["pid", "startTime", "bootId"] {
        value.as_object_mut().unwrap().remove(field);
    }
    fs::write(&record, value.to_string()).unwrap();
    fs::create_dir(helper.root.join("guests/norecord")).unwrap();
    // As a later version would have it.
    let strange = helper.root.join("guests/strange");
    fs::create_dir_all(strange.join("upper")).unwrap();
    fs::write(strange.join("record.json"), r#"{"version": 4000000000}"#).unwrap();

    helper.start_again();
    let mut client = helper.connect();
    assert_eq!(client.state("runs"), "running");
    assert_eq!(client.ask(json!({ "op": "find", "sandbox": "runs" }))["pid"], pid);
    assert_eq!(client.state("frozen"), "frozen");
    assert_eq!(client.state("stopped"), "stopped");
    assert_eq!(client.state("ends"), "stopped");
    assert_eq!(client.state("cut"), "gone");
    assert!(has_ended(cut));
    let names = json!(["ends", "frozen", "runs", "stopped", "strange"]);
    assert_eq!(client.ask(json!({ "op": "list" })), json!({ "sandboxes": names, "more": false }));
    assert_eq!(client.refused(json!({ "op": "find", "sandbox": "strange" })), "unavailable");
    assert!(strange.join("upper").is_dir());
    client.ask(json!({ "op": "kill", "sandbox": "strange" }));
    assert_eq!(client.state("strange"), "gone");
    assert!(agent_answers(&helper.root, "runs"));
    client.ask(json!({ "op": "thaw", "sandbox": "frozen" }));
    assert!(agent_answers(&helper.root, "frozen"));
    client.ask(json!({ "op": "boot", "sandbox": "stopped", "egress": "open" }));
    client.ask(json!({ "op": "set-egress", "sandbox": "runs", "egress": "closed" }));
    client.ask(json!({ "op": "watch" }));
    client.ask(json!({ "op": "kill", "sandbox": "runs" }));
    let pid = client.ask(json!({ "op": "find", "sandbox": "frozen" }))["pid"].as_i64().unwrap();
    // SAFETY: no pointers are passed; the guest is alive.
    unsafe { libc::kill(pid as libc::pid_t, libc::SIGKILL) };
    assert_eq!(client.next_event(), json!({ "event": "gone", "sandbox": "frozen" }));
    for sandbox in ["ends", "frozen", "stopped"] {
        client.ask(json!({ "op": "kill", "sandbox": sandbox }));
    }
    drop(client);
    helper.end();
    assert_eq!(helper.remains(), Default::default());
}

#[test]
fn a_crash_while_a_guest_is_copied_leaves_it_running() {
    let mut helper = Helper::start();
    let mut client = helper.connect();
    for sandbox in ["copied", "paused"] {
        client.ask(start(sandbox));
        let upper = helper.root.join("guests").join(sandbox).join("upper");
        (0..3000).for_each(|number| fs::write(upper.join(number.to_string()), "x").unwrap());
    }
    client.ask(json!({ "op": "freeze", "sandbox": "paused" }));
    client.send(json!({ "op": "snapshot", "sandbox": "paused", "layer": "p" }));
    client.send(json!({ "op": "snapshot", "sandbox": "copied", "layer": "c" }));
    let record = helper.root.join("guests/copied/record.json");
    // Or, where this thread comes late, has been.
    let is_copied = || fs::read_to_string(&record).unwrap().contains("\"isCopied\":true");
    until("it is copied", || is_copied() || helper.root.join("layers/c").exists());
    helper.crash();
    helper.start_again();
    let mut client = helper.connect();
    assert_eq!(client.state("copied"), "running");
    assert_eq!(client.state("paused"), "frozen");
    assert!(agent_answers(&helper.root, "copied"));
    assert!(!fs::read_to_string(&record).unwrap().contains("isCopied"));
    // What is asked for itself stays.
    client.ask(json!({ "op": "freeze", "sandbox": "copied" }));
    client.ask(json!({ "op": "snapshot", "sandbox": "copied", "layer": "d" }));
    helper.crash();
    helper.start_again();
    let mut client = helper.connect();
    assert_eq!(client.state("copied"), "frozen");
}

#[test]
fn a_helper_that_lacks_descriptors_at_its_start_ends_no_guest() {
    let mut helper = Helper::start();
    let mut client = helper.connect();
    // Where the machine has disks of a limited size it has one.
    let mut with_disk = start("disk");
    with_disk["diskMb"] = 16.into();
    let mut pids = vec![client.ask(with_disk)["pid"].clone()];
    pids.extend(["frozen", "runs", "stopped"].map(|sandbox| client.ask(start(sandbox))["pid"].clone()));
    client.ask(json!({ "op": "freeze", "sandbox": "frozen" }));
    client.ask(json!({ "op": "stop", "sandbox": "stopped" }));
    let upper = |sandbox: &str| helper.root.join("guests").join(sandbox).join("upper/file");
    let files = ["frozen", "runs", "stopped"].map(upper);
    files.iter().for_each(|file| fs::write(file, "x").unwrap());
    helper.crash();
    // From what a program needs to begin at all to more than these guests take: each place in between is where some helper lacks one.
    let outcomes: Vec<_> = (6..=40).rev().map(|limit| helper.serves_with(limit)).collect();
    assert_eq!((outcomes[0], outcomes[outcomes.len() - 1]), (Ok(()), Err(Some(1))));
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(()) | Err(Some(1)))), "{:?}", outcomes);
    helper.start_again();
    let mut client = helper.connect();
    let states = ["disk", "frozen", "runs", "stopped"].map(|sandbox| client.state(sandbox));
    assert_eq!(states, ["running", "frozen", "running", "stopped"]);
    for (sandbox, pid) in ["disk", "frozen", "runs"].iter().zip(&pids) {
        assert_eq!(client.ask(json!({ "op": "find", "sandbox": sandbox }))["pid"], *pid);
    }
    assert!(files.iter().all(|file| file.is_file()));
    client.ask(json!({ "op": "thaw", "sandbox": "frozen" }));
    client.ask(json!({ "op": "boot", "sandbox": "stopped", "egress": "open" }));
    assert!(["disk", "frozen", "runs", "stopped"].iter().all(|sandbox| agent_answers(&helper.root, sandbox)));
}

#[test]
fn a_frozen_guest_that_is_cut_off_can_be_stopped() {
    let mut helper = Helper::start();
    let mut client = helper.connect();
    client.ask(start("a"));
    client.ask(json!({ "op": "freeze", "sandbox": "a" }));
    helper.crash();
    // An address that no guest of a helper has.
    let record = helper.root.join("guests/a/record.json");
    let mut value: serde_json::Value = serde_json::from_str(&fs::read_to_string(&record).unwrap()).unwrap();
    value["address"] = json!("203.0.113.1");
    fs::write(&record, value.to_string()).unwrap();
    helper.start_again();
    let mut client = helper.connect();
    assert_eq!(client.state("a"), "cut-off");
    client.ask(json!({ "op": "stop", "sandbox": "a" }));
    client.ask(json!({ "op": "boot", "sandbox": "a", "egress": "open" }));
    assert!(agent_answers(&helper.root, "a"));
}

#[test]
fn a_crash_at_any_time_leaves_each_guest_whole_or_gone() {
    let mut helper = Helper::start();
    for round in 0..8u64 {
        let mut client = helper.connect();
        for number in 0..6 {
            let sandbox = format!("r{}n{}", round, number);
            client.send(start(&sandbox));
            if number % 2 == 0 {
                client.send(json!({ "op": "stop", "sandbox": sandbox }));
                client.send(json!({ "op": "boot", "sandbox": sandbox, "egress": "open" }));
            }
            if number % 3 == 0 {
                client.send(json!({ "op": "kill", "sandbox": sandbox }));
            }
        }
        // Different steps of these are under way in each round.
        std::thread::sleep(std::time::Duration::from_millis(round * 7));
        helper.crash();
        helper.start_again();
        let mut client = helper.connect();
        let list = client.ask(json!({ "op": "list" }));
        for sandbox in list["sandboxes"].as_array().unwrap() {
            let sandbox = sandbox.as_str().unwrap();
            match client.state(sandbox).as_str() {
                "running" => assert!(agent_answers(&helper.root, sandbox)),
                "stopped" => {
                    client.ask(json!({ "op": "boot", "sandbox": sandbox, "egress": "open" }));
                }
                // Its end was under way when the helper's came.
                "gone" => {}
                state => panic!("{} is {}", sandbox, state),
            }
            client.ask(json!({ "op": "kill", "sandbox": sandbox }));
        }
        assert_eq!(client.ask(json!({ "op": "list" })), json!({ "sandboxes": [], "more": false }));
    }
    helper.end();
    assert_eq!(helper.remains(), Default::default());
}

#[test]
fn one_helper_has_a_root() {
    let mut helper = Helper::start();
    assert_eq!(helper.start_at(&helper.root), Some(75));
    let mut client = helper.connect();
    client.ask(start("a"));
    // Nor does a helper of another directory take this one's guests for nobody's, whether it runs or not.
    let other = helper.root.with_extension("other");
    assert_eq!(helper.start_at(&other), Some(1));
    helper.crash();
    assert_eq!(helper.start_at(&other), Some(1));
    helper.start_again();
    let mut client = helper.connect();
    assert_eq!(client.state("a"), "running");
    fs::remove_dir_all(other).unwrap();
    assert_eq!(client.refused(json!({ "op": "end" })), "conflict");
    client.ask(json!({ "op": "kill", "sandbox": "a" }));
    client.ask(json!({ "op": "end" }));
    helper.wait();
    assert!(client.read().is_none());
}

/// Process 1 of the machine may take its time to reap it.
fn has_ended(pid: u64) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid)).unwrap_or_default();
    stat.rsplit_once(')').map_or(true, |(_, fields)| fields.trim_start().starts_with('Z'))
}
