//! Control groups of slots, in version 1, version 2, or both beside each other (version 2 without controllers still
//! freezes and kills a whole group at once).
//!
//! Each slot has one group, `e2bn-<instance>/<slot>`, in every hierarchy that is mounted. A process is moved there
//! while nobody waits for it: the move costs milliseconds for each hierarchy.

mod cpus;
mod group;
mod hierarchies;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Code, Failure};
use crate::names::Instance;

use cpus::CpuSets;
pub use group::{Group, Limits};
use hierarchies::{Hierarchy, Version};

/// The hierarchies of this machine, and this instance's directory in each.
pub struct Cgroups {
    parents: Vec<Hierarchy>,
    version: u8,
    sets: Arc<CpuSets>,
}

/// What the controllers of version 2 are asked to do for the instance's groups.
const CONTROLLERS: [&str; 4] = ["memory", "cpu", "pids", "cpuset"];

impl Cgroups {
    /// Finds what is mounted and makes the instance's directories. Errors: `failed_precondition` where limits can't be set.
    pub fn open(instance: &Instance) -> Result<Cgroups, Failure> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")
            .map_err(|error| Failure::from_io("The machine's mounts can't be read", &error))?;
        let found = hierarchies::find(&mounts);
        let version =
            hierarchies::version_with_limits(&found, |path| fs::read_to_string(path).ok()).ok_or_else(|| {
                let message =
                    "The machine's control groups limit neither memory nor CPU nor processes, or not all of these.";
                Failure::new(Code::FailedPrecondition, message)
            })?;
        let name = format!("e2bn-{}", instance);
        let parents = found.iter().map(|hierarchy| hierarchy.below(&name)).collect::<Vec<_>>();
        for (root, parent) in found.iter().zip(&parents) {
            prepare(root, parent, version).map_err(|error| Failure::from_io("Control groups can't be made", &error))?;
        }
        Ok(Cgroups { parents, version, sets: Arc::default() })
    }

    /// 1 or 2: where the controllers of memory and CPU are.
    pub fn version(&self) -> u8 {
        self.version
    }

    /// Whether guests can be held to some of the machine's CPUs.
    pub fn has_cpu_sets(&self) -> bool {
        self.parents.iter().any(|parent| cpus::effective(&parent.path).is_ok())
    }

    /// A new, empty group. `name`: the slot's.
    pub fn create(&self, name: &str) -> Result<Group, Failure> {
        for (index, parent) in self.parents.iter().enumerate() {
            // One that was there before is left as it is.
            if let Err(error) = fs::create_dir(parent.path.join(name)) {
                self.parents[..index].iter().for_each(|made| drop(fs::remove_dir(made.path.join(name))));
                return Err(Failure::from_io("A control group can't be made", &error));
            }
        }
        Ok(self.group(name))
    }

    /// The group of this name, which a guest of an earlier helper is in. Errors: `not_found`.
    pub fn adopt(&self, name: &str) -> Result<Group, Failure> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Failure::not_found("A control group isn't there."),
            _ => Failure::from_io("A control group can't be read", &error),
        };
        for parent in &self.parents {
            fs::metadata(parent.path.join(name)).map_err(failed)?;
        }
        let group = self.group(name);
        group.adopt_cpus().map_err(failed)?;
        Ok(group)
    }

    /// Every group's name, also of those that lack in some hierarchies.
    pub fn names(&self) -> Result<Vec<String>, Failure> {
        let mut names = Vec::new();
        for parent in &self.parents {
            let entries = fs::read_dir(&parent.path);
            for entry in entries.map_err(|error| Failure::from_io("Control groups can't be listed", &error))?.flatten()
            {
                if entry.file_type().map_or(false, |kind| kind.is_dir()) {
                    names.extend(entry.file_name().into_string());
                }
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// The group of this name, wherever it is: for its end.
    pub fn remainder(&self, name: &str) -> Group {
        self.group(name)
    }

    /// Removes the instance's own directories where no group is left in them.
    pub fn remove(&self) {
        for parent in &self.parents {
            let _ = fs::remove_dir(&parent.path);
        }
    }

    fn group(&self, name: &str) -> Group {
        Group::new(name, self.parents.iter().map(|parent| parent.below(name)).collect(), self.sets.clone())
    }
}

/// The instance's directory in one hierarchy.
fn prepare(root: &Hierarchy, parent: &Hierarchy, version: u8) -> io::Result<()> {
    match fs::create_dir(&parent.path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if parent.version == Version::One {
        if parent.has("cpuset") {
            for file in ["cpuset.cpus", "cpuset.mems"] {
                fs::write(parent.path.join(file), fs::read(root.path.join(file))?)?;
            }
            // Version 1 admits no process to a group before it has CPUs and memory. New ones take them from this one: written to
            // each, they would have the kernel go through all groups of the machine.
            fs::write(parent.path.join("cgroup.clone_children"), "1")?;
        }
        return Ok(());
    }
    if version == 2 {
        for path in [&root.path, &parent.path] {
            enable(path)?;
        }
    }
    Ok(())
}

/// Has controllers act on the groups below. The memory, CPU and pids controllers have to, the others where they are.
fn enable(path: &Path) -> io::Result<()> {
    let there = fs::read_to_string(path.join("cgroup.controllers"))?;
    let wanted = CONTROLLERS.iter().filter(|name| there.split_whitespace().any(|other| other == **name));
    let text = wanted.map(|name| format!("+{}", name)).collect::<Vec<_>>().join(" ");
    fs::write(path.join("cgroup.subtree_control"), text)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;
    use crate::processes;

    /// With the machine's own control groups, as root.
    #[test]
    fn limits_freezes_counts_and_ends_what_is_in_a_group() {
        let instance = Instance::parse(&format!("test{}", std::process::id())).unwrap();
        let cgroups = Cgroups::open(&instance).unwrap();
        let group = cgroups.create("7").unwrap();
        assert!(cgroups.create("7").is_err());
        let group = match cgroups.adopt("7") {
            Ok(found) => {
                drop(group);
                found
            }
            Err(failure) => panic!("{}", failure),
        };
        group.limit(&Limits { memory_bytes: 64 << 20, cpu_count: 0.5, pids: 20 }).unwrap();
        // Held to one CPU; the next gets another, where there is one.
        let held = group.cpus().unwrap();
        assert_eq!(held.len(), 1);
        let other = cgroups.create("8").unwrap();
        let all = other.cpus().unwrap();
        other.limit(&Limits { memory_bytes: 64 << 20, cpu_count: 1.0, pids: 20 }).unwrap();
        assert_eq!((other.cpus().unwrap().len(), all.len() == 1 || other.cpus().unwrap() != held), (1, true));
        other.remove(Duration::from_secs(60)).unwrap();
        // Two processes: the second begins in the group, and is no child of ours.
        let script = "read line; sleep 1000 & sleep 1000";
        let mut child = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().unwrap();
        let started = processes::start_time(child.id()).unwrap();
        let pidfd = processes::open(child.id(), started).unwrap().unwrap();
        for mut procs in group.procs().unwrap() {
            procs.write_all(child.id().to_string().as_bytes()).unwrap();
        }
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        while group.usage().unwrap().pids < 3 {}
        group.freeze().unwrap();
        assert!(group.is_frozen().unwrap());
        group.thaw().unwrap();
        assert!(!group.is_frozen().unwrap());
        group.freeze().unwrap();
        group.kill().unwrap();
        assert!(processes::wait(&pidfd, Duration::from_secs(60)).unwrap());
        let _ = child.wait();
        assert_eq!(cgroups.names().unwrap(), ["7"]);
        group.remove(Duration::from_secs(60)).unwrap();
        assert_eq!(cgroups.names().unwrap(), Vec::<String>::new());
        cgroups.remove();
        assert!(cgroups.names().is_err());
    }
}
