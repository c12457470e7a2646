//! Starts a process in two steps: `wire` makes its pipes or terminal on the event loop, `fork` runs beside it.

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::io::{AsRawFd, OwnedFd};
use std::rc::Rc;

use tokio::io::unix::AsyncFd;

use super::child::{self, Plan, Stdio};
use super::fds::{self, TerminalSize};
use super::output::Source;
use crate::frame::Outgoing;

/// How a process is connected to the agent.
#[derive(Clone, Copy)]
pub enum Wiring {
    Pipes { stdin: bool },
    Terminal(TerminalSize),
}

/// What the agent keeps.
pub struct AgentEnds {
    /// The writing end of stdin, if it was asked for
    pub stdin: Option<AsyncFd<OwnedFd>>,
    pub terminal: Option<Rc<AsyncFd<OwnedFd>>>,
    pub sources: Vec<Source>,
}

/// What the process gets.
pub enum ChildEnds {
    Pipes { stdin: OwnedFd, stdout: OwnedFd, stderr: OwnedFd },
    Terminal(OwnedFd),
}

/// Makes both sides. Must be called on the event loop, in whose hands the agent's ends stay.
pub fn wire(wiring: Wiring) -> io::Result<(AgentEnds, ChildEnds)> {
    match wiring {
        Wiring::Pipes { stdin } => pipes(stdin),
        Wiring::Terminal(size) => terminal(size),
    }
}

fn pipes(wants_stdin: bool) -> io::Result<(AgentEnds, ChildEnds)> {
    let (stdin, stdin_write) = if wants_stdin {
        let (read, write) = fds::pipe()?;
        (read, Some(agent_end(write)?))
    } else {
        (fds::dev_null()?, None)
    };
    let (stdout_read, stdout) = fds::pipe()?;
    let (stderr_read, stderr) = fds::pipe()?;
    let sources = vec![
        Source { fd: Rc::new(agent_end(stdout_read)?), kind: Outgoing::Stdout },
        Source { fd: Rc::new(agent_end(stderr_read)?), kind: Outgoing::Stderr },
    ];
    let agent = AgentEnds { stdin: stdin_write, terminal: None, sources };
    Ok((agent, ChildEnds::Pipes { stdin, stdout, stderr }))
}

fn terminal(size: TerminalSize) -> io::Result<(AgentEnds, ChildEnds)> {
    let (master, slave) = fds::terminal(size)?;
    let terminal = Rc::new(agent_end(master)?);
    let sources = vec![Source { fd: Rc::clone(&terminal), kind: Outgoing::Pty }];
    Ok((AgentEnds { stdin: None, terminal: Some(terminal), sources }, ChildEnds::Terminal(slave)))
}

fn agent_end(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    fds::set_nonblocking(&fd)?;
    AsyncFd::new(fd)
}

/// Room for the child until it has a memory of its own.
const CHILD_STACK_BYTES: usize = 32 * 1024;

/// What the child is started with.
struct Start<'a> {
    plan: &'a mut Plan,
    stdio: Stdio,
}

/// Forks and runs `plan`, which takes until the child has replaced itself. The child borrows this process's memory for
/// that time instead of copying it (as posix_spawn does), which only stops the thread that calls this. Once a child has
/// switched its user there, the kernel keeps the sandbox's processes from looking into the agent's memory.
pub fn fork(plan: &mut Plan, ends: ChildEnds) -> io::Result<u32> {
    let stdio = match &ends {
        ChildEnds::Pipes { stdin, stdout, stderr } => Stdio {
            stdin: stdin.as_raw_fd(),
            stdout: stdout.as_raw_fd(),
            stderr: stderr.as_raw_fd(),
            is_terminal: false,
        },
        ChildEnds::Terminal(slave) => {
            let fd = slave.as_raw_fd();
            Stdio { stdin: fd, stdout: fd, stderr: fd, is_terminal: true }
        }
    };
    let mut start = Start { plan, stdio };
    let mut stack = [MaybeUninit::<u128>::uninit(); CHILD_STACK_BYTES / 16];
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // Signals are blocked until the child has its defaults: one that reached it earlier would run the agent's handler
    // there and be lost.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let top = stack.as_mut_ptr_range().end.cast();
        let pid = libc::clone(become_child, top, flags, (&mut start as *mut Start<'_>).cast());
        let error = io::Error::last_os_error();
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
        if pid < 0 {
            return Err(error);
        }
        Ok(pid as u32)
    }
}

extern "C" fn become_child(start: *mut libc::c_void) -> libc::c_int {
    let start = unsafe { &mut *start.cast::<Start<'_>>() };
    unsafe { child::run(start.plan, &start.stdio) }
}
