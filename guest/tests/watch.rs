//! Watching directories.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::{json, Value};
use support::client::{Client, ERROR, ITEM};
use support::{wait_until, Agent};

fn create(agent: &Agent, path: &str, options: Value) -> String {
    let mut request = json!({ "op": "create-watcher", "path": path });
    for (name, value) in options.as_object().unwrap() {
        request[name] = value.clone();
    }
    agent.call(request)["watcherId"].as_str().unwrap().to_owned()
}

fn recursive(agent: &Agent, path: &str) -> String {
    create(agent, path, json!({ "recursive": true }))
}

fn take(agent: &Agent, id: &str) -> Vec<Value> {
    agent.call(json!({ "op": "watcher-events", "watcherId": id }))["events"].as_array().unwrap().clone()
}

/// Events as `type name`.
fn lines(events: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    events.iter().map(|event| format!("{} {}", text(&event["type"]), text(&event["name"]))).collect()
}

fn events(agent: &Agent, id: &str) -> Vec<String> {
    lines(&take(agent, id))
}

/// The next batch of a stream, or its error.
fn next(client: &mut Client<UnixStream>) -> Result<Vec<String>, Value> {
    match client.next().expect("the stream breaks off") {
        (ITEM, payload) => {
            let item: Value = serde_json::from_slice(&payload).unwrap();
            Ok(lines(item["events"].as_array().unwrap()))
        }
        (ERROR, payload) => Err(serde_json::from_slice(&payload).unwrap()),
        (kind, payload) => panic!("frame {:#x}: {}", kind, String::from_utf8_lossy(&payload)),
    }
}

fn make_dir(agent: &Agent, path: &str) {
    agent.call(json!({ "op": "make-dir", "path": path }));
}

fn watch(agent: &Agent, path: &str) -> Client<UnixStream> {
    let mut client = agent.open(json!({ "op": "watch", "path": path, "recursive": true }));
    assert_eq!(client.reply(), json!({}));
    client
}

/// Does something while the agent can't look.
fn while_it_stands_still(agent: &Agent, work: impl FnOnce()) {
    let state = || fs::read_to_string(format!("/proc/{}/stat", agent.pid())).unwrap();
    unsafe { libc::kill(agent.pid() as i32, libc::SIGSTOP) };
    wait_until("the agent stands still", || state().contains(") T "));
    work();
    unsafe { libc::kill(agent.pid() as i32, libc::SIGCONT) };
}

#[test]
fn an_upload_is_create_chmod_write_and_there_at_once() {
    let agent = Agent::start();
    let home = agent.path("home");
    let id = create(&agent, &home, json!({}));
    for _ in 0..50 {
        agent.write(&agent.path("home/f"), b"x");
        assert_eq!(events(&agent, &id), ["create f", "chmod f", "write f"]);
        fs::remove_file(agent.path("home/f")).unwrap();
        assert_eq!(events(&agent, &id), ["remove f"]);
    }
    assert!(events(&agent, &id).is_empty());
}

#[test]
fn an_overwritten_file_is_given_away_before_it_is_emptied() {
    let agent = Agent::start();
    agent.write(&agent.path("home/f"), b"before");
    let id = create(&agent, &agent.path("home"), json!({}));
    agent.write(&agent.path("home/f"), b"after");
    let mut seen = events(&agent, &id);
    // The system joins two equal events in a row that nobody has read.
    seen.dedup();
    assert_eq!(seen, ["chmod f", "write f"]);
    assert_eq!(agent.read(&agent.path("home/f")), b"after");
}

#[test]
fn a_stream_brings_events_as_they_come() {
    let agent = Agent::start();
    let mut client = watch(&agent, &agent.path("home"));
    let mut seen = Vec::new();
    agent.write(&agent.path("home/f"), b"x");
    while seen.len() < 3 {
        seen.extend(next(&mut client).unwrap());
    }
    assert_eq!(seen, ["create f", "chmod f", "write f"]);
    fs::remove_file(agent.path("home/f")).unwrap();
    assert_eq!(next(&mut client).unwrap(), ["remove f"]);
}

