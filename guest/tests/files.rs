//! Files: reading, writing, walking, moving.

mod support;

use std::fs;
use std::os::unix::fs::{symlink, MetadataExt, PermissionsExt};

use serde_json::{json, Value};
use support::client::{END, ITEM};
use support::{is_root, wait_until, Agent};

fn pseudo_random(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..bytes).map(|_| next()).collect()
}

fn list(agent: &Agent, path: &str, depth: u64) -> Vec<Value> {
    let mut client = agent.open(json!({ "op": "list-dir", "path": path, "depth": depth }));
    client.reply();
    let mut entries = Vec::new();
    loop {
        match client.next().unwrap() {
            (ITEM, payload) => {
                let item: Value = serde_json::from_slice(&payload).unwrap();
                let batch = item["entries"].as_array().unwrap();
                assert!(!batch.is_empty() && batch.len() <= 500);
                entries.extend(batch.clone());
            }
            (END, _) => return entries,
            (kind, payload) => panic!("frame {:#x}: {}", kind, String::from_utf8_lossy(&payload)),
        }
    }
}

#[test]
fn what_is_written_is_read() {
    let agent = Agent::start();
    let path = agent.path("large");
    let bytes = pseudo_random(20_000_000);
    let entry = agent.write(&path, &bytes);
    assert_eq!((&entry["size"], &entry["type"], &entry["mode"]), (&json!(bytes.len()), &json!("file"), &json!(0o644)));
    assert!(agent.read(&path) == bytes);
    // Shorter than before, and none at all.
    agent.write(&path, b"short");
    assert_eq!(agent.read(&path), b"short");
    agent.write(&path, b"");
    assert_eq!(agent.read(&path), b"");
}

#[test]
fn reads_a_part() {
    let agent = Agent::start();
    let path = agent.path("f");
    let bytes = pseudo_random(600_000);
    fs::write(&path, &bytes).unwrap();
    let part = |offset: usize, length: usize| {
        agent.open(json!({ "op": "read", "path": path, "offset": offset, "length": length })).download()
    };
    assert_eq!(part(0, 1), &bytes[..1]);
    assert_eq!(part(1000, 500_000), &bytes[1000..501_000]);
    assert_eq!(part(599_999, 10), &bytes[599_999..]);
    assert_eq!(part(700_000, 10), b"");
    assert_eq!(part(5, 0), b"");
}

#[test]
fn reads_proc_whatever_its_size_says() {
    let agent = Agent::start();
    assert_eq!(agent.read("/proc/sys/kernel/random/boot_id").len(), 37);
    assert!(agent.read("/proc/self/status").starts_with(b"Name:\te2b-guest"));
}

#[test]
fn refuses_what_is_no_file() {
    let agent = Agent::start();
    let fifo = agent.path("fifo");
    assert_eq!(agent.shell(&format!("mkfifo {}", fifo)).end["exitCode"], 0);
    for (path, errno) in [(agent.path(""), Some("EISDIR")), (fifo, None), ("/dev/zero".to_owned(), None)] {
        for op in ["read", "write"] {
            let mut client = agent.open(json!({ "op": op, "path": path }));
            if op == "write" {
                client.upload(b"x");
            }
            let error = client.error();
            assert_eq!(error["code"], "invalid_argument", "{} {}", op, path);
            assert_eq!(error["errno"].as_str(), errno);
        }
    }
}

#[test]
fn what_does_not_exist_is_named() {
    let agent = Agent::start();
    let path = agent.path("none");
    for op in ["stat", "read"] {
        let error = agent.error(json!({ "op": op, "path": path }));
        assert_eq!(error["code"], "not_found");
        assert_eq!(error["message"], format!("path '{}' does not exist", path));
    }
    assert_eq!(agent.error(json!({ "op": "list-dir", "path": path, "depth": 1 }))["code"], "not_found");
    assert_eq!(agent.error(json!({ "op": "stat" }))["message"], "The field 'path' is missing.");
    assert_eq!(agent.error(json!({ "op": "stat", "path": "~x/y" }))["code"], "invalid_argument");
}

