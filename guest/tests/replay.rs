//! What a process said before somebody attached.

mod support;

use std::os::unix::net::UnixStream;

use serde_json::{json, Value};
use support::client::{Client, END, PTY, STDERR, STDOUT};
use support::{wait_until, Agent};

/// Attaches with a replay; returns where it begins, and the stream.
fn replay(agent: &Agent, pid: u32, since: Option<u64>) -> (u64, Client<UnixStream>) {
    let mut client = agent.open(json!({ "op": "attach", "pid": pid, "replay": true, "since": since }));
    let reply = client.reply();
    assert_eq!(reply["pid"], pid);
    (reply["replayFrom"].as_u64().unwrap(), client)
}

/// A process that says lines when it is told to, and the position after the first ones.
fn speaker(agent: &Agent) -> (u32, Client<UnixStream>) {
    let script = "while read line; do echo out-$line; echo err-$line >&2; done";
    agent.exec(json!({ "cmd": "sh", "args": ["-c", script], "stdin": true }))
}

/// The next piece of output.
fn piece(client: &mut Client<UnixStream>) -> (u8, String) {
    let (kind, bytes) = client.next().expect("the stream breaks off");
    (kind, String::from_utf8(bytes).unwrap())
}

#[test]
fn what_was_said_comes_first_in_its_order() {
    let agent = Agent::start();
    let (pid, mut first) = speaker(&agent);
    for line in ["1", "2"] {
        agent.input(pid, "stdin", format!("{}\n", line).as_bytes());
        first.wait_for(&format!("err-{}\n", line));
    }
    drop(first);
    let (from, mut client) = replay(&agent, pid, None);
    assert_eq!(from, 0);
    for line in ["1", "2"] {
        assert_eq!(piece(&mut client), (STDOUT, format!("out-{}\n", line)));
        assert_eq!(piece(&mut client), (STDERR, format!("err-{}\n", line)));
    }
    // And then the rest, as it comes.
    agent.input(pid, "stdin", b"3\n");
    assert_eq!(client.wait_for("err-3\n"), "out-3\nerr-3\n");
    agent.call(json!({ "op": "close-input", "pid": pid }));
    assert_eq!(client.end()["exitCode"], 0);
    // Also of one that has ended.
    let (from, mut client) = replay(&agent, pid, Some(28));
    assert_eq!(from, 28);
    let output = client.output();
    assert_eq!((output.text(), output.error_text()), ("3\n".to_owned(), "err-3\n".to_owned()));
}

#[test]
fn a_reconnecting_host_gets_each_byte_once() {
    let agent = Agent::start();
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done";
    let (pid, mut client) = agent.exec(json!({ "cmd": "sh", "args": ["-c", script] }));
    let mut seen = Vec::new();
    let mut is_over = false;
    while !is_over {
        // A few frames of each connection, then the next one.
        for _ in 0..7 {
            let (kind, payload) = client.next().unwrap();
            if kind == END {
                is_over = true;
                break;
            }
            seen.extend(payload);
        }
        let (from, next) = replay(&agent, pid, Some(seen.len() as u64));
        assert_eq!(from, seen.len() as u64);
        client = next;
    }
    let expected: String = (0..20_000).map(|line| format!("line {}\n", line)).collect();
    assert!(String::from_utf8(seen).unwrap() == expected);
}

#[test]
fn without_a_replay_nothing_is_repeated() {
    let agent = Agent::start();
    let (pid, mut first) = speaker(&agent);
    agent.input(pid, "stdin", b"1\n");
    first.wait_for("err-1\n");
    let mut client = agent.open(json!({ "op": "attach", "pid": pid, "replay": false }));
    assert_eq!(client.reply(), json!({ "pid": pid, "replayFrom": 12 }));
    agent.input(pid, "stdin", b"2\n");
    assert_eq!(client.wait_for("err-2\n"), "out-2\nerr-2\n");
    for (wrong, message) in [
        (json!({ "op": "attach", "pid": pid, "since": 1 }), "The field 'since' is only for a replay."),
        (
            json!({ "op": "attach", "pid": pid, "since": 25, "replay": true }),
            "The field 'since' is 25, but the process has said only 24 bytes.",
        ),
    ] {
        let error = agent.error(wrong);
        assert_eq!((&error["code"], &error["message"]), (&json!("invalid_argument"), &json!(message)));
    }
}

#[test]
fn the_last_megabyte_is_kept() {
    let agent = Agent::start();
    let total = |kept: Value| {
        let script = "head -c 3000000 /dev/zero; printf last";
        let mut request = json!({ "cmd": "sh", "args": ["-c", script] });
        request["replayBytes"] = kept;
        let (pid, mut client) = agent.exec(request);
        assert_eq!(client.output().stdout.len(), 3_000_004);
        let (from, mut client) = replay(&agent, pid, None);
        let output = client.output();
        assert_eq!(from as usize + output.stdout.len(), 3_000_004);
        assert!(output.stdout.is_empty() || output.stdout.ends_with(b"last"));
        output.stdout.len()
    };
    let default = total(json!(null));
    assert!((1_048_576 - 34_000..=1_048_576).contains(&default), "{}", default);
    assert_eq!(total(json!(0)), 0);
    assert_eq!(total(json!(16 * 1024 * 1024)), 3_000_004);
    let error =
        agent.error(json!({ "op": "exec", "cmd": "true", "stdin": false, "replayBytes": 16 * 1024 * 1024 + 1 }));
    assert_eq!(error["code"], "invalid_argument");
}

#[test]
fn a_terminal_is_replayed_too() {
    let agent = Agent::start();
    let (pid, mut client) = agent.exec(json!({ "cmd": "cat", "stdin": true, "pty": { "cols": 80, "rows": 24 } }));
    agent.input(pid, "pty", b"hello\n");
    client.wait_for("hello\r\nhello\r\n");
    drop(client);
    let (from, mut client) = replay(&agent, pid, None);
    let (kind, text) = piece(&mut client);
    assert_eq!((from, kind, text.starts_with("hello\r\n")), (0, PTY, true));
    agent.call(json!({ "op": "signal", "pid": pid, "signal": 9 }));
}

#[test]
fn all_processes_together_are_bounded() {
    const EACH: usize = 16 * 1024 * 1024;
    let agent = Agent::start();
    let start = || {
        let script = format!("head -c {} /dev/zero; echo; read end", EACH);
        let request = json!({ "cmd": "sh", "args": ["-c", script], "stdin": true, "replayBytes": EACH });
        let (pid, client) = agent.exec(request);
        drop(client);
        let said = |pid| {
            let mut client = agent.open(json!({ "op": "attach", "pid": pid }));
            client.reply()["replayFrom"].as_u64().unwrap() as usize
        };
        wait_until("the process has said all", || said(pid) == EACH + 1);
        pid
    };
    let kept = |pid| EACH + 1 - replay(&agent, pid, None).0 as usize;
    let pids: Vec<u32> = (0..6).map(|_| start()).collect();
    let total: usize = pids.iter().map(|pid| kept(*pid)).sum();
    assert!((55_000_000..=64 * 1024 * 1024).contains(&total), "{}", total);
    // An ended one gives first.
    agent.call(json!({ "op": "signal", "pid": pids[0], "signal": 9 }));
    let mut client = agent.open(json!({ "op": "attach", "pid": pids[0] }));
    client.reply();
    assert_eq!(client.end()["exitCode"], -1);
    let before = kept(pids[1]);
    start();
    assert_eq!(kept(pids[0]), 0);
    assert!(kept(pids[1]) > 8_000_000 && kept(pids[1]) <= before);
}
