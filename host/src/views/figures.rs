//! A container's limits and use in the words of the kernel's files about a machine: what programs in it read instead.
//!
//! Each text is as long as the one before, or longer, so that one write over a file leaves nothing of the old one, and a
//! reader never finds it cut. Values are in the kernel's own columns.

use super::groups::{CpuTime, Memory};

/// Columns of a number in /proc/meminfo.
const MEMINFO_COLUMNS: usize = 8;
/// Length of /proc/loadavg without its end of line.
const LOADAVG_COLUMNS: usize = 40;
const TICK_US: u64 = 10_000;
/// The times, in seconds, over which load is averaged.
const LOAD_WINDOWS_S: [f64; 3] = [60.0, 300.0, 900.0];

/// /proc/meminfo. `host_kb` is what the machine has, which a limit may exceed. Swap there is none of: a container's
/// limit is on memory and swap together.
pub fn meminfo(memory: &Memory, host_kb: u64) -> String {
    let total = (memory.limit / 1024).min(host_kb);
    let kb = |bytes: u64| (bytes / 1024).min(total);
    let free = total - kb(memory.usage);
    let reclaimable = kb(memory.active_file + memory.inactive_file + memory.slab_reclaimable);
    let lines = [
        ("MemTotal", total),
        ("MemFree", free),
        ("MemAvailable", (free + reclaimable).min(total)),
        ("Buffers", 0),
        ("Cached", kb(memory.cache)),
        ("SwapCached", 0),
        ("Active", kb(memory.active_anon + memory.active_file)),
        ("Inactive", kb(memory.inactive_anon + memory.inactive_file)),
        ("Active(anon)", kb(memory.active_anon)),
        ("Inactive(anon)", kb(memory.inactive_anon)),
        ("Active(file)", kb(memory.active_file)),
        ("Inactive(file)", kb(memory.inactive_file)),
        ("Unevictable", kb(memory.unevictable)),
        ("Mlocked", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Dirty", kb(memory.dirty)),
        ("Writeback", kb(memory.writeback)),
        ("AnonPages", kb(memory.anon)),
        ("Mapped", kb(memory.mapped)),
        ("Shmem", kb(memory.shmem)),
        ("KReclaimable", kb(memory.slab_reclaimable)),
        ("Slab", kb(memory.slab_reclaimable + memory.slab_unreclaimable)),
        ("SReclaimable", kb(memory.slab_reclaimable)),
        ("SUnreclaim", kb(memory.slab_unreclaimable)),
        ("KernelStack", kb(memory.kernel_stack)),
        ("PageTables", kb(memory.page_tables)),
        ("CommitLimit", total),
        ("Committed_AS", kb(memory.anon)),
    ];
    let columns = MEMINFO_COLUMNS.max(total.to_string().len());
    lines
        .iter()
        .map(|(name, value)| format!("{:<15} {:>columns$} kB\n", format!("{}:", name), value, columns = columns))
        .collect()
}

/// /proc/stat: the times of `cpus`, by their numbers. They add up to the time that the host runs, `uptime_us`, since
/// which all that /proc says of processes counts too. `idle` is the sum of idle ticks said last, which never falls.
pub fn stat(cpus: &[u32], used: CpuTime, uptime_us: u64, btime: u64, tasks: u64, idle: &mut u64) -> String {
    let count = cpus.len().max(1) as u64;
    let (user, system) = (used.user_us / TICK_US, used.system_us / TICK_US);
    *idle = (*idle).max((uptime_us / TICK_US * count).saturating_sub(user + system));
    let line = |name: &str, share: u64| {
        format!("{} {} 0 {} {} 0 0 0 0 0 0\n", name, user / share, system / share, *idle / share)
    };
    let mut text = line("cpu ", 1);
    for cpu in cpus {
        text += &line(&format!("cpu{}", cpu), count);
    }
    text + &format!("intr 0\nctxt 0\nbtime {}\nprocesses {}\nprocs_running 1\nprocs_blocked 0\n", btime, tasks)
}

/// /proc/loadavg.
pub fn loadavg(loads: &[f64; 3], tasks: u64) -> String {
    let [one, five, fifteen] = loads;
    let text = format!("{:.2} {:.2} {:.2} 1/{} {}", one, five, fifteen, tasks.max(1), tasks);
    format!("{:<columns$}\n", text, columns = LOADAVG_COLUMNS)
}

/// The averages after `elapsed_s` more, in which `cpus_used` were used on average.
pub fn averaged(loads: [f64; 3], cpus_used: f64, elapsed_s: f64) -> [f64; 3] {
    let mut averages = loads;
    for (average, window) in averages.iter_mut().zip(LOAD_WINDOWS_S) {
        let kept = (-elapsed_s / window).exp();
        *average = *average * kept + cpus_used * (1.0 - kept);
    }
    averages
}

/// /proc/cpuinfo without the CPUs that aren't in `cpus`.
pub fn cpuinfo(host: &str, cpus: &[u32]) -> String {
    let is_shown = |block: &&str| match number_behind(block, "processor") {
        Some(cpu) => cpus.contains(&cpu),
        None => true,
    };
    host.split_inclusive("\n\n").filter(is_shown).collect()
}

fn number_behind(block: &str, name: &str) -> Option<u32> {
    block.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().parse().ok())?
    })
}

