//! The process that becomes a guest. It is made ahead and waits in a slot's name spaces and control groups, with all in place
//! that doesn't depend on who it is for; then it gets a root, a name and the agent to run.
//!
//! Nothing of this is for the machine's other processes to see: all mounts are made without a place, and handed to the
//! waiting process, which has its own name space of them.

mod child;
mod guest;
pub mod mounts;
mod process;
mod rights;
mod script;
mod seccomp;
mod steps;
pub mod sys;
#[cfg(test)]
mod tests;
mod trial;
mod waiting;

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::time::Instant;

use crate::error::{text_of, Code, Failure};
use crate::processes;
use mounts::{Ids, Parts};
use process::{await_report, map_ids, Process, Report};
use script::{Script, SCRIPT_MAX_BYTES};
use waiting::Prepared;

pub use rights::Rights;
pub use sys::{clone_mount, FsContext};
pub use trial::{has_mapped_layers, may_mount};

/// Ids of its own that a guest has, from 0 up.
pub const IDS: u32 = 65_536;
/// Under memory pressure the kernel takes a sandbox before the machine's services.
const OOM_SCORE: &str = "50";

/// What a process is to wait in.
pub struct ParkSpec<'a> {
    /// A network name space that belongs to the machine's user name space
    pub netns: BorrowedFd<'a>,
    /// `cgroup.procs` of each hierarchy, open for writing
    pub procs: &'a [File],
    /// The same groups' directories: (name below /sys/fs/cgroup, none for version 2 alone; the machine's path)
    pub groups: &'a [(Option<String>, PathBuf)],
    /// The first of its `IDS` ids on the machine, where it has such
    pub uid_base: u32,
    pub rights: Rights,
}

impl ParkSpec<'_> {
    fn base(&self) -> Option<u32> {
        Some(self.uid_base).filter(|_| self.rights.has_ids())
    }
}

/// A process that waits for what it is to become. It ends when this is dropped, or when the helper ends.
pub struct Parked {
    process: Process,
    socket: OwnedFd,
    /// Its mount name space, where there is little yet
    mounts: OwnedFd,
    /// Its user name space, and the id of the machine that its root is
    ids: Option<(OwnedFd, u32)>,
    rights: Rights,
    /// Of system calls, as the kernel takes it
    filter: Vec<u8>,
}

/// What a waiting process becomes.
pub struct Plan<'a> {
    /// The layers' directories, lowest first
    pub layers: &'a [BorrowedFd<'a>],
    /// A mount without a place that nobody else has, of a directory with two others: `upper`, for what the guest changes, and
    /// `work`, which is empty
    pub storage: BorrowedFd<'a>,
    /// The guest agent's file
    pub agent: BorrowedFd<'a>,
    /// Listens already; the agent's descriptor 3
    pub listener: BorrowedFd<'a>,
    pub hostname: &'a str,
    /// Half of it may be in /dev/shm
    pub memory_bytes: u64,
    /// Files that are written into the guest's root before the agent runs, such as /etc/hosts; those that were there go
    pub files: &'a [PlanFile<'a>],
    /// Mounts without a place yet (`open_tree`, `fsmount`), and the files or directories inside that they cover
    pub covers: &'a [Cover<'a>],
}

/// A file of root's, mode 0644.
pub struct PlanFile<'a> {
    /// Absolute, inside the guest
    pub path: &'a str,
    pub bytes: &'a [u8],
}

/// A mount, and what inside it covers. Where there is no such file or directory inside, it is left out.
pub struct Cover<'a> {
    /// Absolute, inside the guest
    pub path: &'a str,
    pub mount: BorrowedFd<'a>,
}

/// A process that has become a guest's agent, process 1 inside.
pub struct Launched {
    pub pid: u32,
    pub pidfd: OwnedFd,
    /// Field 22 of /proc/<pid>/stat: with the pid it names this process and no later one
    pub start_time: u64,
    /// What took how long, in microseconds
    pub phases: Vec<(&'static str, u64)>,
}

/// Starts a process that waits. Takes some milliseconds for each hierarchy of control groups; call it ahead, from any thread.
/// Errors: also `deadline_exceeded`.
pub fn park(spec: &ParkSpec) -> Result<Parked, Failure> {
    let what = "A process for a sandbox can't be made";
    let (process, socket, script) = start(spec).map_err(|error| Failure::from_io(what, &error))?;
    let ids = prepare(spec, &process, socket.as_fd()).map_err(|error| Failure::from_io(what, &error))?;
    match await_report(socket.as_fd()).map_err(|error| Failure::from_io(what, &error))? {
        Report::Done => {
            let mounts = File::open(format!("/proc/{}/ns/mnt", process.pid));
            let mounts = mounts.map_err(|error| Failure::from_io(what, &error))?.into();
            let (rights, filter) = (spec.rights, seccomp::filter(spec.rights));
            Ok(Parked { process, socket, mounts, ids, rights, filter })
        }
        Report::Failed(step, error) => {
            Err(Failure::from_io(format!("{} (it can't {})", what, script.label(step)), &error))
        }
        Report::Closed => Err(Failure::internal(format!("{}: it has ended.", what))),
    }
}

impl Parked {
    /// Whether nobody has ended it meanwhile.
    pub fn is_alive(&self) -> bool {
        self.process.is_alive()
    }

