//! What guests see of memory, CPUs, load, swap and the boot id: read-only files over the kernel's, of a file system in
//! memory that guests have no way to.

use std::ffi::CString;
use std::os::unix::io::OwnedFd;
use std::path::{Path, PathBuf};

use crate::error::{Code, Failure};
use crate::names::Sandbox;

/// The files of all guests, and the thread that keeps those up to date whose text changes.
pub struct Views {}

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
    pub fn open(_root: &Path) -> Result<Views, Failure> {
        Err(Failure::new(Code::Unimplemented, "Guests see the machine's memory, CPUs and load."))
    }

    /// Makes a guest's files, with their first text. Called before the guest runs.
    pub fn make(&self, _sandbox: &Sandbox, _source: &ViewSource) -> Result<Vec<ViewMount>, Failure> {
        unimplemented!()
    }

    /// Goes on with the files of a guest that an earlier helper made.
    pub fn adopt(&self, _sandbox: &Sandbox) -> Result<(), Failure> {
        unimplemented!()
    }

    /// Removes them. Idempotent.
    pub fn remove(&self, _sandbox: &Sandbox) {
        unimplemented!()
    }

    /// Removes all but those of these guests.
    pub fn keep_only(&self, _sandboxes: &[Sandbox]) {
        unimplemented!()
    }
}
