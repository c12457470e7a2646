//! What one container is shown as its machine: where its figures come from, and the files that change with them.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::mem;
use std::time::Instant;

use super::figures;
use super::groups::{CpuTime, Groups};
use super::mounts::c_str;
use crate::engine::namespace::refusal;

/// The view's description, in the container's directory.
pub const SOURCE: &[u8] = b"source\0";
/// Over a shorter time the use of CPUs says nothing.
const LOAD_SAMPLE_MIN_S: f64 = 0.1;

/// A file whose text changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Live {
    Meminfo,
    Stat,
    Loadavg,
}

impl Live {
    pub const ALL: [Live; 3] = [Live::Meminfo, Live::Stat, Live::Loadavg];

    /// Its name in the container's directory on the host.
    pub fn name(self) -> &'static CStr {
        c_str(match self {
            Live::Meminfo => b"meminfo\0",
            Live::Stat => b"stat\0",
            Live::Loadavg => b"loadavg\0",
        })
    }

    /// What it lies over, below the container's root.
    pub fn target(self) -> &'static CStr {
        c_str(match self {
            Live::Meminfo => b"proc/meminfo\0",
            Live::Stat => b"proc/stat\0",
            Live::Loadavg => b"proc/loadavg\0",
        })
    }
}

/// What doesn't change of the host.
pub struct Host {
    memory_kb: u64,
    btime: u64,
}

impl Host {
    pub fn read() -> io::Result<Host> {
        let number = |path: &str, name: &str| -> io::Result<u64> {
            let text = fs::read_to_string(path)?;
            let found = text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok());
            found.ok_or_else(|| refusal("the kernel's files are of another form"))
        };
        Ok(Host { memory_kb: number("/proc/meminfo", "MemTotal:")?, btime: number("/proc/stat", "btime ")? })
    }
}

pub struct View {
    groups: Groups,
    /// The numbers of its CPUs
    pub cpus: Vec<u32>,
    idle_ticks: u64,
    loads: [f64; 3],
    sampled: Instant,
    used: CpuTime,
}

impl View {
    pub fn new(groups: Groups, cpus: Vec<u32>) -> View {
        let used = groups.cpu_time().unwrap_or_default();
        View { groups, cpus, idle_ticks: 0, loads: [0.0; 3], sampled: Instant::now(), used }
    }

    /// Of a line each, as `describe` writes them.
    pub fn parse(text: &str) -> Option<View> {
        let mut lines = text.lines();
        let groups = Groups { memory: lines.next()?.into(), cpu: lines.next()?.into(), tasks: lines.next()?.into() };
        Some(View::new(groups, figures::parse_cpus(lines.next()?)?))
    }

    pub fn describe(&self) -> String {
        let Groups { memory, cpu, tasks } = &self.groups;
        let cpus = figures::format_cpus(&self.cpus);
        format!("{}\n{}\n{}\n{}\n", memory.display(), cpu.display(), tasks.display(), cpus)
    }

    /// Goes on from averages that were said before, as /proc/loadavg has them.
    pub fn resume_loads(&mut self, text: &str) {
        let said: Vec<f64> = text.split(' ').take(3).map_while(|word| word.parse().ok()).collect();
        if let Ok(loads) = said.try_into() {
            self.loads = loads;
        }
    }

    /// The text of a file now. None when the container has ended.
    pub fn text(&mut self, live: Live, host: &Host) -> Option<String> {
        match live {
            Live::Meminfo => Some(figures::meminfo(&self.groups.memory()?, host.memory_kb)),
            Live::Stat => {
                let (used, tasks) = (self.groups.cpu_time()?, self.groups.task_count()?);
                Some(figures::stat(&self.cpus, used, uptime_us(), host.btime, tasks, &mut self.idle_ticks))
            }
            Live::Loadavg => {
                self.sample()?;
                Some(figures::loadavg(&self.loads, self.groups.task_count()?))
            }
        }
    }

    /// Takes what was used since the last time into the averages. None when the container has ended.
    pub fn sample(&mut self) -> Option<()> {
        let used = self.groups.cpu_time()?;
        let elapsed_s = self.sampled.elapsed().as_secs_f64();
        if elapsed_s >= LOAD_SAMPLE_MIN_S {
            let total = |time: CpuTime| time.user_us + time.system_us;
            let used_s = total(used).saturating_sub(total(self.used)) as f64 / 1e6;
            let cpus_used = (used_s / elapsed_s).min(self.cpus.len() as f64);
            self.loads = figures::averaged(self.loads, cpus_used, elapsed_s);
            self.sampled = Instant::now();
            self.used = used;
        }
        Some(())
    }
}

fn uptime_us() -> u64 {
    let mut now: libc::timespec = unsafe { mem::zeroed() };
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut now) };
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000
}
