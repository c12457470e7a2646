//! One process from its start to its end.
//!
//! ```text
//!  running ──(reaped)──▶ exited ──(outputs closed, or hurried)──▶ ended
//! ```
//!
//! A process is hurried by `signal` and by its timeout: its end then doesn't wait for others who hold its outputs. Both
//! mean the process and all that it has started, as far as that still runs; an end of its own leaves those alone.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::unix::io::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::sync::{watch, Mutex};

use super::fds::{self, TerminalSize};
use super::output::{Event, Output, Source};
use super::replay::Ring;
use super::spawn::AgentEnds;
use super::status::{End, ExitStatus};
use super::tree::Tree;
use crate::error::{Code, Failure};
use crate::fields::StringMap;
use crate::race::{race, Either};

/// Time in which the exit of a process that no longer takes input becomes known, if it has exited.
const EXIT_NEWS_TIME: Duration = Duration::from_millis(50);

/// Time for what a command has started to end after a SIGTERM, once the command itself has ended.
const TERMINATION_GRACE: Duration = Duration::from_secs(10);
/// Most time that an answer or an end waits for killed processes to be gone.
const KILL_WAIT: Duration = Duration::from_secs(2);

/// What a process was started as.
pub struct Config {
    pub cmd: String,
    pub args: Vec<String>,
    pub env: StringMap,
    pub cwd: Option<String>,
    pub tag: Option<String>,
}

/// Where input goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    Stdin,
    Pty,
}

pub struct Process {
    pub pid: u32,
    pub config: Config,
    pub output: Rc<Output>,
    pub tree: Rc<Tree>,
    /// Locked for each piece of input, so that pieces of several writers don't mix
    stdin: Mutex<Option<AsyncFd<OwnedFd>>>,
    terminal: RefCell<Option<Rc<AsyncFd<OwnedFd>>>>,
    is_terminal: bool,
    terminal_turn: Mutex<()>,
    exited: watch::Sender<Option<ExitStatus>>,
    hurried: watch::Sender<bool>,
    timed_out: Cell<bool>,
    is_terminating: Cell<bool>,
}

impl Process {
    pub fn new(
        pid: u32,
        config: Config,
        ends: AgentEnds,
        tree: Rc<Tree>,
        ring: Rc<Ring>,
    ) -> (Rc<Process>, Vec<Source>) {
        let AgentEnds { stdin, terminal, sources } = ends;
        let process = Process {
            pid,
            config,
            output: Rc::new(Output::new(ring)),
            tree,
            stdin: Mutex::new(stdin),
            is_terminal: terminal.is_some(),
            terminal: RefCell::new(terminal),
            terminal_turn: Mutex::new(()),
            exited: watch::channel(None).0,
            hurried: watch::channel(false).0,
            timed_out: Cell::new(false),
            is_terminating: Cell::new(false),
        };
        (Rc::new(process), sources)
    }

    /// Follows the process to its end, publishes that and returns it.
    pub async fn supervise(&self, sources: Vec<Source>, timeout: Option<Duration>) -> End {
        let life = self.follow(sources);
        match timeout {
            None => life.await,
            Some(timeout) => {
                tokio::pin!(life);
                if let Either::Right(()) = race(&mut life, tokio::time::sleep(timeout)).await {
                    self.timed_out.set(true);
                    self.kill();
                    life.await;
                }
            }
        }
        if self.tree.is_being_killed() {
            self.killed().await;
        }
        let status = self.exited.borrow().unwrap_or(ExitStatus::Exited(0));
        let end = End { status, timed_out: self.timed_out.get() };
        self.output.publish(Event::End(end)).await;
        self.output.close();
        end
    }

    /// Returns once the process has exited and its outputs are read.
    async fn follow(&self, sources: Vec<Source>) {
        let (drain, draining) = watch::channel(false);
        let pumps: Vec<_> = sources
            .into_iter()
            .map(|source| tokio::task::spawn_local(source.pump(Rc::clone(&self.output), draining.clone())))
            .collect();
        self.wait_exited().await;
        let hurry = async {
            // The sender is `self`'s own and lives as long as this.
            let _ = self.hurried.subscribe().wait_for(|hurried| *hurried).await;
            drain.send_replace(true);
            std::future::pending::<()>().await;
        };
        let all = async {
            for pump in pumps {
                let _ = pump.await;
            }
        };
        race(all, hurry).await;
        self.terminal.replace(None);
    }

    /// What the reaper says.
    pub fn set_exited(&self, status: ExitStatus) {
        self.exited.send_replace(Some(status));
        // Closed now rather than with the last reference, unless a writer holds it; that one is told by `exited`.
        if let Ok(mut stdin) = self.stdin.try_lock() {
            *stdin = None;
        }
    }

    pub fn has_exited(&self) -> bool {
        self.exited.borrow().is_some()
    }

    pub async fn wait_exited(&self) {
        let _ = self.exited.subscribe().wait_for(Option::is_some).await;
    }

