//! The processes that `exec` started: those that run, and for a while those that have ended.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::process::Process;
use super::replay::{Keeper, Ring};
use super::status::{End, ExitStatus};
use super::supervisor::{is_child, Exits, Supervisor};
use super::tree::Tree;
use crate::error::{Code, Failure};
use crate::fields::Fields;
use crate::init::release_memory;

/// Time that an ended process is still known, for those who attach late (e2b-wire 3.2).
const KEEP_ENDED: Duration = Duration::from_secs(30);
/// Ended processes kept at most; the oldest go first.
const ENDED_MAX: usize = 16 * 1024;
/// Processes that run at once, at most: bounds what their descriptions hold.
const RUNNING_MAX: usize = 8 * 1024;

/// Which process an operation means.
#[derive(Debug, PartialEq, Eq)]
pub enum Selector {
    Pid(u32),
    Tag(String),
}

impl Selector {
    /// Reads `pid` or `tag`, exactly one. Errors: `invalid_argument`.
    pub fn from_fields(fields: &Fields) -> Result<Selector, Failure> {
        match (fields.opt_number("pid", 0, u32::MAX.into())?, fields.opt_string("tag")?) {
            (Some(pid), None) => Ok(Selector::Pid(pid as u32)),
            (None, Some(tag)) => Ok(Selector::Tag(tag.to_owned())),
            _ => Err(Failure::invalid("Exactly one of the fields 'pid' and 'tag' must be given.")),
        }
    }

    fn not_found(&self) -> Failure {
        match self {
            Selector::Pid(pid) => pid_not_found(*pid),
            Selector::Tag(tag) => Failure::new(Code::NotFound, format!("process with tag '{}' not found", tag)),
        }
    }
}

pub fn pid_not_found(pid: u32) -> Failure {
    Failure::new(Code::NotFound, format!("process with pid {} not found", pid))
}

/// A process that has ended, as late attachers see it.
struct Ended {
    pid: u32,
    tag: Option<String>,
    end: End,
    /// What it said last
    ring: Rc<Ring>,
    at: Instant,
}

/// What `attach` finds.
pub enum Found {
    Running(Rc<Process>),
    Ended { pid: u32, end: End, ring: Rc<Ring> },
}

#[derive(Default)]
pub struct Table {
    /// Keeps the processes' output
    pub keeper: Rc<Keeper>,
    running: RefCell<HashMap<u32, Rc<Process>>>,
    /// Pids by tag, the newest last
    tags: RefCell<HashMap<String, Vec<u32>>>,
    /// The oldest first
    ended: RefCell<VecDeque<Ended>>,
    is_sweeping: Cell<bool>,
    /// The processes' supervisors by their pids, for as long as they live, and how they tell of an exit
    supervised: RefCell<HashMap<u32, Supervised>>,
    pub exits: Arc<Exits>,
    /// Processes that are being started, and what ended meanwhile: one of those may be among it
    starting: Cell<usize>,
    early: RefCell<HashMap<u32, ExitStatus>>,
}

/// A supervisor may outlive its process, for those that it has started.
struct Supervised {
    supervisor: Supervisor,
    tree: Rc<Tree>,
    process: Weak<Process>,
}

/// Keeps the ends of unknown processes for as long as it lives, for one that may not be in the table yet.
pub struct Starting(Rc<Table>);

impl Drop for Starting {
    fn drop(&mut self) {
        self.0.starting.set(self.0.starting.get() - 1);
        if self.0.starting.get() == 0 {
            self.0.early.take();
        }
    }
}

impl Table {
    /// Announces a process that is about to be forked; to be held until it is in the table. Errors:
    /// `resource_exhausted`.
    pub fn start(self: &Rc<Self>) -> Result<Starting, Failure> {
        if self.count() + self.starting.get() >= RUNNING_MAX {
            return Err(Failure::new(
                Code::ResourceExhausted,
                format!("The sandbox already runs {} commands, which is the most.", RUNNING_MAX),
            ));
        }
        self.starting.set(self.starting.get() + 1);
        Ok(Starting(Rc::clone(self)))
    }

    /// Running processes.
    pub fn count(&self) -> usize {
        self.running.borrow().len()
    }

