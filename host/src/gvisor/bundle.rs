//! What `runsc` is given: a directory with a guest's root and what it is to be, in a mount name space of the thread's own.

use std::ffi::CString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::io::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use serde_json::{json, Value};

use super::Plan;
use crate::error::{Code, Failure};
use crate::launch::mounts::Parts;
use crate::launch::{self, sys, PlanFile};
use crate::net::AGENT_PORT;
use crate::processes;

/// Where guests have the agent's file, and what it asks for.
const AGENT_DIR: &str = "/run/e2b-guest";
const AGENT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// As a native guest's (`launch::steps`): an engine's defaults but for raw sockets.
const CAPABILITIES: [&str; 13] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_MKNOD",
    "CAP_AUDIT_WRITE",
    "CAP_SETFCAP",
];
const FILES_MAX: u64 = 1_048_576;
const CORE_MAX: u64 = i64::MAX as u64;
const OOM_SCORE: i32 = 50;

pub struct Bundle {
    pub path: String,
    pub pid_file: String,
}

impl Bundle {
    /// The sandbox that was started: pid, start time, descriptor.
    pub fn process(&self) -> Result<(u32, u64, OwnedFd), Failure> {
        let found = || -> io::Result<Option<(u32, u64, OwnedFd)>> {
            let pid = fs::read_to_string(&self.pid_file)?;
            let pid = pid.trim().parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
            let started = match processes::start_time(pid) {
                Err(error) if processes::is_gone(&error) => return Ok(None),
                outcome => outcome?,
            };
            Ok(processes::open(pid, started)?.map(|pidfd| (pid, started, pidfd)))
        };
        match found() {
            Ok(Some(process)) => Ok(process),
            Ok(None) => Err(Failure::internal("The sandbox has ended at once.")),
            Err(error) => Err(Failure::from_io("The sandbox's process can't be found", &error)),
        }
    }
}

/// The calling thread has a mount name space of its own from here on, and must be one that ends.
pub fn make(plan: &Plan, parts: &Parts, agent: BorrowedFd) -> Result<Bundle, Failure> {
    let failed = |error: io::Error| Failure::from_io("The sandbox's files can't be mounted", &error);
    // What it knew of the guest's last run is nothing to this one.
    let state = plan.place.directory.join("runsc");
    crate::guests::remove_files(&state).map_err(failed)?;
    DirBuilder::new().mode(0o700).create(&state).map_err(failed)?;
    let path = plan.place.directory.join("bundle");
    mount(&path, parts, agent).map_err(failed)?;
    write_files(plan.files)?;
    let text = |path: &Path| path.to_str().map(str::to_owned).ok_or_else(|| Failure::internal("A path isn't UTF-8."));
    let bundle = Bundle { path: text(&path)?, pid_file: text(&path.join("pid"))? };
    let write = || -> io::Result<()> {
        let has_tmp = fs::symlink_metadata("root/tmp").map_or(false, |tmp| tmp.is_dir());
        fs::write("config.json", config(plan, &bundle.path, has_tmp).to_string())?;
        write_new(Path::new("secret"), plan.secret.as_bytes(), 0o600)?;
        // It shows a guest as much memory as it reads there, and the machine's other figures are nobody's business.
        let kilobytes = plan.memory_bytes / 1024;
        let figures = format!("MemTotal: {0} kB\nMemFree: {0} kB\nMemAvailable: {0} kB\n", kilobytes);
        fs::write("meminfo", figures)?;
        let figures = File::open("meminfo")?;
        let view = sys::clone_mount(std::os::unix::io::AsFd::as_fd(&figures))?;
        sys::attach(std::os::unix::io::AsFd::as_fd(&view), &CString::new("/proc/meminfo")?)
    };
    write().map_err(failed)?;
    Ok(bundle)
}

fn mount(path: &Path, parts: &Parts, agent: BorrowedFd) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sys::enter_own_mounts(&CString::new(path.as_os_str().as_bytes())?)?;
    // This thread's alone by now.
    unsafe { libc::umask(0o022) };
    fs::create_dir("root")?;
    launch::mounts::root(parts)?;
    File::create("agent")?;
    sys::attach(agent, &CString::new("agent")?)
}