    /// Makes it the guest: returns when the agent's program runs, or says what kept it from that; then the process has
    /// ended and been reaped, and nothing is mounted any more. What `upper` has by then is not undone.
    /// Errors: `failed_precondition` where the image is no root for a guest, `resource_exhausted`, `deadline_exceeded`, `internal`.
    pub fn launch(self, plan: &Plan) -> Result<Launched, Failure> {
        let what = "The sandbox's process can't be started";
        let fail = |error: io::Error| Failure::from_io(what, &error);
        let mut clock = Clock::start();
        let ids = self.ids.as_ref().map(|(namespace, base)| Ids { namespace: namespace.as_fd(), base: *base });
        let mounted = Parts::open(plan.layers, plan.storage, ids).and_then(|parts| {
            in_thread(|| {
                sys::enter_mounts(self.mounts.as_fd())?;
                mounts::root(&parts)
            })
        });
        mounted.map_err(|error| Failure::from_io("The sandbox's files can't be mounted", &error))?;
        clock.lap("root");
        let agent = mounts::program(plan.agent, ids).map_err(fail)?;
        let script = guest::script(plan, self.rights, &self.filter);
        let mut fds = vec![agent.as_raw_fd(), plan.listener.as_raw_fd()];
        fds.extend(plan.covers.iter().map(|cover| cover.mount.as_raw_fd()));
        if fds.len() > child::RECEIVED_MAX || script.bytes().len() > SCRIPT_MAX_BYTES {
            return Err(Failure::invalid("The sandbox is to start with more or longer files than it can."));
        }
        clock.lap("plan");
        sys::send(self.socket.as_fd(), script.bytes(), &fds).map_err(fail)?;
        let report = await_report(self.socket.as_fd()).map_err(fail)?;
        clock.lap("process");
        match report {
            // The socket is gone with what the process was before: it runs the agent, or it has ended.
            Report::Closed if self.process.is_alive() => {}
            Report::Closed => return Err(Failure::internal(format!("{}: it has ended.", what))),
            Report::Done => return Err(Failure::internal(format!("{}: it runs nothing.", what))),
            Report::Failed(step, error) => {
                let label = script.label(step);
                let message = format!("{} (it can't {}): {}.", what, label, text_of(&error));
                return Err(match guest::is_fault_of_image(label, &error) {
                    true => Failure::new(Code::FailedPrecondition, message),
                    false => Failure::internal(message),
                });
            }
        }
        let (pid, start_time, pidfd) = self.process.take();
        Ok(Launched { pid, pidfd, start_time, phases: clock.laps })
    }
}

/// The process, as yet without a mapping of ids and in this one's control groups. Returns also what it will do.
fn start(spec: &ParkSpec) -> io::Result<(Process, OwnedFd, Script)> {
    let groups = spec.groups.iter().map(|(name, path)| {
        let directory = File::open(path)?;
        Ok((name.clone(), mounts::view(directory.as_fd())?))
    });
    let groups = groups.collect::<io::Result<Vec<_>>>()?;
    in_thread(|| {
        sys::enter_network(spec.netns)?;
        let devices = mounts::devices(spec.base().unwrap_or(0))?;
        let prepared = Prepared { system: mounts::system()?, devices, groups };
        let script = waiting::script(&prepared, spec.rights);
        let (socket, theirs) = sys::socket_pair()?;
        // What the kernel counts by user it counts for the owner of a user name space as well: a guest has limits of its own,
        // whatever others and the machine's root have taken, as no other has that owner.
        spec.base().map_or(Ok(()), sys::assume_ids)?;
        let process = clone(spec, &prepared.descriptors(), theirs.as_fd(), script.bytes())?;
        Ok((process, socket, script))
    })
}

/// Does what changes the name spaces of the thread that does it: that thread is thrown away.
pub fn in_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let ended = std::thread::Builder::new().spawn_scoped(scope, work)?.join();
        ended.unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
    })
}

fn clone(spec: &ParkSpec, keep: &[RawFd], socket: BorrowedFd, script: &[u8]) -> io::Result<Process> {
    let spaces = libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWUTS;
    let flags = spaces | spec.base().map_or(0, |_| libc::CLONE_NEWUSER);
    let mut buffer = Box::new([0u8; SCRIPT_MAX_BYTES]);
    // The child goes on in `child::main`, which does nothing that another thread could be in the middle of.
    match unsafe { sys::clone_process(flags) }? {
        None => unsafe { child::main(child::Start { socket: socket.as_raw_fd(), keep, script, buffer: &mut buffer }) },
        Some((pid, pidfd)) => {
            let mut process = Process { pid, start_time: 0, pidfd: Some(pidfd) };
            process.start_time = processes::start_time(pid)?;
            Ok(process)
        }
    }
}

/// Does to a process what it can't do itself, and lets it go on.
fn prepare(spec: &ParkSpec, process: &Process, socket: BorrowedFd) -> io::Result<Option<(OwnedFd, u32)>> {
    let ids = match spec.base() {
        None => None,
        Some(base) => Some((map_ids(process.pid, base, IDS)?, base)),
    };
    std::fs::write(format!("/proc/{}/oom_score_adj", process.pid), OOM_SCORE)?;
    for mut group in spec.procs {
        group.write_all(format!("{}\n", process.pid).as_bytes())?;
    }
    sys::send(socket, &[1], &[])?;
    Ok(ids)
}

/// Says how long each of several steps took.
pub struct Clock {
    last: Instant,
    pub laps: Vec<(&'static str, u64)>,
}

impl Clock {
    pub fn start() -> Clock {
        Clock { last: Instant::now(), laps: Vec::new() }
    }

    pub fn lap(&mut self, name: &'static str) {
        let now = Instant::now();
        self.laps.push((name, (now - self.last).as_micros() as u64));
        self.last = now;
    }
}
