//! Gives a container what it sees of its machine: a boot id of its own, its memory, its CPUs and its load, as read-only
//! files over the kernel's in its mount namespace. The engine's runtime refuses some of these mounts in a container's
//! description, and each would cost its start time, so they are made from outside, once the container runs.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::io::{AsRawFd, OwnedFd};

use super::checked;
use super::namespace::{refusal, Process};
use crate::views::figures;
use crate::views::fixed;
use crate::views::groups::Groups;
use crate::views::mounts::{attach, c_str, is_kernels, remove, write_detached};
use crate::views::view::{Host, Live, View, SOURCE};

type Mount = (OwnedFd, &'static CStr);

/// Mounts what isn't mounted yet in the namespace of process `pid`, which has to belong to `container`. `directory` is the
/// container's own on the host, that no container sees; the files that `keep` writes to stay in it.
pub fn bind(pid: u32, container: &str, directory: &str) -> io::Result<()> {
    let process = Process::open(pid, container)?;
    let namespace = process.namespace("mnt")?;
    let (dir, root) = (File::open(directory)?, process.file("root")?);
    let place = Place { dir: &dir, root: &root };
    let mut mounts = Vec::new();
    let groups = Groups::find(&process.groups, &fs::read_to_string("/proc/self/mountinfo")?);
    // Without groups to read there is the host's to see.
    let cpus = groups.as_ref().map(|_| allowed_cpus(&process)).transpose()?;
    place.fixed(&mut mounts, cpus.as_deref())?;
    if let (Some(groups), Some(cpus)) = (groups, cpus) {
        place.live(&mut mounts, View::new(groups, cpus))?;
    }
    checked(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNS) }.into())?;
    // The namespace's root is this process's directory now.
    mounts.iter().try_for_each(|(tree, target)| attach(tree, target))?;
    fixed::NAMES.iter().try_for_each(|name| remove(&dir, c_str(name)))
}

/// Where files are made and what they are to lie over.
struct Place<'a> {
    dir: &'a File,
    root: &'a File,
}

impl Place<'_> {
    /// Files that nobody changes any more, nor finds.
    fn fixed(&self, mounts: &mut Vec<Mount>, cpus: Option<&[u32]>) -> io::Result<()> {
        for ((target, text), name) in fixed::texts(cpus)?.into_iter().zip(fixed::NAMES) {
            if is_kernels(self.root.as_raw_fd(), target)? {
                mounts.push((write_detached(self.dir, c_str(name), &text)?, target));
            }
        }
        Ok(())
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

/// The machine's CPUs that the process may run on.
fn allowed_cpus(process: &Process) -> io::Result<Vec<u32>> {
    let status = process.read("status")?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let allowed = list.and_then(figures::parse_cpus).ok_or_else(|| refusal("its CPUs can't be read"))?;
    Ok(fixed::online_cpus()?.into_iter().filter(|cpu| allowed.contains(cpu)).collect())
}
