//! Kinds of file systems that can't be watched as others can.

use std::fs;
use std::path::Path;

use crate::error::Failure;
use crate::files::entry::{not_a_directory, path_failure};
use crate::files::kind::{is_made_up_kind, magic};

/// Changes made on another machine, or by the program that serves the file system, aren't seen here.
const NETWORK: [(u32, &str); 5] =
    [(0x6969, "NFS"), (0x517b, "SMB"), (0xff53_4d42, "CIFS"), (0xfe53_4d42, "SMB2"), (0x6573_5546, "FUSE")];

/// Whether `path` is a directory that can be watched. Errors: `not_found`, `invalid_argument`.
pub fn check_root(path: &str, allows_network: bool) -> Result<(), Failure> {
    let metadata = fs::metadata(path).map_err(|error| path_failure("watched", path, &error))?;
    if !metadata.is_dir() {
        return Err(not_a_directory(path));
    }
    match magic(Path::new(path)) {
        Some(magic) => check_kind(path, magic, allows_network),
        None => Ok(()),
    }
}

fn check_kind(path: &str, magic: u32, allows_network: bool) -> Result<(), Failure> {
    match network_name(magic) {
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
    !is_made_up_kind(magic) && (allows_network || network_name(magic).is_none())
}

fn network_name(magic: u32) -> Option<&'static str> {
    NETWORK.iter().find(|(network, _)| *network == magic).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn network_mounts_are_entered_where_that_is_allowed_and_proc_nowhere() {
        for (magic, _) in NETWORK {
            assert!(!is_kind_entered(magic, false) && is_kind_entered(magic, true));
            assert_eq!(check_kind("/mnt", magic, false).unwrap_err().code, Code::InvalidArgument);
            assert_eq!(check_kind("/mnt", magic, true), Ok(()));
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
