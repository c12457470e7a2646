//! The end of a guest: stopped with its files kept, killed, or seen to have ended.

use std::fs;
use std::os::unix::io::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{json, Value};

use super::{files, Guest, Guests, Live};
use crate::cgroups::Group;
use crate::error::{Code, Failure};
use crate::names::Sandbox;
use crate::pool::lock;
use crate::processes;
use crate::records::Phase;

/// A process that waits for a disk ends only after that.
const END_MOST: Duration = Duration::from_secs(20);

/// What was a guest's directory.
pub(super) struct Trash(Option<PathBuf>);

impl Trash {
    pub fn of(path: PathBuf) -> Trash {
        Trash(Some(path))
    }

    /// It may be a file, of whoever else writes there.
    pub fn remove(self) -> Result<(), Failure> {
        let removed = self.0.map_or(Ok(()), |path| files::remove(&path));
        removed.map_err(|error| Failure::from_io("Files can't be removed", &error))
    }
}

impl Guests {
    /// Ends its processes and keeps its files, which are on the disk by then. Idempotent.
    pub(super) fn stop(self: &Arc<Guests>, sandbox: &Sandbox) -> Result<Value, Failure> {
        let entry = self.get(sandbox)?;
        let mut guest = lock(&entry);
        let directory = self.root.guest(sandbox);
        if guest.live.is_some() {
            self.record_and_end(sandbox, &mut guest)?;
        }
        if let Some(disk) = &guest.disk {
            disk.settle().map_err(|error| Failure::from_io("The sandbox's files can't be kept", &error))?;
        }
        // Unmounted by then, so that its file is whole.
        guest.disk = None;
        // One that has ended by itself, or whose files couldn't be written before, is stopped and has nothing on the disk for certain.
        if !guest.is_on_disk {
            files::sync(&directory).map_err(|error| Failure::from_io("The sandbox's files can't be kept", &error))?;
            guest.record.write(&directory)?;
            guest.is_on_disk = true;
        }
        Ok(json!({}))
    }

    fn record_and_end(self: &Arc<Guests>, sandbox: &Sandbox, guest: &mut Guest) -> Result<(), Failure> {
        let directory = self.root.guest(sandbox);
        let before = guest.record.phase.clone();
        if let Phase::Running(place, _) = &before {
            guest.record.phase = Phase::Stopping(place.clone());
            if let Err(failure) = guest.record.write(&directory) {
                guest.record.phase = before;
                return Err(failure);
            }
        }
        let ended = self.end_live(sandbox, guest);
        guest.record.phase = match ended {
            Ok(()) => Phase::Stopped,
            Err(_) => before,
        };
        if ended.is_err() {
            guest.record.write(&directory)?;
        }
        ended
    }

    /// Ends it and frees all it had. Idempotent.
    pub(super) fn kill(self: &Arc<Guests>, sandbox: &Sandbox) -> Result<Value, Failure> {
        let found = self.table().get(sandbox).map(|entry| entry.guest.clone());
        let entry = match found {
            Some(entry) => entry,
            None => {
                // Nothing that anybody knows, but it may have the name.
                let trash = self.throw_away(sandbox)?;
                lock(&self.unreadable).remove(sandbox);
                self.go_on(move |_| trash.remove());
                return Ok(json!({}));
            }
        };
        let mut guest = lock(&entry);
        // First, so that a helper that starts after a crash knows nothing of this guest, and ends it.
        if guest.trash.is_none() {
            guest.trash = Some(self.throw_away(sandbox)?);
        }
        self.end_killed(sandbox, &mut guest)?;
        Ok(json!({}))
    }

    /// Of one that has left its name. Where its processes don't end in time, as those that wait for a disk don't, this comes again
    /// once they have.
    fn end_killed(self: &Arc<Guests>, sandbox: &Sandbox, guest: &mut Guest) -> Result<(), Failure> {
        self.end_live(sandbox, guest)?;
        self.table().remove(sandbox);
        if let Some(trash) = guest.trash.take() {
            let disk = guest.disk.take();
            self.go_on(move |guests| {
                if let Some(disk) = disk {
                    guests.disks.forget(&disk);
                    disk.discard();
                }
                trash.remove()
            });
        }
        Ok(())
    }