    /// Adds a process. It takes the place of one with its pid, which then has exited and only waits for its outputs.
    pub fn insert(&self, process: Rc<Process>, supervisor: Supervisor) {
        // What came before it was known.
        if let Some(status) = supervisor.status().or(self.early.borrow_mut().remove(&process.pid)) {
            process.set_exited(status);
        }
        let entry = Supervised { tree: Rc::clone(&process.tree), process: Rc::downgrade(&process), supervisor };
        let supervisor = entry.supervisor.pid;
        self.supervised.borrow_mut().insert(supervisor, entry);
        if let Some(tag) = &process.config.tag {
            self.tags.borrow_mut().entry(tag.clone()).or_default().push(process.pid);
        }
        let pid = process.pid;
        if let Some(former) = self.running.borrow_mut().insert(pid, process) {
            self.forget_tag(&former);
        }
        let early = self.early.borrow_mut().remove(&supervisor);
        if let Some(status) = early {
            self.set_exited(supervisor, status);
        }
    }

    /// Moves a process from the running to the ended ones.
    pub fn end(self: &Rc<Self>, process: &Rc<Process>, end: End) {
        {
            let mut running = self.running.borrow_mut();
            let is_known = running.get(&process.pid).map_or(false, |known| Rc::ptr_eq(known, process));
            if !is_known {
                return;
            }
            running.remove(&process.pid);
            if running.is_empty() {
                running.shrink_to_fit();
            }
        }
        self.forget_tag(process);
        let mut ended = self.ended.borrow_mut();
        if ended.len() >= ENDED_MAX {
            ended.pop_front();
        }
        let (pid, tag, ring) = (process.pid, process.config.tag.clone(), Rc::clone(&process.output.ring));
        ring.end();
        ended.push_back(Ended { pid, tag, end, ring, at: Instant::now() });
        if !self.is_sweeping.replace(true) {
            tokio::task::spawn_local(Rc::clone(self).sweep());
        }
    }

    /// Errors: `not_found`.
    pub fn find_running(&self, selector: &Selector) -> Result<Rc<Process>, Failure> {
        let pid = match selector {
            Selector::Pid(pid) => Some(*pid),
            Selector::Tag(tag) => self.tags.borrow().get(tag).and_then(|pids| pids.last().copied()),
        };
        let running = self.running.borrow();
        pid.and_then(|pid| running.get(&pid)).cloned().ok_or_else(|| selector.not_found())
    }

    /// Also finds what ended less than 30 s ago, the newest first. Errors: `not_found`.
    pub fn find(&self, selector: &Selector) -> Result<Found, Failure> {
        let not_found = match self.find_running(selector) {
            Ok(process) => return Ok(Found::Running(process)),
            Err(failure) => failure,
        };
        let matches = |ended: &&Ended| match selector {
            Selector::Pid(pid) => ended.pid == *pid,
            Selector::Tag(tag) => ended.tag.as_ref() == Some(tag),
        };
        match self.ended.borrow().iter().rev().take_while(|ended| ended.at.elapsed() < KEEP_ENDED).find(matches) {
            Some(ended) => Ok(Found::Ended { pid: ended.pid, end: ended.end, ring: Rc::clone(&ended.ring) }),
            None => Err(not_found),
        }
    }

    /// The running ones by pid.
    pub fn list(&self) -> Vec<Rc<Process>> {
        let mut processes: Vec<_> = self.running.borrow().values().cloned().collect();
        processes.sort_by_key(|process| process.pid);
        processes
    }

    /// Takes what supervisors say of their commands.
    pub fn take_exits(&self) {
        for supervisor in self.exits.take() {
            // One that isn't known yet is asked when it is.
            if let Some(entry) = self.supervised.borrow().get(&supervisor) {
                if let (Some(process), Some(status)) = (entry.process.upgrade(), entry.supervisor.status()) {
                    process.set_exited(status);
                }
            }
        }
    }

    /// What the reaper says of any child: a supervisor, or a process whose supervisor has been killed. Others are of no
    /// further interest.
    pub fn set_exited(&self, pid: u32, status: ExitStatus) {
        let supervised = self.supervised.borrow_mut().remove(&pid);
        if let Some(entry) = supervised {
            return self.lose_supervisor(entry);
        }
        let process = self.running.borrow().get(&pid).cloned();
        match process.filter(|process| !process.has_exited() && !process.tree.has_supervisor()) {
            Some(process) => {
                process.tree.lose_command();
                process.set_exited(status);
            }
            None if self.starting.get() > 0 => {
                self.early.borrow_mut().insert(pid, status);
            }
            None => {}
        }
    }