#[test]
fn a_new_directory_is_watched_before_the_next_request() {
    let agent = Agent::start();
    let home = agent.path("home");
    let id = recursive(&agent, &home);
    for index in 0..50 {
        let dir = agent.path(&format!("home/d{}", index));
        make_dir(&agent, &dir);
        agent.write(&format!("{}/f", dir), b"x");
        let name = format!("d{}", index);
        let expected = [
            format!("create {}", name),
            format!("create {}/f", name),
            format!("chmod {}/f", name),
            format!("write {}/f", name),
        ];
        // The chmod of a directory comes from its ownership being given to the user.
        let seen: Vec<_> = events(&agent, &id).into_iter().filter(|line| *line != format!("chmod {}", name)).collect();
        assert_eq!(seen, expected);
    }
}

#[test]
fn what_is_in_a_new_directory_is_told_once() {
    let agent = Agent::start();
    let id = recursive(&agent, &agent.path("home"));
    for round in 0..20 {
        let script =
            format!("cd {} && mkdir -p r{r}/a/b && touch r{r}/f r{r}/a/g r{r}/a/b/h", agent.path("home"), r = round);
        assert_eq!(agent.shell(&script).end["exitCode"], 0);
        let mut created: Vec<_> = events(&agent, &id).into_iter().filter(|line| line.starts_with("create")).collect();
        created.sort();
        let expected = ["", "/a", "/a/b", "/a/b/h", "/a/g", "/f"].map(|name| format!("create r{}{}", round, name));
        assert_eq!(created, expected);
    }
}

#[test]
fn a_tree_is_watched_when_the_reply_comes() {
    let agent = Agent::start();
    for index in 0..300 {
        fs::create_dir_all(agent.path(&format!("home/t/{}/x/y", index))).unwrap();
    }
    symlink(agent.path("home/t"), agent.path("link")).unwrap();
    let id = recursive(&agent, &agent.path("link"));
    fs::write(agent.path("home/t/299/x/y/f"), "").unwrap();
    fs::write(agent.path("home/t/0/f"), "").unwrap();
    assert_eq!(events(&agent, &id), ["create 299/x/y/f", "create 0/f"]);
    let flat = create(&agent, &agent.path("home/t"), json!({ "recursive": false }));
    fs::write(agent.path("home/t/0/f"), "more").unwrap();
    fs::write(agent.path("home/t/top"), "").unwrap();
    assert_eq!(events(&agent, &flat), ["create top"]);
    let mut seen = events(&agent, &id);
    // Cut to no length and written: told once or twice.
    seen.dedup();
    assert_eq!(seen, ["write 0/f", "create top"]);
}

#[test]
fn a_moved_directory_stays_watched_and_one_that_leaves_does_not() {
    let agent = Agent::start();
    fs::create_dir_all(agent.path("home/a/sub")).unwrap();
    fs::create_dir_all(agent.path("outside/in")).unwrap();
    fs::write(agent.path("outside/in/f"), "").unwrap();
    let id = recursive(&agent, &agent.path("home"));

    fs::rename(agent.path("home/a"), agent.path("home/b")).unwrap();
    fs::write(agent.path("home/b/sub/f"), "").unwrap();
    assert_eq!(events(&agent, &id), ["rename a", "create b", "create b/sub/f"]);

    fs::rename(agent.path("home/b"), agent.path("gone")).unwrap();
    fs::write(agent.path("gone/sub/g"), "").unwrap();
    assert_eq!(events(&agent, &id), ["rename b"]);

    fs::rename(agent.path("outside/in"), agent.path("home/in")).unwrap();
    assert_eq!(events(&agent, &id), ["create in", "create in/f"]);
    fs::write(agent.path("home/in/g"), "").unwrap();
    assert_eq!(events(&agent, &id), ["create in/g"]);

    // What comes back is watched again, what is removed and made again as well.
    fs::rename(agent.path("gone"), agent.path("home/c")).unwrap();
    let mut back = events(&agent, &id);
    back.sort();
    assert_eq!(back, ["create c", "create c/sub", "create c/sub/f", "create c/sub/g"]);
    fs::remove_dir_all(agent.path("home/in")).unwrap();
    assert_eq!(*events(&agent, &id).last().unwrap(), "remove in");
    make_dir(&agent, &agent.path("home/in"));
    agent.write(&agent.path("home/in/f"), b"x");
    assert!(events(&agent, &id).contains(&"write in/f".to_owned()));
}

