//! Whether this machine's kernel and disk can do what guests with ids of their own need: seen by doing it.

use std::fs::{self, File};
use std::io;
use std::os::unix::io::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use super::mounts::{self, Ids, Parts};
use super::process::{map_ids, Process};
use super::{in_thread, park, sys, ParkSpec, Rights, IDS};
use crate::error::Failure;

/// Ids that no guest has.
const BASE: u32 = 0x6fff_0000;
const NAME: &str = ".trial";

/// Whether layers on the file system of `directory` can be mounted with mapped ids: guests have user name spaces only then.
/// Makes a directory `.trial` there and removes it. Errors: what kept it from being tried is as good as a no.
pub fn has_mapped_layers(directory: &Path) -> bool {
    let place = directory.join(NAME);
    let _ = fs::remove_dir_all(&place);
    let has = mount_root(&place).is_ok();
    let _ = fs::remove_dir_all(&place);
    has
}

/// Whether root of a guest can have a user name space of its own to mount in. Errors: why not.
pub fn may_mount() -> Result<(), Failure> {
    let no = |error: io::Error| Failure::from_io("The helper's own name spaces can't be seen", &error);
    let actions = fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").map_err(no)?;
    if !actions.split_whitespace().any(|action| action == "user_notif") {
        return Err(Failure::internal("The kernel's filters of system calls can't ask about one."));
    }
    let network = File::open("/proc/self/ns/net").map_err(no)?;
    let spec = ParkSpec { netns: network.as_fd(), procs: &[], groups: &[], uid_base: BASE, rights: Rights::Mounts };
    park(&spec).map(drop)
}

fn mount_root(place: &Path) -> io::Result<()> {
    for name in ["layer", "upper", "work"] {
        fs::create_dir_all(place.join(name))?;
    }
    let namespace = user_namespace()?;
    let (layer, storage) = (File::open(place.join("layer"))?, File::open(place)?);
    let ids = Ids { namespace: namespace.as_fd(), base: BASE };
    let storage = sys::clone_mount(storage.as_fd())?;
    let parts = Parts::open(&[layer.as_fd()], storage.as_fd(), Some(ids))?;
    in_thread(|| {
        sys::enter_empty_mounts()?;
        fs::create_dir("root")?;
        mounts::root(&parts)
    })
}

/// A user name space as a guest has one, without a process in it.
fn user_namespace() -> io::Result<OwnedFd> {
    let (ours, theirs) = sys::socket_pair()?;
    // The child waits for this process to close its end, and does nothing else.
    let process = match unsafe { sys::clone_process(libc::CLONE_NEWUSER) }? {
        None => unsafe {
            libc::close(ours.as_raw_fd());
            let mut byte = 0u8;
            libc::read(theirs.as_raw_fd(), (&mut byte as *mut u8).cast(), 1);
            libc::_exit(0)
        },
        Some((pid, pidfd)) => Process { pid, start_time: 0, pidfd: Some(pidfd) },
    };
    map_ids(process.pid, BASE, IDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_file_systems_that_map_ids_from_others() {
        assert!(has_mapped_layers(&std::env::temp_dir()));
        assert!(!has_mapped_layers(Path::new("/proc")));
    }
}
