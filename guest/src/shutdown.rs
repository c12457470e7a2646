//! The end of the agent and, with it, of the sandbox: SIGTERM to every process, a grace, SIGKILL, exit.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::signal::unix::{signal, Signal, SignalKind};
use tokio::time::{sleep, timeout};

use crate::agent::Agent;
use crate::process::tree::descendants;

/// Grace of a shutdown that a signal asks for.
const SIGNAL_GRACE: Duration = Duration::from_secs(10);
/// Time for killed processes to be gone.
const KILL_WAIT: Duration = Duration::from_secs(2);
/// Time between looks at whether processes are left.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// Time for the answer to the request that asked for this to leave.
const ANSWER_TIME: Duration = Duration::from_millis(20);

/// Takes SIGTERM and SIGINT as requests to shut down.
pub fn on_signals(agent: &Rc<Agent>) -> io::Result<()> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        tokio::task::spawn_local(wait_for(signal(kind)?, Rc::clone(agent)));
    }
    Ok(())
}

async fn wait_for(mut signal: Signal, agent: Rc<Agent>) {
    while signal.recv().await.is_some() {
        begin(&agent, SIGNAL_GRACE);
    }
}

/// Starts the shutdown and returns. A second call changes nothing.
pub fn begin(agent: &Agent, grace: Duration) {
    if !agent.is_stopping.replace(true) {
        tokio::task::spawn_local(async move {
            sleep(ANSWER_TIME).await;
            signal_all(libc::SIGTERM);
            if timeout(grace, all_gone()).await.is_err() {
                let kill = async {
                    // Again and again: a process may have been forked while the others were killed.
                    while has_children() {
                        signal_all(libc::SIGKILL);
                        sleep(LOOK_INTERVAL).await;
                    }
                };
                let _ = timeout(KILL_WAIT, kill).await;
            }
            std::process::exit(0);
        });
    }
}

async fn all_gone() {
    while has_children() {
        sleep(LOOK_INTERVAL).await;
    }
}

/// Whether any child is left, running or not yet reaped.
fn has_children() -> bool {
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let look = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    unsafe { libc::waitid(libc::P_ALL, 0, &mut info, look) == 0 }
}

/// PID 1 reaches everything in the sandbox at once. Elsewhere that would be the whole machine, so it is the
/// descendants one by one.
fn signal_all(signal: i32) {
    if std::process::id() == 1 {
        unsafe { libc::kill(-1, signal) };
        return;
    }
    for pid in descendants(std::process::id()) {
        unsafe { libc::kill(pid as i32, signal) };
    }
}
