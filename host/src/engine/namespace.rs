//! The namespaces of a container, by one of its processes: what is done in them is never done in the host's own.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::os::unix::io::{AsRawFd, FromRawFd};

use super::checked;

const PROC_DIR: &str = "/proc";
/// Longest file of a process that is read.
const FILE_MAX_BYTES: u64 = 256 * 1024;
/// Shortest part of a container's id that names it.
const CONTAINER_MIN_CHARS: usize = 12;

/// A process of a container. All that is read of it is of one process, also if its pid is given to another meanwhile.
pub struct Process {
    directory: File,
    /// The text of its /proc/<pid>/cgroup
    pub groups: String,
}

impl Process {
    /// A process belongs to a container whose id is in the path of one of its control groups. Errors: any other.
    pub fn open(pid: u32, container: &str) -> io::Result<Process> {
        let mut process = Process { directory: File::open(format!("{}/{}", PROC_DIR, pid))?, groups: String::new() };
        if container.len() < CONTAINER_MIN_CHARS || !container.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refusal("the container's id is not one"));
        }
        process.groups = process.read("cgroup")?;
        if process.groups.contains(container) {
            return Ok(process);
        }
        Err(refusal("the process is not of that container"))
    }

    /// A file or directory of /proc/<pid>.
    pub fn file(&self, name: &str) -> io::Result<File> {
        open_at(&self.directory, name)
    }

    /// A file's text, of which no more is read than such a file has.
    pub fn read(&self, name: &str) -> io::Result<String> {
        let mut text = String::new();
        self.file(name)?.take(FILE_MAX_BYTES).read_to_string(&mut text)?;
        Ok(text)
    }

    /// Its namespace `kind`, as in /proc/<pid>/ns. Errors: also where it is the host's.
    pub fn namespace(&self, kind: &str) -> io::Result<File> {
        let namespace = self.file(&format!("ns/{}", kind))?;
        if namespace.metadata()?.ino() == fs::metadata(format!("{}/self/ns/{}", PROC_DIR, kind))?.ino() {
            return Err(refusal("the process shares that with the host"));
        }
        Ok(namespace)
    }
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
        let error = Process::open(std::process::id(), "0123456789abcdef").err().unwrap();
        assert!(error.to_string().contains("not of that container"), "{}", error);
        for container in ["", "0123", "not hexadecimal!", "/"] {
            let error = Process::open(std::process::id(), container).err().unwrap();
            assert!(error.to_string().contains("is not one"), "{}", error);
        }
    }
}
