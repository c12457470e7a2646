//! What a container's control groups say it has and uses, in version 1 or 2.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the host has a container's control groups; in version 2 they are one.
#[derive(Debug, Clone, PartialEq)]
pub struct Groups {
    pub memory: PathBuf,
    pub cpu: PathBuf,
    pub tasks: PathBuf,
}

/// Memory in bytes.
#[derive(Debug, Default)]
pub struct Memory {
    pub limit: u64,
    pub usage: u64,
    pub cache: u64,
    pub shmem: u64,
    pub mapped: u64,
    pub anon: u64,
    pub active_anon: u64,
    pub inactive_anon: u64,
    pub active_file: u64,
    pub inactive_file: u64,
    pub unevictable: u64,
    pub dirty: u64,
    pub writeback: u64,
    pub slab_reclaimable: u64,
    pub slab_unreclaimable: u64,
    pub kernel_stack: u64,
    pub page_tables: u64,
}

/// CPU time used since the group was made, in microseconds.
#[derive(Debug, Default, Clone, Copy)]
pub struct CpuTime {
    pub user_us: u64,
    pub system_us: u64,
}

/// The kernel's clock ticks in such files, which are always hundredths of a second.
const TICK_US: u64 = 10_000;

impl Groups {
    /// `groups`: text of /proc/<pid>/cgroup; `mounts`: text of /proc/self/mountinfo.
    pub fn find(groups: &str, mounts: &str) -> Option<Groups> {
        let of = |controller| directory(controller, groups, mounts);
        Some(Groups { memory: of("memory")?, cpu: of("cpuacct")?, tasks: of("pids")? })
    }

    pub fn memory(&self) -> Option<Memory> {
        let (limit, usage) = ("memory.max", "memory.current");
        if let Ok(limit) = fs::read_to_string(self.memory.join(limit)) {
            let stat = read(&self.memory, "memory.stat")?;
            return Some(memory_v2(parse_limit(&limit), number(&self.memory, usage)?, &stat));
        }
        let limit = read(&self.memory, "memory.limit_in_bytes")?;
        let stat = read(&self.memory, "memory.stat")?;
        Some(memory_v1(parse_limit(&limit), number(&self.memory, "memory.usage_in_bytes")?, &stat))
    }

    pub fn cpu_time(&self) -> Option<CpuTime> {
        if let Some(stat) = read(&self.cpu, "cpuacct.stat") {
            let ticks = |name| field(&stat, name).map(|ticks| ticks * TICK_US);
            return Some(CpuTime { user_us: ticks("user")?, system_us: ticks("system")? });
        }
        let stat = read(&self.cpu, "cpu.stat")?;
        Some(CpuTime { user_us: field(&stat, "user_usec")?, system_us: field(&stat, "system_usec")? })
    }

    /// Processes and threads.
    pub fn task_count(&self) -> Option<u64> {
        number(&self.tasks, "pids.current")
    }
}

fn memory_v1(limit: u64, usage: u64, stat: &str) -> Memory {
    let of = |name: &str| field(stat, name).unwrap_or(0);
    Memory {
        limit,
        usage,
        cache: of("total_cache"),
        shmem: of("total_shmem"),
        mapped: of("total_mapped_file"),
        anon: of("total_rss"),
        active_anon: of("total_active_anon"),
        inactive_anon: of("total_inactive_anon"),
        active_file: of("total_active_file"),
        inactive_file: of("total_inactive_file"),
        unevictable: of("total_unevictable"),
        dirty: of("total_dirty"),
        writeback: of("total_writeback"),
        ..Memory::default()
    }
}

fn memory_v2(limit: u64, usage: u64, stat: &str) -> Memory {
    let of = |name: &str| field(stat, name).unwrap_or(0);
    Memory {
        limit,
        usage,
        cache: of("file"),
        shmem: of("shmem"),
        mapped: of("file_mapped"),
        anon: of("anon"),
        active_anon: of("active_anon"),
        inactive_anon: of("inactive_anon"),
        active_file: of("active_file"),
        inactive_file: of("inactive_file"),
        unevictable: of("unevictable"),
        dirty: of("file_dirty"),
        writeback: of("file_writeback"),
        slab_reclaimable: of("slab_reclaimable"),
        slab_unreclaimable: of("slab_unreclaimable"),
        kernel_stack: of("kernel_stack"),
        page_tables: of("pagetables"),
    }
}

/// The directory of a process's group for one controller: version 1's where that has it, else version 2's.
fn directory(controller: &str, groups: &str, mounts: &str) -> Option<PathBuf> {
    // id:controllers:path
    let lines = || groups.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let own = lines().find(|(names, _)| names.split(',').any(|name| name == controller));
    let (_, path) = own.or_else(|| lines().find(|(names, _)| names.is_empty()))?;
    mounts.lines().find_map(|line| {
        // id parent device root mountpoint options [tags…] - type source superoptions
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let (root, mount_point) = (before.next()?, before.next()?);
        let mut after = after.split(' ');
        let (kind, options) = (after.next()?, after.nth(1)?);
        let fits = match own {
            Some(_) => kind == "cgroup" && options.split(',').any(|name| name == controller),
            None => kind == "cgroup2",
        };
        let inside = Path::new(path).strip_prefix(root).ok()?;
        (fits && !path.split('/').any(|part| part == "..")).then(|| Path::new(mount_point).join(inside))
    })
}

fn read(directory: &Path, name: &str) -> Option<String> {
    fs::read_to_string(directory.join(name)).ok()
}

fn number(directory: &Path, name: &str) -> Option<u64> {
    read(directory, name)?.trim().parse().ok()
}

/// `max` is no limit.
fn parse_limit(text: &str) -> u64 {
    text.trim().parse().unwrap_or(u64::MAX)
}

/// The number behind `name` at a line's start.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_groups_of_both_versions() {
        let mounts = "24 1 0:21 / / rw - ext4 /dev/root rw\n\
            30 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            31 24 0:27 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
            32 24 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
            33 24 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let v1 = Groups::find("9:memory:/docker/a\n4:cpu,cpuacct:/docker/a\n3:pids:/docker/a\n0::/\n", mounts).unwrap();
        assert_eq!(v1.memory, Path::new("/sys/fs/cgroup/memory/docker/a"));
        assert_eq!(v1.cpu, Path::new("/sys/fs/cgroup/cpu/docker/a"));
        let v2 = Groups::find("0::/system.slice/docker-a.scope\n", mounts).unwrap();
        assert_eq!(v2.tasks, Path::new("/sys/fs/cgroup/unified/system.slice/docker-a.scope"));
        assert_eq!(Groups::find("0::/../elsewhere\n", mounts), None);
        assert_eq!(Groups::find("", mounts), None);
    }

    #[test]
    fn reads_what_each_version_says() {
        let v1 = memory_v1(parse_limit("1024\n"), 900, "cache 1\ntotal_cache 400\ntotal_inactive_file 300\n");
        assert_eq!((v1.limit, v1.cache, v1.inactive_file, v1.anon), (1024, 400, 300, 0));
        let v2 = memory_v2(parse_limit("max\n"), 900, "anon 7\nfile 5\nfile_mapped 3\nslab_reclaimable 2\n");
        assert_eq!((v2.limit, v2.anon, v2.cache, v2.mapped, v2.slab_reclaimable), (u64::MAX, 7, 5, 3, 2));
    }
}
