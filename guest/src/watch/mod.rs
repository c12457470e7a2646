//! Watching directories: who watches what, and what has happened there since anybody asked. All of it lives in one
//! `Hub`, which is lent to one task at a time: what takes the disk happens beside the event loop.

mod hub;
mod inotify;
mod kept;
mod mounts;
mod tree;
mod watcher;

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::io;
use std::os::unix::io::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::agent::{Actor, Subject};
use crate::blocking;
use crate::error::Failure;
use crate::init::release_memory;
use hub::Hub;
pub use watcher::{WatchOptions, WatcherId};

/// Longest that a request waits for new sub-directories to be watched. Only a file system that hangs takes that long,
/// and it must not stop the whole agent.
const SETTLE_TIME: Duration = Duration::from_secs(2);

/// A new watcher.
pub struct Watch {
    pub id: WatcherId,
    /// Rings when there is something to take
    pub news: Arc<Notify>,
}

#[derive(Default)]
pub struct Watching {
    hub: Arc<Mutex<Hub>>,
    /// Whether requests have to wait for new sub-directories to be watched
    is_recursive: Cell<bool>,
    /// Reads events as they come, for as long as there are watchers
    follower: RefCell<Option<JoinHandle<()>>>,
}

impl Watching {
    /// Watches `path` and returns once everything there is watched. Errors: `not_found`, `invalid_argument`,
    /// `resource_exhausted`, `unauthenticated`.
    pub async fn add(&self, subject: Subject, path: String, options: WatchOptions) -> Result<Watch, Failure> {
        // Before the hub is taken: a file system that hangs must not keep it from the others.
        let check = move |actor: &Actor| {
            let root = actor.resolve(&path)?;
            mounts::check_root(&root, options.allow_network_mounts)?;
            Ok(PathBuf::from(root))
        };
        let root = subject.run(check).await?;
        let mut hub = Arc::clone(&self.hub).lock_owned().await;
        let add = move || {
            let added = hub.add(root, options);
            Ok((hub, added))
        };
        let (mut hub, added) = blocking::run(add).await?;
        let (id, news) = added?;
        if let Err(error) = self.follow(&hub) {
            hub.remove(id)?;
            return Err(Failure::from_io("The directory can't be watched", &error));
        }
        Ok(Watch { id, news })
    }

    /// Errors: `not_found`.
    pub async fn remove(&self, id: WatcherId) -> Result<(), Failure> {
        let mut hub = Arc::clone(&self.hub).lock_owned().await;
        let remove = move || {
            let removed = hub.remove(id);
            Ok((hub, removed))
        };
        let (hub, removed) = blocking::run(remove).await?;
        self.follow(&hub).map_err(|error| Failure::from_io("The other watchers can't be followed", &error))?;
        removed
    }

    /// Takes what has happened so far, as the text of the JSON list's inside. Errors: `not_found`,
    /// `resource_exhausted` once after events were lost.
    pub async fn take(&self, id: WatcherId) -> Result<String, Failure> {
        self.hub.lock().await.take(id)
    }

    /// Reads what the system has.
    pub async fn drain(&self) -> Result<(), Failure> {
        drain(&self.hub).await
    }

    /// Returns once every sub-directory that has been made so far under a recursive watcher is watched.
    pub async fn settle(&self) {
        if self.is_recursive.get() {
            // What takes longer, or fails because the agent shuts down, holds nobody up.
            let _ = timeout(SETTLE_TIME, self.drain()).await;
        }
    }

    /// Starts or stops to read events as they come, as the hub needs it now.
    fn follow(&self, hub: &Hub) -> io::Result<()> {
        self.is_recursive.set(hub.is_recursive());
        let mut follower = self.follower.borrow_mut();
        match (hub.descriptor(), &*follower) {
            (Some(descriptor), None) => {
                let events = AsyncFd::new(descriptor)?;
                *follower = Some(tokio::task::spawn_local(read_as_they_come(events, Arc::clone(&self.hub))));
            }
            (None, Some(running)) => {
                running.abort();
                *follower = None;
                release_memory();
            }
            _ => {}
        }
        Ok(())
    }
}

async fn read_as_they_come(events: AsyncFd<Arc<OwnedFd>>, hub: Arc<Mutex<Hub>>) {
    loop {
        match events.readable().await {
            // Before the reading: what comes during it rings again.
            Ok(mut guard) => guard.clear_ready(),
            Err(_) => return,
        }
        if drain(&hub).await.is_err() {
            return;
        }
    }
}

async fn drain(hub: &Arc<Mutex<Hub>>) -> Result<(), Failure> {
    let mut hub = Arc::clone(hub).lock_owned().await;
    if !hub.has_pending() {
        return Ok(());
    }
    blocking::run(move || {
        hub.drain();
        Ok(())
    })
    .await
}
