//! Processes: how they start, talk and end.

mod support;

use std::time::{Duration, Instant};

use serde_json::{json, Value};
use support::client::{END, ITEM};
use support::{exists, is_root, wait_until, Agent};

#[test]
fn says_how_a_process_exited() {
    let agent = Agent::start();
    let output = agent.shell("echo out; echo err >&2");
    assert_eq!((output.text().as_str(), output.error_text().as_str()), ("out\n", "err\n"));
    assert_eq!(output.end, json!({ "exitCode": 0, "exited": true, "status": "exit status 0" }));
    let end = json!({ "exitCode": 3, "exited": true, "status": "exit status 3", "error": "exit status 3" });
    assert_eq!(agent.shell("exit 3").end, end);
}

#[test]
fn says_which_signal_ended_a_process() {
    let agent = Agent::start();
    let end = agent.shell("kill -TERM $$").end;
    let status = "signal: terminated";
    assert_eq!(end, json!({ "exitCode": -1, "exited": false, "status": status, "error": status }));
    assert!(agent.shell("kill -SEGV $$").end["status"].as_str().unwrap().starts_with("signal: segmentation fault"));
}

#[test]
fn a_command_that_can_not_be_run_fails_as_in_a_shell() {
    let agent = Agent::start();
    for (cmd, code, message) in [
        ("no-such-command", 127, "no-such-command: not found\n"),
        ("/no/such/file", 127, "/no/such/file: not found\n"),
        ("", 127, ": not found\n"),
        ("/etc/passwd", 126, "/etc/passwd: permission denied\n"),
        ("/etc", 126, "/etc: permission denied\n"),
    ] {
        let output = agent.run(json!({ "cmd": cmd }));
        assert_eq!(output.end["exitCode"], code, "{}", cmd);
        assert_eq!(output.error_text(), message);
    }
}

#[test]
fn runs_a_script_without_an_interpreter_line() {
    use std::os::unix::fs::PermissionsExt;
    let agent = Agent::start();
    let path = agent.path("script");
    std::fs::write(&path, "echo \"$0 $1\"\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(agent.run(json!({ "cmd": path, "args": ["x"] })).text(), format!("{} x\n", path));
}

#[test]
fn refuses_a_working_directory_that_is_none() {
    let agent = Agent::start();
    for cwd in ["/no/such/dir", "/etc/passwd"] {
        let error = agent.error(json!({ "op": "exec", "cmd": "true", "stdin": false, "cwd": cwd }));
        assert_eq!(error["code"], "invalid_argument");
        assert_eq!(error["message"], format!("cwd '{}' does not exist", cwd));
    }
    assert_eq!(agent.run(json!({ "cmd": "pwd", "cwd": "/usr" })).text(), "/usr\n");
}

#[test]
fn refuses_an_unknown_user() {
    let agent = Agent::start();
    let error = agent.error(json!({ "op": "exec", "cmd": "true", "stdin": false, "user": "nobody-we-know" }));
    assert_eq!(error["code"], "unauthenticated");
    assert_eq!(error["message"], "invalid username: 'nobody-we-know'");
}

#[test]
fn runs_as_the_user() {
    let agent = Agent::start();
    if !is_root() {
        eprintln!("skipped: switching the user needs root");
        return;
    }
    let output =
        agent.run(json!({ "cmd": "sh", "args": ["-c", "id -un; id -Gn; echo $HOME $USER"], "user": "daemon" }));
    assert_eq!(output.text(), "daemon\ndaemon\n/usr/sbin daemon\n");
    // Without capabilities, too.
    let output =
        agent.run(json!({ "cmd": "sh", "args": ["-c", "echo x > /proc/self/oom_score_adj"], "user": "daemon" }));
    assert_ne!(output.end["exitCode"], 0);
    let output = agent.run(json!({ "cmd": "true", "user": "daemon", "cwd": "/root" }));
    assert_eq!(output.end["exitCode"], 126);
    assert_eq!(output.error_text(), "cwd '/root': permission denied\n");
}

#[test]
fn a_process_inherits_nothing() {
    let agent = Agent::start();
    let status = agent.run(json!({ "cmd": "cat", "args": ["/proc/self/status"] })).text();
    for name in ["SigBlk", "SigIgn", "SigCgt"] {
        let line = format!("{}:\t0000000000000000", name);
        assert!(status.lines().any(|found| found == line), "{}", status);
    }
    assert_eq!(agent.shell("cat /proc/self/oom_score_adj; umask").text(), "100\n0022\n");
    // 3 is what ls opens itself.
    assert_eq!(agent.run(json!({ "cmd": "ls", "args": ["/proc/self/fd"] })).text(), "0\n1\n2\n3\n");
    let ids = agent.shell("cut -d' ' -f1,5,6 /proc/$$/stat");
    let ids: Vec<_> = ids.text().split_whitespace().map(str::to_owned).collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2], "no session of its own: {:?}", ids);
}

