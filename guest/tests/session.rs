//! The agent itself: greeting, configuration, authentication, metrics, its end.

mod support;

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::io::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use support::client::{Client, AUTH};
use support::{exists, is_root, new_dir, wait_until, Agent, Options, PATIENCE};

#[test]
fn greets() {
    let agent = Agent::start();
    let hello = agent.call(json!({ "op": "hello" }));
    assert_eq!((&hello["protocol"], &hello["configured"], &hello["processes"]), (&json!(1), &json!(false), &json!(0)));
    assert_eq!(hello["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(hello["boot"].as_str().unwrap().len(), 36);
    assert_eq!(agent.call(json!({ "op": "hello" }))["boot"], hello["boot"]);
    assert_ne!(Agent::start().call(json!({ "op": "hello" }))["boot"], hello["boot"]);
    let error = agent.error(json!({ "op": "no-such-op" }));
    assert_eq!(
        (&error["code"], &error["message"]),
        (&json!("unimplemented"), &json!("The agent has no operation 'no-such-op'."))
    );
}

#[test]
fn takes_a_socket_that_listens_already_and_no_other_descriptor() {
    let start = |socket: &dyn AsRawFd| {
        let fd = socket.as_raw_fd();
        let mut command = Command::new(env!("CARGO_BIN_EXE_e2b-guest"));
        command.args(["--listen", "fd:200", "--no-http", "--unprivileged", "--home", "/"]).stderr(Stdio::null());
        unsafe {
            command.pre_exec(move || (libc::dup2(fd, 200) == 200).then_some(()).ok_or_else(io::Error::last_os_error))
        };
        command.spawn().unwrap()
    };
    let path = new_dir().join("agent.sock");
    let listener = UnixListener::bind(&path).unwrap();
    // Before the agent first runs: the socket takes it.
    let mut client = Client(UnixStream::connect(&path).unwrap());
    let mut agent = start(&listener);
    client.0.set_read_timeout(Some(PATIENCE)).unwrap();
    client.request(&json!({ "op": "hello" }));
    assert_eq!(client.reply()["protocol"], 1);
    agent.kill().unwrap();
    agent.wait().unwrap();
    for other in [&client.0 as &dyn AsRawFd, &TcpListener::bind("127.0.0.1:0").unwrap(), &File::open("/").unwrap()] {
        assert!(!start(other).wait().unwrap().success());
    }
}

#[test]
fn each_configuration_replaces_the_last() {
    let agent = Agent::start();
    let print =
        || agent.run(json!({ "cmd": "sh", "args": ["-c", "echo $A,$E2B_SANDBOX_ID,$E2B_TEMPLATE_ID; pwd"] })).text();
    let dir = agent.path("home");
    agent.call(json!({
        "op": "configure", "env": { "A": "1" }, "sandboxId": "i1", "templateId": "t1", "workdir": dir,
    }));
    assert_eq!(print(), format!("1,i1,t1\n{}\n", dir));
    if is_root() {
        let files = agent.shell("cd /run/e2b && for f in .E2B_*; do echo $f=$(cat $f); done");
        assert_eq!(files.text(), ".E2B_SANDBOX=true\n.E2B_SANDBOX_ID=i1\n.E2B_TEMPLATE_ID=t1\n");
    }
    agent.call(json!({ "op": "configure", "sandboxId": "i2", "user": "no-such-user" }));
    let error = agent.error(json!({ "op": "stat", "path": "" }));
    assert_eq!(error["message"], "invalid username: 'no-such-user'");
    agent.call(json!({ "op": "configure", "sandboxId": "i2" }));
    assert!(print().starts_with(",i2,\n"));
    assert_eq!(agent.call(json!({ "op": "hello" }))["configured"], true);
    let error = agent.error(json!({ "op": "configure", "env": { "A=B": "" } }));
    assert_eq!(error["code"], "invalid_argument");
}

#[test]
fn leaves_a_right_clock_and_name_alone() {
    let agent = Agent::start_with(Options { harmless: true, ..Options::default() });
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    agent.call(json!({ "op": "configure", "clockMs": now, "hostname": hostname.trim() }));
    let error = agent.error(json!({ "op": "configure", "clockMs": now - 3_600_000 }));
    assert_eq!((&error["code"], &error["errno"]), (&json!("failed_precondition"), &json!("EPERM")));
    assert_eq!(agent.error(json!({ "op": "configure", "hostname": "surely-not-this" }))["errno"], "EPERM");
}

#[test]
fn measures() {
    let agent = Agent::start();
    let metrics = agent.call(json!({ "op": "metrics" }));
    let number = |name: &str| metrics[name].as_f64().unwrap();
    assert!(number("cpuCount") >= 1.0 && (0.0..=100.0).contains(&number("cpuUsedPct")));
    assert!(number("memTotal") > 0.0 && number("memUsed") > 0.0 && number("memUsed") <= number("memTotal"));
    assert!(number("diskTotal") >= number("diskUsed") && number("diskUsed") > 0.0);
    assert!(number("memCache") >= 0.0 && number("timestampMs") > 1.6e12);
}

#[test]
fn a_stale_socket_is_replaced_and_nobody_else_may_use_it() {
    let dir = new_dir();
    let path = dir.join("agent.sock");
    drop(UnixListener::bind(&path).unwrap());
    let mut child = spawn(&["--listen", &format!("unix:{}", path.display())]);
    wait_until("the agent accepts connections", || UnixStream::connect(&path).is_ok());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn over_tcp_the_secret_comes_first() {
    let dir = new_dir();
    let secret = "0123456789abcdef".repeat(4);
    std::fs::write(dir.join("secret"), format!("{}\n", secret)).unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listen = format!("tcp:{}", address);
    let mut child = spawn(&["--listen", &listen, "--secret-file", dir.join("secret").to_str().unwrap()]);
    wait_until("the agent accepts connections", || TcpStream::connect(address).is_ok());
    let connect = || {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client(stream)
    };

    let mut right = connect();
    right.send(AUTH, secret.as_bytes());
    right.request(&json!({ "op": "hello" }));
    assert_eq!(right.reply()["protocol"], 1);
    for wrong in [secret.replace('0', "1"), secret[1..].to_owned(), String::new()] {
        let mut client = connect();
        client.send(AUTH, wrong.as_bytes());
        assert!(client.next().is_none(), "an answer to {:?}", wrong);
    }
    let mut missing = connect();
    missing.request(&json!({ "op": "hello" }));
    assert!(missing.next().is_none());

    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn over_a_unix_socket_a_secret_is_a_violation() {
    let agent = Agent::start();
    let mut client = agent.connect();
    client.send(AUTH, &[b'a'; 64]);
    assert!(client.next().is_none());
}

#[test]
fn tells_whoever_starts_it_wrongly() {
    for args in [&["--what"][..], &["--listen", "tcp:127.0.0.1:0"], &["--listen", "unix:/no/such/dir/s"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_e2b-guest")).args(args).arg("--no-http").output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn a_shutdown_asks_first_and_then_kills() {
    let mut agent = Agent::start();
    let done = agent.path("home/done");
    let script = format!("trap ': > {}; exit' TERM; echo ready; while :; do sleep 0.01; done", done);
    let (_, mut polite) = agent.exec(json!({ "cmd": "sh", "args": ["-c", script] }));
    polite.wait_for("ready");
    let script = "trap '' TERM; echo ready; while :; do sleep 1000; done";
    let (stubborn, mut client) = agent.exec(json!({ "cmd": "sh", "args": ["-c", script] }));
    client.wait_for("ready");
    assert_eq!(agent.call(json!({ "op": "shutdown", "graceMs": 300 })), json!({}));
    let error = agent.error(json!({ "op": "exec", "cmd": "true", "stdin": false }));
    assert_eq!(error["code"], "unavailable");
    agent.wait();
    assert!(std::path::Path::new(&done).exists());
    assert!(!exists(stubborn));
}

#[test]
fn a_signal_is_a_shutdown() {
    let mut agent = Agent::start();
    let (pid, _client) = agent.exec(json!({ "cmd": "sleep", "args": ["1000"] }));
    unsafe { libc::kill(agent.pid() as i32, libc::SIGTERM) };
    agent.wait();
    assert!(!exists(pid));
}

#[test]
fn answers_http_inside() {
    if TcpListener::bind("127.0.0.1:49983").is_err() {
        eprintln!("skipped: port 49983 is taken");
        return;
    }
    let agent = Agent::start_with(Options { has_http: true, ..Options::default() });
    agent.call(json!({ "op": "configure", "env": { "A": "é\"" }, "sandboxId": "i1" }));
    let ask = |request: &[u8]| {
        let mut stream = TcpStream::connect("127.0.0.1:49983").unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    };
    assert!(ask(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 204 "));
    let envs = ask(b"GET /envs?x HTTP/1.1\r\n\r\n");
    let body: serde_json::Value = serde_json::from_str(envs.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(body, json!({ "A": "é\"", "E2B_SANDBOX": "true", "E2B_SANDBOX_ID": "i1" }));
    assert!(ask(b"POST /envs HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    assert!(ask(b"GET /other HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(ask(b"\x00\x01 rubbish\r\n\r\n").starts_with("HTTP/1.1 400 "));
    assert!(ask(&[b'x'; 9000]).starts_with("HTTP/1.1 400 "));
}

fn spawn(args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_e2b-guest")).args(args).arg("--no-http").spawn().unwrap()
}
