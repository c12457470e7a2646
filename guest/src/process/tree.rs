//! The processes that a command has started, and theirs: all are below its supervisor.

use std::cell::Cell;
use std::collections::HashSet;
use std::fs;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// Looks for new processes before those that are stopped are killed: a storm of forks must not keep the loop.
const FREEZE_PASSES: usize = 256;
/// Time before the next round of killing, at first and at most.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// Time after which what can't be killed (it hangs in the kernel) is left to its SIGKILL.
const KILL_TIME: Duration = Duration::from_secs(60);

/// The processes of one command.
pub struct Tree {
    /// Their ancestor that isn't one of them; a command whose supervisor was killed is its own
    root: Cell<Root>,
    gone: watch::Sender<bool>,
    is_being_killed: Cell<bool>,
}

#[derive(Clone, Copy)]
enum Root {
    Supervisor(u32),
    Command(u32),
    Nobody,
}

impl Tree {
    pub fn new(supervisor: u32) -> Rc<Tree> {
        Rc::new(Tree {
            root: Cell::new(Root::Supervisor(supervisor)),
            gone: watch::channel(false).0,
            is_being_killed: Cell::new(false),
        })
    }

    /// The supervisor has been reaped, and with it has gone every process; or, if it was killed, the command is left.
    pub fn lose_supervisor(&self, command: Option<u32>) {
        match command {
            Some(pid) => self.root.set(Root::Command(pid)),
            None => self.lose_command(),
        }
    }

    /// A command without a supervisor has been reaped: what it left behind can't be told from others' any more.
    pub fn lose_command(&self) {
        self.root.set(Root::Nobody);
        self.gone.send_replace(true);
    }

    pub fn has_supervisor(&self) -> bool {
        matches!(self.root.get(), Root::Supervisor(_))
    }

    pub fn is_being_killed(&self) -> bool {
        self.is_being_killed.get()
    }

    /// Waits until every process has gone, for that long at most.
    pub async fn gone(&self, patience: Duration) {
        let _ = timeout(patience, async {
            let _ = self.gone.subscribe().wait_for(|gone| *gone).await;
        })
        .await;
    }

    /// Sends a signal to each process once, parents first.
    pub fn signal(&self, signal: i32) {
        for pid in self.pids() {
            send(pid, signal);
        }
    }

    /// Kills every process, those that are started meanwhile too. The first round is done when this returns.
    pub fn kill(self: &Rc<Self>) {
        self.kill_once();
        if self.is_being_killed.replace(true) {
            return;
        }
        let tree = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let kill = async {
                let mut pause = PAUSE_MIN;
                while !*tree.gone.borrow() {
                    tree.gone(pause).await;
                    tree.kill_once();
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            };
            if timeout(KILL_TIME, kill).await.is_err() {
                tree.is_being_killed.set(false);
            }
        });
    }

    /// Stops all before it kills any: a stopped process forks no more, and still takes the room that others would need
    /// to fork. Parents are stopped before their children, so that no shell has news of a stopped job.
    fn kill_once(&self) {
        let mut stopped = HashSet::new();
        let mut fresh = self.pids();
        for _ in 0..FREEZE_PASSES {
            for pid in &fresh {
                send(*pid, libc::SIGSTOP);
                stopped.insert(*pid);
            }
            // Only those just stopped may have children that are new, and those whose parents have gone have the root.
            let mut next: Vec<u32> = fresh.iter().flat_map(|pid| children_of(*pid)).chain(self.children()).collect();
            next.retain(|pid| !stopped.contains(pid));
            if next.is_empty() {
                next = self.pids();
                next.retain(|pid| !stopped.contains(pid));
                if next.is_empty() {
                    break;
                }
            }
            fresh = next;
        }
        for pid in stopped {
            send(pid, libc::SIGKILL);
        }
    }

    fn children(&self) -> Vec<u32> {
        match self.root.get() {
            Root::Supervisor(pid) | Root::Command(pid) => children_of(pid),
            Root::Nobody => Vec::new(),
        }
    }

    fn pids(&self) -> Vec<u32> {
        match self.root.get() {
            Root::Supervisor(pid) => descendants(pid),
            Root::Command(pid) => [vec![pid], descendants(pid)].concat(),
            Root::Nobody => Vec::new(),
        }
    }
}

fn send(pid: u32, signal: i32) {
    unsafe { libc::kill(pid as i32, signal) };
}

/// The processes below one, parents before their children. What starts or ends meanwhile may be missing.
pub fn descendants(root: u32) -> Vec<u32> {
    let mut pids = children_of(root);
    let mut next = 0;
    while next < pids.len() {
        pids.extend(children_of(pids[next]));
        next += 1;
    }
    pids
}

/// The children of all threads of a process.
fn children_of(pid: u32) -> Vec<u32> {
    let tasks = match fs::read_dir(format!("/proc/{}/task", pid)) {
        Ok(tasks) => tasks,
        Err(_) => return Vec::new(),
    };
    let mut children = Vec::new();
    for task in tasks.flatten() {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        children.extend(text.split_ascii_whitespace().filter_map(|word| word.parse::<u32>().ok()));
    }
    children
}
