//! What the helper makes of messages that no server sends.

mod support;

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{json, Value};
use support::{start, until, Client, Helper};

#[test]
fn refuses_what_it_does_not_know_and_names_the_field() {
    let helper = Helper::start();
    let mut client = Client::connect(&helper.root);
    assert_eq!(client.refused(json!({ "op": "list" })), "failed_precondition");
    // Says what it is also to whoever speaks another version, and does nothing for it.
    assert_eq!(client.ask(json!({ "op": "hello", "protocol": 2 }))["protocol"], 1);
    assert_eq!(client.refused(json!({ "op": "list" })), "failed_precondition");
    let hello = client.ask(json!({ "op": "hello", "protocol": 1 }));
    assert_eq!((&hello["build"], &hello["pid"]), (&json!("test"), &json!(helper.pid())));
    assert!(hello["features"]["cgroup"]["has"].as_u64().is_some());
    assert_eq!(client.refused(json!({ "op": "fly" })), "unimplemented");
    for (field, value) in [
        ("sandbox", json!("../etc")),
        ("layers", json!([])),
        ("layers", json!(["../../etc"])),
        ("hostname", json!("a\nb")),
        ("cpuCount", json!(0)),
        ("memoryMb", json!(-1)),
        ("pids", json!(1e9)),
        ("egress", json!("ajar")),
        ("note", json!("x".repeat(5000))),
        ("other", json!(1)),
    ] {
        let mut request = start("a");
        request[field] = value;
        let reply = client.try_ask(request);
        assert_eq!(reply["error"]["code"], "invalid_argument", "{}: {}", field, reply);
    }
    // Said once for all of the helper, not for a connection.
    assert_eq!(client.ask(json!({ "op": "find", "sandbox": "a" }))["state"], "gone");
}

#[test]
fn ends_connections_that_break_the_protocol_and_goes_on() {
    let helper = Helper::start();
    for bytes in [b"[]".to_vec(), b"{}".to_vec(), b"\xff".to_vec(), b"[".repeat(100_000)] {
        let mut client = helper.connect();
        client.send_bytes(&bytes);
        assert!(client.read().is_none());
    }
    let mut twice = helper.connect();
    let request = json!({ "id": 9, "op": "unpack", "upload": "none", "layer": "x", "format": "tar" }).to_string();
    // Two that wait at once have the same id; the first may be done by then.
    twice.send_bytes(request.as_bytes());
    twice.send_bytes(request.as_bytes());
    let mut client = helper.connect();
    assert_eq!(client.ask(json!({ "op": "list" })), json!({ "sandboxes": [], "more": false }));
}

#[test]
fn serves_root_and_the_user_it_was_told_and_no_other() {
    const USER: libc::uid_t = 61_001;
    const STRANGER: libc::uid_t = 61_002;
    let mut helper = Helper::start();
    helper.crash();
    let log = helper.start_again_for(USER);
    let hello = |uid: libc::uid_t| {
        let root = helper.root.clone();
        // What the system calls by its number has these ids for the thread alone.
        let ask = move || {
            // SAFETY: no pointers are passed.
            assert_eq!(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }, 0);
            let mut client = Client::connect(&root);
            // The connection may be gone by then.
            let _ = client.try_send(json!({ "op": "hello", "protocol": 1 }));
            client.read()
        };
        std::thread::spawn(ask).join().unwrap()
    };
    assert_eq!(hello(USER).unwrap()["ok"]["instance"], helper.instance);
    assert_eq!(hello(STRANGER), None);
    assert!(hello(0).unwrap()["error"].is_null());
    helper.crash();
    let said: Vec<String> = log.map(Result::unwrap).filter(|line| line.contains("A connection was refused.")).collect();
    assert!(matches!(&said[..], [one] if one.contains(&format!("\"uid\":{}", STRANGER))), "{:?}", said);
}

#[test]
fn lists_and_peers_that_do_not_read_have_bounds() {
    let helper = Helper::start();
    // Some thousand names are more than a socket holds, and sixteen thousand of the longest more than a message.
    // Names of one file: a disk that is busy takes its time for so many directories.
    let file = helper.root.join("spool/name");
    fs::write(&file, "").unwrap();
    let make = |number: usize| fs::hard_link(&file, helper.root.join(format!("layers/{:064}", number))).unwrap();
    (0..4000).for_each(make);
    let unread = || {
        let mut client = helper.try_connect()?;
        client.send(json!({ "op": "layers" }));
        client.end_sending();
        Some(client)
    };
    // None of them asks any more, and none has its answer yet.
    let began = Instant::now();
    let clients: Vec<Client> = (0..80).map_while(|_| unread()).collect();
    // The helper gives one that doesn't read up after thirty seconds, and its place is free then.
    let is_slow = began.elapsed() > Duration::from_secs(25);
    assert!(is_slow || clients.len() <= 64, "{}", clients.len());
    drop(clients);
    until("there is room again", || helper.try_connect().is_some());

    let mut deaf = helper.connect();
    until("who does not read is cut off", || deaf.try_send(json!({ "op": "layers" })).is_err());

    (4000..16_000).for_each(make);
    let mut client = helper.connect();
    assert_eq!(client.refused(json!({ "op": "layers" })), "resource_exhausted");
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let page = client.ask(json!({ "op": "layers", "limit": 4096, "after": after }));
        names.extend(page["layers"].as_array().unwrap().iter().cloned());
        after = names.last().and_then(Value::as_str).unwrap().to_owned();
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(names.len(), 16_001);
    assert_eq!(client.refused(json!({ "op": "list", "limit": 5000 })), "invalid_argument");
}
