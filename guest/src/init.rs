//! What the agent does to the system around it: at its start, and when it is configured.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Code, Failure};
use crate::fields::StringMap;

const IDENTITY_DIR: &str = "/run/e2b";
const IDENTITY_NAMES: [&str; 3] = ["E2B_SANDBOX", "E2B_SANDBOX_ID", "E2B_TEMPLATE_ID"];
/// A clock that is off by less is left alone.
const CLOCK_TOLERANCE_MS: u64 = 1000;

/// Makes the process one that others can be started from. Returns the limit on open files to give back to them.
pub fn prepare_process() -> Option<libc::rlimit> {
    unsafe { libc::umask(0o022) };
    close_inherited_on_exec();
    bound_allocator();
    raise_open_files()
}

/// Whatever this process was started with must not leak into the sandbox's processes.
fn close_inherited_on_exec() {
    let entries = match fs::read_dir("/proc/self/fd") {
        Ok(entries) => entries,
        Err(_) => return,
    };
    let fds: Vec<i32> = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for fd in fds.into_iter().filter(|fd| *fd > 2) {
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// One heap for all threads, and large buffers go back to the system when they are done with: the agent shares the
/// sandbox's memory.
fn bound_allocator() {
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 * 1024);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 128 * 1024);
    }
}

/// Gives the system back what a burst of work has left in the heap.
pub fn release_memory() {
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Thousands of connections and pipes need more files than the usual limit.
fn raise_open_files() -> Option<libc::rlimit> {
    let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut before) } != 0 {
        return None;
    }
    let raised = libc::rlimit { rlim_cur: before.rlim_max, rlim_max: before.rlim_max };
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raised) };
    Some(before)
}

/// A number that nobody can guess.
pub fn random_u64() -> u64 {
    let mut bytes = [0; 8];
    fill_randomly(&mut bytes);
    u64::from_ne_bytes(bytes)
}

/// So few bytes are never cut short; before the kernel's pool is ready this waits.
fn fill_randomly(bytes: &mut [u8]) {
    unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
}

/// A version 4 uuid.
pub fn random_uuid() -> String {
    let mut bytes = [0u8; 16];
    fill_randomly(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{:02x}", byte)).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Sets the name of the host, unless it has that name. Errors: `failed_precondition`, `invalid_argument`.
pub fn set_hostname(name: &str, may_change: bool) -> Result<(), Failure> {
    let mut current = [0u8; 256];
    unsafe { libc::gethostname(current.as_mut_ptr().cast(), current.len() - 1) };
    if current.split(|byte| *byte == 0).next() == Some(name.as_bytes()) {
        return Ok(());
    }
    let result = if may_change {
        check(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) })
    } else {
        Err(io::Error::from_raw_os_error(libc::EPERM))
    };
    result.map_err(|error| Failure::from_io("The host name can't be set here", &error))
}

/// Sets the clock, in Unix milliseconds, unless it is right already. Errors: `failed_precondition`.
pub fn set_clock(clock_ms: u64, may_change: bool) -> Result<(), Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as u64);
    if now.max(clock_ms) - now.min(clock_ms) <= CLOCK_TOLERANCE_MS {
        return Ok(());
    }
    let time = libc::timespec {
        tv_sec: (clock_ms / 1000) as libc::time_t,
        tv_nsec: (clock_ms % 1000 * 1_000_000) as libc::c_long,
    };
    let result = if may_change {
        check(unsafe { libc::clock_settime(libc::CLOCK_REALTIME, &time) })
    } else {
        Err(io::Error::from_raw_os_error(libc::EPERM))
    };
    result.map_err(|error| Failure::from_io("The clock can't be set here", &error))
}

/// Writes `/run/e2b/.<NAME>` for each variable of the identity, and removes those of the others.
pub fn write_identity_files(identity: &StringMap) -> Result<(), Failure> {
    let fail = |error: io::Error| Failure {
        code: Code::Internal,
        ..Failure::from_io(format!("The files in {} can't be written", IDENTITY_DIR), &error)
    };
    fs::create_dir_all(IDENTITY_DIR).map_err(fail)?;
    for name in IDENTITY_NAMES {
        let path = Path::new(IDENTITY_DIR).join(format!(".{}", name));
        // Whatever is there goes first: writing through a link or into a pipe is not what is meant.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
            _ => {}
        }
        if let Some(value) = identity.get(name) {
            let file = OpenOptions::new().write(true).create_new(true).open(&path);
            file.and_then(|mut file| file.write_all(value.as_bytes())).map_err(fail)?;
        }
    }
    Ok(())
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_version_4_and_differ() {
        let (one, other) = (random_uuid(), random_uuid());
        assert_eq!(one.len(), 36);
        assert_eq!(&one[14..15], "4");
        assert_ne!(one, other);
    }

    #[test]
    fn refuses_to_change_what_is_not_its_own() {
        assert_eq!(set_clock(0, false).unwrap_err().errno, Some("EPERM"));
        assert_eq!(set_hostname("surely-not-this", false).unwrap_err().code, Code::FailedPrecondition);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        assert_eq!(set_clock(now, false), Ok(()));
    }
}