/// CPUs of a list such as `0-2,5`.
pub fn parse_cpus(text: &str) -> Option<Vec<u32>> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        cpus.extend(first..=last.min(first.saturating_add(CPUS_MAX)));
    }
    Some(cpus)
}

/// Above any kernel's number of CPUs.
const CPUS_MAX: u32 = 8192;

/// The list of CPUs as the kernel writes it, with ranges.
pub fn format_cpus(cpus: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for cpu in cpus {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *cpu => *last = *cpu,
            _ => ranges.push((*cpu, *cpu)),
        }
    }
    let range = |(first, last): &(u32, u32)| match first == last {
        true => first.to_string(),
        false => format!("{}-{}", first, last),
    };
    ranges.iter().map(range).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn memory_is_that_of_the_limit_and_always_as_long() {
        let of = |usage: u64, inactive_file: u64| {
            let memory = Memory { limit: 512 * MIB, usage, inactive_file, cache: inactive_file, ..Memory::default() };
            meminfo(&memory, 64 << 20)
        };
        let text = of(100 * MIB, 50 * MIB);
        assert!(
            text.starts_with("MemTotal:         524288 kB\nMemFree:          421888 kB\nMemAvailable:     473088 kB\n")
        );
        assert_eq!(text.len(), of(0, 0).len());
        // More than the limit for a moment, and a limit above what the machine has.
        assert!(of(600 * MIB, 0).contains("MemFree:               0 kB"));
        let memory = Memory { limit: u64::MAX, ..Memory::default() };
        assert!(meminfo(&memory, 1000).starts_with("MemTotal:           1000 kB\n"));
    }

    #[test]
    fn cpu_times_add_up_and_never_fall() {
        let mut idle = 0;
        let used = |user_us| CpuTime { user_us, system_us: 1_000_000 };
        let text = stat(&[1, 4], used(3_000_000), 10_000_000, 77, 5, &mut idle);
        let lines: Vec<_> = text.lines().take(4).collect();
        let last = "intr 0";
        assert_eq!(
            lines,
            ["cpu  300 0 100 1600 0 0 0 0 0 0", "cpu1 150 0 50 800 0 0 0 0 0 0", "cpu4 150 0 50 800 0 0 0 0 0 0", last]
        );
        assert!(text.contains("\nbtime 77\n"));
        stat(&[1, 4], used(9_000_000), 10_000_000, 77, 5, &mut idle);
        assert_eq!(idle, 1600);
    }

    #[test]
    fn load_follows_use() {
        let busy = (0..120).fold([0.0; 3], |loads, _| averaged(loads, 2.0, 1.0));
        assert!(busy[0] > 1.7 && busy[0] < 2.0 && busy[0] > busy[1] && busy[1] > busy[2]);
        assert!(averaged(busy, 0.0, 3600.0)[0] < 0.001);
        let text = loadavg(&[0.0, 1.5, 12.25], 31);
        assert_eq!(text.trim_end(), "0.00 1.50 12.25 1/31 31");
        assert_eq!(text.len(), loadavg(&[100.0; 3], 4_194_304).len());
    }

    #[test]
    fn cpus_are_those_of_the_container() {
        let host = "processor\t: 0\nmodel name\t: a\n\nprocessor\t: 1\nmodel name\t: b\n\nHardware\t: c\n";
        assert_eq!(cpuinfo(host, &[1]), "processor\t: 1\nmodel name\t: b\n\nHardware\t: c\n");
        assert_eq!(parse_cpus("0-2,5\n"), Some(vec![0, 1, 2, 5]));
        assert_eq!(format_cpus(&[0, 1, 2, 5]), "0-2,5");
        assert_eq!(parse_cpus(""), None);
    }
}
