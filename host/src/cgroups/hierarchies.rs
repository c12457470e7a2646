//! Where the machine has control groups, and of which version.

use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    One,
    Two,
}

/// One tree of groups, or a directory in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Hierarchy {
    pub version: Version,
    /// Of version 1: its controllers, or `name=systemd`
    pub controllers: Vec<String>,
    pub path: PathBuf,
    /// What guests see it as, below /sys/fs/cgroup; none for a version 2 that is alone
    pub name: Option<String>,
}

impl Hierarchy {
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }

    pub fn below(&self, name: &str) -> Hierarchy {
        Hierarchy { path: self.path.join(name), ..self.clone() }
    }
}

/// `mounts`: text of /proc/self/mountinfo. Trees whose root isn't seen are left out: groups made there would be elsewhere.
pub fn find(mounts: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mounts.lines() {
        if let Some(hierarchy) = parse(line) {
            // The same tree may be mounted in several places.
            let is_known = found
                .iter()
                .any(|other| other.version == hierarchy.version && other.controllers == hierarchy.controllers);
            if !is_known {
                found.push(hierarchy);
            }
        }
    }
    if found.len() == 1 {
        found.iter_mut().for_each(|only| only.name = None);
    }
    found
}

/// Which version limits memory, CPU and the number of processes. `read`: a file of the machine, as text.
pub fn version_with_limits(found: &[Hierarchy], read: impl Fn(&Path) -> Option<String>) -> Option<u8> {
    let needed = ["memory", "cpu", "pids"];
    if needed.iter().all(|name| found.iter().any(|hierarchy| hierarchy.has(name))) {
        return Some(1);
    }
    let unified = found.iter().find(|hierarchy| hierarchy.version == Version::Two)?;
    let there = read(&unified.path.join("cgroup.controllers"))?;
    needed.iter().all(|name| there.split_whitespace().any(|other| other == *name)).then_some(2)
}

fn parse(line: &str) -> Option<Hierarchy> {
    // id parent device root mountpoint options [tags…] - type source superoptions
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(3);
    let (root, mount_point) = (before.next()?, before.next()?);
    let mut after = after.split(' ');
    let (kind, options) = (after.next()?, after.nth(1)?);
    if root != "/" {
        return None;
    }
    let path = PathBuf::from(mount_point);
    let name = path.file_name()?.to_str()?.to_owned();
    match kind {
        "cgroup2" => Some(Hierarchy { version: Version::Two, controllers: Vec::new(), path, name: Some(name) }),
        "cgroup" => {
            let is_controller =
                |option: &&str| !matches!(*option, "rw" | "ro" | "xattr" | "clone_children" | "noprefix");
            let controllers = options.split(',').filter(is_controller).map(str::to_owned).collect();
            Some(Hierarchy { version: Version::One, controllers, path, name: Some(name) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "30 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        31 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
        32 24 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
        34 24 0:28 / /elsewhere/pids rw - cgroup cgroup rw,pids\n\
        35 24 0:30 /docker/a /a rw - cgroup cgroup rw,devices\n\
        33 24 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn finds_both_versions_beside_each_other() {
        let found = find(HYBRID);
        let names: Vec<_> = found.iter().map(|hierarchy| hierarchy.name.as_deref()).collect();
        assert_eq!(names, [Some("memory"), Some("cpu,cpuacct"), Some("pids"), Some("unified")]);
        assert!(found[1].has("cpuacct"));
        assert_eq!(version_with_limits(&found, |_| None), Some(1));
    }

    #[test]
    fn version_2_alone_is_seen_as_it_is() {
        let found = find("24 23 0:22 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n");
        assert_eq!((found.len(), &found[0].name), (1, &None));
        assert_eq!(version_with_limits(&found, |_| Some("cpuset cpu io memory pids\n".to_owned())), Some(2));
        assert_eq!(version_with_limits(&found, |_| Some("hugetlb\n".to_owned())), None);
    }
}
