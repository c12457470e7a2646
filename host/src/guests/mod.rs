//! The guests of this helper: which there are, what each has, and the operations on them.
//!
//! Operations on one sandbox come one at a time (`lanes`), so each has its guest for itself. What is on the disk below
//! `guests/` is the truth; this is its copy in memory, with the descriptors of what runs.

mod end;
mod files;
mod recover;
mod start;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::unix::io::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{json, Value};

use crate::cancel::Cancel;
use crate::disks::{self, Disk, Disks};
use crate::error::{Code, Failure};
use crate::gvisor::{self, Runsc};
use crate::layers::{Draft, Lasting, Layers};
use crate::log;
use crate::names::{Layer, Sandbox};
use crate::net::{Egress, Network};
use crate::pool::{lock, Pool};
use crate::processes;
use crate::records::{Phase, Process, Record};
use crate::requests::{GuestOp, Isolation};
use crate::root::Root;
use crate::slots::{Held, Slots};
use crate::views::Views;
use crate::watch::Watch;
use end::Trash;
pub use files::remove_any as remove_files;

/// What the guests are made with.
pub struct Guests {
    pub root: Arc<Root>,
    pub network: Arc<Network>,
    pub slots: Slots,
    pub views: Option<Views>,
    pub layers: Layers,
    pub disks: Arc<Disks>,
    pub watch: Watch,
    pub agent: File,
    /// Why there are no guests with a kernel of their own, where there are none
    pub runsc: Result<Runsc, Failure>,
    pub boot_id: String,
    /// What goes on after a reply
    pub behind: Pool,
    pub on_gone: Box<dyn Fn(&Sandbox) + Send + Sync>,
    table: Mutex<HashMap<Sandbox, Entry>>,
    /// Whose records an earlier helper wrote and this one can't read: they keep their files, and nothing is done with them but an end
    unreadable: Mutex<HashSet<Sandbox>>,
    next_trash: AtomicU64,
}

struct Entry {
    /// Which may not be removed as long as it is there
    layers: Vec<Layer>,
    guest: Arc<Mutex<Guest>>,
}

struct Guest {
    record: Record,
    live: Option<Live>,
    /// What it changes, as long as that is mounted. None: it is stopped, or has directories of the machine's without a limit
    disk: Option<Disk>,
    /// What was its directory, which has left its name: it is being ended
    trash: Option<Trash>,
    /// `stop` has seen what it wrote on the disk, and nothing has run since
    is_on_disk: bool,
}

/// A guest's process.
struct Live {
    pidfd: Arc<OwnedFd>,
    process: Process,
    slot: u32,
    /// None: it runs, but what it had of the machine wasn't found again
    held: Option<Held>,
}

pub struct Parts {
    pub root: Arc<Root>,
    pub network: Arc<Network>,
    pub slots: Slots,
    pub views: Option<Views>,
    pub layers: Layers,
    pub disks: Arc<Disks>,
    pub watch: Watch,
    pub agent: File,
    pub runsc: Result<Runsc, Failure>,
    pub boot_id: String,
    pub behind: Pool,
    pub on_gone: Box<dyn Fn(&Sandbox) + Send + Sync>,
}

impl Guests {
    pub fn new(parts: Parts) -> Guests {
        let Parts { root, network, slots, views, layers, disks, watch, agent, runsc, boot_id, behind, on_gone } = parts;
        // Differs from what earlier helpers have put there.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_nanos() as u64);
        let (table, unreadable, next_trash) = (Mutex::default(), Mutex::default(), AtomicU64::new(now));
        Guests {
            root,
            network,
            slots,
            views,
            layers,
            disks,
            watch,
            agent,
            runsc,
            boot_id,
            behind,
            on_gone,
            table,
            unreadable,
            next_trash,
        }
    }

