//! Several files become one.

mod support;

use std::fs;
use std::os::unix::fs::{symlink, MetadataExt};

use serde_json::{json, Value};
use support::{is_root, wait_until, Agent};

fn names(dir: &str) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn request(sources: &[String], destination: &str) -> Value {
    json!({ "op": "compose", "sources": sources, "destination": destination })
}

/// Sources with these contents.
fn sources(agent: &Agent, contents: &[&[u8]]) -> Vec<String> {
    fs::create_dir_all(agent.path("home/parts")).unwrap();
    let write = |(index, bytes): (usize, &&[u8])| {
        let path = agent.path(&format!("home/parts/{}", index));
        fs::write(&path, bytes).unwrap();
        path
    };
    contents.iter().enumerate().map(write).collect()
}

#[test]
fn parts_become_one_file_of_the_users() {
    let agent = Agent::start();
    let large = vec![7; 3_000_000];
    let parts = sources(&agent, &[b"first ", &large, b"", b"last"]);
    let destination = agent.path("home/new/dir/whole");
    let mut wanted = request(&parts, &destination);
    wanted["user"] = "daemon".into();
    let entry = agent.call(wanted)["entry"].clone();
    assert_eq!(
        (&entry["path"], &entry["size"], &entry["mode"]),
        (&json!(destination), &json!(3_000_010), &json!(0o644))
    );
    if is_root() {
        assert_eq!(entry["owner"], "daemon");
        assert_eq!(fs::metadata(agent.path("home/new/dir")).unwrap().uid(), 1);
    }
    assert!(agent.read(&destination) == [b"first ", &large[..], b"last"].concat());
    assert!(names(&agent.path("home/parts")).is_empty());
    assert_eq!(names(&agent.path("home/new/dir")), ["whole"]);
}

#[test]
fn a_source_may_come_twice_or_be_the_destination_or_proc() {
    let agent = Agent::start();
    let parts = sources(&agent, &[b"a", b"b"]);
    let (one, other) = (parts[0].clone(), parts[1].clone());
    agent.call(request(&[one.clone(), other.clone(), one.clone(), other], &one));
    assert_eq!(agent.read(&one), b"abab");
    assert_eq!(names(&agent.path("home/parts")), ["0"]);
    // What the system doesn't let anybody remove is named, after the destination is complete.
    let proc = "/proc/sys/kernel/random/boot_id".to_owned();
    let error = agent.error(request(std::slice::from_ref(&proc), &agent.path("home/id")));
    assert!(error["message"].as_str().unwrap().starts_with(&format!("'{}' can't be removed", proc)), "{}", error);
    assert_eq!(fs::read(agent.path("home/id")).unwrap(), fs::read(proc).unwrap());
}

#[test]
fn a_failure_changes_nothing() {
    let agent = Agent::start();
    let parts = sources(&agent, &[b"a", b"b"]);
    let whole = agent.path("home/parts/whole");
    fs::write(&whole, "before").unwrap();
    symlink("nowhere", agent.path("home/broken")).unwrap();
    let fails = |sources: &[String], destination: &str, code: &str| {
        let error = agent.error(request(sources, destination));
        assert_eq!(error["code"], code, "{}", error);
        assert_eq!(names(&agent.path("home/parts")), ["0", "1", "whole"]);
        assert_eq!(fs::read_to_string(&whole).unwrap(), "before");
        error["message"].as_str().unwrap().to_owned()
    };
    let missing = agent.path("home/parts/none");
    let with = |path: &str| vec![parts[0].clone(), path.to_owned()];
    assert_eq!(fails(&with(&missing), &whole, "not_found"), format!("path '{}' does not exist", missing));
    fails(&with(&agent.path("home/broken")), &whole, "not_found");
    let directory = agent.path("home");
    assert_eq!(fails(&with(&directory), &whole, "invalid_argument"), format!("path '{}' is a directory", directory));
    fails(&parts, &directory, "invalid_argument");
    fails(&parts, &agent.path("home/parts/x/"), "invalid_argument");
    fails(&parts, &agent.path("home/parts/0/below"), "invalid_argument");
    fails(&[], &whole, "invalid_argument");
    fails(&vec![parts[0].clone(); 1001], &whole, "invalid_argument");
}

#[test]
fn a_full_disk_leaves_what_was_there() {
    let agent = Agent::start();
    let small = match agent.small_dir() {
        Some(small) => small,
        None => return,
    };
    let parts = sources(&agent, &[&[1; 50_000], &[2; 50_000]]);
    let whole = format!("{}/whole", small);
    agent.write(&whole, b"before");
    let error = agent.error(request(&parts, &whole));
    assert_eq!((&error["code"], &error["errno"]), (&json!("resource_exhausted"), &json!("ENOSPC")));
    assert_eq!(agent.read(&whole), b"before");
    assert_eq!(agent.shell(&format!("ls -A {}", small)).text(), "whole\n");
    assert_eq!(names(&agent.path("home/parts")), ["0", "1"]);
}

#[test]
fn a_host_that_goes_takes_the_new_file_with_it() {
    let agent = Agent::start();
    let sparse = agent.path("home/sparse");
    fs::File::create(&sparse).unwrap().set_len(1 << 30).unwrap();
    let client = agent.open(request(&[sparse], &agent.path("home/whole")));
    wait_until("copying begins", || names(&agent.path("home")).len() == 2);
    drop(client);
    // Unless it was faster: then it is whole.
    let is_over = |names: Vec<String>| names == ["sparse"] || names == ["whole"];
    wait_until("the new file is gone", || is_over(names(&agent.path("home"))));
}

#[test]
fn syncs() {
    assert_eq!(Agent::start().call(json!({ "op": "sync" })), json!({}));
}
