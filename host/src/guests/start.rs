//! A new guest, or a new start of one that is stopped.

use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::{json, Map, Value};

use super::{disks, files, Entry, Guest, Guests, Live};
use crate::cancel::Cancel;
use crate::cgroups::Limits;
use crate::disks::Disk;
use crate::error::{Code, Failure};
use crate::gvisor;
use crate::launch::{self, Cover, Launched, Parked, Plan, PlanFile};
use crate::names::Sandbox;
use crate::net::{Egress, AGENT_PORT};
use crate::pool::lock;
use crate::records::{Phase, Process, Record};
use crate::requests::{Isolation, Spec};
use crate::slots::{Held, Ready};
use crate::views::{ViewMount, ViewSource};

const MEBIBYTE: u64 = 1024 * 1024;

/// What is to be done with the files of the guest's root.
#[derive(Clone, Copy, PartialEq)]
enum Root {
    New,
    AsItWas,
}

impl Guests {
    /// Errors: `conflict`, `not_found` (a layer), and what `Slots::take` and `Parked::launch` say.
    pub(super) fn start(
        self: &Arc<Guests>,
        sandbox: &Sandbox,
        spec: Spec,
        egress: Egress,
        cancel: &Cancel,
    ) -> Result<Value, Failure> {
        let began = Instant::now();
        let guest = self.add(sandbox, spec, egress)?;
        let mut guest = lock(&guest);
        let directory = self.root.guest(sandbox);
        let started = files::make(&directory)
            .map_err(|error| Failure::from_io("The sandbox's files can't be made", &error))
            .and_then(|()| self.start_agent(sandbox, &mut guest, Root::New, cancel, began));
        if started.is_err() {
            // Its name is free by the time of the reply.
            let trash = self.throw_away(sandbox);
            self.table().remove(sandbox);
            self.go_on(move |_| trash.and_then(|trash| trash.remove()));
        }
        started
    }

    /// Errors: as `start`, and `conflict` while it runs.
    pub(super) fn boot(
        self: &Arc<Guests>,
        sandbox: &Sandbox,
        egress: Egress,
        cancel: &Cancel,
    ) -> Result<Value, Failure> {
        let began = Instant::now();
        let guest = self.get(sandbox)?;
        let mut guest = lock(&guest);
        if guest.live.is_some() {
            return Err(Failure::new(Code::Conflict, "The sandbox runs."));
        }
        guest.record.egress = egress;
        guest.is_on_disk = false;
        let started = self.start_agent(sandbox, &mut guest, Root::AsItWas, cancel, began);
        if started.is_err() {
            guest.record.phase = Phase::Stopped;
            guest.record.write(&self.root.guest(sandbox))?;
        }
        started
    }

    /// Takes the name. Errors: `conflict`, `not_found`.
    fn add(&self, sandbox: &Sandbox, spec: Spec, egress: Egress) -> Result<Arc<Mutex<Guest>>, Failure> {
        let mut table = self.table();
        if table.contains_key(sandbox) {
            return Err(Failure::new(Code::Conflict, format!("There is a sandbox {} already.", sandbox)));
        }
        let layers = spec.layers.clone();
        let record = Record { spec, egress, phase: Phase::Stopped, is_copied: false, is_paused: false };
        let guest = Arc::new(Mutex::new(Guest::new(record, None, None)));
        table.insert(sandbox.clone(), Entry { layers, guest: guest.clone() });
        Ok(guest)
    }