    /// A supervisor ends when all below it have gone, unless it is killed.
    fn lose_supervisor(&self, entry: Supervised) {
        // It may have told of its command just before its end, and is about to be forgotten.
        self.take_exits();
        let Supervised { supervisor, tree, process } = entry;
        let exited = supervisor.status();
        supervisor.release();
        let process = process.upgrade().filter(|process| !process.has_exited());
        match (exited, process) {
            (Some(status), Some(process)) => {
                tree.lose_supervisor(None);
                process.set_exited(status);
            }
            (None, Some(process)) if is_child(process.pid) => tree.lose_supervisor(Some(process.pid)),
            (None, Some(process)) => {
                tree.lose_supervisor(None);
                process.set_exited(ExitStatus::from_raw(libc::SIGKILL));
            }
            (_, None) => tree.lose_supervisor(None),
        }
    }

    fn forget_tag(&self, process: &Process) {
        let mut tags = self.tags.borrow_mut();
        if let Some(tag) = &process.config.tag {
            let is_empty = tags.get_mut(tag).map_or(false, |pids| {
                if let Some(index) = pids.iter().position(|pid| *pid == process.pid) {
                    pids.remove(index);
                }
                pids.is_empty()
            });
            if is_empty {
                tags.remove(tag);
            }
        }
    }

    /// Forgets the ended ones in time, for as long as there are any.
    async fn sweep(self: Rc<Self>) {
        loop {
            let next = match self.ended.borrow().front() {
                Some(oldest) => oldest.at + KEEP_ENDED,
                None => break,
            };
            tokio::time::sleep_until(next).await;
            let mut ended = self.ended.borrow_mut();
            while ended.front().map_or(false, |oldest| oldest.at.elapsed() >= KEEP_ENDED) {
                ended.pop_front();
            }
            if ended.is_empty() {
                ended.shrink_to_fit();
            }
        }
        self.is_sweeping.set(false);
        release_memory();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::process::Config;
    use crate::process::spawn::AgentEnds;

    /// A pid that no process has
    const SUPERVISOR: u32 = i32::MAX as u32;

    fn process(pid: u32, tag: &str) -> Rc<Process> {
        let config = Config {
            cmd: "x".to_owned(),
            args: Vec::new(),
            env: Default::default(),
            cwd: None,
            tag: Some(tag.to_owned()),
        };
        let ends = AgentEnds { stdin: None, terminal: None, sources: Vec::new() };
        Process::new(pid, config, ends, Tree::new(SUPERVISOR), Ring::new(&Rc::default(), 0)).0
    }

    fn insert(table: &Table, process: &Rc<Process>) {
        table.insert(Rc::clone(process), Supervisor::of_nothing(SUPERVISOR, Arc::clone(&table.exits)));
    }

    fn end() -> End {
        End { status: ExitStatus::Exited(0), timed_out: false }
    }

    fn on_a_turned_clock(test: impl std::future::Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn an_ended_process_is_known_for_half_a_minute() {
        on_a_turned_clock(async {
            let table = Rc::new(Table::default());
            let ended = process(1, "t");
            insert(&table, &ended);
            table.end(&ended, end());
            let known = |table: &Table| table.find(&Selector::Tag("t".to_owned())).is_ok();
            tokio::time::sleep(KEEP_ENDED - Duration::from_millis(10)).await;
            assert!(known(&table) && table.find_running(&Selector::Pid(1)).is_err());
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert!(!known(&table));
            assert!(table.ended.borrow().is_empty() && !table.is_sweeping.get());
        });
    }

    #[test]
    fn the_newest_process_has_the_tag_and_the_pid() {
        on_a_turned_clock(async {
            let table = Rc::new(Table::default());
            let (old, new) = (process(1, "t"), process(1, "t"));
            insert(&table, &old);
            insert(&table, &new);
            table.end(&old, end());
            let tag = Selector::Tag("t".to_owned());
            assert!(Rc::ptr_eq(&table.find_running(&tag).unwrap(), &new));
            assert!(Rc::ptr_eq(&table.find_running(&Selector::Pid(1)).unwrap(), &new));
            table.end(&new, end());
            assert!(table.find_running(&tag).is_err() && table.tags.borrow().is_empty());
        });
    }

    #[test]
    fn a_process_that_ends_before_it_is_known_has_ended() {
        let table = Rc::new(Table::default());
        let starting = table.start().unwrap();
        table.set_exited(1, ExitStatus::Exited(7));
        let process = process(1, "t");
        insert(&table, &process);
        assert!(process.has_exited());
        table.set_exited(2, ExitStatus::Exited(7));
        drop(starting);
        assert!(table.early.borrow().is_empty());
    }
}
