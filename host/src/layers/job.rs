//! Runs a worker to its end, or ends it.

use std::io::Read;
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::copy::Made;
use crate::cancel::Cancel;
use crate::error::{Code, Failure};

/// Most that a worker says, in bytes: a path for each directory that hides what is below.
const ANSWER_MAX_BYTES: u64 = 16 << 20;

pub struct Done {
    pub made: Made,
    pub opaque: Vec<Vec<u8>>,
}

/// Errors: what the worker says, or why `cancel` ended it.
pub fn run(program: &Path, args: &[PathBuf], cancel: &Cancel) -> Result<Done, Failure> {
    cancel.check()?;
    let mut command = Command::new(program);
    command.arg("layer-worker").args(args).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // SAFETY: one system call, which a child may make between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
    let mut child = command.spawn().map_err(|error| Failure::from_io("The work on a layer can't begin", &error))?;
    let handle = match open_process(child.id()) {
        Ok(handle) => handle,
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Failure::from_io("The work on a layer can't begin", &error));
        }
    };
    // By its descriptor, which is never another process's.
    cancel.on_cancel(move || kill(&handle));
    let mut answer = Vec::new();
    let read = child.stdout.take().expect("it is piped").take(ANSWER_MAX_BYTES).read_to_end(&mut answer);
    let status = child.wait();
    cancel.on_cancel(|| {});
    cancel.check()?;
    let status = status.and_then(|status| read.map(|_| status));
    let status = status.map_err(|error| Failure::from_io("The work on a layer can't be waited for", &error))?;
    match parse(&answer) {
        Some(result) if status.success() => result,
        // Without a word it has had no memory for what is in one directory.
        _ => Err(Failure::new(
            Code::ResourceExhausted,
            format!("The work on a layer ended before it was done (signal {}).", status.signal().unwrap_or(0)),
        )),
    }
}

fn parse(answer: &[u8]) -> Option<Result<Done, Failure>> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    if let Some(error) = answer.get("error") {
        let message = error.get("message")?.as_str()?;
        return Some(Err(Failure::new(code_of(error.get("code")?.as_str()?), message)));
    }
    let done = answer.get("ok")?;
    let opaque = done.get("opaque")?.as_array()?.iter().map(bytes_of).collect::<Option<_>>()?;
    Some(Ok(Done { made: made_of(done.get("made")?)?, opaque }))
}

/// Errors: none where it isn't `{sizeBytes, entries}`.
pub fn made_of(value: &Value) -> Option<Made> {
    let number = |name| value.get(name)?.as_u64();
    Some(Made { size_bytes: number("sizeBytes")?, entries: number("entries")? })
}

fn bytes_of(value: &Value) -> Option<Vec<u8>> {
    let text = value.as_str()?;
    (0..text.len() / 2).map(|at| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()).collect()
}

fn code_of(name: &str) -> Code {
    let codes = [Code::InvalidArgument, Code::NotFound, Code::Conflict, Code::ResourceExhausted];
    codes.into_iter().find(|code| code.name() == name).unwrap_or(Code::Internal)
}

fn open_process(pid: u32) -> std::io::Result<OwnedFd> {
    // SAFETY: no pointers; a descriptor that comes back is nobody else's.
    unsafe {
        match libc::syscall(libc::SYS_pidfd_open, pid, 0) {
            -1 => Err(std::io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd as i32)),
        }
    }
}

fn kill(process: &OwnedFd) {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the kernel takes none for a plain signal.
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), libc::SIGKILL, none, 0) };
}