#[test]
fn directories_that_change_places_stay_watched() {
    let agent = Agent::start();
    for name in ["a", "a/x", "b", "b/y"] {
        fs::create_dir(agent.path(&format!("home/{}", name))).unwrap();
    }
    let id = recursive(&agent, &agent.path("home"));
    let c = |name: &str| std::ffi::CString::new(agent.path(name)).unwrap();
    let (a, b) = (c("home/a"), c("home/b"));
    let exchanged = unsafe {
        libc::syscall(libc::SYS_renameat2, libc::AT_FDCWD, a.as_ptr(), libc::AT_FDCWD, b.as_ptr(), 2 as libc::c_uint)
    };
    assert_eq!(exchanged, 0);
    events(&agent, &id);
    fs::write(agent.path("home/b/x/f"), "").unwrap();
    fs::write(agent.path("home/a/y/g"), "").unwrap();
    assert_eq!(events(&agent, &id), ["create b/x/f", "create a/y/g"]);
    // One that takes the place of an empty one.
    fs::create_dir(agent.path("home/empty")).unwrap();
    events(&agent, &id);
    fs::rename(agent.path("home/a"), agent.path("home/empty")).unwrap();
    fs::write(agent.path("home/empty/y/h"), "").unwrap();
    assert_eq!(events(&agent, &id), ["rename a", "create empty", "create empty/y/h"]);
}

#[test]
fn a_file_that_is_renamed_has_two_names_and_a_link_less_is_one_removal() {
    let agent = Agent::start();
    fs::write(agent.path("home/f"), "x").unwrap();
    let id = create(&agent, &agent.path("home"), json!({}));
    fs::rename(agent.path("home/f"), agent.path("home/g")).unwrap();
    assert_eq!(events(&agent, &id), ["rename f", "create g"]);
    fs::hard_link(agent.path("home/g"), agent.path("home/h")).unwrap();
    fs::remove_file(agent.path("home/g")).unwrap();
    assert_eq!(events(&agent, &id), ["create h", "remove g"]);
}

#[test]
fn the_root_is_a_dot() {
    let agent = Agent::start();
    for name in ["removed", "moved", "moved/sub"] {
        fs::create_dir(agent.path(&format!("home/{}", name))).unwrap();
    }
    let removed = recursive(&agent, &agent.path("home/removed"));
    let moved = recursive(&agent, &agent.path("home/moved"));
    agent.shell(&format!("chmod 700 {}", agent.path("home/moved")));
    assert_eq!(events(&agent, &moved), ["chmod ."]);
    fs::remove_dir(agent.path("home/removed")).unwrap();
    assert_eq!(events(&agent, &removed), ["remove ."]);
    fs::rename(agent.path("home/moved"), agent.path("home/away")).unwrap();
    fs::write(agent.path("home/away/f"), "").unwrap();
    fs::write(agent.path("home/away/sub/f"), "").unwrap();
    assert_eq!(events(&agent, &moved), ["rename ."]);
    // Both still exist, with nothing to say.
    fs::create_dir(agent.path("home/removed")).unwrap();
    assert!(events(&agent, &removed).is_empty());
}

