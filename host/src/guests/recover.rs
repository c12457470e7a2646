//! What an earlier helper left: each guest is found as it is, and what is neither whole nor known ends.

use std::collections::HashSet;
use std::fs;
use std::os::unix::io::AsFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use super::end::Trash;
use super::{disks, files, Entry, Guest, Guests, Live};
use crate::cgroups::Cgroups;
use crate::disks::Disk;
use crate::error::{Code, Failure};
use crate::log;
use crate::names::Sandbox;
use crate::pool::lock;
use crate::processes;
use crate::records::{NoRecord, Phase, Place, Process, Record};
use crate::requests::Isolation;

/// Processes that nobody knows end within this, or their groups stay until the next start.
const END_MOST: Duration = Duration::from_secs(20);

/// What a name below `guests/` is.
enum Found {
    Guest(Box<Known>),
    /// Its files are somebody's, and what else it has can't be known
    Strange(Sandbox, Failure),
    /// Of a start that broke off: nobody was told that it is there
    Remainder(Failure),
}

struct Known {
    sandbox: Sandbox,
    record: Record,
    live: Option<Live>,
    disk: Option<Disk>,
}

impl Guests {
    /// For the start, before anything else is made. Errors: also where something couldn't be looked at, for want of descriptors, say.
    /// Then nothing is changed of any guest, and another helper may see it.
    pub fn recover(self: &Arc<Guests>, cgroups: &Cgroups) -> Result<(), Failure> {
        let mut found = Vec::new();
        for name in files::names(&self.root.guests())? {
            let one = self.look(&name).map_err(|failure| {
                let message = format!("What there is of the sandbox {} can't be seen: {}", name, failure.message);
                Failure::new(failure.code, message)
            })?;
            found.push((name, one));
        }
        let mut kept = Vec::new();
        for (name, found) in found {
            match found {
                Found::Guest(known) => kept.extend(self.take_over(*known)),
                Found::Strange(sandbox, failure) => {
                    log::warn("A sandbox is left as it is.", json!({ "sandbox": name, "error": failure.message }));
                    lock(&self.unreadable).insert(sandbox);
                }
                Found::Remainder(failure) => {
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

    /// Changes nothing.
    fn look(&self, name: &str) -> Result<Found, Failure> {
        let sandbox = match Sandbox::parse(name) {
            Ok(sandbox) => sandbox,
            Err(failure) => return Ok(Found::Remainder(failure)),
        };
        let record = match Record::read(&self.root.guest(&sandbox)) {
            Ok(record) => record,
            Err(NoRecord::Missing) => return Ok(Found::Remainder(Failure::not_found("It has no record."))),
            Err(NoRecord::Strange(failure)) => return Ok(Found::Strange(sandbox, failure)),
            Err(NoRecord::Unseen(failure)) => return Err(failure),
        };
        let running = match &record.phase {
            Phase::Starting(_) => return Ok(Found::Remainder(Failure::internal("Its start broke off."))),
            // None: as after a restart of the machine. What it wrote is kept.
            Phase::Running(place, process) => self.find_process(&sandbox, place, process, &record)?,
            // Its processes end with the groups that nobody has; what it wrote is kept.
            Phase::Stopped | Phase::Stopping(_) | Phase::Booting(_) => None,
        };
        let (live, disk) = running.map_or((None, None), |(live, disk)| (Some(live), disk));
        Ok(Found::Guest(Box::new(Known { sandbox, record, live, disk })))
    }

    /// The place that it has; none where nothing of it runs.
    fn take_over(&self, known: Known) -> Option<Place> {
        let Known { sandbox, mut record, live, disk } = known;
        let place = match &record.phase {
            Phase::Running(place, _) if live.is_some() => Some(place.clone()),
            _ => None,
        };
        if live.is_none() && record.phase != Phase::Stopped {
            self.record_stopped(&sandbox, &mut record);
        }
        let layers = record.spec.layers.clone();
        let mut guest = Guest::new(record, live, disk);
        if guest.record.is_copied {
            self.end_copy(&sandbox, &mut guest);
        }
        self.table().insert(sandbox, Entry { layers, guest: Arc::new(Mutex::new(guest)) });
        place
    }

    /// The helper that froze it for a copy has ended meanwhile. Without a record that it goes on the next helper does this again.
    fn end_copy(&self, sandbox: &Sandbox, guest: &mut Guest) {
        let thawed = match guest.held().is_ok() {
            true => self.thaw_processes(sandbox, guest),
            false => Ok(()),
        };
        let written = thawed.and_then(|()| {
            guest.record.is_copied = false;
            guest.record.write(&self.root.guest(sandbox))
        });
        if let Err(failure) = written {
            guest.record.is_copied = true;
            let fields = json!({ "sandbox": sandbox.as_str(), "error": failure.message });
            log::warn("A sandbox that was frozen for a copy may stay so.", fields);
        }
    }

    /// Its process with what it has of the machine, where that was seen to be there. None: it has ended.
    fn find_process(
        &self,
        sandbox: &Sandbox,
        place: &Place,
        process: &Process,
        record: &Record,
    ) -> Result<Option<(Live, Option<Disk>)>, Failure> {
        if process.boot_id != self.boot_id {
            return Ok(None);
        }
        let opened = processes::open(process.pid, process.start_time);
        let pidfd = match opened.map_err(|error| Failure::from_io("Its process can't be looked for", &error))? {
            Some(pidfd) => Arc::new(pidfd),
            None => return Ok(None),
        };
        self.slots.reserve(place.slot);
        let adopted = self.slots.adopt(place, process.pid, record.egress).and_then(|held| {
            match (record.spec.isolation, &self.views) {
                (Isolation::Gvisor, _) => self.network.open_agent(&held.link)?,
                (Isolation::Native, Some(views)) => views.adopt(sandbox)?,
                (Isolation::Native, None) => {}
            }
            Ok((held, self.find_disk(sandbox, record)?))
        });
        if adopted.is_err() && processes::is_ended(pidfd.as_fd()) {
            // It was ending when it was found.
            self.slots.release(place.slot);
            return Ok(None);
        }
        let (held, disk) = match adopted {
            Ok((held, disk)) => (Some(held), disk),
            Err(failure) if matches!(failure.code, Code::NotFound | Code::FailedPrecondition) => {
                let fields = json!({ "sandbox": sandbox.as_str(), "error": failure.message });
                log::warn("A sandbox is cut off from what it had of the machine.", fields);
                (None, None)
            }
            Err(failure) => return Err(failure),
        };
        self.watch.add(sandbox, &pidfd)?;
        Ok(Some((Live { pidfd, process: process.clone(), slot: place.slot, held }, disk)))
    }

    /// Of a guest that runs. Errors: `not_found`, `failed_precondition`: it is seen that the guest's can't be had.
    fn find_disk(&self, sandbox: &Sandbox, record: &Record) -> Result<Option<Disk>, Failure> {
        let image = self.root.guest(sandbox).join(disks::IMAGE);
        let failed = |error| Failure::from_io("The sandbox's disk can't be found", &error);
        if !image.try_exists().map_err(failed)? {
            return Ok(None);
        }
        match self.disks.find(&image, record.spec.disk_mb) {
            Ok(Some(disk)) => Ok(Some(disk)),
            Ok(None) => Err(Failure::not_found("The sandbox's disk isn't mounted.")),
            // The kernel mounts none that it has stopped writing to, after errors, for somebody who would write.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                Err(Failure::new(Code::FailedPrecondition, "The sandbox's disk can only be read, after errors."))
            }
            Err(error) => Err(failed(error)),
        }
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
        let names = |sandbox: &Sandbox| ["sock", "address", "secret"].map(|kind| format!("{}.{}", sandbox, kind));
        let kept: HashSet<String> = running.iter().flat_map(names).collect();
        for name in files::names(&self.root.sockets())? {
            if !kept.contains(&name) {
                let removed = files::remove_file(&self.root.sockets().join(name));
                removed.map_err(|error| Failure::from_io("An old socket can't be removed", &error))?;
            }
        }
        Ok(())
    }

    fn put_away(&self, name: &str) -> Result<(), Failure> {
        fs::rename(self.root.guests().join(name), self.next_trash())
            .map_err(|error| Failure::from_io("What is left of a sandbox can't be put away", &error))
    }
}

fn remove_trash(guests: &Guests, names: &[String]) -> Result<(), Failure> {
    for name in names {
        Trash::of(guests.root.trash().join(name)).remove()?;
    }
    Ok(())
}
