//! Kinds of file systems that can't be watched as others can.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::Failure;
use crate::files::entry::{not_a_directory, path_failure};

/// Changes made on another machine, or by the program that serves the file system, aren't seen here.
const NETWORK: [(u32, &str); 5] =
    [(0x6969, "NFS"), (0x517b, "SMB"), (0xff53_4d42, "CIFS"), (0xfe53_4d42, "SMB2"), (0x6573_5546, "FUSE")];
/// The kernel tells nothing of what changes in proc and sysfs, and they are large.
const SILENT: [u32; 2] = [0x9fa0, 0x6265_6572];

/// Whether `path` is a directory that can be watched. Errors: `not_found`, `invalid_argument`.
pub fn check_root(path: &str, allows_network: bool) -> Result<(), Failure> {
    let metadata = fs::metadata(path).map_err(|error| path_failure("watched", path, &error))?;
    if !metadata.is_dir() {
        return Err(not_a_directory(path));
    }
    match magic(Path::new(path)).and_then(network_name) {
        Some(name) if !allows_network => Err(Failure::invalid(format!(
            "path '{}' is on a network file system ({}), where not all changes are seen: allow network mounts to \
             watch it all the same",
            path, name
        ))),
        _ => Ok(()),
    }
}

/// Whether a recursive watcher goes into a file system that is mounted below its root.
pub fn is_entered(path: &Path, allows_network: bool) -> bool {
    magic(path).map_or(false, |magic| is_kind_entered(magic, allows_network))
}

fn is_kind_entered(magic: u32, allows_network: bool) -> bool {
    !SILENT.contains(&magic) && (allows_network || network_name(magic).is_none())
}

fn network_name(magic: u32) -> Option<&'static str> {
    NETWORK.iter().find(|(network, _)| *network == magic).map(|(_, name)| *name)
}

fn magic(path: &Path) -> Option<u32> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
    match unsafe { libc::statfs(path.as_ptr(), &mut stat) } {
        // 32 bits on every file system, in a field whose type differs between machines.
        0 => Some(stat.f_type as u32),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_mounts_are_entered_where_that_is_allowed_and_proc_nowhere() {
        for (magic, _) in NETWORK {
            assert!(!is_kind_entered(magic, false) && is_kind_entered(magic, true));
        }
        assert!(!is_entered(Path::new("/proc"), true));
        assert!(is_entered(Path::new("/dev"), false));
    }

    #[test]
    fn only_directories_can_be_watched() {
        assert_eq!(check_root("/proc", false), Ok(()));
        assert_eq!(check_root("/proc/self/status", false).unwrap_err().errno, Some("ENOTDIR"));
        assert_eq!(check_root("/proc/none", false).unwrap_err().errno, Some("ENOENT"));
    }
}
