//! Gives a container what it sees of its machine: a boot id of its own, its memory, its CPUs and its load, as read-only
//! files over the kernel's in its mount namespace. The engine's runtime refuses some of these mounts in a container's
//! description, and each would cost its start time, so they are made from outside, once the container runs.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::io::{AsRawFd, OwnedFd};

use super::cgroup::Groups;
use super::checked;
use super::figures;
use super::mounts::{attach, c_str, is_kernels, remove, write_detached};
use super::namespace::{refusal, Process};
use super::view::{Host, Live, View};
use crate::init::random_uuid;

const BOOT_ID: &[u8] = b"proc/sys/kernel/random/boot_id\0";
const SWAPS: &[u8] = b"proc/swaps\0";
const CPUINFO: &[u8] = b"proc/cpuinfo\0";
const CPU_LISTS: [&[u8]; 3] =
    [b"sys/devices/system/cpu/online\0", b"sys/devices/system/cpu/present\0", b"sys/devices/system/cpu/possible\0"];
const NO_SWAPS: &str = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
/// The view's description, in the container's directory.
pub const SOURCE: &[u8] = b"source\0";
/// Files that lose their names once they are mounted.
const FIXED: [&[u8]; 6] = [b"fixed-0\0", b"fixed-1\0", b"fixed-2\0", b"fixed-3\0", b"fixed-4\0", b"fixed-5\0"];

type Mount = (OwnedFd, &'static CStr);

/// Mounts what isn't mounted yet in the namespace of process `pid`, which has to belong to `container`. `directory` is the
/// container's own on the host, that no container sees; the files that `keep` writes to stay in it.
pub fn bind(pid: u32, container: &str, directory: &str) -> io::Result<()> {
    let process = Process::open(pid, container)?;
    let namespace = process.namespace("mnt")?;
    let (dir, root) = (File::open(directory)?, process.file("root")?);
    let place = Place { dir: &dir, root: &root };
    let mut mounts = Vec::new();
    place.fixed(&mut mounts, BOOT_ID, || format!("{}\n", random_uuid()))?;
    place.fixed(&mut mounts, SWAPS, || NO_SWAPS.to_owned())?;
    let groups = Groups::find(&process.groups, &fs::read_to_string("/proc/self/mountinfo")?);
    // Without groups to read there is the host's to see.
    if let Some(groups) = groups {
        let online = fs::read_to_string("/sys/devices/system/cpu/online")?;
        let online = figures::parse_cpus(&online).unwrap_or_default();
        let cpus = allowed_cpus(&process, &online)?;
        place.cpus(&mut mounts, &cpus, &online)?;
        place.live(&mut mounts, View::new(groups, cpus))?;
    }
    checked(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNS) }.into())?;
    // The namespace's root is this process's directory now.
    mounts.iter().try_for_each(|(tree, target)| attach(tree, target))?;
    FIXED.iter().try_for_each(|name| remove(&dir, c_str(name)))
}

/// Where files are made and what they are to lie over.
struct Place<'a> {
    dir: &'a File,
    root: &'a File,
}

impl Place<'_> {
    /// A file that nobody changes any more, nor finds.
    fn fixed(&self, mounts: &mut Vec<Mount>, target: &'static [u8], text: impl FnOnce() -> String) -> io::Result<()> {
        if is_kernels(self.root.as_raw_fd(), c_str(target))? {
            let name = c_str(FIXED[mounts.len()]);
            mounts.push((write_detached(self.dir, name, &text())?, c_str(target)));
        }
        Ok(())
    }

    /// Nothing, for a container that has all of the host's.
    fn cpus(&self, mounts: &mut Vec<Mount>, cpus: &[u32], online: &[u32]) -> io::Result<()> {
        if cpus == online {
            return Ok(());
        }
        let host = fs::read_to_string("/proc/cpuinfo")?;
        self.fixed(mounts, CPUINFO, || figures::cpuinfo(&host, cpus))?;
        CPU_LISTS.iter().try_for_each(|list| self.fixed(mounts, list, || figures::format_cpus(cpus) + "\n"))
    }

    fn live(&self, mounts: &mut Vec<Mount>, mut view: View) -> io::Result<()> {
        let host = Host::read()?;
        for live in Live::ALL {
            if is_kernels(self.root.as_raw_fd(), live.target())? {
                let text = view.text(live, &host).ok_or_else(|| refusal("its control groups can't be read"))?;
                mounts.push((write_detached(self.dir, live.name(), &text)?, live.target()));
            }
        }
        write_detached(self.dir, c_str(SOURCE), &view.describe()).map(drop)
    }
}

/// The CPUs of `online` that the process may run on.
fn allowed_cpus(process: &Process, online: &[u32]) -> io::Result<Vec<u32>> {
    let status = process.read("status")?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let allowed = list.and_then(figures::parse_cpus).ok_or_else(|| refusal("its CPUs can't be read"))?;
    Ok(online.iter().copied().filter(|cpu| allowed.contains(cpu)).collect())
}
