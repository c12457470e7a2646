//! Hosts that break the protocol: each only loses its own connection.

mod support;

use std::io::Write;
use std::os::unix::net::UnixStream;

use serde_json::{json, Value};
use support::client::{frame, Client, EOF, INPUT, REPLY, REQUEST};
use support::random::Random;
use support::{lives, throw, wait_until, Agent, Options};

fn harmless() -> Agent {
    Agent::start_with(Options { harmless: true, ..Options::default() })
}

/// Requests that mean well. None changes a file at a path that a mutation could turn into somebody else's.
fn requests() -> Vec<Value> {
    vec![
        json!({ "op": "hello" }),
        json!({ "op": "configure", "env": { "A": "1" }, "user": "root", "workdir": "", "clockMs": 1 }),
        json!({ "op": "exec", "cmd": "true", "args": ["a"], "env": { "B": "2" }, "stdin": true, "timeoutMs": 50 }),
        json!({ "op": "exec", "cmd": "true", "stdin": false, "pty": { "cols": 80, "rows": 24 }, "tag": "t" }),
        json!({ "op": "attach", "pid": 1 }),
        json!({ "op": "attach", "tag": "t", "replay": true, "since": 0 }),
        json!({ "op": "list" }),
        json!({ "op": "input", "tag": "t", "kind": "stdin" }),
        json!({ "op": "close-input", "tag": "t" }),
        json!({ "op": "signal", "tag": "t", "signal": 15 }),
        json!({ "op": "resize", "tag": "t", "cols": 1, "rows": 1 }),
        json!({ "op": "stat", "path": "f", "user": "root" }),
        json!({ "op": "list-dir", "path": "", "depth": 2 }),
        json!({ "op": "read", "path": "f", "offset": 1, "length": 2 }),
        json!({ "op": "unpack", "src": ".", "dest": "d", "mode": "755", "maxBytes": 1000, "maxEntries": 10 }),
        json!({ "op": "ensure-user", "name": "user", "sudo": true }),
        json!({ "op": "dial", "port": 1 }),
        json!({ "op": "watch", "path": "", "recursive": true, "includeEntry": true, "allowNetworkMounts": false }),
        json!({ "op": "create-watcher", "path": "", "user": "root", "recursive": true }),
        json!({ "op": "watcher-events", "watcherId": "0123456789abcdef" }),
        json!({ "op": "remove-watcher", "watcherId": "0123456789abcdef" }),
        json!({ "op": "metrics" }),
    ]
}

#[test]
fn violations_close_the_connection_only() {
    let agent = harmless();
    for bytes in [
        frame(0x7f, b""),
        frame(0x02, b"{}"),
        frame(INPUT, b"x"),
        frame(EOF, b""),
        vec![0xff; 5],
        vec![0x00, 0x40, 0x00, 0x01, REQUEST],
    ] {
        let mut client = agent.connect();
        client.0.write_all(&bytes).unwrap();
        assert!(client.next().is_none());
    }
    let mut client = agent.open(json!({ "op": "exec", "cmd": "sleep", "args": ["1000"], "stdin": false }));
    let pid = client.reply()["pid"].clone();
    client.request(&json!({ "op": "hello" }));
    assert!(client.next().is_none(), "a second request is answered");
    // The process is none the worse for it.
    agent.open(json!({ "op": "attach", "pid": pid })).reply();
    lives(&agent);
}

#[test]
fn what_is_no_request_is_told() {
    let agent = harmless();
    for payload in [&b""[..], b"[]", b"null", b"{", b"{\"op\": 1}", b"{}", b"\xff\xfe"] {
        let mut client = agent.connect();
        client.send(REQUEST, payload);
        assert_eq!(client.error()["code"], "invalid_argument");
    }
}

#[test]
fn a_long_request_is_served() {
    let agent = harmless();
    let request = json!({ "op": "hello", "ignored": "x".repeat(4 * 1024 * 1024 - 100) });
    assert_eq!(agent.call(request)["protocol"], 1);
}

#[test]
fn random_bytes_do_no_harm() {
    let agent = harmless();
    let mut random = Random::new(0x1234_5678_9abc_def1);
    for _ in 0..400 {
        let bytes: Vec<u8> = (0..random.below(300)).map(|_| random.next() as u8).collect();
        throw(&agent, &bytes);
    }
    // Likelier ones: a right header before the rubbish.
    for _ in 0..400 {
        let bytes: Vec<u8> = (0..random.below(300)).map(|_| random.next() as u8).collect();
        throw(&agent, &frame([0x00, 0x01, 0x10, 0x11][random.below(4)], &bytes));
    }
    lives(&agent);
}

#[test]
fn requests_with_flipped_bytes_do_no_harm() {
    let agent = harmless();
    let mut random = Random::new(0x0bad_5eed_0bad_5eed);
    let requests = requests();
    for round in 0..1500 {
        let mut bytes = frame(REQUEST, requests[round % requests.len()].to_string().as_bytes());
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len());
            match random.below(3) {
                0 => bytes[at] = random.next() as u8,
                1 => bytes.truncate(at),
                _ => bytes.insert(at, random.next() as u8),
            }
            if bytes.is_empty() {
                break;
            }
        }
        bytes.extend(frame(INPUT, b"some input"));
        throw(&agent, &bytes);
    }
    lives(&agent);
}

#[test]
fn requests_with_odd_values_do_no_harm() {
    let agent = harmless();
    let mut random = Random::new(0x5eed_0f0d_d5ee_d001);
    let mut requests = requests();
    // With values that are no paths of anybody these are harmless, too.
    for op in ["write", "make-dir", "remove"] {
        requests.push(json!({ "op": op, "path": "f", "user": "root", "metadata": { "a": "b" } }));
    }
    requests.push(json!({ "op": "move", "source": "f", "destination": "g" }));
    requests.push(json!({ "op": "compose", "sources": ["f"], "destination": "g", "user": "root" }));
    let odd = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(u64::MAX),
        json!(1e300),
        json!("\0"),
        json!("~other"),
        json!("x".repeat(70_000)),
        json!([]),
        json!([[[]]]),
        json!({ "a": { "b": 1 } }),
        json!({ "\0": "\0" }),
    ];
    for round in 0..1200 {
        let mut request = requests[round % requests.len()].clone();
        let fields: Vec<String> = request.as_object().unwrap().keys().filter(|key| *key != "op").cloned().collect();
        if !fields.is_empty() {
            request[&fields[random.below(fields.len())]] = odd[random.below(odd.len())].clone();
        }
        let mut bytes = frame(REQUEST, request.to_string().as_bytes());
        bytes.extend(frame(EOF, b""));
        throw(&agent, &bytes);
    }
    lives(&agent);
}

#[test]
fn one_connection_too_many_is_refused() {
    const MOST: usize = 4096;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    limit.rlim_cur = limit.rlim_max;
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    if limit.rlim_max < 10_000 {
        eprintln!("skipped: {} files may be open here", limit.rlim_max);
        return;
    }
    let agent = harmless();
    let mut clients: Vec<Client<UnixStream>> = (0..MOST).map(|_| agent.connect()).collect();
    let mut refused = agent.connect();
    assert_eq!(refused.error()["code"], "resource_exhausted");
    clients.truncate(MOST - 1);
    wait_until("there is room again", || {
        let mut client = agent.connect();
        let _ = client.0.write_all(&frame(REQUEST, b"{\"op\":\"hello\"}"));
        matches!(client.next(), Some((REPLY, _)))
    });
}
