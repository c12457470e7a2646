//! Control groups of slots, in version 1, version 2, or both beside each other (version 2 without controllers still
//! freezes and kills a whole group at once).
//!
//! Each slot has one group, `e2bn-<instance>/<slot>`, in every hierarchy that is mounted. A process is moved there
//! while nobody waits for it: the move costs milliseconds for each hierarchy.

use std::fs::File;

use crate::error::Failure;
use crate::names::Instance;

/// The hierarchies of this machine, and this instance's directory in each.
pub struct Cgroups {}

/// One slot's group in every hierarchy.
pub struct Group {}

/// What a guest may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    pub memory_bytes: u64,
    pub cpu_count: u32,
    pub pids: u32,
}

/// What a guest has used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    pub memory_bytes: u64,
    pub cpu_micros: u64,
    pub pids: u64,
}

impl Cgroups {
    /// Finds what is mounted and makes the instance's directories. Errors: `failed_precondition` where limits can't be set.
    pub fn open(_instance: &Instance) -> Result<Cgroups, Failure> {
        unimplemented!()
    }

    /// 1 or 2: where the controllers of memory and CPU are.
    pub fn version(&self) -> u8 {
        unimplemented!()
    }

    /// A new, empty group. `name`: the slot's.
    pub fn create(&self, _name: &str) -> Result<Group, Failure> {
        unimplemented!()
    }

    /// The group of this name, which a guest of an earlier helper is in.
    pub fn adopt(&self, _name: &str) -> Result<Group, Failure> {
        unimplemented!()
    }

    /// Every group's name.
    pub fn names(&self) -> Result<Vec<String>, Failure> {
        unimplemented!()
    }
}

impl Group {
    /// `cgroup.procs` of each hierarchy, open for writing: a pid (or `0` for the writer) moves that process here.
    /// Opened by the helper, so a process that has given up its rights can write them as well.
    pub fn procs(&self) -> Result<Vec<File>, Failure> {
        unimplemented!()
    }

    /// What a guest sees of its groups: (name below /sys/fs/cgroup, or none for version 2 alone; directory of the host).
    pub fn directories(&self) -> &[(Option<String>, std::path::PathBuf)] {
        unimplemented!()
    }

    pub fn limit(&self, _limits: &Limits) -> Result<(), Failure> {
        unimplemented!()
    }
    pub fn freeze(&self) -> Result<(), Failure> {
        unimplemented!()
    }
    pub fn thaw(&self) -> Result<(), Failure> {
        unimplemented!()
    }
    pub fn is_frozen(&self) -> Result<bool, Failure> {
        unimplemented!()
    }
    /// Ends every process of the group, frozen ones too. Their end is for the caller to see.
    pub fn kill(&self) -> Result<(), Failure> {
        unimplemented!()
    }
    pub fn usage(&self) -> Result<Usage, Failure> {
        unimplemented!()
    }
    /// Removes the group once it is empty.
    pub fn remove(self) -> Result<(), Failure> {
        unimplemented!()
    }
}
