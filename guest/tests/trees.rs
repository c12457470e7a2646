//! What becomes of the processes that a command has started.

mod support;

use std::fs;
use std::path::Path;

use serde_json::json;
use support::{exists, is_root, wait_until, Agent};

/// Children, grandchildren, sessions of their own, and daemons whose parents have gone. Each writes its pid to a file.
const FAMILY: &str = r#"
    cd "$0"
    leaf() { sh -c 'echo $$ > "$0.new"; mv "$0.new" "$0"; exec sleep 1000' "$1"; }
    leaf child &
    (leaf grandchild & wait) &
    nohup sh -c 'trap "" TERM; echo $$ > nohup; while :; do sleep 1000; done' > /dev/null 2>&1 &
    setsid sh -c 'echo $$ > session; exec sleep 1000' &
    (setsid sh -c '(setsid sh -c "echo \$\$ > daemon; exec sleep 1000" > /dev/null 2>&1 < /dev/null &)' &)
    while ! [ -s child -a -s grandchild -a -s nohup -a -s session -a -s daemon ]; do sleep 0.01; done
    echo ready
"#;
const MEMBERS: [&str; 5] = ["child", "grandchild", "nohup", "session", "daemon"];

fn family(agent: &Agent, name: &str) -> (String, Vec<String>) {
    let dir = agent.path(name);
    fs::create_dir(&dir).unwrap();
    (dir.clone(), MEMBERS.iter().map(|member| format!("{}/{}", dir, member)).collect())
}

fn pids(files: &[String]) -> Vec<u32> {
    files.iter().map(|file| fs::read_to_string(file).unwrap().trim().parse().unwrap()).collect()
}

#[test]
fn a_kill_ends_all_that_a_command_has_started() {
    let agent = Agent::start();
    for (name, request) in [("pipes", json!({})), ("terminal", json!({ "pty": { "cols": 80, "rows": 24 } }))] {
        let (dir, files) = family(&agent, name);
        let mut request = request;
        request["cmd"] = "bash".into();
        request["args"] = json!(["-c", format!("{}\nwait; sleep 1000", FAMILY), dir]);
        let (pid, mut client) = agent.exec(request);
        client.wait_for("ready");
        let pids = pids(&files);
        assert!(pids.iter().all(|pid| exists(*pid)));
        agent.call(json!({ "op": "signal", "pid": pid, "signal": 9 }));
        // Answered when they have gone.
        let left: Vec<_> = MEMBERS.iter().zip(&pids).filter(|(_, pid)| exists(**pid)).collect();
        assert!(left.is_empty() && !exists(pid), "{:?}", left);
        assert_eq!(client.output().end["status"], "signal: killed");
    }
}

#[test]
fn a_timeout_ends_all_that_a_command_has_started() {
    let agent = Agent::start();
    let (dir, files) = family(&agent, "family");
    let script = format!("{}\nsleep 1000", FAMILY);
    let (_, mut client) =
        agent.exec(json!({ "cmd": "bash", "args": ["-c", script, dir], "timeoutMs": 3000, "stdin": false }));
    client.wait_for("ready");
    let pids = pids(&files);
    assert_eq!(client.output().end["timedOut"], true);
    assert!(pids.iter().all(|pid| !exists(*pid)));
}

#[test]
fn what_a_command_leaves_behind_lives_on_when_it_ends_by_itself() {
    let agent = Agent::start();
    let (dir, files) = family(&agent, "family");
    let script = format!("exec > /dev/null 2>&1\n{}", FAMILY);
    let (pid, mut client) = agent.exec(json!({ "cmd": "bash", "args": ["-c", script, dir] }));
    assert_eq!(client.output().end["exitCode"], 0);
    let pids = pids(&files);
    assert!(pids.iter().all(|pid| exists(*pid)));
    assert_eq!(agent.error(json!({ "op": "signal", "pid": pid, "signal": 9 }))["code"], "not_found");
    assert!(pids.iter().all(|pid| exists(*pid)));
    // And is reaped when it ends.
    for pid in pids {
        unsafe { libc::kill(pid as i32, libc::SIGKILL) };
        wait_until("the orphan is reaped", || !exists(pid));
    }
}

