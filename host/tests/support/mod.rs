//! A real helper with a root in a temporary directory, and a client of its protocol. As root: nothing of it works without.
#![allow(dead_code)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{json, Value};

/// Longest that any test waits for one thing.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Helper {
    child: Child,
    pub root: PathBuf,
    pub instance: String,
}

impl Helper {
    /// With a layer `base` that has what an agent needs and no more.
    pub fn start() -> Helper {
        Helper::start_below(&std::env::temp_dir())
    }

    pub fn start_below(directory: &Path) -> Helper {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let instance = format!("t{}x{}", std::process::id(), number);
        let root = directory.join(format!("e2b-host-{}", instance));
        let child = spawn(&mut command(&root, &instance));
        let helper = Helper { child, root, instance };
        let mut client = helper.connect();
        make_base_archive(&helper.root.join("spool/base"));
        client.ask(json!({ "op": "unpack", "upload": "base", "layer": "base", "format": "tar" }));
        helper
    }

    /// A client that has said hello and what sandboxes may reach.
    pub fn connect(&self) -> Client {
        let mut client = Client::connect(&self.root);
        client.ask(json!({ "op": "hello", "protocol": 1 }));
        client.ask(json!({ "op": "prepare", "network": network() }));
        client
    }

    /// A client that has said hello. None where there are too many.
    pub fn try_connect(&self) -> Option<Client> {
        let mut client = Client::connect(&self.root);
        client.try_send(json!({ "op": "hello", "protocol": 1 })).ok()?;
        client.read().map(|_| client)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// As a crash would: nothing is put in order.
    pub fn crash(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn start_again(&mut self) {
        self.child = spawn(&mut command(&self.root, &self.instance));
    }

    /// In the place of one that has ended, and serves this user too. Returns its log.
    pub fn start_again_for(&mut self, uid: u32) -> impl Iterator<Item = io::Result<String>> {
        let mut command = command(&self.root, &self.instance);
        self.child = spawn(command.arg("--allow-uid").arg(uid.to_string()).stderr(Stdio::piped()));
        BufReader::new(self.child.stderr.take().unwrap()).lines()
    }

    /// What another helper with this one's instance ends with.
    pub fn start_at(&self, root: &Path) -> Option<i32> {
        let mut command = command(root, &self.instance);
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().code()
    }

    /// Whether another one, in the place of one that has ended, serves with so few descriptors; it crashes then. Else what it ends with.
    pub fn serves_with(&self, descriptors: u64) -> Result<(), Option<i32>> {
        let mut command = command(&self.root, &self.instance);
        let limit = libc::rlimit { rlim_cur: descriptors, rlim_max: descriptors };
        let set = move || match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        };
        // SAFETY: one system call, of a structure that is the closure's own.
        let mut child = unsafe { command.pre_exec(set) }.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.is_empty() {
            return Err(child.wait().unwrap().code());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        Ok(())
    }

    /// After it was asked to end.
    pub fn wait(&mut self) {
        assert!(self.child.wait().unwrap().success());
    }

    /// By SIGTERM.
    pub fn end(&mut self) {
        // SAFETY: no pointers are passed, and the child isn't reaped yet.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        self.wait();
    }

    /// What the machine has of this helper: control groups, interfaces, rules, mounts, files in its root.
    pub fn remains(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let name = format!("e2bn-{}", self.instance);
        for hierarchy in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            for directory in [hierarchy.path().join(&name), PathBuf::from("/sys/fs/cgroup").join(&name)] {
                if let Ok(groups) = fs::read_dir(&directory) {
                    let groups = groups.flatten().filter(|entry| entry.path().is_dir());
                    found.extend(groups.map(|entry| entry.path().display().to_string()));
                }
            }
        }
        let interface = format!("/sys/class/net/e2bn{}", self.instance);
        found.extend(Path::new(&interface).exists().then_some(interface));
        for directory in ["guests", "trash", "sockets"] {
            let entries = fs::read_dir(self.root.join(directory)).unwrap().flatten();
            found.extend(entries.map(|entry| entry.path().display().to_string()));
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let root = self.root.display().to_string();
        let is_ours = |line: &&str| line.contains(&format!("{}/guests", root)) || line.contains("lowerdir");
        found.extend(mounts.lines().filter(is_ours).filter(|line| line.contains(&root)).map(str::to_owned));
        found
    }

    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// No more descriptors from this number on. Returns what the limit was.
    pub fn limit_descriptors(&self, number: u64) -> u64 {
        let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the structures live for the calls.
        unsafe {
            let pid = self.pid() as libc::pid_t;
            assert_eq!(libc::prlimit(pid, libc::RLIMIT_NOFILE, std::ptr::null(), &mut before), 0);
            let limit = libc::rlimit { rlim_cur: number, ..before };
            assert_eq!(libc::prlimit(pid, libc::RLIMIT_NOFILE, &limit, std::ptr::null_mut()), 0);
        }
        before.rlim_cur
    }

    /// Direct children: guests, processes that wait in slots, and those that work on layers.
    pub fn children(&self) -> Vec<libc::pid_t> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap().flatten();
        let of = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).unwrap_or_default();
        tasks.flat_map(|task| of(task).split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()).collect()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        if self.child.try_wait().map_or(true, |status| status.is_some()) {
            self.start_again();
        }
        let mut client = self.connect();
        let list = client.ask(json!({ "op": "list" }));
        for sandbox in list["sandboxes"].as_array().unwrap() {
            client.ask(json!({ "op": "kill", "sandbox": sandbox }));
        }
        drop(client);
        self.end();
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn command(root: &Path, instance: &str) -> Command {
    let agent = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../build/e2b-guest");
    let mut command = Command::new(env!("CARGO_BIN_EXE_e2b-host"));
    command.args(["serve", "--instance", instance, "--build", "test", "--root"]).arg(root).arg("--agent").arg(agent);
    command
}

fn spawn(command: &mut Command) -> Child {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n", "the helper has to be run as root, after `node scripts/setup.mjs test`");
    child
}

fn network() -> Value {
    let bounds = json!({ "connections": 1000, "connectionsPerSecond": 100, "packetsPerSecond": 10000 });
    json!({ "open": false, "allow": [], "resolvers": [], "bounds": bounds })
}

fn make_base_archive(path: &Path) {
    let tree = path.with_extension("tree");
    for directory in ["etc", "proc", "sys", "dev", "tmp", "run", "root"] {
        fs::create_dir_all(tree.join(directory)).unwrap();
    }
    fs::write(tree.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
    let made = Command::new("tar").arg("-C").arg(&tree).arg("-cf").arg(path).arg(".").status().unwrap();
    assert!(made.success());
    fs::remove_dir_all(tree).unwrap();
}

pub struct Client {
    stream: UnixStream,
    next_id: u64,
    pub events: Vec<Value>,
    replies: Vec<Value>,
}

impl Client {
    pub fn connect(root: &Path) -> Client {
        let stream = UnixStream::connect(root.join("host.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { stream, next_id: 0, events: Vec::new(), replies: Vec::new() }
    }

    /// The `ok` of its reply.
    pub fn ask(&mut self, request: Value) -> Value {
        let text = request.to_string();
        let reply = self.try_ask(request);
        assert!(reply["error"].is_null(), "{}: {}", text, reply);
        reply["ok"].clone()
    }

    /// The code of its error.
    pub fn refused(&mut self, request: Value) -> String {
        let reply = self.try_ask(request);
        reply["error"]["code"].as_str().unwrap_or_else(|| panic!("{}", reply)).to_owned()
    }

    pub fn try_ask(&mut self, request: Value) -> Value {
        let id = self.send(request);
        self.reply_to(id)
    }

    pub fn send(&mut self, request: Value) -> u64 {
        self.try_send(request).unwrap()
    }

    /// Errors: the helper has ended the connection.
    pub fn try_send(&mut self, mut request: Value) -> io::Result<u64> {
        self.next_id += 1;
        request["id"] = self.next_id.into();
        self.write(request.to_string().as_bytes())?;
        Ok(self.next_id)
    }

    pub fn send_bytes(&mut self, payload: &[u8]) {
        self.write(payload).unwrap();
    }

    fn write(&mut self, payload: &[u8]) -> io::Result<()> {
        let mut bytes = (payload.len() as u32).to_be_bytes().to_vec();
        bytes.extend(payload);
        self.stream.write_all(&bytes)
    }

    /// The helper reads to the end of what there is.
    pub fn end_sending(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    pub fn reply_to(&mut self, id: u64) -> Value {
        loop {
            if let Some(index) = self.replies.iter().position(|reply| reply["id"] == id) {
                return self.replies.swap_remove(index);
            }
            let message = self.read().expect("the helper ended the connection");
            match message["event"].is_null() {
                true => self.replies.push(message),
                false => self.events.push(message),
            }
        }
    }

    pub fn next_event(&mut self) -> Value {
        while self.events.is_empty() {
            let message = self.read().expect("the helper ended the connection");
            match message["event"].is_null() {
                true => self.replies.push(message),
                false => self.events.push(message),
            }
        }
        self.events.remove(0)
    }

    /// None: the helper has ended the connection.
    pub fn read(&mut self) -> Option<Value> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head).ok()?;
        let mut payload = vec![0; u32::from_be_bytes(head) as usize];
        self.stream.read_exact(&mut payload).ok()?;
        Some(serde_json::from_slice(&payload).unwrap())
    }

    pub fn state(&mut self, sandbox: &str) -> String {
        self.ask(json!({ "op": "find", "sandbox": sandbox }))["state"].as_str().unwrap().to_owned()
    }
}

/// A file system in a file, which takes no writes while it is frozen.
pub struct Disk {
    pub path: PathBuf,
}

impl Disk {
    pub fn new() -> Disk {
        let path = std::env::temp_dir().join(format!("e2b-host-disk-{}", std::process::id()));
        let image = path.with_extension("image");
        fs::create_dir_all(&path).unwrap();
        fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        run(Command::new("mkfs.ext4").arg("-q").arg(&image));
        run(Command::new("mount").args(["-o", "loop"]).args([&image, &path]));
        fs::remove_file(&image).unwrap();
        Disk { path }
    }

    /// Until what comes back is dropped.
    pub fn freeze(&self) -> Frozen<'_> {
        run(Command::new("fsfreeze").arg("-f").arg(&self.path));
        Frozen(self)
    }

    /// Whether the one child of this process waits in the kernel, for what no signal ends.
    pub fn has_waiting(&self, parent: &Child) -> bool {
        let (id, mut states) = (parent.id(), Vec::new());
        let children = fs::read_to_string(format!("/proc/{}/task/{}/children", id, id)).unwrap_or_default();
        for child in children.split_whitespace() {
            let stat = fs::read_to_string(format!("/proc/{}/stat", child)).unwrap_or_default();
            states.extend(stat.rsplit_once(')').and_then(|(_, fields)| fields.trim_start().chars().next()));
        }
        states == ['D']
    }
}

pub struct Frozen<'a>(&'a Disk);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        run(Command::new("fsfreeze").arg("-u").arg(&self.0.path));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
        let _ = fs::remove_dir(&self.path);
    }
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{:?}", command);
}

pub fn start(sandbox: &str) -> Value {
    json!({
        "op": "start", "sandbox": sandbox, "layers": ["base"], "hostname": "e2b.local", "cpuCount": 1,
        "memoryMb": 128, "diskMb": 0, "pids": 200, "egress": "open", "note": "a note",
    })
}

/// What its agent says to a connection first, or to a frame that is none: anything shows that it runs.
pub fn agent_answers(root: &Path, sandbox: &str) -> bool {
    let mut stream = match UnixStream::connect(root.join(format!("sockets/{}.sock", sandbox))) {
        Ok(stream) => stream,
        Err(_) => return false,
    };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"nothing that an agent knows").unwrap();
    // It ends the connection, or says why it does.
    let _ = stream.read_to_end(&mut Vec::new());
    true
}

/// Turns until it is so, or for `PATIENCE`.
pub fn until(what: &str, is_so: impl FnMut() -> bool) {
    let (mut is_so, deadline) = (is_so, Instant::now() + PATIENCE);
    while !is_so() {
        assert!(Instant::now() < deadline, "{}", what);
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn is_deep() -> bool {
    std::env::var_os("E2B_TEST_DEEP").is_some()
}