    /// Does one operation; the lane sees to it that no other of this sandbox is under way.
    pub fn run(self: &Arc<Guests>, sandbox: &Sandbox, op: GuestOp, cancel: &Cancel) -> Result<Value, Failure> {
        // What ends a sandbox was not taken back: it goes on to its end.
        if !matches!(op, GuestOp::Kill) {
            cancel.check()?;
        }
        match op {
            GuestOp::Start { spec, egress } => self.start(sandbox, spec, egress, cancel),
            GuestOp::Boot { egress } => self.boot(sandbox, egress, cancel),
            GuestOp::Freeze => self.freeze(sandbox),
            GuestOp::Thaw { egress } => self.thaw(sandbox, egress),
            GuestOp::Stop => self.stop(sandbox),
            GuestOp::Kill => self.kill(sandbox),
            GuestOp::SetEgress { egress } => self.set_egress(sandbox, egress),
            GuestOp::Stats => self.stats(sandbox),
            GuestOp::Find => self.find(sandbox),
            GuestOp::Snapshot { layer, lasting } => self.snapshot(sandbox, &layer, lasting, cancel),
        }
    }

    /// Every name below `guests/`.
    pub fn list(&self) -> Result<Vec<String>, Failure> {
        files::names(&self.root.guests())
    }

    /// How many there are, in whatever state.
    pub fn count(&self) -> usize {
        lock(&self.table).len() + lock(&self.unreadable).len()
    }

    /// Errors: `conflict` while a guest is made of it.
    pub fn remove_layer(&self, layer: &Layer) -> Result<Value, Failure> {
        // Held until its name is gone: no start gets in between.
        let table = lock(&self.table);
        if let Some(sandbox) = lock(&self.unreadable).iter().next() {
            return Err(Failure::new(Code::Conflict, format!("Nobody knows what the sandbox {} is made of.", sandbox)));
        }
        if let Some((sandbox, _)) = table.iter().find(|(_, entry)| entry.layers.contains(layer)) {
            return Err(Failure::new(Code::Conflict, format!("The sandbox {} is made of this layer.", sandbox)));
        }
        self.layers.remove(layer)?;
        Ok(json!({}))
    }

    fn freeze(&self, sandbox: &Sandbox) -> Result<Value, Failure> {
        let entry = self.get(sandbox)?;
        let mut guest = lock(&entry);
        guest.held()?;
        self.mark_copied(sandbox, &mut guest, false)?;
        self.freeze_processes(sandbox, &mut guest)?;
        Ok(json!({}))
    }

    fn thaw(&self, sandbox: &Sandbox, egress: Option<Egress>) -> Result<Value, Failure> {
        let entry = self.get(sandbox)?;
        let mut guest = lock(&entry);
        if guest.live.as_ref().map_or(false, |live| processes::is_ended(live.pidfd.as_fd())) {
            return Err(Failure::new(Code::FailedPrecondition, "The sandbox's processes have ended."));
        }
        if let Some(egress) = egress {
            self.set_egress_of(sandbox, &mut guest, egress)?;
        }
        self.thaw_processes(sandbox, &mut guest)?;
        Ok(json!({}))
    }

    fn freeze_processes(&self, sandbox: &Sandbox, guest: &mut Guest) -> Result<(), Failure> {
        match guest.record.spec.isolation {
            Isolation::Native => guest.held()?.group.freeze(),
            // Said before it is so: whoever finds it so lets it go on, and it is no harm where it does.
            Isolation::Gvisor => self.pause_apart(sandbox, guest, true),
        }
    }

    /// Idempotent.
    fn thaw_processes(&self, sandbox: &Sandbox, guest: &mut Guest) -> Result<(), Failure> {
        match guest.record.spec.isolation {
            Isolation::Native => guest.held()?.group.thaw(),
            Isolation::Gvisor => self.pause_apart(sandbox, guest, false),
        }
    }

    fn pause_apart(&self, sandbox: &Sandbox, guest: &mut Guest, is_paused: bool) -> Result<(), Failure> {
        let procs = guest.held()?.group.procs()?;
        let was_paused = guest.record.is_paused;
        if is_paused == was_paused {
            return Ok(());
        }
        let directory = self.root.guest(sandbox);
        let runsc = self.runsc.as_ref().map_err(Failure::clone)?;
        let place = gvisor::Place { sandbox, directory: &directory, procs: &procs };
        guest.record.is_paused = true;
        let done = match is_paused {
            true => guest.record.write(&directory).and_then(|()| runsc.pause(&place)),
            false => runsc.resume(&place),
        };
        guest.record.is_paused = if done.is_ok() { is_paused } else { was_paused };
        if !guest.record.is_paused {
            guest.record.write(&directory)?;
        }
        done
    }

