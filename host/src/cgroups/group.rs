//! One slot's group: limits, freezing, the end of everything in it, figures.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::cpus::{self, CpuSets};
use super::hierarchies::{Hierarchy, Version};
use crate::error::{Code, Failure};

/// One slot's group in every hierarchy.
pub struct Group {
    name: String,
    parts: Vec<Hierarchy>,
    directories: Vec<(Option<String>, PathBuf)>,
    sets: Arc<CpuSets>,
}

/// What a guest may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    pub memory_bytes: u64,
    pub cpu_count: f64,
    pub pids: u32,
}

/// What a guest has used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Without page cache that the kernel would give back at once
    pub memory_bytes: u64,
    pub cpu_micros: u64,
    /// Processes and threads
    pub pids: u64,
}

const CPU_PERIOD_MICROS: u64 = 100_000;
/// The kernel's least
const CPU_QUOTA_MIN_MICROS: u64 = 1000;
/// Where there is not enough for all, guests share by their CPUs, and what has the default share of 1024 comes first.
const CPU_SHARES_EACH: f64 = 64.0;
/// Freezing waits for each process to come to a point where it can be: one that waits for a disk may take a while.
const FREEZE_MOST: Duration = Duration::from_secs(10);

impl Group {
    pub(super) fn new(name: &str, parts: Vec<Hierarchy>, sets: Arc<CpuSets>) -> Group {
        let directories = parts.iter().map(|part| (part.name.clone(), part.path.clone())).collect();
        Group { name: name.to_owned(), parts, directories, sets }
    }

    /// `cgroup.procs` of each hierarchy, open for writing: a pid (or `0` for the writer) moves that process here.
    /// Opened by the helper, so a process that has given up its rights can write them as well.
    pub fn procs(&self) -> Result<Vec<File>, Failure> {
        let open = |part: &Hierarchy| OpenOptions::new().write(true).open(part.path.join("cgroup.procs"));
        let opened: io::Result<Vec<File>> = self.parts.iter().map(open).collect();
        opened.map_err(|error| Failure::from_io("A control group can't be opened", &error))
    }

    /// What a guest sees of its groups: (name below /sys/fs/cgroup, or none for version 2 alone; directory of the host).
    pub fn directories(&self) -> &[(Option<String>, PathBuf)] {
        &self.directories
    }

    /// Where the controller's files of this group are.
    pub fn directory(&self, controller: &str) -> Option<&Path> {
        let own = self.parts.iter().find(|part| part.has(controller));
        own.or_else(|| self.unified()).map(|part| part.path.as_path())
    }