    /// The watch saw its process end. Nothing, where it was asked to by now.
    pub fn ended(self: &Arc<Guests>, sandbox: &Sandbox, pidfd: &Arc<OwnedFd>) {
        let entry = match self.table().get(sandbox) {
            Some(entry) => entry.guest.clone(),
            None => return,
        };
        let mut guest = lock(&entry);
        let is_it = guest.live.as_ref().map_or(false, |live| Arc::ptr_eq(&live.pidfd, pidfd));
        if !is_it {
            return;
        }
        let is_killed = guest.trash.is_some();
        let ended = match is_killed {
            true => self.end_killed(sandbox, &mut guest),
            false => self.end_live(sandbox, &mut guest),
        };
        match ended {
            Ok(()) if is_killed => {}
            Ok(()) => {
                // What it wrote is kept, as after a stop.
                self.record_stopped(sandbox, &mut guest.record);
                (self.on_gone)(sandbox)
            }
            Err(failure) => {
                crate::log::warn("A sandbox that ended can't be freed.", json!({ "error": failure.message }))
            }
        }
    }

    /// Ends what runs of it; what it had of the machine goes behind the reply. Nothing, where nothing runs.
    fn end_live(self: &Arc<Guests>, sandbox: &Sandbox, guest: &mut Guest) -> Result<(), Failure> {
        let live = match &guest.live {
            Some(live) => live,
            None => return Ok(()),
        };
        self.watch.remove(&live.pidfd);
        let ended = match &live.held {
            Some(held) => self.end_processes(&held.group, &live.pidfd),
            None => self.end_process(live),
        };
        if let Err(failure) = ended {
            // It may yet end by itself.
            let _ = self.watch.add(sandbox, &live.pidfd);
            return Err(failure);
        }
        let _ = files::remove_way(&self.root, sandbox);
        if let Some(views) = &self.views {
            views.remove(sandbox);
        }
        let slot = live.slot;
        let held = guest.live.take().and_then(|live| live.held);
        if let Some(Err(failure)) = held.as_ref().map(|held| self.network.cut_agent(&held.link)) {
            let fields = json!({ "sandbox": sandbox.as_str(), "error": failure.message });
            crate::log::warn("Who waits for a sandbox that has ended isn't told.", fields);
        }
        self.go_on(move |guests| {
            match held {
                Some(held) => guests.slots.give_back(held),
                None => guests.slots.give_back_remainder(slot),
            }
            Ok(())
        });
        Ok(())
    }

    /// Ends all in the group. Process 1 ends last, after the kernel has ended all of its name space.
    pub(super) fn end_processes(&self, group: &Group, pidfd: &OwnedFd) -> Result<(), Failure> {
        group.kill()?;
        wait_for(pidfd)
    }

    /// Of one whose groups aren't all known: the rest of its name space ends with process 1.
    fn end_process(&self, live: &Live) -> Result<(), Failure> {
        // What is frozen in version 1 ends only once it goes on.
        self.slots.kill_remainder(live.slot)?;
        match processes::kill(live.pidfd.as_fd()) {
            Err(error) if error.raw_os_error() != Some(libc::ESRCH) => {
                Err(Failure::from_io("The sandbox's process can't be ended", &error))
            }
            _ => wait_for(&live.pidfd),
        }
    }

    /// Takes the directory off its name, which is free from then on.
    pub(super) fn throw_away(&self, sandbox: &Sandbox) -> Result<Trash, Failure> {
        let _ = files::remove_way(&self.root, sandbox);
        let trash = self.next_trash();
        match fs::rename(self.root.guest(sandbox), &trash) {
            Ok(()) => Ok(Trash(Some(trash))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Trash(None)),
            Err(error) => Err(Failure::from_io("The sandbox's files can't be put away", &error)),
        }
    }
}

fn wait_for(pidfd: &OwnedFd) -> Result<(), Failure> {
    match processes::wait(pidfd, END_MOST) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::new(Code::DeadlineExceeded, "The sandbox's processes didn't end in time.")),
        Err(error) => Err(Failure::from_io("The sandbox's end can't be waited for", &error)),
    }
}
