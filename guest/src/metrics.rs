//! What the sandbox uses: of its own control group where it has one (version 1 or 2), else of the machine.

use std::ffi::CString;
use std::fs;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{json, Value};

const CGROUP: &str = "/sys/fs/cgroup";
/// The kernel's clock ticks in /proc/stat, which are always hundredths of a second.
const TICK_NS: u64 = 10_000_000;
/// Over a shorter time the use of the CPU says nothing.
const CPU_WINDOW_MIN_S: f64 = 0.1;

/// One look at the system. Memory and disk in bytes.
pub struct Sample {
    at: Instant,
    timestamp_ms: u64,
    /// CPUs that may be used, in fractions as limits go
    cpus: f64,
    cpu_used_ns: u64,
    mem_total: u64,
    mem_used: u64,
    mem_cache: u64,
    disk_total: u64,
    disk_used: u64,
}

impl Sample {
    /// The reply of `metrics`.
    pub fn to_json(&self, cpu_used_percent: f64) -> Value {
        json!({
            "timestampMs": self.timestamp_ms,
            "cpuCount": self.cpus.ceil() as u64,
            "cpuUsedPct": cpu_used_percent,
            "memTotal": self.mem_total,
            "memUsed": self.mem_used,
            "memCache": self.mem_cache,
            "diskUsed": self.disk_used,
            "diskTotal": self.disk_total,
        })
    }
}

/// Turns a growing counter into a rate. The first sample, at the agent's start, is the base of the first answer.
pub struct CpuMeter {
    at: Instant,
    used_ns: u64,
}

impl CpuMeter {
    pub fn start() -> CpuMeter {
        CpuMeter { at: Instant::now(), used_ns: cpu_used_ns() }
    }

    /// From 0 to 100, where 100 is all CPUs that may be used.
    pub fn percent_since_last(&mut self, sample: &Sample) -> f64 {
        let elapsed = sample.at.saturating_duration_since(self.at).as_secs_f64();
        let used = sample.cpu_used_ns.saturating_sub(self.used_ns) as f64 / 1e9;
        if elapsed <= 0.0 {
            return 0.0;
        }
        let percent = (used / elapsed / sample.cpus * 100.0).clamp(0.0, 100.0);
        if elapsed >= CPU_WINDOW_MIN_S {
            self.at = sample.at;
            self.used_ns = sample.cpu_used_ns;
        }
        (percent * 100.0).round() / 100.0
    }
}

/// Looks at everything. Reads files.
pub fn sample() -> Sample {
    let (mem_total, mem_used, mem_cache) = memory();
    let (disk_total, disk_used) = disk();
    Sample {
        at: Instant::now(),
        timestamp_ms: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as u64),
        cpus: cpus(),
        cpu_used_ns: cpu_used_ns(),
        mem_total,
        mem_used,
        mem_cache,
        disk_total,
        disk_used,
    }
}

fn cpus() -> f64 {
    let online = online_cpus();
    let quota = read("cpu.max").and_then(|text| parse_cpu_max(&text)).or_else(|| {
        let quota: f64 = read_number("cpu/cpu.cfs_quota_us").map(|quota| quota as f64)?;
        Some(quota / read_number("cpu/cpu.cfs_period_us")? as f64)
    });
    match quota {
        Some(quota) if quota > 0.0 && quota < online => quota,
        _ => online,
    }
}

/// CPUs that this process may run on. Not std's count, which rounds the control group's limit down.
fn online_cpus() -> f64 {
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        match libc::sched_getaffinity(0, std::mem::size_of_val(&set), &mut set) {
            0 => f64::from(libc::CPU_COUNT(&set).max(1)),
            _ => 1.0,
        }
    }
}

fn cpu_used_ns() -> u64 {
    let from_cgroup = || {
        let micros = field(&read("cpu.stat")?, "usage_usec")?;
        Some(micros * 1000)
    };
    from_cgroup()
        .or_else(|| read_number("cpuacct/cpuacct.usage"))
        .or_else(|| parse_proc_stat(&fs::read_to_string("/proc/stat").ok()?))
        .unwrap_or(0)
}