    /// Makes the agent run. On failure nothing of the guest runs, and what it had of the machine is given back.
    fn start_agent(
        self: &Arc<Guests>,
        sandbox: &Sandbox,
        guest: &mut Guest,
        root: Root,
        cancel: &Cancel,
        began: Instant,
    ) -> Result<Value, Failure> {
        let mut phases = Phases { began, phases: Map::new() };
        let layers = self.open_layers(&guest.record.spec)?;
        let isolation = guest.record.spec.isolation;
        if let (Isolation::Gvisor, Err(failure)) = (isolation, &self.runsc) {
            return Err(failure.clone());
        }
        let Ready { held, parked, disk } = self.slots.take(cancel)?;
        phases.end("slot");
        let launched = self.make_storage(sandbox, guest, root, &held, disk).and_then(|storage| {
            phases.end("disk");
            match isolation {
                Isolation::Native => {
                    self.become_guest(sandbox, guest, root, &held, parked, &storage, &layers, cancel, &mut phases)
                }
                Isolation::Gvisor => {
                    // It begins no process of its own in the slot.
                    drop(parked);
                    self.run_apart(sandbox, guest, root, &held, &storage, &layers, cancel, &mut phases)
                }
            }
        });
        let launched = launched.and_then(|launched| {
            let parts = launched.phases.iter().map(|(name, micros)| ((*name).to_owned(), (*micros).into()));
            phases.phases.extend(parts);
            let process = Process { pid: launched.pid, start_time: launched.start_time, boot_id: self.boot_id.clone() };
            guest.record.phase = Phase::Running(held.place(), process.clone());
            guest.record.is_paused = false;
            let pidfd = Arc::new(launched.pidfd);
            let kept = guest.record.write(&self.root.guest(sandbox)).and_then(|()| {
                cancel.check()?;
                self.watch.add(sandbox, &pidfd)
            });
            match kept {
                Ok(()) => Ok(Live { pidfd, process, slot: held.place().slot, held: None }),
                Err(failure) => {
                    if self.end_processes(&held.group, &pidfd).is_err() {
                        // Its slot is nobody else's before its groups can go.
                        crate::processes::reap_behind(pidfd);
                    }
                    Err(failure)
                }
            }
        });
        self.slots.refill();
        match launched {
            Ok(live) => {
                phases.end("launch");
                let reply = json!({
                    "pid": live.process.pid,
                    "startTime": live.process.start_time,
                    "phases": phases.phases,
                });
                guest.live = Some(Live { held: Some(held), ..live });
                Ok(reply)
            }
            Err(failure) => {
                let _ = files::remove_way(&self.root, sandbox);
                if let Some(views) = &self.views {
                    views.remove(sandbox);
                }
                let disk = guest.disk.take();
                self.go_on(move |guests| {
                    drop(disk);
                    guests.slots.give_back(held);
                    Ok(())
                });
                Err(failure)
            }
        }
    }