    /// Kills the process and all that it has started, and hurries its end.
    pub fn kill(&self) {
        self.tree.kill();
        self.hurried.send_replace(true);
    }

    /// Waits until what was killed has gone; what hangs in the kernel isn't waited for to the end.
    pub async fn killed(&self) {
        self.tree.gone(KILL_WAIT).await;
    }

    /// Asks the process and all that it has started to end, and hurries its end. Once it has ended, what is left is
    /// killed after a grace.
    pub fn terminate(&self) {
        self.tree.signal(libc::SIGTERM);
        self.hurried.send_replace(true);
        if self.is_terminating.replace(true) {
            return;
        }
        let (tree, mut exited) = (Rc::clone(&self.tree), self.exited.subscribe());
        tokio::task::spawn_local(async move {
            let _ = exited.wait_for(Option::is_some).await;
            tree.gone(TERMINATION_GRACE).await;
            tree.kill();
        });
    }

    /// Whether input of that kind can go to this process. Errors: `failed_precondition`, `internal`.
    pub fn check_input(&self, kind: InputKind) -> Result<(), Failure> {
        match (kind, self.is_terminal) {
            (InputKind::Pty, true) => Ok(()),
            (InputKind::Pty, false) => Err(no_terminal()),
            (InputKind::Stdin, true) => Err(Failure::new(
                Code::FailedPrecondition,
                "The process has a terminal: send its input there instead of to stdin.",
            )),
            // One that is being written to is open.
            (InputKind::Stdin, false) => match self.stdin.try_lock() {
                Ok(stdin) if stdin.is_none() => Err(stdin_closed()),
                _ => Ok(()),
            },
        }
    }

    /// Writes all of it, in turn with other writers, as fast as the process reads. Errors: `not_found` when the
    /// process exits meanwhile, `internal` when it closes its stdin.
    pub async fn write_input(&self, kind: InputKind, bytes: &[u8]) -> Result<(), Failure> {
        let write = async {
            if kind == InputKind::Pty {
                let _turn = self.terminal_turn.lock().await;
                let terminal = self.terminal.borrow().clone();
                match terminal {
                    Some(terminal) => write_all(&terminal, bytes).await,
                    None => Err(io::Error::from_raw_os_error(libc::EIO)),
                }
            } else {
                match &*self.stdin.lock().await {
                    Some(stdin) => write_all(stdin, bytes).await,
                    None => Err(io::Error::from_raw_os_error(libc::EPIPE)),
                }
            }
        };
        let error = match race(write, self.wait_exited()).await {
            Either::Left(Ok(())) => return Ok(()),
            Either::Left(Err(error)) => error,
            Either::Right(()) => return Err(self.not_found()),
        };
        // A process closes its stdin a moment before the reaper hears that it has exited.
        match tokio::time::timeout(EXIT_NEWS_TIME, self.wait_exited()).await {
            Ok(()) => Err(self.not_found()),
            Err(_) => Err(stdin_closed().with_errno(error.raw_os_error().unwrap_or(0))),
        }
    }

    /// Closes stdin, behind what is being written: without waiting for that, which may take as long as the process
    /// lives. Errors: `failed_precondition` with a terminal.
    pub fn close_stdin(self: &Rc<Process>) -> Result<(), Failure> {
        if self.is_terminal {
            return Err(Failure::new(
                Code::FailedPrecondition,
                "The stdin of a process with a terminal can't be closed: send it an end-of-file character (ctrl-d).",
            ));
        }
        if let Ok(mut stdin) = self.stdin.try_lock() {
            *stdin = None;
            return Ok(());
        }
        let process = Rc::clone(self);
        tokio::task::spawn_local(async move {
            if let Either::Left(mut stdin) = race(process.stdin.lock(), process.wait_exited()).await {
                *stdin = None;
            }
        });
        Ok(())
    }

    /// Errors: `failed_precondition` without a terminal.
    pub fn resize(&self, size: TerminalSize) -> Result<(), Failure> {
        match &*self.terminal.borrow() {
            None if self.is_terminal => Err(self.not_found()),
            None => Err(no_terminal()),
            Some(terminal) => fds::resize(terminal.get_ref(), size)
                .map_err(|error| Failure::from_io("The terminal can't be resized", &error)),
        }
    }

    fn not_found(&self) -> Failure {
        super::table::pid_not_found(self.pid)
    }
}

fn stdin_closed() -> Failure {
    Failure::new(Code::Internal, "stdin not enabled or closed")
}

fn no_terminal() -> Failure {
    Failure::new(Code::FailedPrecondition, "The process has no terminal: it was started without one.")
}

async fn write_all(fd: &AsyncFd<OwnedFd>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let mut guard = fd.writable().await?;
        let result = guard.try_io(|fd| {
            let written = unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
            if written < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(written as usize)
        });
        match result {
            Ok(written) => bytes = &bytes[written?..],
            Err(_would_block) => {}
        }
    }
    Ok(())
}