/// Total, used (without the cache) and cache.
fn memory() -> (u64, u64, u64) {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes = |name| field(&meminfo, name).unwrap_or(0) * 1024;
    let total = kilobytes("MemTotal:");
    let limit = read_number("memory.max").or_else(|| read_number("memory/memory.limit_in_bytes")).unwrap_or(u64::MAX);
    let from_cgroup = || {
        let v2 = read_number("memory.current").zip(read("memory.stat").and_then(|stat| field(&stat, "file")));
        v2.or_else(|| {
            let stat = read("memory/memory.stat")?;
            read_number("memory/memory.usage_in_bytes").zip(field(&stat, "total_cache"))
        })
    };
    match from_cgroup() {
        Some((usage, cache)) => (total.min(limit), usage.saturating_sub(cache), cache),
        None => {
            let cache = kilobytes("Cached:") + kilobytes("Buffers:");
            (total.min(limit), total.saturating_sub(kilobytes("MemFree:") + cache), cache)
        }
    }
}

/// Total and used bytes of the root file system.
fn disk() -> (u64, u64) {
    let root = CString::new("/").unwrap_or_default();
    let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
    if unsafe { libc::statvfs(root.as_ptr(), &mut stat) } != 0 {
        return (0, 0);
    }
    let block = stat.f_frsize as u64;
    let blocks = |count: u64| count.saturating_mul(block);
    (blocks(stat.f_blocks as u64), blocks((stat.f_blocks as u64).saturating_sub(stat.f_bfree as u64)))
}

fn read(name: &str) -> Option<String> {
    fs::read_to_string(format!("{}/{}", CGROUP, name)).ok()
}

/// None where there is no number, as in `max` or `-1`.
fn read_number(name: &str) -> Option<u64> {
    read(name)?.trim().parse().ok()
}

/// The number behind `name` at a line's start.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next()? == name).then_some(())?;
        words.next()?.parse().ok()
    })
}

/// `quota period`, where the quota may be `max`.
fn parse_cpu_max(text: &str) -> Option<f64> {
    let mut words = text.split_ascii_whitespace();
    let quota: f64 = words.next()?.parse().ok()?;
    let period: f64 = words.next()?.parse().ok()?;
    (period > 0.0).then_some(quota / period)
}

/// The first line's user, nice, system, irq, softirq and steal times; idle and waiting don't count.
fn parse_proc_stat(text: &str) -> Option<u64> {
    let ticks: Vec<u64> =
        text.lines().next()?.split_ascii_whitespace().skip(1).map_while(|word| word.parse().ok()).collect();
    let busy: u64 = [0, 1, 2, 5, 6, 7].iter().filter_map(|index| ticks.get(*index)).sum();
    Some(busy * TICK_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_quotas() {
        assert_eq!(parse_cpu_max("150000 100000\n"), Some(1.5));
        assert_eq!(parse_cpu_max("max 100000\n"), None);
        assert_eq!(parse_cpu_max("1 0"), None);
    }

    #[test]
    fn reads_busy_time() {
        assert_eq!(parse_proc_stat("cpu  1 2 3 1000 1000 4 5 6 0 0\n"), Some(21 * TICK_NS));
    }

    #[test]
    fn reads_named_fields() {
        assert_eq!(field("a 1\nfile 42\n", "file"), Some(42));
        assert_eq!(field("files 1\n", "file"), None);
    }

    #[test]
    fn a_busy_cpu_shows_in_the_first_answer() {
        let mut sample = sample();
        let mut meter = CpuMeter { at: sample.at, used_ns: 0 };
        sample.at += std::time::Duration::from_secs(1);
        sample.cpus = 2.0;
        sample.cpu_used_ns = 500_000_000;
        assert_eq!(meter.percent_since_last(&sample), 25.0);
        sample.at += std::time::Duration::from_secs(1);
        sample.cpu_used_ns = 90_000_000_000;
        assert_eq!(meter.percent_since_last(&sample), 100.0);
    }

    #[test]
    fn a_real_sample_makes_sense() {
        let sample = sample();
        assert!(sample.cpus > 0.0);
        assert!(sample.mem_total > 0 && sample.mem_used <= sample.mem_total);
        assert!(sample.disk_total > 0 && sample.disk_used <= sample.disk_total);
    }
}
