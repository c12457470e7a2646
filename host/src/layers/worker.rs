//! The process that does a layer's work: what it reads was made by others, and a caller can end it at any time.
//!
//!     e2b-host layer-worker unpack <archive> <directory>
//!     e2b-host layer-worker copy|copy-brief|link|merge <directory> <source>…        sources: lowest first
//!
//! Says on its standard output how it went, as one JSON object.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::io::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use serde_json::{json, Value};

use super::copy::{self, Files, Made, Options};
use super::{sys, unpack};
use crate::error::{text_of, Failure};

/// Most memory, in bytes: directories with very many names are read whole.
const MEMORY_MAX_BYTES: u64 = 2 << 30;
/// For what is as deep as `copy` takes it; a limit that the system has is lower.
const FILES_MAX: u64 = 1 << 20;

/// Exit status: 0 also where the work failed, as the output says.
pub fn main(args: &[String]) -> i32 {
    let result = run(args);
    let answer = match result {
        Ok(value) => json!({ "ok": value }),
        Err(failure) => json!({ "error": failure.to_json() }),
    };
    match io::stdout().lock().write_all(answer.to_string().as_bytes()) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

fn run(args: &[String]) -> Result<Value, Failure> {
    limit(libc::RLIMIT_AS, MEMORY_MAX_BYTES);
    limit(libc::RLIMIT_NOFILE, FILES_MAX);
    let texts: Vec<&str> = args.iter().map(String::as_str).collect();
    match texts.as_slice() {
        ["unpack", archive, directory] => {
            let archive = open(archive, libc::O_RDONLY | libc::O_NONBLOCK)?;
            let kind = sys::fstat(archive.as_fd()).map_err(opening)?.st_mode & libc::S_IFMT;
            if kind != libc::S_IFREG {
                return Err(Failure::invalid("The upload is no file."));
            }
            confine(directory)
                .map_err(|error| Failure::from_io("The layer's directory can't be made the root", &error))?;
            let unpacked = unpack::unpack(archive.into(), b"")?;
            let opaque: Vec<String> = unpacked.opaque.iter().map(|path| hex(path)).collect();
            Ok(json!({ "made": made_json(unpacked.made), "opaque": opaque }))
        }
        [how @ ("copy" | "copy-brief" | "link" | "merge"), directory, sources @ ..] if !sources.is_empty() => {
            let options = Options {
                files: match *how {
                    "copy" => Files::Written,
                    "copy-brief" => Files::Copied,
                    _ => Files::Linked,
                },
                is_whole: *how == "merge",
            };
            let target = open(directory, libc::O_RDONLY | libc::O_DIRECTORY)?;
            let sources = sources.iter().rev().map(|source| open(source, libc::O_RDONLY | libc::O_DIRECTORY));
            let made = copy::copy(sources.collect::<Result<_, _>>()?, &target, options)?;
            Ok(json!({ "made": made_json(made), "opaque": [] }))
        }
        _ => Err(Failure::invalid("This is no work on a layer.")),
    }
}

/// Names may be any bytes.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{:02x}", byte)).collect()
}

fn made_json(made: Made) -> Value {
    json!({ "sizeBytes": made.size_bytes, "entries": made.entries })
}

/// The last part of the path is no link.
fn open(path: &str, flags: i32) -> Result<OwnedFd, Failure> {
    let path = CString::new(path).map_err(|_| Failure::invalid("A path has a zero in it."))?;
    let root = File::open("/").map_err(opening)?;
    sys::open(root.as_fd(), &path, flags, 0).map_err(opening)
}

fn opening(error: io::Error) -> Failure {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ELOOP) => {
            Failure::not_found(format!("A layer or an upload is not there: {}.", text_of(&error)))
        }
        _ => Failure::from_io("A layer or an upload can't be opened", &error),
    }
}

fn limit(which: libc::__rlimit_resource_t, most: u64) {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // What can't be raised or lowered stays as it is.
    // SAFETY: the structure lives for the call.
    unsafe { libc::setrlimit(which, &limit) };
}

/// Makes `directory` the root of all that this process sees, without network, and gives up every power but that over files.
fn confine(directory: &str) -> io::Result<()> {
    let path = CString::new(Path::new(directory).as_os_str().as_bytes())?;
    let (root, dot) = (CString::new("/")?, CString::new(".")?);
    // SAFETY: the texts live for the calls; the process has one thread.
    unsafe {
        let spaces = libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
        check(libc::unshare(spaces) as _)?;
        let (none, private) = (std::ptr::null(), libc::MS_REC | libc::MS_PRIVATE);
        check(libc::mount(none, root.as_ptr(), none, private, none.cast()) as _)?;
        check(libc::mount(path.as_ptr(), path.as_ptr(), none, libc::MS_BIND, none.cast()) as _)?;
        check(libc::chdir(path.as_ptr()) as _)?;
        // The old root comes to lie on the new one, and goes.
        check(libc::syscall(libc::SYS_pivot_root, dot.as_ptr(), dot.as_ptr()))?;
        check(libc::umount2(dot.as_ptr(), libc::MNT_DETACH) as _)?;
        check(libc::chdir(root.as_ptr()) as _)?;
        libc::umask(0);
    }
    drop_powers()
}

/// CHOWN, DAC_OVERRIDE, FOWNER, FSETID and SETFCAP, by their numbers.
const POWERS: u64 = 1 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 31;

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn drop_powers() -> io::Result<()> {
    let header = CapHeader { version: 0x2008_0522, pid: 0 };
    let data = [
        CapData { effective: POWERS as u32, permitted: POWERS as u32, inheritable: 0 },
        CapData { effective: 0, permitted: 0, inheritable: 0 },
    ];
    // SAFETY: both structures have the kernel's layout (version 3) and live for the call.
    unsafe {
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) as _)?;
        check(libc::syscall(libc::SYS_capset, &header, data.as_ptr()))
    }
}

fn check(result: i64) -> io::Result<()> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Marks directories of a layer as such that hide what lies below: the worker that unpacks may not.
pub fn mark_opaque(directory: &OwnedFd, paths: &[Vec<u8>]) -> io::Result<()> {
    for path in paths {
        let found = open_in_root(directory, path)?;
        super::attributes::set_opaque(found.as_fd())?;
    }
    Ok(())
}

/// As the worker saw it: links of the layer lead to what is in the layer.
fn open_in_root(directory: &OwnedFd, path: &[u8]) -> io::Result<OwnedFd> {
    use std::os::unix::io::FromRawFd;
    let path = CString::new(if path.is_empty() { b".".to_vec() } else { path.to_vec() })?;
    // SAFETY: zeros are valid; the structure and the path live for the call.
    unsafe {
        let mut how: libc::open_how = std::mem::zeroed();
        how.flags = (libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC) as u64;
        how.resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;
        let size = std::mem::size_of::<libc::open_how>();
        let fd = libc::syscall(libc::SYS_openat2, directory.as_raw_fd(), path.as_ptr(), &how, size);
        match fd {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd as i32)),
        }
    }
}
