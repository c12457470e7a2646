//! The program `runsc`: which one, and how it is called.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::io::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::Place;
use crate::error::{text_of, Code, Failure};
use crate::launch::sys;
use crate::processes;

/// Which one all here has been tried with: of another version nobody knows. It doesn't say its version itself.
const PINNED: &str = include_str!("../../../spec/gvisor.json");
const PIECE_BYTES: usize = 1024 * 1024;
/// Longest time for one call.
const LIMIT: Duration = Duration::from_secs(60);
/// Most that is quoted of what it says, in bytes.
const SAID_MAX: u64 = 1_000;
const PATH: &str = "PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";

/// gVisor's program, of the version that is known here.
pub struct Runsc {
    file: PathBuf,
}

impl Runsc {
    /// Errors: `failed_precondition`, in a sentence for whoever runs the server.
    pub fn open(file: &Path) -> Result<Runsc, Failure> {
        let failed = |why: String| Failure::new(Code::FailedPrecondition, why);
        let (module, version) = pinned();
        match has_text(file, &format!("{}\t{}\t", module, version)) {
            Ok(true) => Ok(Runsc { file: file.to_owned() }),
            Ok(false) => Err(failed(format!("{} isn't runsc of version {}.", file.display(), version))),
            Err(error) => Err(failed(format!("{} can't be read: {}.", file.display(), text_of(&error)))),
        }
    }

    /// Runs it in the thread's name spaces and the slot's control groups, where what it starts stays. Errors: `internal`, with
    /// what it says.
    pub(super) fn call(&self, place: &Place, arguments: &[&str]) -> Result<(), Failure> {
        let state = place.directory.join("runsc");
        let said = place.directory.join("runsc.log");
        let failed = |error: io::Error| Failure::from_io("The program runsc can't be run", &error);
        match fs::remove_file(&said) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut command = Command::new(&self.file);
        command
            .arg("-root")
            .arg(&state)
            .arg("-log")
            .arg(&said)
            // The guest's own directory is the upper one of an overlay of the machine's: what is in it is what the guest has.
            .args(["-overlay2=none", "-file-access=exclusive", "-file-access-mounts=exclusive", "-directfs"])
            .args(["-network=sandbox", "-ignore-cgroups", "-allow-suid", "-host-settings=ignore"])
            .args(arguments)
            .arg(place.sandbox.as_str())
            .env_clear()
            .envs([PATH.split_once('=').expect("it has one")])
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let procs: Vec<RawFd> = place.procs.iter().map(AsRawFd::as_raw_fd).collect();
        // System calls alone; the descriptors are open until the call is over.
        unsafe {
            command.pre_exec(move || {
                sys::reset_signals();
                procs.iter().try_for_each(|procs| match libc::write(*procs, b"0\n".as_ptr().cast(), 2) {
                    2 => Ok(()),
                    _ => Err(io::Error::last_os_error()),
                })
            })
        };
        let mut child = command.spawn().map_err(failed)?;
        let started = processes::start_time(child.id()).and_then(|time| processes::open(child.id(), time));
        let in_time = match started {
            Ok(Some(pidfd)) => wait_apart(&pidfd).map_err(failed)?,
            // It has ended already, or couldn't be looked at.
            _ => true,
        };
        if !in_time {
            let _ = child.kill();
        }
        let status = child.wait().map_err(failed)?;
        match status.success() {
            true => Ok(()),
            false if !in_time => Err(Failure::new(Code::DeadlineExceeded, "runsc didn't end in time.")),
            false => Err(Failure::internal(format!("runsc {} failed: {}", arguments[0], tail(&said)))),
        }
    }
}

/// Whether it ended in time; not reaped, as that is for who has started it.
fn wait_apart(pidfd: &std::os::unix::io::OwnedFd) -> io::Result<bool> {
    match sys::wait_readable(std::os::unix::io::AsFd::as_fd(pidfd), LIMIT.as_millis() as i32) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ETIMEDOUT) => Ok(false),
        Err(error) => Err(error),
    }
}

fn pinned() -> (String, String) {
    let pinned: Value = serde_json::from_str(PINNED).expect("spec/gvisor.json is JSON");
    let text = |name: &str| pinned[name].as_str().unwrap_or_default().to_owned();
    (text("module"), text("version"))
}

/// Go writes into each program of which modules it is made, with their versions between tabs.
fn has_text(file: &Path, text: &str) -> io::Result<bool> {
    let needle = text.as_bytes();
    let mut file = File::open(file)?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut kept = 0;
    loop {
        let read = file.read(&mut piece[kept..])?;
        if read == 0 {
            return Ok(false);
        }
        let end = kept + read;
        if find(&piece[..end], needle) {
            return Ok(true);
        }
        // The end of one piece and the beginning of the next may have it together.
        let from = end.saturating_sub(needle.len());
        piece.copy_within(from..end, 0);
        kept = end - from;
    }
}

fn find(bytes: &[u8], needle: &[u8]) -> bool {
    // Both are slices that live for the call.
    let found = unsafe { libc::memmem(bytes.as_ptr().cast(), bytes.len(), needle.as_ptr().cast(), needle.len()) };
    !found.is_null()
}

fn tail(path: &Path) -> String {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|mut file| {
        let length = file.metadata()?.len();
        io::Seek::seek(&mut file, io::SeekFrom::Start(length.saturating_sub(SAID_MAX)))?;
        file.take(SAID_MAX).read_to_end(&mut text)
    });
    match read {
        Ok(_) => String::from_utf8_lossy(&text).trim().to_owned(),
        Err(_) => "it says nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_dir::TestDir;

    #[test]
    fn a_program_is_told_by_the_version_that_is_built_in() {
        let directory = TestDir::new();
        let file = directory.path().join("runsc");
        let failure = |text: &[u8]| {
            fs::write(&file, text).unwrap();
            Runsc::open(&file).err().map(|failure| failure.code)
        };
        let mut text = vec![b'x'; PIECE_BYTES - 20];
        assert_eq!(failure(&text), Some(Code::FailedPrecondition));
        let (module, version) = pinned();
        text.extend_from_slice(format!("\t{}\t{}\th1:", module, version).as_bytes());
        assert_eq!(failure(&text), None);
        text.truncate(PIECE_BYTES + 10);
        assert_eq!(failure(&text), Some(Code::FailedPrecondition));
    }
}
