//! What an earlier helper left: each guest is found as it is, and what is neither whole nor known ends.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::io::AsFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use super::end::Trash;
use super::{disks, files, Entry, Guest, Guests, Live};
use crate::cgroups::Cgroups;
use crate::disks::Disk;
use crate::error::Failure;
use crate::log;
use crate::names::Sandbox;
use crate::pool::lock;
use crate::processes;
use crate::records::{Phase, Place, Process, Record};

/// Processes that nobody knows end within this, or their groups stay until the next start.
const END_MOST: Duration = Duration::from_secs(20);

impl Guests {
    /// For the start, before anything else is made.
    pub fn recover(self: &Arc<Guests>, cgroups: &Cgroups) -> Result<(), Failure> {
        let mut kept = Vec::new();
        for name in files::names(&self.root.guests())? {
            match self.recover_one(&name) {
                Ok(Some(place)) => kept.push(place),
                Ok(None) => {}
                Err(failure) if self.keep_unreadable(&name) => {
                    log::warn("A sandbox is left as it is.", json!({ "sandbox": name, "error": failure.message }));
                }
                Err(failure) => {
                    log::warn("What is left of a sandbox ends.", json!({ "sandbox": name, "error": failure.message }));
                    self.put_away(&name)?;
                }
            }
        }
        let addresses: Vec<_> = kept.iter().map(|place| place.address).collect();
        let slots: HashSet<String> = kept.iter().map(|place| place.slot.to_string()).collect();
        self.end_others(cgroups, &slots)?;
        self.network.keep_only(&addresses)?;
        let running: Vec<Sandbox> = self.with_processes();
        if let Some(views) = &self.views {
            views.keep_only(&running);
        }
        self.remove_sockets(&running)?;
        // Listed now: what is put there later is removed by whoever puts it.
        let trash = files::names(&self.root.trash())?;
        self.go_on(move |guests| remove_trash(guests, &trash));
        Ok(())
    }

    /// The place that a guest has; none where nothing of it runs. Errors: it can't be one.
    fn recover_one(&self, name: &str) -> Result<Option<Place>, Failure> {
        let sandbox = Sandbox::parse(name)?;
        let directory = self.root.guest(&sandbox);
        let mut record = Record::read(&directory)?;
        let mut disk = None;
        let (live, place) = match record.phase.clone() {
            Phase::Starting(_) => return Err(Failure::internal("Its start broke off.")),
            Phase::Running(place, process) => {
                match self.find_process(&sandbox, &place, &process, &record, &mut disk)? {
                    Some(live) => (Some(live), Some(place)),
                    // As after a restart of the machine: what it wrote is kept.
                    None => (None, None),
                }
            }
            Phase::Stopped => (None, None),
            // Its processes end with the groups that nobody has; what it wrote is kept.
            Phase::Stopping(_) | Phase::Booting(_) => (None, None),
        };
        if record.is_copied {
            self.end_copy(&sandbox, &mut record, live.as_ref());
        }
        if live.is_none() && record.phase != Phase::Stopped {
            self.record_stopped(&sandbox, &mut record);
        }
        let layers = record.spec.layers.clone();
        let guest = Arc::new(Mutex::new(Guest::new(record, live, disk)));
        self.table().insert(sandbox, Entry { layers, guest });
        Ok(place)
    }

    /// The helper that froze it for a copy has ended meanwhile. Without a record that it goes on the next helper does this again.
    fn end_copy(&self, sandbox: &Sandbox, record: &mut Record, live: Option<&Live>) {
        let thawed = live.and_then(|live| live.held.as_ref()).map_or(Ok(()), |held| held.group.thaw());
        let written = thawed.and_then(|()| {
            record.is_copied = false;
            record.write(&self.root.guest(sandbox))
        });
        if let Err(failure) = written {
            record.is_copied = true;
            let fields = json!({ "sandbox": sandbox.as_str(), "error": failure.message });
            log::warn("A sandbox that was frozen for a copy may stay so.", fields);
        }
    }

