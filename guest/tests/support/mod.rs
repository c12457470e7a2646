//! A real agent on a unix socket in a temporary directory, and a client that speaks its protocol.
#![allow(dead_code)]

pub mod client;
pub mod random;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use client::Client;
use serde_json::{json, Value};

/// Longest that any test waits for one thing.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Agent {
    child: Child,
    pub dir: PathBuf,
}

/// How a test wants its agent.
#[derive(Clone, Copy, Default)]
pub struct Options {
    /// Unprivileged mode also when the tests run as root, and then as the user nobody
    pub harmless: bool,
    pub has_http: bool,
}

impl Agent {
    pub fn start() -> Agent {
        Agent::start_with(Options::default())
    }

    pub fn start_with(options: Options) -> Agent {
        let dir = new_dir();
        let is_root = is_root();
        let mut command = Command::new(env!("CARGO_BIN_EXE_e2b-guest"));
        command.arg("--listen").arg(format!("unix:{}", dir.join("agent.sock").display()));
        if !options.has_http {
            command.arg("--no-http");
        }
        if options.harmless || !is_root {
            command.arg("--unprivileged").arg("--home").arg(dir.join("home"));
        }
        if is_root {
            let small = std::ffi::CString::new(dir.join("small").to_str().unwrap()).unwrap();
            unsafe {
                command.pre_exec(move || {
                    own_mounts(&small);
                    if options.harmless {
                        libc::setgid(65534);
                        libc::setuid(65534);
                    }
                    Ok(())
                })
            };
        }
        let agent = Agent { child: command.spawn().unwrap(), dir };
        wait_until("the agent accepts connections", || UnixStream::connect(agent.socket()).is_ok());
        agent
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.join("agent.sock")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A path inside the test's own directory.
    pub fn path(&self, name: &str) -> String {
        self.dir.join(name).to_str().unwrap().to_owned()
    }

    /// A file system of its own with 64 KiB, where tests can have one.
    pub fn small_dir(&self) -> Option<String> {
        let path = self.path("small");
        let status = self.run(json!({ "cmd": "sh", "args": ["-c", "grep -qs \"$0\" /proc/self/mounts", path] }));
        if status.end["exitCode"] == 0 {
            return Some(path);
        }
        eprintln!("skipped: mounting a small file system needs root and CAP_SYS_ADMIN");
        None
    }

    pub fn connect(&self) -> Client<UnixStream> {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client(stream)
    }

    /// Opens a connection and sends a request on it.
    pub fn open(&self, request: Value) -> Client<UnixStream> {
        let mut client = self.connect();
        client.request(&request);
        client
    }

    /// The reply to a unary operation.
    pub fn call(&self, request: Value) -> Value {
        let mut client = self.open(request.clone());
        let reply = client.reply();
        assert!(client.next().is_none(), "something follows the reply to {}", request);
        reply
    }

    /// The error of an operation.
    pub fn error(&self, request: Value) -> Value {
        self.open(request).error()
    }

    /// Starts a process; `stdin` is false unless the request says otherwise.
    pub fn exec(&self, mut request: Value) -> (u32, Client<UnixStream>) {
        request["op"] = "exec".into();
        if request.get("stdin").is_none() {
            request["stdin"] = false.into();
        }
        let mut client = self.open(request);
        let pid = client.reply()["pid"].as_u64().unwrap() as u32;
        (pid, client)
    }

    /// Runs a process to its end.
    pub fn run(&self, request: Value) -> client::Output {
        self.exec(request).1.output()
    }

    /// Runs a shell command to its end.
    pub fn shell(&self, script: &str) -> client::Output {
        self.run(json!({ "cmd": "sh", "args": ["-c", script] }))
    }

    /// Sends bytes to a process.
    pub fn input(&self, pid: u32, kind: &str, bytes: &[u8]) -> Value {
        let mut client = self.open(json!({ "op": "input", "pid": pid, "kind": kind }));
        client.reply();
        client.input(bytes);
        client.eof();
        client.end()
    }

    /// Writes a file.
    pub fn write(&self, path: &str, bytes: &[u8]) -> Value {
        let mut client = self.open(json!({ "op": "write", "path": path }));
        client.upload(bytes);
        client.reply();
        client.end()["entry"].clone()
    }

    /// Reads a file.
    pub fn read(&self, path: &str) -> Vec<u8> {
        self.open(json!({ "op": "read", "path": path })).download()
    }

    /// Waits for the agent itself to be gone.
    pub fn wait(&mut self) {
        let child = &mut self.child;
        wait_until("the agent exits", || child.try_wait().unwrap().is_some());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            if let Ok(stream) = UnixStream::connect(self.socket()) {
                Client(stream).request(&json!({ "op": "shutdown", "graceMs": 0 }));
            }
            let deadline = Instant::now() + Duration::from_secs(3);
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(2));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A directory that every user may enter, with a home in it.
pub fn new_dir() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("e2b-guest-test-{}-{}", std::process::id(), number));
    let _ = fs::remove_dir_all(&dir);
    for path in [dir.clone(), dir.join("home"), dir.join("small")] {
        fs::create_dir(&path).unwrap();
        make_open(&path);
    }
    dir
}

fn make_open(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
}

/// The agent still answers.
pub fn lives(agent: &Agent) {
    assert_eq!(agent.call(json!({ "op": "hello" }))["protocol"], 1);
}

/// Sends bytes, hangs up and lets the agent do with them what it wants; returns after that.
pub fn throw(agent: &Agent, bytes: &[u8]) {
    let mut stream = UnixStream::connect(agent.socket()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    // The agent may well hang up first.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = [0; 4096];
    while matches!(stream.read(&mut answer), Ok(bytes) if bytes > 0) {}
}

pub fn is_root() -> bool {
    unsafe { libc::geteuid() == 0 }
}

/// Polls until `condition` holds.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited too long until {}", what);
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether a process exists, a zombie included.
pub fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{}", pid)).exists()
}

/// Hides the machine's /run from the agent, which writes there, and gives it a small file system. Where that isn't
/// allowed the agent has the machine's own. Runs between fork and exec.
unsafe fn own_mounts(small: &std::ffi::CStr) {
    let (none, root, tmpfs) = (c("none\0"), c("/\0"), c("tmpfs\0"));
    if libc::unshare(libc::CLONE_NEWNS) != 0 {
        return;
    }
    libc::mount(none, root, std::ptr::null(), libc::MS_REC | libc::MS_PRIVATE, std::ptr::null());
    libc::mount(none, c("/run\0"), tmpfs, 0, c("size=1m\0").cast());
    libc::mount(none, small.as_ptr(), tmpfs, 0, c("size=64k,mode=0777\0").cast());
}

fn c(text: &'static str) -> *const libc::c_char {
    text.as_ptr().cast()
}