    /// Says in the record what is to come, and makes room for what the guest changes: a mount without a place. `ready`: a disk that
    /// was made ahead, for a guest of its size.
    fn make_storage(
        self: &Arc<Guests>,
        sandbox: &Sandbox,
        guest: &mut Guest,
        root: Root,
        held: &Held,
        ready: Option<Disk>,
    ) -> Result<OwnedFd, Failure> {
        let directory = self.root.guest(sandbox);
        let image = directory.join(disks::IMAGE);
        guest.record.phase = match root {
            Root::New => Phase::Starting(held.place()),
            Root::AsItWas => Phase::Booting(held.place()),
        };
        guest.record.write(&directory)?;
        let failed = |error: std::io::Error| Failure::from_io("The sandbox's files can't be opened", &error);
        let size_mb = guest.record.spec.disk_mb;
        let (fit, other) = match root {
            Root::New if ready.as_ref().map(Disk::size_mb) == Some(size_mb) => (ready, None),
            _ => (None, ready),
        };
        // Its end takes a while.
        if other.is_some() {
            self.go_on(move |_| {
                drop(other);
                Ok(())
            });
        }
        match root {
            Root::New => {
                self.disks.note_size(size_mb);
                guest.disk = match size_mb > 0 && self.disks.able().is_ok() {
                    true => {
                        let mut disk = fit.map_or_else(|| self.disks.make(size_mb), Ok)?;
                        disk.keep_at(&image).map_err(failed)?;
                        Some(disk)
                    }
                    false => {
                        files::make_upper(&directory).and_then(|()| files::renew_work(&directory)).map_err(failed)?;
                        None
                    }
                };
            }
            Root::AsItWas => {
                guest.disk = match image.exists() {
                    true => Some(self.disks.open_image(&image, size_mb)?),
                    false => None,
                };
                let renewed = match &guest.disk {
                    Some(disk) => disk.renew_work(),
                    None => files::renew_work(&directory),
                };
                renewed.map_err(failed)?;
            }
        }
        match guest.disk.as_mut().and_then(Disk::take_mount) {
            Some(mount) => Ok(mount),
            None => {
                let opened = files::open_directory(&directory).and_then(|opened| launch::clone_mount(opened.as_fd()));
                opened.map_err(failed)
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn become_guest(
        &self,
        sandbox: &Sandbox,
        guest: &Guest,
        root: Root,
        held: &Held,
        parked: Parked,
        storage: &OwnedFd,
        layers: &[OwnedFd],
        cancel: &Cancel,
        phases: &mut Phases,
    ) -> Result<Launched, Failure> {
        let spec = &guest.record.spec;
        let memory_bytes = spec.memory_mb * MEBIBYTE;
        held.group.limit(&Limits { memory_bytes, cpu_count: spec.cpu_count, pids: spec.pids })?;
        phases.end("limits");
        // It is made open.
        if guest.record.egress == Egress::Closed {
            self.network.set_egress(&held.link, Egress::Closed)?;
        }
        phases.end("network");
        let views = self.make_views(sandbox, held)?;
        let listener = files::listen(&self.root, sandbox)
            .map_err(|error| Failure::from_io("The sandbox's socket can't be made", &error))?;
        let files = Files::new(&spec.hostname, &self.network);
        let layers: Vec<BorrowedFd> = layers.iter().map(AsFd::as_fd).collect();
        let covers: Vec<(String, &ViewMount)> =
            views.iter().map(|view| (format!("/{}", view.target.to_string_lossy()), view)).collect();
        let covers: Vec<Cover> = covers.iter().map(|(path, view)| Cover { path, mount: view.tree.as_fd() }).collect();
        phases.end("files");
        cancel.check()?;
        parked.launch(&Plan {
            layers: &layers,
            storage: storage.as_fd(),
            agent: self.agent.as_fd(),
            // SAFETY: the listener lives until the call is over.
            listener: unsafe { BorrowedFd::borrow_raw(listener.as_raw_fd()) },
            hostname: &spec.hostname,
            memory_bytes,
            files: &files.plan(root == Root::New),
            covers: &covers,
        })
    }

    /// With a kernel of its own. On failure nothing is left in the slot's groups.
    #[allow(clippy::too_many_arguments)]
    fn run_apart(
        &self,
        sandbox: &Sandbox,
        guest: &Guest,
        root: Root,
        held: &Held,
        storage: &OwnedFd,
        layers: &[OwnedFd],
        cancel: &Cancel,
        phases: &mut Phases,
    ) -> Result<Launched, Failure> {
        let runsc = self.runsc.as_ref().map_err(Failure::clone)?;
        let spec = &guest.record.spec;
        let pids = gvisor::pids_inside(spec.pids, spec.memory_mb);
        held.group.limit(&Limits {
            memory_bytes: (spec.memory_mb + gvisor::MEMORY_OVERHEAD_MB) * MEBIBYTE,
            cpu_count: spec.cpu_count,
            // Its own kernel counts the guest's; this is for what that needs of the machine for them.
            pids: gvisor::pids_outside(pids),
        })?;
        phases.end("limits");
        if guest.record.egress == Egress::Closed {
            self.network.set_egress(&held.link, Egress::Closed)?;
        }
        self.network.open_agent(&held.link)?;
        phases.end("network");
        let secret = new_secret().map_err(|error| Failure::from_io("A secret can't be made", &error))?;
        let address = held.link.address();
        let way = files::write_way(&self.root, &self.root.agent_secret(sandbox), &secret).and_then(|()| {
            let text = format!("{}:{}", address, AGENT_PORT);
            files::write_way(&self.root, &self.root.agent_address(sandbox), &text)
        });
        way.map_err(|error| Failure::from_io("The way to the sandbox's agent can't be made", &error))?;
        let files = Files::new(&spec.hostname, &self.network);
        let layers: Vec<BorrowedFd> = layers.iter().map(AsFd::as_fd).collect();
        phases.end("files");
        cancel.check()?;
        let started = runsc.start(
            &gvisor::Plan {
                place: gvisor::Place { sandbox, directory: &self.root.guest(sandbox), procs: &held.group.procs()? },
                layers: &layers,
                storage: storage.as_fd(),
                agent: self.agent.as_fd(),
                secret: &secret,
                address,
                namespace: held.link.namespace(),
                hostname: &spec.hostname,
                memory_bytes: spec.memory_mb * MEBIBYTE,
                pids,
                files: &files.plan(root == Root::New),
            },
            cancel,
        );
        if started.is_err() {
            held.group.kill()?;
        }
        started
    }

    fn make_views(&self, sandbox: &Sandbox, held: &Held) -> Result<Vec<ViewMount>, Failure> {
        let views = match &self.views {
            Some(views) => views,
            None => return Ok(Vec::new()),
        };
        let directory = |controller| held.group.directory(controller).map(ToOwned::to_owned);
        let missing = || Failure::internal("The sandbox has no control groups.");
        let source = ViewSource {
            memory: directory("memory").ok_or_else(missing)?,
            cpu: directory("cpuacct").ok_or_else(missing)?,
            pids: directory("pids").ok_or_else(missing)?,
            cpus: held.group.cpus()?,
        };
        views.make(sandbox, &source)
    }

    /// Held open, so that they stay whatever becomes of their names. Errors: `not_found`.
    fn open_layers(&self, spec: &Spec) -> Result<Vec<OwnedFd>, Failure> {
        let open = |layer| {
            let path = self.layers.diff(layer)?;
            files::open_directory(&path).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Failure::not_found(format!("There is no layer {}.", layer)),
                _ => Failure::from_io("A layer can't be opened", &error),
            })
        };
        spec.layers.iter().map(open).collect()
    }
}

/// What whoever asks an agent by the network has to know: as many hexadecimal digits as spec/guest.md says.
fn new_secret() -> std::io::Result<String> {
    let mut bytes = [0; 32];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{:02x}", byte)).collect())
}

/// How long the parts of a start took, in microseconds.
struct Phases {
    began: Instant,
    phases: Map<String, Value>,
}

impl Phases {
    fn end(&mut self, name: &str) {
        self.phases.insert(name.to_owned(), (self.began.elapsed().as_micros() as u64).into());
        self.began = Instant::now();
    }
}

/// Files of a guest that say who it is and whom it asks for names.
struct Files {
    hosts: String,
    hostname: String,
    resolvers: String,
}

impl Files {
    fn new(hostname: &str, network: &crate::net::Network) -> Files {
        Files {
            // Its own name is an address of its loopback, as Debian has it: a later start may have another address.
            hosts: format!(
                "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t{}\n",
                hostname
            ),
            hostname: format!("{}\n", hostname),
            resolvers: network.resolvers().iter().map(|address| format!("nameserver {}\n", address)).collect(),
        }
    }

    /// Name servers may have changed since; the others are the guest's own once it has begun.
    fn plan(&self, is_new: bool) -> Vec<PlanFile<'_>> {
        let resolvers = PlanFile { path: "/etc/resolv.conf", bytes: self.resolvers.as_bytes() };
        match is_new {
            true => vec![
                PlanFile { path: "/etc/hosts", bytes: self.hosts.as_bytes() },
                PlanFile { path: "/etc/hostname", bytes: self.hostname.as_bytes() },
                resolvers,
            ],
            false => vec![resolvers],
        }
    }
}