#[test]
fn entries_come_where_they_are_asked_for_and_exist() {
    let agent = Agent::start();
    let id = create(&agent, &agent.path("home"), json!({ "includeEntry": true, "recursive": true }));
    make_dir(&agent, &agent.path("home/d"));
    agent.write(&agent.path("home/d/f"), b"12345");
    let seen = take(&agent, &id);
    let stat = agent.call(json!({ "op": "stat", "path": agent.path("home/d/f") }))["entry"].clone();
    let write = seen.iter().find(|event| event["type"] == "write").unwrap();
    assert_eq!((&write["name"], &write["entry"]), (&json!("d/f"), &stat));
    assert!(seen.iter().all(|event| event["entry"].is_object()));
    while_it_stands_still(&agent, || {
        fs::rename(agent.path("home/d/f"), agent.path("home/g")).unwrap();
        fs::remove_file(agent.path("home/g")).unwrap();
    });
    let seen = take(&agent, &id);
    assert_eq!(lines(&seen), ["rename d/f", "create g", "remove g"]);
    assert!(seen.iter().all(|event| event.get("entry").is_none()));
}

#[test]
fn several_watch_one_directory_each_as_its_own() {
    let agent = Agent::start();
    fs::create_dir_all(agent.path("home/a/b")).unwrap();
    let (outer, inner) = (recursive(&agent, &agent.path("home")), create(&agent, &agent.path("home/a/b"), json!({})));
    fs::write(agent.path("home/a/b/f"), "").unwrap();
    let later = create(&agent, &agent.path("home/a/b"), json!({}));
    fs::remove_file(agent.path("home/a/b/f")).unwrap();
    assert_eq!(events(&agent, &outer), ["create a/b/f", "remove a/b/f"]);
    assert_eq!(events(&agent, &inner), ["create f", "remove f"]);
    assert_eq!(events(&agent, &later), ["remove f"]);
    for id in [&outer, &later] {
        assert_eq!(agent.call(json!({ "op": "remove-watcher", "watcherId": id })), json!({}));
    }
    fs::write(agent.path("home/a/b/g"), "").unwrap();
    assert_eq!(events(&agent, &inner), ["create g"]);
    for op in ["remove-watcher", "watcher-events"] {
        let error = agent.error(json!({ "op": op, "watcherId": outer }));
        assert_eq!(error["code"], "not_found");
        assert_eq!(error["message"], format!("watcher with id {} not found", outer));
    }
    assert_eq!(agent.error(json!({ "op": "watcher-events", "watcherId": "w1" }))["code"], "not_found");
}

#[test]
fn refuses_what_can_not_be_watched() {
    let agent = Agent::start();
    let (missing, file) = (agent.path("none"), agent.path("f"));
    fs::write(&file, "").unwrap();
    for op in ["watch", "create-watcher"] {
        let error = agent.error(json!({ "op": op, "path": missing }));
        assert_eq!((&error["code"], &error["errno"]), (&json!("not_found"), &json!("ENOENT")));
        assert_eq!(error["message"], format!("path '{}' does not exist", missing));
        let error = agent.error(json!({ "op": op, "path": file }));
        assert_eq!((&error["code"], &error["errno"]), (&json!("invalid_argument"), &json!("ENOTDIR")));
        assert_eq!(error["message"], format!("path '{}' is not a directory", file));
        assert_eq!(agent.error(json!({ "op": op, "path": "", "recursive": 1 }))["code"], "invalid_argument");
    }
}