    fn find_process(
        &self,
        sandbox: &Sandbox,
        place: &Place,
        process: &Process,
        record: &Record,
        disk: &mut Option<Disk>,
    ) -> Result<Option<Live>, Failure> {
        if process.boot_id != self.boot_id {
            return Ok(None);
        }
        let pidfd = match processes::open(process.pid, process.start_time) {
            Some(pidfd) => Arc::new(pidfd),
            None => return Ok(None),
        };
        self.slots.reserve(place.slot);
        let held = self.slots.adopt(place, process.pid, record.egress).and_then(|held| {
            self.views.as_ref().map_or(Ok(()), |views| views.adopt(sandbox))?;
            *disk = self.find_disk(sandbox, record)?;
            Ok(held)
        });
        if held.is_err() && processes::is_ended(pidfd.as_fd()) {
            // It was ending when it was found.
            self.slots.release(place.slot);
            return Ok(None);
        }
        let held = held.map_err(|failure| {
            let fields = json!({ "sandbox": sandbox.as_str(), "error": failure.message });
            log::warn("A sandbox is cut off from what it had of the machine.", fields);
        });
        self.watch.add(sandbox, &pidfd)?;
        Ok(Some(Live { pidfd, process: process.clone(), slot: place.slot, held: held.ok() }))
    }

    /// Of a guest that runs.
    fn find_disk(&self, sandbox: &Sandbox, record: &Record) -> Result<Option<Disk>, Failure> {
        let image = self.root.guest(sandbox).join(disks::IMAGE);
        if !image.exists() {
            return Ok(None);
        }
        let found = self.disks.find(&image, record.spec.disk_mb);
        let found = found.map_err(|error| Failure::from_io("The sandbox's disk can't be found", &error))?;
        found.map_or_else(|| Err(Failure::internal("The sandbox's disk isn't mounted.")), |disk| Ok(Some(disk)))
    }

    fn with_processes(&self) -> Vec<Sandbox> {
        let table = self.table();
        let runs = |entry: &Entry| crate::pool::lock(&entry.guest).live.is_some();
        table.iter().filter(|(_, entry)| runs(entry)).map(|(sandbox, _)| sandbox.clone()).collect()
    }

    /// Ends every process in groups that no guest has, and removes these groups.
    fn end_others(&self, cgroups: &Cgroups, kept: &HashSet<String>) -> Result<(), Failure> {
        let others: Vec<_> = cgroups.names()?.into_iter().filter(|name| !kept.contains(name)).collect();
        for name in &others {
            cgroups.remainder(name).kill()?;
        }
        let deadline = Instant::now() + END_MOST;
        for name in others {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Err(failure) = cgroups.remainder(&name).remove(left) {
                log::warn("A control group stays behind.", json!({ "error": failure.message }));
                if let Ok(number) = name.parse() {
                    self.slots.reserve(number);
                }
            }
        }
        Ok(())
    }

    fn remove_sockets(&self, running: &[Sandbox]) -> Result<(), Failure> {
        let kept: HashSet<String> = running.iter().map(|sandbox| format!("{}.sock", sandbox)).collect();
        for name in files::names(&self.root.sockets())? {
            if !kept.contains(&name) {
                let removed = files::remove_file(&self.root.sockets().join(name));
                removed.map_err(|error| Failure::from_io("An old socket can't be removed", &error))?;
            }
        }
        Ok(())
    }

    /// Whether there is a record that only can't be read, as one that another version wrote, or a disk that fails gives: its files
    /// are somebody's.
    fn keep_unreadable(&self, name: &str) -> bool {
        let sandbox = match Sandbox::parse(name) {
            Ok(sandbox) => sandbox,
            Err(_) => return false,
        };
        let directory = self.root.guest(&sandbox);
        let is_kept = !directory.join("record.json").symlink_metadata().map_or_else(is_missing, |_| false)
            && Record::read(&directory).is_err();
        if is_kept {
            lock(&self.unreadable).insert(sandbox);
        }
        is_kept
    }

    fn put_away(&self, name: &str) -> Result<(), Failure> {
        fs::rename(self.root.guests().join(name), self.next_trash())
            .map_err(|error| Failure::from_io("What is left of a sandbox can't be put away", &error))
    }
}

fn is_missing(error: io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

fn remove_trash(guests: &Guests, names: &[String]) -> Result<(), Failure> {
    for name in names {
        Trash::of(guests.root.trash().join(name)).remove()?;
    }
    Ok(())
}
