//! What guests see of memory, CPUs, load, swap and the boot id: read-only files over the kernel's, of a file system in
//! memory that guests have no way to. For containers of an engine the same files are made by `engine::bind`.

pub mod figures;
pub mod fixed;
pub mod groups;
pub mod keeper;
pub mod mounts;
#[cfg(test)]
mod tests;
pub mod view;
mod waiting;

use std::ffi::{CStr, CString};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::io::{FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::engine::checked;
use crate::error::{text_of, Code, Failure};
use crate::log;
use crate::names::Sandbox;
use crate::pool::lock;

use groups::Groups;
use mounts::{c_str, write_detached};
use view::{Host, Live, View, SOURCE};

/// For some thousands of guests with files of a page each.
const LIMITS: &[u8] = b"mode=0700,size=256m,nr_inodes=128k\0";
const KIND: &[u8] = b"tmpfs\0";
const NAME: &[u8] = b"e2b-host\0";
const TRIAL: &[u8] = b"trial\0";
/// So long may one look at a guest take, in seconds, before the helper ends and lets all readers go on.
const STEP_MAX_S: u32 = 30;
/// Before another try, where what keeps the files had to give up.
const KEEPER_REST: Duration = Duration::from_secs(5);

/// The files of all guests, and the thread that keeps those up to date whose text changes.
pub struct Views {
    directory: PathBuf,
    host: Host,
    /// The keeper's input
    names: Mutex<File>,
}

/// A file of a guest's own.
pub struct ViewMount {
    /// Below the guest's root, without a leading slash: `proc/meminfo`
    pub target: CString,
    /// A detached, read-only mount of one file
    pub tree: OwnedFd,
}

/// Where a guest's figures come from.
pub struct ViewSource {
    /// The directories of its control groups on the machine, for memory, CPU time and the number of processes
    pub memory: PathBuf,
    pub cpu: PathBuf,
    pub pids: PathBuf,
    /// The numbers of the CPUs it may run on
    pub cpus: Vec<u32>,
}

impl Views {
    /// Mounts the file system below `root`, or finds an earlier helper's, and starts the thread. Errors: `failed_precondition`
    /// where the kernel can't do it.
    pub fn open(root: &Path) -> Result<Views, Failure> {
        let opened = || -> io::Result<Views> {
            let directory = root.join("views");
            mount(root, &directory)?;
            write_detached(&File::open(&directory)?, c_str(TRIAL), "")?;
            mounts::remove(&File::open(&directory)?, c_str(TRIAL))?;
            let host = Host::read()?;
            let (input, names) = pipe()?;
            let path = directory.clone();
            thread::Builder::new().name("views".to_owned()).spawn(move || {
                while let Err(error) = keeper::run(&path, &input, STEP_MAX_S) {
                    let fields = json!({ "error": error.to_string() });
                    log::warn("What sandboxes see of memory and CPUs stays as it is for a while.", fields);
                    thread::sleep(KEEPER_REST);
                }
            })?;
            Ok(Views { directory, host, names: Mutex::new(names) })
        };
        opened().map_err(|error| {
            let why = format!("Sandboxes see the machine's memory, CPUs and load: {}.", text_of(&error));
            Failure::new(Code::FailedPrecondition, why)
        })
    }

    /// Makes a guest's files, with their first text. Called before the guest runs.
    pub fn make(&self, sandbox: &Sandbox, source: &ViewSource) -> Result<Vec<ViewMount>, Failure> {
        self.remove(sandbox);
        let made = self.write(sandbox, source);
        made.map_err(|error| {
            self.remove(sandbox);
            Failure::from_io("What the sandbox sees of its machine can't be made", &error)
        })
    }

    fn write(&self, sandbox: &Sandbox, source: &ViewSource) -> io::Result<Vec<ViewMount>> {
        let path = self.directory.join(sandbox.as_str());
        DirBuilder::new().mode(0o700).create(&path)?;
        let directory = File::open(&path)?;
        let mut mounts = Vec::new();
        let mut add = |name: &CStr, target: &CStr, text: &str| -> io::Result<()> {
            mounts.push(ViewMount { target: target.to_owned(), tree: write_detached(&directory, name, text)? });
            Ok(())
        };
        for ((target, text), name) in fixed::texts(Some(&source.cpus))?.into_iter().zip(fixed::NAMES) {
            add(c_str(name), target, &text)?;
        }
        let ViewSource { memory, cpu, pids, cpus } = source;
        let groups = Groups { memory: memory.clone(), cpu: cpu.clone(), tasks: pids.clone() };
        let mut view = View::new(groups, cpus.clone());
        for live in Live::ALL {
            let text = view.text(live, &self.host).ok_or(io::ErrorKind::NotFound)?;
            add(live.name(), live.target(), &text)?;
        }
        write_detached(&directory, c_str(SOURCE), &view.describe())?;
        // A keeper that has ended said why; without it what guests see stays as it is, and is no reason to start none.
        let _ = self.tell(sandbox);
        Ok(mounts)
    }

    /// Goes on with the files of a guest that an earlier helper made.
    pub fn adopt(&self, sandbox: &Sandbox) -> Result<(), Failure> {
        self.tell(sandbox).map_err(|error| Failure::from_io("What a sandbox sees can't be kept true", &error))
    }

    /// Removes them. Idempotent: what is mounted still stays what it was last.
    pub fn remove(&self, sandbox: &Sandbox) {
        let _ = fs::remove_dir_all(self.directory.join(sandbox.as_str()));
    }

    /// Removes all but those of these guests.
    pub fn keep_only(&self, sandboxes: &[Sandbox]) {
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            if !sandboxes.iter().any(|sandbox| *sandbox.as_str() == *entry.file_name()) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    /// Takes the file system off the machine; for the end of a helper that leaves no guests.
    pub fn dispose(&self) {
        if let Ok(path) = CString::new(self.directory.as_os_str().as_bytes()) {
            // SAFETY: the path ends with a zero and lives for the call.
            unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW) };
        }
        let _ = fs::remove_dir(&self.directory);
    }

    fn tell(&self, sandbox: &Sandbox) -> io::Result<()> {
        lock(&self.names).write_all(format!("{}\n", sandbox).as_bytes())
    }
}

/// Idempotent.
fn mount(root: &Path, directory: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if fs::metadata(directory)?.dev() != fs::metadata(root)?.dev() {
        return Ok(());
    }
    let target = CString::new(directory.as_os_str().as_bytes())?;
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC | libc::MS_NOATIME;
    let (name, kind, limits) = (c_str(NAME).as_ptr(), c_str(KIND).as_ptr(), c_str(LIMITS).as_ptr());
    // SAFETY: texts that end with a zero and live for the call.
    checked(unsafe { libc::mount(name, target.as_ptr(), kind, flags, limits.cast()) }.into()).map(drop)
}

/// Its two ends: to read from, to write to.
fn pipe() -> io::Result<(File, File)> {
    let mut ends = [0; 2];
    // SAFETY: the kernel writes two descriptors, which are new and nobody else's.
    checked(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }.into())?;
    Ok(unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) })
}
