//! Starts a process in two steps: `wire` makes its pipes or terminal on the event loop, `spawn` runs beside it.

use std::io;
use std::os::unix::io::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use tokio::io::unix::AsyncFd;

use super::child::{Plan, Stdio};
use super::fds::{self, TerminalSize};
use super::output::Source;
use super::supervisor::{self, Exits, Supervisor};
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

/// Runs `plan` in a process of its own, below a supervisor of its own; returns its pid once its program runs.
pub fn spawn(plan: Plan, ends: ChildEnds, exits: Arc<Exits>) -> io::Result<(u32, Supervisor)> {
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
    supervisor::start(plan, stdio, exits)
}
