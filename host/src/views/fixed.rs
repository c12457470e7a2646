//! Files that stay as they are made: what doesn't change of a sandbox's machine.

use std::ffi::CStr;
use std::fs;
use std::io;

use super::figures;
use super::mounts::c_str;

const BOOT_ID: &[u8] = b"proc/sys/kernel/random/boot_id\0";
const SWAPS: &[u8] = b"proc/swaps\0";
const CPUINFO: &[u8] = b"proc/cpuinfo\0";
const CPU_LISTS: [&[u8]; 3] =
    [b"sys/devices/system/cpu/online\0", b"sys/devices/system/cpu/present\0", b"sys/devices/system/cpu/possible\0"];
const NO_SWAPS: &str = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
/// The kernel makes a new one for each who reads.
const UUID: &str = "/proc/sys/kernel/random/uuid";

/// Their names in the sandbox's directory on the machine, in the order of `texts`.
pub const NAMES: [&[u8]; 6] = [b"fixed-0\0", b"fixed-1\0", b"fixed-2\0", b"fixed-3\0", b"fixed-4\0", b"fixed-5\0"];

/// What each lies over, below the sandbox's root, and its text. `cpus`: those it may run on; unknown ones aren't shown.
pub fn texts(cpus: Option<&[u32]>) -> io::Result<Vec<(&'static CStr, String)>> {
    let mut texts = vec![(c_str(BOOT_ID), fs::read_to_string(UUID)?), (c_str(SWAPS), NO_SWAPS.to_owned())];
    // One that has all of the machine's sees the kernel's own.
    if let Some(cpus) = cpus.filter(|cpus| online_cpus().map_or(true, |online| online != *cpus)) {
        texts.push((c_str(CPUINFO), figures::cpuinfo(&fs::read_to_string("/proc/cpuinfo")?, cpus)));
        let list = figures::format_cpus(cpus) + "\n";
        texts.extend(CPU_LISTS.iter().map(|name| (c_str(name), list.clone())));
    }
    Ok(texts)
}

/// The machine's.
pub fn online_cpus() -> io::Result<Vec<u32>> {
    let online = fs::read_to_string("/sys/devices/system/cpu/online")?;
    Ok(figures::parse_cpus(&online).unwrap_or_default())
}