#[test]
fn a_new_file_belongs_to_the_user_with_its_directories() {
    let agent = Agent::start();
    let path = agent.path("a/b/f");
    let mut client = agent.open(json!({ "op": "write", "path": path, "user": "daemon" }));
    client.upload(b"x");
    assert_eq!(client.reply(), json!({ "path": path }));
    let entry = client.end()["entry"].clone();
    assert_eq!((&entry["name"], &entry["path"]), (&json!("f"), &json!(path)));
    let directory = fs::metadata(agent.path("a/b")).unwrap();
    assert_eq!(directory.mode() & 0o7777, 0o755);
    if is_root() {
        assert_eq!((&entry["owner"], &entry["group"]), (&json!("daemon"), &json!("daemon")));
        assert_eq!((directory.uid(), directory.gid()), (1, 1));
    }
}

/// Names of the inotify events since the last look.
fn events(inotify: i32) -> Vec<(u32, String)> {
    let mut buffer = [0u8; 4096];
    let length = unsafe { libc::read(inotify, buffer.as_mut_ptr().cast(), buffer.len()) };
    let mut events = Vec::new();
    let mut at = 0;
    while (at as isize) < length {
        let field = |offset: usize| u32::from_ne_bytes(buffer[at + offset..at + offset + 4].try_into().unwrap());
        let (mask, name_bytes) = (field(4), field(12) as usize);
        let name = &buffer[at + 16..at + 16 + name_bytes];
        events.push((mask, String::from_utf8_lossy(name).trim_end_matches('\0').to_owned()));
        at += 16 + name_bytes;
    }
    events
}

#[test]
fn a_watcher_sees_create_attributes_write() {
    let agent = Agent::start();
    let inotify = unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) };
    let dir = std::ffi::CString::new(agent.path("home")).unwrap();
    let mask = libc::IN_CREATE | libc::IN_ATTRIB | libc::IN_MODIFY | libc::IN_DELETE | libc::IN_MOVE;
    assert!(unsafe { libc::inotify_add_watch(inotify, dir.as_ptr(), mask) } >= 0);
    let mut client = agent.open(json!({ "op": "write", "path": agent.path("home/f") }));
    // In pieces, which still become one write.
    for _ in 0..20 {
        client.input(&[7; 10_000]);
    }
    client.eof();
    client.reply();
    client.end();
    let seen: Vec<_> = events(inotify).into_iter().map(|(mask, name)| (mask & libc::IN_ALL_EVENTS, name)).collect();
    let expected = [libc::IN_CREATE, libc::IN_ATTRIB, libc::IN_MODIFY].map(|mask| (mask, "f".to_owned()));
    assert_eq!(seen, expected);
    unsafe { libc::close(inotify) };
}

#[test]
fn metadata_is_replaced_as_a_whole() {
    let agent = Agent::start();
    let path = agent.path("f");
    let write = |metadata: Value| {
        let mut request = json!({ "op": "write", "path": path });
        if !metadata.is_null() {
            request["metadata"] = metadata;
        }
        let mut client = agent.open(request);
        client.upload(b"x");
        client.reply();
        client.end()["entry"]["metadata"].clone()
    };
    assert_eq!(write(json!({ "a": "1", "b": "2" })), json!({ "a": "1", "b": "2" }));
    assert_eq!(agent.call(json!({ "op": "stat", "path": path }))["entry"]["metadata"], json!({ "a": "1", "b": "2" }));
    assert_eq!(write(json!({ "b": "3" })), json!({ "b": "3" }));
    assert_eq!(write(json!(null)), json!(null));
    write(json!({ "a": "1" }));
    assert_eq!(write(json!({})), json!(null));
    for wrong in
        [json!({ "": "x" }), json!({ "a": 1 }), json!({ "x".repeat(300): "" }), json!({ "a": "x".repeat(5000) })]
    {
        let error = agent.error(json!({ "op": "write", "path": path, "metadata": wrong }));
        assert_eq!(error["code"], "invalid_argument");
    }
}