#[test]
fn environment_is_layered_and_nothing_else() {
    let agent = Agent::start();
    agent.call(json!({ "op": "configure", "env": { "A": "global", "B": "global" }, "sandboxId": "i1" }));
    let output = agent.run(json!({ "cmd": "env", "env": { "B": "own", "C": "x=y" } }));
    let text = output.text();
    let mut lines: Vec<_> = text.lines().filter(|line| !line.starts_with("HOME=")).collect();
    lines.sort_unstable();
    let expected = [
        "A=global",
        "B=own",
        "C=x=y",
        "E2B_SANDBOX=true",
        "E2B_SANDBOX_ID=i1",
        "LOGNAME=root",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "USER=root",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn stdin_is_empty_unless_it_is_asked_for() {
    let agent = Agent::start();
    let output = agent.run(json!({ "cmd": "cat" }));
    assert_eq!((output.text().as_str(), &output.end["exitCode"]), ("", &json!(0)));
    let (pid, mut client) = agent.exec(json!({ "cmd": "sleep", "args": ["1000"] }));
    let error = agent.error(json!({ "op": "input", "pid": pid, "kind": "stdin" }));
    assert_eq!((&error["code"], &error["message"]), (&json!("internal"), &json!("stdin not enabled or closed")));
    agent.call(json!({ "op": "signal", "pid": pid, "signal": 9 }));
    client.output();
}

#[test]
fn input_arrives_in_order_until_it_is_closed() {
    let agent = Agent::start();
    let (pid, mut client) = agent.exec(json!({ "cmd": "cat", "stdin": true }));
    assert_eq!(agent.input(pid, "stdin", b"one ")["bytes"], 4);
    assert_eq!(agent.input(pid, "stdin", b"")["bytes"], 0);
    let large = vec![b'x'; 256 * 1024];
    assert_eq!(agent.input(pid, "stdin", &large)["bytes"], large.len());
    assert_eq!(agent.call(json!({ "op": "close-input", "pid": pid })), json!({}));
    let output = client.output();
    assert_eq!(output.stdout.len(), 4 + large.len());
    assert!(output.stdout.starts_with(b"one xxx"));
    let error = agent.error(json!({ "op": "close-input", "pid": pid }));
    assert_eq!(error["message"], format!("process with pid {} not found", pid));
}

#[test]
fn closing_input_twice_succeeds() {
    let agent = Agent::start();
    let (pid, _client) = agent.exec(json!({ "cmd": "sleep", "args": ["1000"], "stdin": true }));
    for _ in 0..2 {
        assert_eq!(agent.call(json!({ "op": "close-input", "pid": pid })), json!({}));
    }
    assert_eq!(agent.error(json!({ "op": "input", "pid": pid, "kind": "stdin" }))["code"], "internal");
}

#[test]
fn input_that_waits_ends_with_the_process() {
    let agent = Agent::start();
    let (pid, mut process) = agent.exec(json!({ "cmd": "sleep", "args": ["1000"], "stdin": true }));
    let mut client = agent.open(json!({ "op": "input", "pid": pid, "kind": "stdin" }));
    client.reply();
    // More than a pipe holds: the agent can't have written it all when the process goes.
    client.input(&vec![0; 256 * 1024]);
    agent.call(json!({ "op": "signal", "pid": pid, "signal": 9 }));
    assert_eq!(client.error()["code"], "not_found");
    assert_eq!(process.output().end["status"], "signal: killed");
}

#[test]
fn closing_waits_for_nobody_and_cuts_nothing_off() {
    let agent = Agent::start();
    let script = "trap 'exec cat' USR1; echo ready; while :; do sleep 0.01; done";
    let (pid, mut process) = agent.exec(json!({ "cmd": "sh", "args": ["-c", script], "stdin": true }));
    process.wait_for("ready");
    let mut writer = agent.open(json!({ "op": "input", "pid": pid, "kind": "stdin" }));
    writer.reply();
    writer.upload(&vec![b'a'; 200_000]);
    // Answered while the process doesn't read.
    assert_eq!(agent.call(json!({ "op": "close-input", "pid": pid })), json!({}));
    unsafe { libc::kill(pid as i32, libc::SIGUSR1) };
    assert_eq!(writer.end()["bytes"], 200_000);
    assert!(process.output().stdout.ends_with(&[b'a'; 200_000]));
}

#[test]
fn a_host_that_goes_away_leaves_the_input_to_others() {
    let agent = Agent::start();
    let script = "trap 'exec cat' USR1; echo ready; while :; do sleep 0.01; done";
    let (pid, mut process) = agent.exec(json!({ "cmd": "sh", "args": ["-c", script], "stdin": true }));
    process.wait_for("ready");
    let mut stuck = agent.open(json!({ "op": "input", "pid": pid, "kind": "stdin" }));
    stuck.reply();
    stuck.input(&vec![b'a'; 200_000]);
    drop(stuck);
    let mut next = agent.open(json!({ "op": "input", "pid": pid, "kind": "stdin" }));
    next.reply();
    next.input(b"mine");
    next.eof();
    unsafe { libc::kill(pid as i32, libc::SIGUSR1) };
    assert_eq!(next.end()["bytes"], 4);
    agent.call(json!({ "op": "close-input", "pid": pid }));
    assert!(process.output().stdout.ends_with(b"amine"));
}

#[test]
fn a_terminal_is_one() {
    let agent = Agent::start();
    let script = "tty; stty size; read line; stty size; echo \"got $line\"; exit 4";
    let size = json!({ "cols": 80, "rows": 24 });
    let (pid, mut client) = agent.exec(json!({ "cmd": "sh", "args": ["-c", script], "pty": size }));
    let seen = client.wait_for("24 80\r\n");
    assert!(seen.starts_with("/dev/pts/"), "{}", seen);
    assert_eq!(agent.call(json!({ "op": "resize", "pid": pid, "cols": 100, "rows": 30 })), json!({}));
    assert_eq!(agent.error(json!({ "op": "close-input", "pid": pid }))["code"], "failed_precondition");
    let wrong = agent.error(json!({ "op": "input", "pid": pid, "kind": "stdin" }));
    assert_eq!(wrong["code"], "failed_precondition");
    assert_eq!(agent.input(pid, "pty", b"hi\n")["bytes"], 3);
    let output = client.output();
    let text = String::from_utf8_lossy(&output.pty).into_owned();
    assert!(text.contains("30 100\r\n") && text.contains("got hi\r\n"), "{}", text);
    assert_eq!(output.end["exitCode"], 4);
}

#[test]
fn a_terminal_ends_with_its_process() {
    let agent = Agent::start();
    let script = "sleep 1000 & echo ready; read line";
    let (pid, mut client) =
        agent.exec(json!({ "cmd": "bash", "args": ["-c", script], "pty": { "cols": 80, "rows": 24 } }));
    client.wait_for("ready");
    agent.input(pid, "pty", b"\x04");
    assert_eq!(client.output().end["exited"], true);
    let error = agent.error(json!({ "op": "exec", "cmd": "sh", "stdin": false, "pty": { "cols": 65536, "rows": 1 } }));
    assert_eq!(error["message"], "The field 'cols' must be a whole number from 0 to 65535.");
}

#[test]
fn without_a_terminal_there_is_none_to_resize() {
    let agent = Agent::start();
    let (pid, _client) = agent.exec(json!({ "cmd": "sleep", "args": ["1000"] }));
    let error = agent.error(json!({ "op": "resize", "pid": pid, "cols": 1, "rows": 1 }));
    assert_eq!(error["code"], "failed_precondition");
}

#[test]
fn all_subscribers_get_all_bytes() {
    let agent = Agent::start();
    let (pid, mut first) = agent.exec(json!({ "cmd": "sh", "args": ["-c", "read x; seq 1 300000"], "stdin": true }));
    let mut second = agent.open(json!({ "op": "attach", "pid": pid }));
    assert_eq!(second.reply()["pid"], pid);
    let mut leaver = agent.open(json!({ "op": "attach", "pid": pid }));
    leaver.reply();
    agent.input(pid, "stdin", b"\n");
    leaver.next();
    drop(leaver);
    let reader = std::thread::spawn(move || second.output());
    let (one, other) = (first.output(), reader.join().unwrap());
    let expected: String = (1..=300_000).map(|number| format!("{}\n", number)).collect();
    assert!(one.text() == expected && other.text() == expected);
    assert_eq!(one.end, other.end);
}

#[test]
fn a_slow_subscriber_slows_the_process_and_loses_nothing() {
    let agent = Agent::start();
    const BYTES: usize = 50_000_000;
    let (_, mut client) = agent.exec(json!({ "cmd": "head", "args": ["-c", BYTES.to_string(), "/dev/zero"] }));
    // Other operations go on, and the process can't get far ahead of its reader.
    for _ in 0..50 {
        assert_eq!(agent.call(json!({ "op": "hello" }))["processes"], 1);
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let rss_kb: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(rss_kb < 30_000, "the agent holds {} kB", rss_kb);
    assert_eq!(client.output().stdout.len(), BYTES);
}

#[test]
fn without_subscribers_nothing_blocks() {
    let agent = Agent::start();
    let done = agent.path("home/done");
    let script = format!("read x; yes | head -c 50000000; : > {}", done);
    let (pid, client) = agent.exec(json!({ "cmd": "sh", "args": ["-c", script], "stdin": true }));
    drop(client);
    agent.input(pid, "stdin", b"\n");
    wait_until("the process is done", || std::path::Path::new(&done).exists());
}

#[test]
fn a_grandchild_with_the_pipes_delays_the_end() {
    let agent = Agent::start();
    let start = Instant::now();
    let output = agent.shell("(sleep 0.4; echo late) & echo early");
    assert_eq!(output.text(), "early\nlate\n");
    assert!(start.elapsed() >= Duration::from_millis(400));
}

#[test]
fn a_signal_does_not_wait_for_grandchildren() {
    let agent = Agent::start();
    for signal in [9, 15] {
        let (pid, mut client) = agent
            .exec(json!({ "cmd": "sh", "args": ["-c", "sleep 1000 & echo started; head -c 40000 /dev/zero; wait"] }));
        client.wait_for("started");
        assert_eq!(agent.call(json!({ "op": "signal", "pid": pid, "signal": signal })), json!({}));
        let output = client.output();
        assert_eq!(output.end["exited"], false);
        assert!(!exists(pid));
    }
}

#[test]
fn what_is_in_the_pipe_is_delivered_after_a_signal() {
    let agent = Agent::start();
    let marker = agent.path("home/written");
    let script = format!("sleep 1000 & head -c 60000 /dev/zero; : > {}; wait", marker);
    let (pid, mut client) = agent.exec(json!({ "cmd": "sh", "args": ["-c", script] }));
    wait_until("the bytes are in the pipe", || std::path::Path::new(&marker).exists());
    agent.call(json!({ "op": "signal", "pid": pid, "signal": 9 }));
    assert_eq!(client.output().stdout.len(), 60_000);
}

#[test]
fn a_signal_ends_what_only_waits_for_its_pipes() {
    let agent = Agent::start();
    let (pid, mut client) = agent.exec(json!({ "cmd": "sh", "args": ["-c", "sleep 1000 & echo up; exit 7"] }));
    client.wait_for("up");
    wait_until("the shell is reaped", || !exists(pid));
    agent.call(json!({ "op": "signal", "pid": pid, "signal": 15 }));
    assert_eq!(client.output().end["exitCode"], 7);
}

#[test]
fn a_killed_process_is_reaped_by_the_time_its_end_is_told() {
    let agent = Agent::start();
    for _ in 0..20 {
        let (pid, mut client) = agent.exec(json!({ "cmd": "sleep", "args": ["1000"] }));
        agent.call(json!({ "op": "signal", "pid": pid, "signal": 9 }));
        assert_eq!(client.output().end["error"], "signal: killed");
        assert_eq!(unsafe { libc::kill(pid as i32, 0) }, -1);
    }
}

#[test]
fn orphans_are_reaped() {
    let agent = Agent::start();
    let output = agent.shell("(sh -c 'echo $$; exec sleep 0.05' &) ");
    let orphan: u32 = output.text().trim().parse().unwrap();
    wait_until("the orphan is reaped", || !exists(orphan));
}

#[test]
fn a_timeout_kills_also_without_subscribers() {
    let agent = Agent::start();
    let (_, mut client) = agent.exec(json!({ "cmd": "sleep", "args": ["1000"], "timeoutMs": 150 }));
    let end = client.output().end;
    assert_eq!((&end["timedOut"], &end["status"]), (&json!(true), &json!("signal: killed")));

    let (pid, client) = agent.exec(json!({ "cmd": "sleep", "args": ["1000"], "timeoutMs": 150 }));
    drop(client);
    wait_until("the process is killed", || !exists(pid));
    let mut late = agent.open(json!({ "op": "attach", "pid": pid }));
    late.reply();
    assert_eq!(late.end()["timedOut"], true);
}

#[test]
fn an_ended_process_can_still_be_attached_to() {
    let agent = Agent::start();
    let (pid, mut client) = agent.exec(json!({ "cmd": "sh", "args": ["-c", "exit 5"], "tag": "late" }));
    client.output();
    for selector in [json!({ "op": "attach", "pid": pid }), json!({ "op": "attach", "tag": "late" })] {
        let mut late = agent.open(selector);
        assert_eq!(late.reply()["pid"], pid);
        assert_eq!(late.end()["exitCode"], 5);
    }
    assert_eq!(list(&agent), json!([]));
}

#[test]
fn tags_find_their_process_among_many() {
    let agent = Agent::start();
    let clients: Vec<_> = (0..20)
        .map(|index| agent.exec(json!({ "cmd": "sleep", "args": ["1000"], "tag": format!("t{}", index) })))
        .collect();
    for (index, (pid, _)) in clients.iter().enumerate() {
        let mut client = agent.open(json!({ "op": "attach", "tag": format!("t{}", index) }));
        assert_eq!(client.reply()["pid"], *pid);
    }
    let error = agent.error(json!({ "op": "signal", "tag": "t20", "signal": 9 }));
    assert_eq!(error["message"], "process with tag 't20' not found");
    let both = agent.error(json!({ "op": "attach", "tag": "t1", "pid": 1 }));
    assert_eq!(both["code"], "invalid_argument");
}

fn list(agent: &Agent) -> Value {
    let mut client = agent.open(json!({ "op": "list" }));
    client.reply();
    let mut processes = Vec::new();
    loop {
        match client.next().unwrap() {
            (ITEM, payload) => processes.push(serde_json::from_slice::<Value>(&payload).unwrap()["process"].clone()),
            (END, _) => return processes.into(),
            (kind, payload) => panic!("frame {:#x}: {}", kind, String::from_utf8_lossy(&payload)),
        }
    }
}

#[test]
fn lists_more_than_a_frame_holds() {
    let agent = Agent::start();
    let long = "x".repeat(100_000);
    let clients: Vec<_> =
        (0..45).map(|_| agent.exec(json!({ "cmd": "sleep", "args": ["1000"], "env": { "A": long } }))).collect();
    let processes = list(&agent);
    assert_eq!(processes.as_array().unwrap().len(), clients.len());
    assert!(processes.as_array().unwrap().iter().all(|process| process["env"]["A"] == long.as_str()));
}

#[test]
fn lists_what_runs_as_it_was_asked_for() {
    let agent = Agent::start();
    let (pid, _client) = agent.exec(json!({
        "cmd": "sleep", "args": ["1000"], "env": { "A": "1" }, "cwd": "/", "tag": "t",
    }));
    let expected = json!([{
        "pid": pid, "cmd": "sleep", "args": ["1000"], "env": { "A": "1" }, "cwd": "/", "tag": "t",
    }]);
    assert_eq!(list(&agent), expected);
    assert_eq!(agent.error(json!({ "op": "signal", "pid": pid, "signal": 1 }))["code"], "invalid_argument");
}

#[test]
fn many_at_once() {
    let agent = Agent::start();
    let clients: Vec<_> = (0..200).map(|_| agent.exec(json!({ "cmd": "echo", "args": ["hi"] }))).collect();
    for (_, mut client) in clients {
        let output = client.output();
        assert_eq!((output.text().as_str(), &output.end["exitCode"]), ("hi\n", &json!(0)));
    }
    assert_eq!(agent.call(json!({ "op": "hello" }))["processes"], 0);
}
