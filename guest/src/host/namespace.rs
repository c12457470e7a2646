//! The namespaces of a container, by one of its processes: what is done in them is never done in the host's own.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::os::unix::io::{AsRawFd, FromRawFd};

use super::checked;

const PROC_DIR: &str = "/proc";
/// Longest /proc/<pid>/cgroup that is read.
const CGROUP_MAX_BYTES: u64 = 64 * 1024;
/// Shortest part of a container's id that names it.
const CONTAINER_MIN_CHARS: usize = 12;

/// The namespace `kind` (as in /proc/<pid>/ns) of process `pid`, which has to belong to `container`. Errors: also where it
/// is the host's.
pub fn open(pid: u32, container: &str, kind: &str) -> io::Result<File> {
    let process = File::open(format!("{}/{}", PROC_DIR, pid))?;
    // All that is read through this directory is of one process, also if its pid is given to another meanwhile.
    check_container(&process, container)?;
    let namespace = open_at(&process, &format!("ns/{}", kind))?;
    if namespace.metadata()?.ino() == fs::metadata(format!("{}/self/ns/{}", PROC_DIR, kind))?.ino() {
        return Err(refusal("the process shares that with the host"));
    }
    Ok(namespace)
}

/// A process belongs to a container whose id is in the path of one of its control groups.
fn check_container(process: &File, container: &str) -> io::Result<()> {
    if container.len() < CONTAINER_MIN_CHARS || !container.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(refusal("the container's id is not one"));
    }
    let mut groups = String::new();
    open_at(process, "cgroup")?.take(CGROUP_MAX_BYTES).read_to_string(&mut groups)?;
    if groups.contains(container) {
        return Ok(());
    }
    Err(refusal("the process is not of that container"))
}

fn open_at(dir: &File, name: &str) -> io::Result<File> {
    let name = CString::new(name)?;
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    let fd = checked(unsafe { libc::openat(dir.as_raw_fd(), name.as_ptr(), flags) }.into())?;
    Ok(unsafe { File::from_raw_fd(fd as _) })
}

pub fn refusal(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Other, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_process_that_is_not_of_the_container() {
        let error = open(std::process::id(), "0123456789abcdef", "net").unwrap_err();
        assert!(error.to_string().contains("not of that container"), "{}", error);
        for container in ["", "0123", "not hexadecimal!", "/"] {
            let error = open(std::process::id(), container, "mnt").unwrap_err();
            assert!(error.to_string().contains("is not one"), "{}", error);
        }
    }
}
