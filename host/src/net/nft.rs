//! The program `nft`, which gives the kernel its rules, and `iptables`, with whose rules ours have to get along.

use std::io::{self, Write};
use std::os::unix::io::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::error::{text_of, Code, Failure};

/// Where programs are; a unit's `PATH` may have none of them.
const PATH: &str = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";
/// Longest time that one may take; usually some milliseconds.
const LIMIT: Duration = Duration::from_secs(20);
/// Most that is quoted of what one says, in characters.
const SAID_MAX: usize = 1_000;

/// Applies rules as one transaction: all or none. `space`: the name space, if it isn't the helper's own. Errors:
/// `failed_precondition` with what `nft` says.
pub fn apply(text: &str, space: Option<BorrowedFd<'_>>) -> Result<(), Failure> {
    match run("nft", &["-f", "-"], text, space) {
        Ok(outcome) if outcome.is_success => Ok(()),
        Ok(outcome) => Err(refused(&outcome.said)),
        Err(error) => Err(not_run(&error)),
    }
}

/// A table of family `inet` as the kernel lists it, without what its sets have; empty where there is none. Errors: as `apply`.
pub fn list(table: &str, space: Option<BorrowedFd<'_>>) -> Result<String, Failure> {
    match run("nft", &["--terse", "list", "table", "inet", table], "", space) {
        Ok(outcome) if outcome.is_success => Ok(outcome.printed),
        Ok(outcome) if outcome.said.contains("No such file or directory") => Ok(String::new()),
        Ok(outcome) => Err(refused(&outcome.said)),
        Err(error) => Err(not_run(&error)),
    }
}

/// Lets what passes an interface through the machine's own rules for forwarding, which others made (Docker's engine, ufw)
/// and which let through nothing else. What our rules refuse is refused before. Errors: `failed_precondition`.
pub fn admit(interface: &str) -> Result<(), Failure> {
    let listed = match run("iptables", &["-w", "5", "-S", "FORWARD"], "", None) {
        Ok(outcome) if outcome.is_success => outcome.printed,
        // Who has no such program, or a kernel without it, has no such rules.
        _ => return Ok(()),
    };
    if listed.trim() == "-P FORWARD ACCEPT" {
        return Ok(());
    }
    let out = format!("FORWARD -i {} -j ACCEPT", interface);
    let back = format!("FORWARD -o {} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", interface);
    for rule in [out, back] {
        if listed.lines().any(|line| line.strip_prefix("-A ") == Some(rule.as_str())) {
            continue;
        }
        change_iptables("-I", &rule)?;
    }
    Ok(())
}

/// Takes back what `admit` did.
pub fn dismiss(interface: &str) {
    let outcome = match run("iptables", &["-w", "5", "-S", "FORWARD"], "", None) {
        Ok(outcome) => outcome,
        Err(_) => return,
    };
    let ours = [format!(" -i {} ", interface), format!(" -o {} ", interface)];
    for line in outcome.printed.lines().filter(|line| ours.iter().any(|part| line.contains(part))) {
        if let Some(rule) = line.strip_prefix("-A ") {
            let _ = change_iptables("-D", rule);
        }
    }
}

fn change_iptables(action: &str, rule: &str) -> Result<(), Failure> {
    let arguments: Vec<&str> = ["-w", "5", action].into_iter().chain(rule.split(' ')).collect();
    match run("iptables", &arguments, "", None) {
        Ok(outcome) if outcome.is_success => Ok(()),
        Ok(outcome) => Err(refused(&outcome.said)),
        Err(error) => Err(not_run(&error)),
    }
}

struct Outcome {
    is_success: bool,
    printed: String,
    said: String,
}

fn run(program: &str, arguments: &[&str], input: &str, space: Option<BorrowedFd<'_>>) -> io::Result<Outcome> {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs([("PATH", PATH), ("LC_ALL", "C")]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(space) = space {
        let space = space.as_raw_fd();
        // One system call, which may be made between fork and exec; the descriptor is open until `run` returns.
        unsafe {
            command.pre_exec(move || match libc::setns(space, libc::CLONE_NEWNET) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            })
        };
    }
    let mut child = command.spawn()?;
    // What a number names may have ended and be another's; this can't.
    let handle = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id() as libc::pid_t, 0) } as i32;
    let handle = (handle >= 0).then(|| unsafe { OwnedFd::from_raw_fd(handle) });
    let (ended, waiting) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let end = move || {
            if waiting.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
                let none = std::ptr::null::<libc::siginfo_t>();
                let handle = handle.as_ref().map_or(-1, AsRawFd::as_raw_fd);
                unsafe { libc::syscall(libc::SYS_pidfd_send_signal, handle, libc::SIGKILL, none, 0) };
            }
        };
        if let Err(error) = thread::Builder::new().spawn_scoped(scope, end) {
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
        if let Some(mut stdin) = child.stdin.take() {
            // One that ends before it has read all says why by itself.
            let _ = stdin.write_all(input.as_bytes());
        }
        let outcome = child.wait_with_output();
        drop(ended);
        outcome
    })
    .map(|output| Outcome {
        is_success: output.status.success(),
        printed: String::from_utf8_lossy(&output.stdout).into_owned(),
        said: match output.status.signal() {
            Some(signal) => format!("{} was ended by signal {}, and has {} s", program, signal, LIMIT.as_secs()),
            None => String::from_utf8_lossy(&output.stderr).trim().chars().take(SAID_MAX).collect(),
        },
    })
}

fn refused(said: &str) -> Failure {
    Failure::new(Code::FailedPrecondition, format!("The kernel takes no rules for what sandboxes may reach: {}.", said))
}

fn not_run(error: &io::Error) -> Failure {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "it is missing; install the package nftables".to_owned(),
        _ => text_of(error),
    };
    Failure::new(Code::FailedPrecondition, format!("The program nft can't be run: {}.", why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_ended_before_it_says_why_is_named() {
        let outcome = run("sh", &["-c", "kill -KILL $$"], "", None).unwrap();
        assert!(!outcome.is_success);
        assert_eq!(outcome.said, "sh was ended by signal 9, and has 20 s");
    }
}
