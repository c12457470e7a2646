//! What file system something is on.

use std::ffi::CString;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::io::AsRawFd;
use std::path::Path;

/// File systems whose files the kernel makes up as they are read (proc, sysfs, debugfs, tracefs, securityfs, cgroup,
/// cgroup2, configfs): their sizes mean nothing, and it tells nothing of what changes in them.
const MADE_UP: [u32; 8] =
    [0x9fa0, 0x6265_6572, 0x6462_6720, 0x7472_6163, 0x7363_6673, 0x0027_e0eb, 0x6367_7270, 0x6265_6570];

/// The number of a path's file system; none where there is nothing.
pub fn magic(path: &Path) -> Option<u32> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
    // 32 bits on every file system, in a field whose type differs between machines.
    let found = unsafe { libc::statfs(path.as_ptr(), &mut stat) } == 0;
    found.then(|| stat.f_type as u32)
}

pub fn is_made_up_kind(magic: u32) -> bool {
    MADE_UP.contains(&magic)
}

/// Whether what is read of an open file is what the kernel makes of it at that moment.
pub fn is_made_up(file: &File) -> bool {
    let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
    let found = unsafe { libc::fstatfs(file.as_raw_fd(), &mut stat) } == 0;
    found && is_made_up_kind(stat.f_type as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_proc_and_sysfs_are_made_up_by_whatever_path() {
        for path in ["/proc/self/status", "//proc/self/../self/status", "/sys/kernel/mm/transparent_hugepage/enabled"] {
            if let Ok(file) = File::open(path) {
                assert!(is_made_up(&file), "{}", path);
            }
        }
        assert!(!is_made_up(&File::open("/etc/passwd").unwrap()));
    }
}
