//! Collects every child that has ended, also those whose parents left them to the agent.

use std::io;
use std::rc::Rc;

use tokio::signal::unix::{signal, SignalKind};

use super::status::ExitStatus;
use super::table::Table;

/// Makes this process the parent of its descendants' orphans, as PID 1 is by nature.
pub fn adopt_orphans() {
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
}

/// Starts to reap.
pub fn start(table: Rc<Table>) -> io::Result<()> {
    let mut children = signal(SignalKind::child())?;
    tokio::task::spawn_local(async move {
        while children.recv().await.is_some() {
            reap(&table);
        }
    });
    Ok(())
}

fn reap(table: &Table) {
    table.take_exits();
    loop {
        let mut status = 0;
        let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
        if pid <= 0 {
            return;
        }
        table.set_exited(pid as u32, ExitStatus::from_raw(status));
    }
}