#[test]
fn a_kill_reaches_those_whose_command_has_exited_while_they_hold_its_outputs() {
    let agent = Agent::start();
    let script = "setsid sleep 1000 & echo $!; exit 7";
    let (pid, mut client) = agent.exec(json!({ "cmd": "sh", "args": ["-c", script] }));
    let child: u32 = client.wait_for("\n").trim().parse().unwrap();
    wait_until("the shell is reaped", || !exists(pid));
    agent.call(json!({ "op": "signal", "pid": pid, "signal": 9 }));
    assert!(!exists(child));
    assert_eq!(client.output().end["exitCode"], 7);
}

#[test]
fn a_termination_reaches_all_and_leaves_others_alone() {
    let agent = Agent::start();
    let (other, _other_client) = agent.exec(json!({ "cmd": "sleep", "args": ["1000"] }));
    let script = "setsid sleep 1000 & echo $!; wait";
    let (pid, mut client) = agent.exec(json!({ "cmd": "sh", "args": ["-c", script] }));
    let child: u32 = client.wait_for("\n").trim().parse().unwrap();
    agent.call(json!({ "op": "signal", "pid": pid, "signal": 15 }));
    assert_eq!(client.output().end["status"], "signal: terminated");
    wait_until("the child has ended", || !exists(child));
    assert!(exists(other));
}

#[test]
fn a_storm_of_forks_is_ended() {
    let agent = Agent::start();
    // Each generation starts the next and goes, as fast as the machine can; what sleeps has no parent.
    let script = r#"
        storm() { (setsid sleep 999.125 &); storm & }
        storm; storm; while :; do (setsid sleep 999.125 &); done
    "#;
    let (pid, mut client) = agent.exec(json!({ "cmd": "bash", "args": ["-c", script] }));
    wait_until("there are many", || count_storm() > 50);
    agent.call(json!({ "op": "signal", "pid": pid, "signal": 9 }));
    assert_eq!(client.output().end["status"], "signal: killed");
    wait_until("all have ended", || count_storm() == 0);
}

fn count_storm() -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| fs::read(entry.path().join("cmdline")).map_or(false, |line| line.ends_with(b"999.125\0")))
        .count()
}

#[test]
fn a_command_outlives_its_supervisor() {
    let agent = Agent::start();
    let (pid, mut client) =
        agent.exec(json!({ "cmd": "sh", "args": ["-c", "echo up; read x; exit 5"], "stdin": true }));
    client.wait_for("up");
    let supervisor = parent_of(pid);
    assert_ne!(supervisor, agent.pid());
    unsafe { libc::kill(supervisor as i32, libc::SIGKILL) };
    wait_until("the agent has adopted it", || parent_of(pid) == agent.pid());
    agent.input(pid, "stdin", b"\n");
    assert_eq!(client.output().end["exitCode"], 5);

    let (pid, mut client) = agent.exec(json!({ "cmd": "sh", "args": ["-c", "sleep 1000 & echo $!; wait"] }));
    let child: u32 = client.wait_for("\n").trim().parse().unwrap();
    unsafe { libc::kill(parent_of(pid) as i32, libc::SIGKILL) };
    wait_until("the agent has adopted it", || parent_of(pid) == agent.pid());
    agent.call(json!({ "op": "signal", "pid": pid, "signal": 9 }));
    assert_eq!(client.output().end["status"], "signal: killed");
    wait_until("the child has ended", || !exists(child));
}

#[test]
fn supervisors_go_with_their_commands() {
    let agent = Agent::start();
    for _ in 0..50 {
        agent.shell("true");
    }
    let children = format!("/proc/{0}/task/{0}/children", agent.pid());
    wait_until("they have gone", || fs::read_to_string(&children).unwrap().trim().is_empty());
    // They hold none of the agent's files.
    let (pid, _client) = agent.exec(json!({ "cmd": "sleep", "args": ["1000"] }));
    let fds = format!("/proc/{}/fd", parent_of(pid));
    if is_root() && Path::new(&fds).exists() {
        wait_until("it has closed them", || fs::read_dir(&fds).unwrap().next().is_none());
    }
}

fn parent_of(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{}/status", pid)).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
    line.trim().parse().unwrap()
}