#[test]
fn a_write_that_breaks_off_early_changes_nothing() {
    let agent = Agent::start();
    let path = agent.path("f");
    fs::write(&path, "before").unwrap();
    let mut client = agent.open(json!({ "op": "write", "path": path }));
    client.input(b"partial");
    drop(client);
    // Something after it, on the same event loop.
    agent.write(&agent.path("other"), b"x");
    assert_eq!(fs::read_to_string(&path).unwrap(), "before");

    let mut client = agent.open(json!({ "op": "write", "path": path }));
    for _ in 0..4 {
        client.input(&[1; 256 * 1024]);
    }
    client.reply();
    drop(client);
    wait_until("the agent is idle", || agent.call(json!({ "op": "hello" }))["processes"] == 0);
    agent.write(&path, b"after");
    assert_eq!(agent.read(&path), b"after");
}

#[test]
fn a_full_disk_is_named_while_the_host_still_sends() {
    let agent = Agent::start();
    let small = match agent.small_dir() {
        Some(small) => small,
        None => return,
    };
    let mut client = agent.open(json!({ "op": "write", "path": format!("{}/f", small) }));
    client.upload(&vec![1; 4_000_000]);
    let error = client.error();
    assert_eq!((&error["code"], &error["errno"]), (&json!("resource_exhausted"), &json!("ENOSPC")));
}

#[test]
fn describes_entries() {
    let agent = Agent::start();
    let dir = agent.path("d");
    fs::create_dir(&dir).unwrap();
    let target = agent.path("d/f");
    fs::write(&target, "12345").unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o4750)).unwrap();
    symlink("f", agent.path("d/good")).unwrap();
    symlink("nowhere", agent.path("d/broken")).unwrap();
    let stat = |name: &str| agent.call(json!({ "op": "stat", "path": agent.path(name) }))["entry"].clone();

    let file = stat("d/f");
    assert_eq!((&file["size"], &file["mode"], &file["permissions"]), (&json!(5), &json!(0o750), &json!("urwxr-x---")));
    let modified = fs::metadata(&target).unwrap();
    let expected = modified.mtime() as f64 * 1e3 + modified.mtime_nsec() as f64 / 1e6;
    // Less than a microsecond apart: reading a number back may round it once more.
    assert!((file["modifiedMs"].as_f64().unwrap() - expected).abs() < 1e-3);

    let good = stat("d/good");
    assert_eq!((&good["type"], &good["mode"], &good["size"]), (&json!("file"), &json!(0o750), &json!(1)));
    assert_eq!((&good["permissions"], &good["symlinkTarget"]), (&json!("Lrwxrwxrwx"), &json!(target)));
    let broken = stat("d/broken");
    assert_eq!((&broken["type"], &broken["mode"]), (&json!("unspecified"), &json!(0)));
    assert_eq!(broken["symlinkTarget"], agent.path("d/broken"));
    let directory = stat("d/");
    assert_eq!((&directory["name"], &directory["type"]), (&json!("d"), &json!("directory")));
    assert!(directory["size"].as_u64().unwrap() > 0 && directory["permissions"].as_str().unwrap().starts_with('d'));
}

#[test]
fn paths_start_at_home() {
    let agent = Agent::start();
    agent.call(json!({ "op": "configure", "workdir": agent.path("") }));
    assert_eq!(agent.call(json!({ "op": "stat", "path": "" }))["entry"]["path"], agent.path(""));
    let home = agent.shell("echo -n $HOME").text();
    assert_eq!(agent.call(json!({ "op": "stat", "path": "~" }))["entry"]["path"], home);
    let error = agent.error(json!({ "op": "stat", "path": "no-such-file" }));
    assert_eq!(error["message"], format!("path '{}/no-such-file' does not exist", home));
}