/// Within the guest's root, whatever links there are.
fn write_files(files: &[PlanFile]) -> Result<(), Failure> {
    let written = launch::in_thread(|| {
        let root = CString::new("root")?;
        // Its own root from here on; the thread ends with this.
        if unsafe { libc::unshare(libc::CLONE_FS) < 0 || libc::chroot(root.as_ptr()) < 0 } {
            return Err(io::Error::last_os_error());
        }
        std::env::set_current_dir("/")?;
        for directory in ["/proc", "/sys", "/dev", "/run", AGENT_DIR, "/etc"] {
            match DirBuilder::new().mode(0o755).create(directory) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        for file in files {
            write_new(Path::new(file.path), file.bytes, 0o644)?;
        }
        Ok(())
    });
    written.map_err(|error| match error.raw_os_error() {
        Some(libc::ENOTDIR | libc::ENOENT | libc::ELOOP | libc::EISDIR) => {
            Failure::new(Code::FailedPrecondition, format!("The image is no root for a sandbox: {}.", error))
        }
        _ => Failure::from_io("The sandbox's files can't be written", &error),
    })
}

/// Not whatever was there by that name: a pipe would have this wait for who reads it.
fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)
}

/// As the OCI's runtime specification has it. `has_tmp`: the root has a directory /tmp.
fn config(plan: &Plan, bundle: &str, has_tmp: bool) -> Value {
    let agent = format!("{}/agent", AGENT_DIR);
    let secret = format!("{}/secret", AGENT_DIR);
    let listen = format!("tcp:0.0.0.0:{}", AGENT_PORT);
    let limit = |kind: &str, soft: u64, hard: u64| json!({ "type": kind, "soft": soft, "hard": hard });
    let system = |kind: &str, path: &str, options: &[&str]| json!({ "type": kind, "source": kind, "destination": path, "options": options });
    let own = |name: &str, path: &str, options: &[&str]| json!({ "type": "bind", "source": format!("{}/{}", bundle, name), "destination": path, "options": options });
    let shared = format!("size={}", plan.memory_bytes / 2);
    let mut mounts = vec![
        system("proc", "/proc", &["nosuid", "noexec", "nodev"]),
        system("sysfs", "/sys", &["nosuid", "noexec", "nodev", "ro"]),
        system("devpts", "/dev/pts", &["nosuid", "noexec"]),
        system("tmpfs", "/dev/shm", &["nosuid", "noexec", "nodev", "mode=1777", &shared]),
        own("agent", &agent, &["bind", "ro", "nosuid", "nodev"]),
        own("secret", &secret, &["bind", "ro", "nosuid", "nodev", "noexec"]),
    ];
    if has_tmp {
        // Else an empty one would have a file system in memory on top, and what is written there be gone with that.
        mounts.push(own("root/tmp", "/tmp", &["bind", "rw"]));
    }
    // The helper's own descriptor, which is open for as long as runsc is called.
    let namespace = format!("/proc/{}/fd/{}", std::process::id(), plan.namespace.as_raw_fd());
    let spaces: Vec<Value> = ["pid", "ipc", "uts", "mount"].iter().map(|kind| json!({ "type": kind })).collect();
    let spaces: Vec<Value> = spaces.into_iter().chain([json!({ "type": "network", "path": namespace })]).collect();
    json!({
        "ociVersion": "1.0.2",
        "hostname": plan.hostname,
        "root": { "path": "root", "readonly": false },
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "cwd": "/",
            "args": [agent, "--listen", listen, "--secret-file", secret],
            "env": [AGENT_PATH, format!("HOSTNAME={}", plan.hostname), "HOME=/root"],
            "capabilities": { "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES },
            "rlimits": [
                limit("RLIMIT_NOFILE", FILES_MAX, FILES_MAX),
                limit("RLIMIT_NPROC", plan.pids.into(), plan.pids.into()),
                limit("RLIMIT_CORE", 0, CORE_MAX),
            ],
            "noNewPrivileges": false,
            "oomScoreAdj": OOM_SCORE,
        },
        "mounts": mounts,
        "linux": { "namespaces": spaces },
    })
}