#[test]
fn events_that_nobody_takes_are_bounded_and_their_loss_is_told_once() {
    let agent = Agent::start();
    let name = "n".repeat(200);
    let id = create(&agent, &agent.path("home"), json!({ "includeEntry": true }));
    let mut stream = agent.open(json!({ "op": "watch", "path": agent.path("home"), "includeEntry": true }));
    stream.reply();
    // More than a watcher keeps and a connection takes in, in rounds that the system's own queue has room for.
    for round in 0..2 {
        for index in 0..3500 {
            fs::write(agent.path(&format!("home/{}-{}-{}", name, round, index)), "").unwrap();
        }
        let others = create(&agent, &agent.path("home"), json!({}));
        agent.call(json!({ "op": "remove-watcher", "watcherId": others }));
    }
    let error = agent.error(json!({ "op": "watcher-events", "watcherId": id }));
    assert_eq!(error["code"], "resource_exhausted");
    assert!(error["message"].as_str().unwrap().contains("more came than are kept"), "{}", error);
    assert!(events(&agent, &id).is_empty());
    fs::write(agent.path("home/after"), "").unwrap();
    assert_eq!(events(&agent, &id), ["create after"]);
    // A host that reads too late: what is on its way, then the loss.
    let mut read = 0;
    let error = loop {
        match next(&mut stream) {
            Ok(events) => read += events.len(),
            Err(error) => break error,
        }
    };
    assert_eq!(error["code"], "resource_exhausted");
    assert!(read < 7000, "nothing was lost");
}

#[test]
fn an_overflow_of_the_systems_queue_is_told_and_new_directories_are_watched_after_it() {
    let agent = Agent::start();
    let queue: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    let id = recursive(&agent, &agent.path("home"));
    while_it_stands_still(&agent, || {
        for index in 0..queue / 2 + 100 {
            let path = agent.path(&format!("home/{}", index));
            fs::write(&path, "").unwrap();
            fs::remove_file(&path).unwrap();
        }
        fs::create_dir_all(agent.path("home/unseen/deep")).unwrap();
    });
    let error = agent.error(json!({ "op": "watcher-events", "watcherId": id }));
    assert_eq!(error["code"], "resource_exhausted");
    assert!(error["message"].as_str().unwrap().contains("max_queued_events"), "{}", error);
    fs::write(agent.path("home/unseen/deep/f"), "").unwrap();
    assert_eq!(events(&agent, &id), ["create unseen/deep/f"]);
}

#[test]
fn watchers_are_bounded_and_free_what_they_had() {
    const MOST: usize = 1024;
    let agent = Agent::start();
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", agent.pid())).unwrap().count();
    let before = descriptors();
    let ids: Vec<_> = (0..MOST).map(|_| create(&agent, &agent.path("home"), json!({}))).collect();
    let error = agent.error(json!({ "op": "create-watcher", "path": agent.path("home") }));
    assert_eq!(error["code"], "resource_exhausted");
    for id in ids {
        agent.call(json!({ "op": "remove-watcher", "watcherId": id }));
    }
    wait_until("the system's descriptor is closed", || descriptors() <= before);
}

#[test]
fn a_stream_that_its_host_leaves_is_gone() {
    let agent = Agent::start();
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", agent.pid())).unwrap().count();
    let before = descriptors();
    drop((watch(&agent, &agent.path("home")), watch(&agent, &agent.path("home"))));
    wait_until("the system's descriptor is closed", || descriptors() <= before);
}

#[test]
fn a_tree_under_change_stays_known() {
    let agent = Agent::start();
    let id = recursive(&agent, &agent.path("home"));
    let script = format!(
        "cd {} && for i in 1 2 3 4 5 6 7 8; do mkdir -p a/$i/x; echo 1 > a/$i/x/f; mv a/$i b$i; rm -r b$i; mkdir b$i; done",
        agent.path("home")
    );
    for _ in 0..10 {
        assert_eq!(agent.shell(&script).end["exitCode"], 0);
        let settled = Instant::now();
        agent.call(json!({ "op": "watcher-events", "watcherId": id }));
        for index in 1..=8 {
            fs::write(agent.path(&format!("home/b{}/f", index)), "").unwrap();
        }
        let expected: Vec<_> = (1..=8).map(|index| format!("create b{}/f", index)).collect();
        assert_eq!(events(&agent, &id), expected);
        assert!(settled.elapsed() < Duration::from_secs(5));
        assert_eq!(agent.shell(&format!("rm -r {}/*", agent.path("home"))).end["exitCode"], 0);
    }
}
