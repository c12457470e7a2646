//! Guests with a kernel of their own: gVisor's `runsc` runs them, in a slot like any other's.
//!
//! Their root is the same overlay of layers as a native guest's, mounted where only the sandbox's own processes see it, so what
//! they change is a directory of the machine's. Their agent is asked by the network: a socket of the machine's would keep the
//! sandbox from being written down. Nothing of a guest stays on the machine once its processes have ended.

mod bundle;
mod program;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::io::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::error::{Code, Failure};
use crate::launch::{self, Clock, Launched, PlanFile};
use crate::names::Sandbox;
use crate::net::AGENT_PORT;
use crate::processes;
pub use program::Runsc;

/// What `runsc` itself takes, beside what its guest may have.
pub const MEMORY_OVERHEAD_MB: u64 = 64;
/// Processes and threads of the machine's that it needs beside two for each of the guest's.
const PIDS_OVERHEAD: u32 = 1024;
/// What a guest may have where it has little memory. Each takes 0.6 MB of it, so with more memory it may have one for each two.
const PIDS_LEAST: u64 = 512;
/// Longest from the agent's start until it listens; and between two looks.
const READY_MOST: Duration = Duration::from_secs(20);
const READY_TURN: Duration = Duration::from_millis(2);
/// One try to connect.
const CONNECT_MOST: Duration = Duration::from_millis(500);

/// Which sandbox.
pub struct Place<'a> {
    pub sandbox: &'a Sandbox,
    /// The guest's own, which nobody but root sees
    pub directory: &'a Path,
    /// `cgroup.procs` of the slot's groups, open for writing
    pub procs: &'a [std::fs::File],
}

/// What a sandbox is to be.
pub struct Plan<'a> {
    pub place: Place<'a>,
    /// The layers' directories, lowest first
    pub layers: &'a [BorrowedFd<'a>],
    /// As that of a native guest (`launch::Plan`)
    pub storage: BorrowedFd<'a>,
    pub agent: BorrowedFd<'a>,
    /// What whoever asks the agent has to say first
    pub secret: &'a str,
    pub address: Ipv4Addr,
    pub namespace: BorrowedFd<'a>,
    pub hostname: &'a str,
    pub memory_bytes: u64,
    pub pids: u32,
    pub files: &'a [PlanFile<'a>],
}

/// Processes and threads that the guest's kernel lets one of its users have, where it is to have so many: there are less than would
/// fill its memory, as a guest without memory ends whole.
pub fn pids_inside(pids: u32, memory_mb: u64) -> u32 {
    pids.min((memory_mb / 2).max(PIDS_LEAST).try_into().unwrap_or(u32::MAX))
}

/// What these take of the machine's.
pub fn pids_outside(pids: u32) -> u32 {
    pids.saturating_mul(2).saturating_add(PIDS_OVERHEAD)
}

impl Runsc {
    /// Returns once the agent accepts connections. On failure processes may be left in the slot's groups. Errors:
    /// `failed_precondition` where the image is no root for a guest, `deadline_exceeded`, `internal`, what `cancel` says.
    pub fn start(&self, plan: &Plan, cancel: &Cancel) -> Result<Launched, Failure> {
        let mut clock = Clock::start();
        let parts = launch::mounts::Parts::open(plan.layers, plan.storage, None);
        let parts = parts.map_err(|error| Failure::from_io("The sandbox's files can't be mounted", &error))?;
        let agent = launch::mounts::program(plan.agent, None);
        let agent = agent.map_err(|error| Failure::from_io("The agent can't be mounted", &error))?;
        let started = thread::scope(|scope| {
            let work = || self.run(plan, &parts, agent.as_fd());
            let thread = thread::Builder::new().name("runsc".to_owned()).spawn_scoped(scope, work);
            let thread = thread.map_err(|error| Failure::from_io("A thread can't be made", &error))?;
            thread.join().unwrap_or_else(|_| Err(Failure::internal("The start of a sandbox broke off.")))
        });
        let (pid, start_time, pidfd) = started?;
        clock.lap("runsc");
        await_agent(plan.address, &pidfd, cancel)?;
        clock.lap("agent");
        Ok(Launched { pid, pidfd, start_time, phases: clock.laps })
    }

    /// Stops all the guest's processes, which keep their memory. A control group's freezer doesn't do: it interrupts what the guest's
    /// kernel waits in, and processes that come later end by SIGSEGV. Idempotent.
    pub fn pause(&self, place: &Place) -> Result<(), Failure> {
        unless_so(self.call(place, &["pause"]), "in state paused")
    }

    /// Idempotent.
    pub fn resume(&self, place: &Place) -> Result<(), Failure> {
        unless_so(self.call(place, &["resume"]), "in state running")
    }

    /// In a thread of its own, whose mount name space goes with it.
    fn run(
        &self,
        plan: &Plan,
        parts: &launch::mounts::Parts,
        agent: BorrowedFd,
    ) -> Result<(u32, u64, OwnedFd), Failure> {
        let bundle = bundle::make(plan, parts, agent)?;
        self.call(&plan.place, &["run", "-detach", "-bundle", &bundle.path, "-pid-file", &bundle.pid_file])?;
        bundle.process()
    }
}

/// `refusal`: what is said of one that is so already.
fn unless_so(outcome: Result<(), Failure>, refusal: &str) -> Result<(), Failure> {
    match outcome {
        Err(failure) if failure.message.contains(refusal) => Ok(()),
        outcome => outcome,
    }
}

/// Errors: `deadline_exceeded`, `internal` where the sandbox has ended, what `cancel` says.
fn await_agent(address: Ipv4Addr, pidfd: &OwnedFd, cancel: &Cancel) -> Result<(), Failure> {
    let agent = SocketAddr::from((address, AGENT_PORT));
    let deadline = Instant::now() + READY_MOST;
    loop {
        cancel.check()?;
        let why = match TcpStream::connect_timeout(&agent, CONNECT_MOST) {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if processes::is_ended(pidfd.as_fd()) {
            return Err(Failure::internal("The sandbox has ended before its agent answered."));
        }
        if Instant::now() > deadline {
            return Err(late(&why));
        }
        thread::sleep(READY_TURN);
    }
}

fn late(why: &io::Error) -> Failure {
    Failure::new(Code::DeadlineExceeded, format!("The sandbox's agent didn't answer in time: {}.", why))
}