    fn set_egress(&self, sandbox: &Sandbox, egress: Egress) -> Result<Value, Failure> {
        let entry = self.get(sandbox)?;
        let mut guest = lock(&entry);
        self.set_egress_of(sandbox, &mut guest, egress)?;
        Ok(json!({}))
    }

    fn set_egress_of(&self, sandbox: &Sandbox, guest: &mut Guest, egress: Egress) -> Result<(), Failure> {
        self.network.set_egress(&guest.held()?.link, egress)?;
        guest.record.egress = egress;
        guest.record.write(&self.root.guest(sandbox))
    }

    fn stats(&self, sandbox: &Sandbox) -> Result<Value, Failure> {
        let entry = self.get(sandbox)?;
        let guest = lock(&entry);
        let usage = guest.held()?.group.usage()?;
        Ok(json!({ "memoryBytes": usage.memory_bytes, "cpuMicros": usage.cpu_micros, "pids": usage.pids }))
    }

    /// Errors: `unavailable`, which isn't to be taken for gone.
    fn find(&self, sandbox: &Sandbox) -> Result<Value, Failure> {
        let entry = match self.get(sandbox) {
            Ok(entry) => entry,
            Err(failure) if failure.code == Code::NotFound => return Ok(json!({ "state": "gone" })),
            Err(failure) => return Err(failure),
        };
        let guest = lock(&entry);
        let spec = &guest.record.spec;
        let known = |mut value: Value| {
            value["layers"] = spec.layers.iter().map(Layer::as_str).collect::<Vec<_>>().into();
            value["note"] = spec.note.as_str().into();
            value
        };
        Ok(match (&guest.live, &guest.record.phase) {
            (Some(live), _) if !processes::is_ended(live.pidfd.as_fd()) => {
                let state = match live.held.as_ref().map(|held| guest.is_frozen(held)) {
                    Some(Ok(true)) => "frozen",
                    Some(Ok(false)) => "running",
                    // It can't be told now; one that is said to be cut off is ended.
                    Some(Err(failure)) if failure.code == Code::ResourceExhausted => {
                        return Err(Failure { code: Code::Unavailable, ..failure })
                    }
                    Some(Err(_)) | None => "cut-off",
                };
                known(json!({ "state": state, "pid": live.process.pid, "startTime": live.process.start_time }))
            }
            (None, Phase::Stopped) => known(json!({ "state": "stopped" })),
            // It has ended by itself, and is about to be stopped.
            (Some(_), Phase::Running(..)) => known(json!({ "state": "cut-off" })),
            _ => json!({ "state": "gone" }),
        })
    }

    fn snapshot(&self, sandbox: &Sandbox, layer: &Layer, lasting: Lasting, cancel: &Cancel) -> Result<Value, Failure> {
        let entry = self.get(sandbox)?;
        let mut guest = lock(&entry);
        // Frozen already: it stays so.
        let is_to_thaw = match guest.held() {
            Ok(held) => !guest.is_frozen(held)?,
            Err(_) => false,
        };
        if is_to_thaw {
            self.mark_copied(sandbox, &mut guest, true)?;
            self.freeze_processes(sandbox, &mut guest)?;
        }
        let draft = self.copy_changes(sandbox, &guest, layer, lasting, cancel);
        if is_to_thaw {
            self.thaw_processes(sandbox, &mut guest)?;
            if let Err(failure) = self.mark_copied(sandbox, &mut guest, false) {
                // The next helper thaws what isn't frozen, and `freeze` comes after another try.
                let fields = json!({ "sandbox": sandbox.as_str(), "error": failure.message });
                log::warn("That a sandbox goes on isn't recorded.", fields);
            }
        }
        let made = draft?.publish(lasting)?;
        let spec = &guest.record.spec;
        let layers: Vec<&str> = spec.layers.iter().map(Layer::as_str).collect();
        Ok(json!({ "sizeBytes": made.size_bytes, "layers": layers, "note": spec.note }))
    }