    /// The numbers of the CPUs it may run on.
    pub fn cpus(&self) -> Result<Vec<u32>, Failure> {
        let listed = match self.directory("cpuset") {
            Some(directory) => cpus::effective(directory),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        let listed =
            listed.or_else(|_| fs::read_to_string("/sys/devices/system/cpu/online").map(|text| cpus::parse(&text)));
        listed.map_err(|error| Failure::from_io("The machine's CPUs can't be listed", &error))
    }

    /// Notes which CPUs it was held to by an earlier helper.
    pub(super) fn adopt_cpus(&self) -> io::Result<()> {
        match self.directory("cpuset") {
            Some(directory) => self.sets.adopt(&self.name, directory),
            None => Ok(()),
        }
    }

    /// Also holds it to as many CPUs as it has the time of, those that fewest have, so that what is inside sees no more.
    pub fn limit(&self, limits: &Limits) -> Result<(), Failure> {
        let done = self.set_limits(limits).and_then(|()| match self.directory("cpuset") {
            Some(directory) => self.sets.hold(&self.name, directory, limits.cpu_count),
            None => Ok(()),
        });
        done.map_err(|error| Failure::from_io("The sandbox's limits can't be set", &error))
    }

    fn set_limits(&self, limits: &Limits) -> io::Result<()> {
        let quota =
            ((limits.cpu_count * CPU_PERIOD_MICROS as f64).round() as u64).max(CPU_QUOTA_MIN_MICROS).to_string();
        let shares = ((limits.cpu_count * CPU_SHARES_EACH).round() as u64).clamp(2, 262_144);
        let (memory, pids) = (limits.memory_bytes.to_string(), limits.pids.to_string());
        let part_of = |controller: &str| self.parts.iter().find(|part| part.has(controller));
        if let (Some(of_memory), Some(of_cpu), Some(of_pids)) = (part_of("memory"), part_of("cpu"), part_of("pids")) {
            fs::write(of_memory.path.join("memory.limit_in_bytes"), &memory)?;
            write_known(&of_memory.path, "memory.memsw.limit_in_bytes", &memory)?;
            fs::write(of_cpu.path.join("cpu.cfs_quota_us"), &quota)?;
            fs::write(of_cpu.path.join("cpu.shares"), shares.to_string())?;
            return fs::write(of_pids.path.join("pids.max"), &pids);
        }
        let unified = self.unified().ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))?;
        // What 1024 shares of version 1 are, 100 of version 2 are.
        let weight = (shares * 100 / 1024).clamp(1, 10_000);
        fs::write(unified.path.join("memory.max"), &memory)?;
        write_known(&unified.path, "memory.swap.max", "0")?;
        fs::write(unified.path.join("cpu.max"), format!("{} {}", quota, CPU_PERIOD_MICROS))?;
        fs::write(unified.path.join("cpu.weight"), weight.to_string())?;
        fs::write(unified.path.join("pids.max"), &pids)
    }

    /// Stops all of its processes. They have stopped when it returns. Idempotent.
    pub fn freeze(&self) -> Result<(), Failure> {
        let done = self.set_frozen(true).and_then(|()| {
            let deadline = Instant::now() + FREEZE_MOST;
            while !self.read_frozen()? {
                if Instant::now() > deadline {
                    return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT));
                }
                if !self.can_freeze_at_once() {
                    // Version 1 tries again when it is asked how far it is.
                    self.set_frozen(true)?;
                }
                thread::sleep(Duration::from_micros(200));
            }
            Ok(())
        });
        done.map_err(|error| {
            let _ = self.set_frozen(false);
            Failure::from_io("The sandbox's processes can't be frozen", &error)
        })
    }

    pub fn thaw(&self) -> Result<(), Failure> {
        self.set_frozen(false).map_err(|error| Failure::from_io("The sandbox's processes can't go on", &error))
    }

    pub fn is_frozen(&self) -> Result<bool, Failure> {
        self.read_frozen().map_err(|error| Failure::from_io("The sandbox's state can't be read", &error))
    }

    /// Ends every process of the group, frozen ones too. Their end is for the caller to see.
    pub fn kill(&self) -> Result<(), Failure> {
        self.kill_all().map_err(|error| Failure::from_io("The sandbox's processes can't be ended", &error))
    }

    fn kill_all(&self) -> io::Result<()> {
        if let Some(unified) = self.unified() {
            // Kernels before 5.14 don't have it.
            match fs::write(unified.path.join("cgroup.kill"), "1") {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                done => return done,
            }
        }
        for part in &self.parts {
            // None may start another between the look and the signal, so it is looked at until there is nothing new.
            let mut before = Vec::new();
            loop {
                let pids = read_pids(&part.path)?;
                for pid in &pids {
                    // SAFETY: no pointers are passed.
                    unsafe { libc::kill(*pid, libc::SIGKILL) };
                }
                if pids.iter().all(|pid| before.contains(pid)) {
                    break;
                }
                before = pids;
            }
        }
        // What is frozen in version 1 ends only once it goes on. A group that a crash left may lack where that is said.
        match self.set_frozen(false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    pub fn usage(&self) -> Result<Usage, Failure> {
        self.read_usage().map_err(|error| Failure::from_io("What the sandbox uses can't be read", &error))
    }

    fn read_usage(&self) -> io::Result<Usage> {
        let missing = || io::Error::from_raw_os_error(libc::ENOENT);
        let memory = self.directory("memory").ok_or_else(missing)?;
        let stat = fs::read_to_string(memory.join("memory.stat"))?;
        let used = number(memory, "memory.usage_in_bytes").or_else(|_| number(memory, "memory.current"))?;
        let cache = field(&stat, "total_inactive_file").or_else(|| field(&stat, "inactive_file")).unwrap_or(0);
        let cpu = self.directory("cpuacct").ok_or_else(missing)?;
        let cpu_micros = match number(cpu, "cpuacct.usage") {
            Ok(nanoseconds) => nanoseconds / 1000,
            Err(_) => field(&fs::read_to_string(cpu.join("cpu.stat"))?, "usage_usec").unwrap_or(0),
        };
        let pids = number(self.directory("pids").ok_or_else(missing)?, "pids.current")?;
        Ok(Usage { memory_bytes: used.saturating_sub(cache), cpu_micros, pids })
    }

    /// Removes the group. Its processes have ended; what the kernel still has of them may take a moment more.
    pub fn remove(self, most: Duration) -> Result<(), Failure> {
        self.sets.release(&self.name);
        let deadline = Instant::now() + most;
        for part in &self.parts {
            loop {
                match fs::remove_dir(&part.path) {
                    Ok(()) => break,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                    Err(error) if error.raw_os_error() == Some(libc::EBUSY) && Instant::now() < deadline => {
                        thread::sleep(Duration::from_millis(1));
                    }
                    Err(error) => {
                        return Err(Failure::new(
                            Code::Internal,
                            format!("The control group {} can't be removed: {}.", part.path.display(), error),
                        ))
                    }
                }
            }
        }
        Ok(())
    }

    fn unified(&self) -> Option<&Hierarchy> {
        self.parts.iter().find(|part| part.version == Version::Two)
    }

    fn can_freeze_at_once(&self) -> bool {
        self.unified().map_or(false, |unified| unified.path.join("cgroup.freeze").exists())
    }

    fn set_frozen(&self, frozen: bool) -> io::Result<()> {
        if self.can_freeze_at_once() {
            let unified = self.unified().map(|part| part.path.join("cgroup.freeze"));
            return unified.map_or(Ok(()), |file| fs::write(file, if frozen { "1" } else { "0" }));
        }
        match self.parts.iter().find(|part| part.has("freezer")) {
            Some(part) => fs::write(part.path.join("freezer.state"), if frozen { "FROZEN" } else { "THAWED" }),
            None if frozen => Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)),
            None => Ok(()),
        }
    }

    fn read_frozen(&self) -> io::Result<bool> {
        if self.can_freeze_at_once() {
            let events = self.unified().map(|part| fs::read_to_string(part.path.join("cgroup.events")));
            return Ok(field(&events.unwrap_or_else(|| Ok(String::new()))?, "frozen") == Some(1));
        }
        match self.parts.iter().find(|part| part.has("freezer")) {
            Some(part) => Ok(fs::read_to_string(part.path.join("freezer.state"))?.trim() == "FROZEN"),
            None => Ok(false),
        }
    }
}

/// Kernels without accounting of swap lack some files.
fn write_known(directory: &Path, file: &str, value: &str) -> io::Result<()> {
    match fs::write(directory.join(file), value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn read_pids(directory: &Path) -> io::Result<Vec<libc::pid_t>> {
    match fs::read_to_string(directory.join("cgroup.procs")) {
        Ok(text) => Ok(text.lines().filter_map(|line| line.parse().ok()).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn number(directory: &Path, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(directory.join(name))?;
    text.trim().parse().map_err(|_| io::ErrorKind::InvalidData.into())
}

/// The number behind `name` at a line's start.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}