#[test]
fn lists_a_tree() {
    let agent = Agent::start();
    for name in ["t/b/x", "t/a", "t/c"] {
        agent.call(json!({ "op": "make-dir", "path": agent.path(name) }));
    }
    let names = |depth| {
        let entries = list(&agent, &agent.path("t"), depth);
        entries.iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(1), ["a", "b", "c"]);
    assert_eq!(names(2), ["a", "b", "x", "c"]);
    let error = agent.error(json!({ "op": "list-dir", "path": agent.path("t"), "depth": 0 }));
    assert_eq!(error["code"], "invalid_argument");
    let error = agent.error(json!({ "op": "list-dir", "path": "/etc/passwd", "depth": 1 }));
    assert_eq!((&error["code"], &error["errno"]), (&json!("invalid_argument"), &json!("ENOTDIR")));
}

#[test]
fn a_large_listing_waits_for_its_host() {
    let agent = Agent::start();
    let dir = agent.path("many");
    fs::create_dir(&dir).unwrap();
    for index in 0..3000 {
        fs::write(format!("{}/{:05}", dir, index), "").unwrap();
    }
    // Hosts that don't read hold no thread: the pool has fewer than these.
    let waiting: Vec<_> = (0..20).map(|_| agent.open(json!({ "op": "list-dir", "path": dir, "depth": 1 }))).collect();
    let entries = list(&agent, &dir, 1);
    assert_eq!(entries.len(), 3000);
    assert!(entries.windows(2).all(|pair| pair[0]["name"].as_str() < pair[1]["name"].as_str()));
    drop(waiting);
}

#[test]
fn makes_directories_once() {
    let agent = Agent::start();
    let path = agent.path("x/y/z");
    assert_eq!(agent.call(json!({ "op": "make-dir", "path": path }))["entry"]["type"], "directory");
    assert_eq!(agent.error(json!({ "op": "make-dir", "path": path }))["code"], "conflict");
    fs::write(agent.path("f"), "").unwrap();
    for below in ["f", "f/g"] {
        let error = agent.error(json!({ "op": "make-dir", "path": agent.path(below) }));
        assert_eq!((&error["code"], &error["errno"]), (&json!("invalid_argument"), &json!("ENOTDIR")));
    }
}

#[test]
fn moves_into_new_directories_and_across_file_systems() {
    let agent = Agent::start();
    fs::create_dir(agent.path("from")).unwrap();
    fs::write(agent.path("from/f"), "contents").unwrap();
    let (from, to) = (agent.path("from"), agent.path("new/parent/to"));
    let reply = agent.call(json!({ "op": "move", "source": from, "destination": to }));
    assert_eq!(reply["entry"]["path"], to);
    assert_eq!(agent.read(&format!("{}/f", to)), b"contents");
    let error = agent.error(json!({ "op": "move", "source": from, "destination": agent.path("never/made/x") }));
    assert_eq!(error["message"], format!("path '{}' does not exist", from));
    assert!(!std::path::Path::new(&agent.path("never")).exists());

    if let Some(small) = agent.small_dir() {
        let there = format!("{}/sub/to", small);
        agent.call(json!({ "op": "move", "source": to, "destination": there }));
        assert_eq!(agent.read(&format!("{}/f", there)), b"contents");
        assert!(!std::path::Path::new(&to).exists());
    }
}

#[test]
fn removes_trees_and_nothing() {
    let agent = Agent::start();
    fs::create_dir_all(agent.path("t/a/b")).unwrap();
    fs::write(agent.path("t/a/b/f"), "").unwrap();
    symlink(agent.path("home"), agent.path("t/link")).unwrap();
    for _ in 0..2 {
        assert_eq!(agent.call(json!({ "op": "remove", "path": agent.path("t") })), json!({}));
    }
    assert!(std::path::Path::new(&agent.path("home")).exists());
    symlink(agent.path("home"), agent.path("link")).unwrap();
    agent.call(json!({ "op": "remove", "path": agent.path("link/") }));
    assert!(fs::symlink_metadata(agent.path("link")).is_err());
    assert!(std::path::Path::new(&agent.path("home")).exists());
}