    fn copy_changes(
        &self,
        sandbox: &Sandbox,
        guest: &Guest,
        layer: &Layer,
        lasting: Lasting,
        cancel: &Cancel,
    ) -> Result<Draft, Failure> {
        let directory = self.root.guest(sandbox);
        let image = directory.join(disks::IMAGE);
        // That of a stopped one is there for the copy alone.
        let opened = match &guest.disk {
            None if image.exists() => Some(self.disks.open_image(&image, guest.record.spec.disk_mb)?),
            _ => None,
        };
        let upper = guest.disk.as_ref().or(opened.as_ref()).map_or(directory, Disk::path).join("upper");
        self.layers.copy_upper(&upper, layer, lasting, cancel)
    }

    /// Records whether a guest is frozen for a copy alone. On failure it is as it was.
    fn mark_copied(&self, sandbox: &Sandbox, guest: &mut Guest, is_copied: bool) -> Result<(), Failure> {
        if guest.record.is_copied == is_copied {
            return Ok(());
        }
        guest.record.is_copied = is_copied;
        let written = guest.record.write(&self.root.guest(sandbox));
        if written.is_err() {
            guest.record.is_copied = !is_copied;
        }
        written
    }

    /// Errors: `not_found`, also for one that has ended; `unavailable`.
    fn get(&self, sandbox: &Sandbox) -> Result<Arc<Mutex<Guest>>, Failure> {
        let found = lock(&self.table).get(sandbox).map(|entry| entry.guest.clone());
        if lock(&self.unreadable).contains(sandbox) {
            let why = "What is recorded of the sandbox can't be read by this version of the server.";
            return Err(Failure::new(Code::Unavailable, why));
        }
        let gone = || Failure::not_found(format!("There is no sandbox {}.", sandbox));
        let guest = found.ok_or_else(gone)?;
        if lock(&guest).has_ended() {
            return Err(gone());
        }
        Ok(guest)
    }

    /// Of one that has stopped by itself. Without a record of that the next helper comes to the same by what is on the disk, so
    /// a disk that is full costs nobody their files.
    fn record_stopped(&self, sandbox: &Sandbox, record: &mut Record) {
        record.phase = Phase::Stopped;
        if let Err(failure) = record.write(&self.root.guest(sandbox)) {
            let fields = json!({ "sandbox": sandbox.as_str(), "error": failure.message });
            log::warn("That a sandbox has stopped isn't recorded.", fields);
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Sandbox, Entry>> {
        lock(&self.table)
    }

    /// Goes on with it after the reply; what fails is only logged.
    fn go_on(self: &Arc<Guests>, work: impl FnOnce(&Guests) -> Result<(), Failure> + Send + 'static) {
        let guests = self.clone();
        self.behind.run(move || {
            if let Err(failure) = work(&guests) {
                log::warn("What a sandbox had isn't all freed.", json!({ "error": failure.message }));
            }
        });
    }

    /// A path that nothing has had.
    fn next_trash(&self) -> PathBuf {
        self.root.trash().join(self.next_trash.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

impl Guest {
    fn new(record: Record, live: Option<Live>, disk: Option<Disk>) -> Guest {
        Guest { record, live, disk, trash: None, is_on_disk: false }
    }

    /// It was there, and is no more: it ended without having been asked to, or its end is under way.
    fn has_ended(&self) -> bool {
        self.trash.is_some() || (self.live.is_none() && self.record.phase != Phase::Stopped)
    }

    fn is_frozen(&self, held: &Held) -> Result<bool, Failure> {
        match self.record.spec.isolation {
            Isolation::Native => held.group.is_frozen(),
            Isolation::Gvisor => Ok(self.record.is_paused),
        }
    }

    /// What a guest that runs has of the machine. Errors: `failed_precondition`.
    fn held(&self) -> Result<&Held, Failure> {
        let why = match &self.live {
            Some(Live { held: Some(held), .. }) => return Ok(held),
            Some(_) => "The sandbox is cut off from what it had of the machine.",
            None => "The sandbox doesn't run.",
        };
        Err(Failure::new(Code::FailedPrecondition, why))
    }
}
