//! The process that becomes a guest. It is made ahead and waits in a slot's name spaces and control groups, with all in place
//! that doesn't depend on who it is for; then it gets a root, a name and the agent to run.
//!
//! Nothing of this is for the machine's other processes to see: all mounts are made without a place, and handed to the
//! waiting process, which has its own name space of them.

mod mounts;

use std::fs::File;
use std::os::unix::io::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use crate::error::Failure;

pub use mounts::has_mapped_layers;

/// Ids of its own that a guest has, from 0 up.
pub const IDS: u32 = 65_536;

/// What a process is to wait in.
pub struct ParkSpec<'a> {
    /// A network name space that belongs to the machine's user name space
    pub netns: BorrowedFd<'a>,
    /// `cgroup.procs` of each hierarchy, open for writing
    pub procs: &'a [File],
    /// The same groups' directories: (name below /sys/fs/cgroup, none for version 2 alone; the machine's path)
    pub groups: &'a [(Option<String>, PathBuf)],
    /// The first of its `IDS` ids on the machine. None where layers can't be mounted with mapped ids: it has no user name
    /// space, and fewer capabilities
    pub uid_base: Option<u32>,
}

/// A process that waits for what it is to become. It ends when this is dropped, or when the helper ends.
pub struct Parked {
    pid: u32,
    pidfd: OwnedFd,
    start_time: u64,
}

/// What a waiting process becomes.
pub struct Plan<'a> {
    /// The layers' directories, lowest first
    pub layers: &'a [BorrowedFd<'a>],
    pub upper: BorrowedFd<'a>,
    /// An empty directory on the same file system as `upper`
    pub work: BorrowedFd<'a>,
    /// The guest agent's file
    pub agent: BorrowedFd<'a>,
    /// Listens already; the agent's descriptor 3
    pub listener: BorrowedFd<'a>,
    pub hostname: &'a str,
    /// Half of it may be in /dev/shm
    pub memory_bytes: u64,
    /// Files that are written into the guest's root before the agent runs, such as /etc/hosts; those that were there go
    pub files: &'a [PlanFile<'a>],
    /// Mounts without a place yet (`open_tree`, `fsmount`), and the files or directories inside that they cover
    pub covers: &'a [Cover<'a>],
}

/// A file of root's, mode 0644.
pub struct PlanFile<'a> {
    /// Absolute, inside the guest
    pub path: &'a str,
    pub bytes: &'a [u8],
}

/// A mount, and what inside it covers. Where there is no such file or directory inside, it is left out.
pub struct Cover<'a> {
    /// Absolute, inside the guest
    pub path: &'a str,
    pub mount: BorrowedFd<'a>,
}

/// A process that has become a guest's agent, process 1 inside.
pub struct Launched {
    pub pid: u32,
    pub pidfd: OwnedFd,
    /// Field 22 of /proc/<pid>/stat: with the pid it names this process and no later one
    pub start_time: u64,
    /// What took how long, in microseconds
    pub phases: Vec<(&'static str, u64)>,
}

/// Starts a process that waits. Takes some milliseconds for each hierarchy of control groups; call it ahead, from any thread.
pub fn park(_spec: &ParkSpec) -> Result<Parked, Failure> {
    unimplemented!()
}

impl Parked {
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Readable once the process has ended. It is the caller's to reap (`waitid` with `P_PIDFD`).
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    pub fn start_time(&self) -> u64 {
        self.start_time
    }

    /// Makes it the guest: returns when the agent's program runs, or says what kept it from that; then the process has
    /// ended and been reaped, and nothing is mounted any more. What `upper` has by then is not undone.
    /// Errors: `failed_precondition` where the image is no root for a guest, `internal`.
    pub fn launch(self, _plan: &Plan) -> Result<Launched, Failure> {
        unimplemented!()
    }
}
