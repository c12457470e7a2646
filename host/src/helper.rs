//! The helper from its start to its end: opens what it needs, finds what an earlier one left, serves, and leaves guests alive.

use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use serde_json::{json, Map, Value};

use crate::args::Serve;
use crate::cgroups::Cgroups;
use crate::claim::Claim;
use crate::disks::Disks;
use crate::error::{Code, Failure};
use crate::guests::{self, Guests};
use crate::gvisor::Runsc;
use crate::launch::{self, Rights};
use crate::layers::Layers;
use crate::log;
use crate::net::Network;
use crate::pool::{lock, Pool};
use crate::processes;
use crate::root::{NoRoot, Root};
use crate::serve::{self, Server};
use crate::signals::{self, Signal};
use crate::slots::Slots;
use crate::views::Views;
use crate::watch::Watch;

/// What `sysexits.h` calls a failure that may pass: another helper has this root.
const TAKEN: i32 = 75;
const BEHIND_THREADS: usize = 8;
/// What is under way at the end gets so long.
const DRAIN_MOST: Duration = Duration::from_secs(20);
/// Whoever doesn't take the last replies by then has none.
const REPLIES_MOST: Duration = Duration::from_secs(5);

/// The status that the process ends with.
pub fn run(options: Serve) -> i32 {
    log::end_at_panics();
    raise_descriptors();
    signals::block();
    let owner = options.allow_uids.first().copied().unwrap_or(0);
    let root = match Root::open(&options.root, owner) {
        Ok(root) => root,
        Err(NoRoot::Taken) => {
            log::warn("Another helper has this directory.", json!({ "root": options.root.display().to_string() }));
            return TAKEN;
        }
        Err(NoRoot::Failed(failure)) => return failed(&failure),
    };
    match Helper::open(root, options) {
        Ok(helper) => helper.serve(),
        Err(failure) => failed(&failure),
    }
}

/// As many as it may have: each guest takes some.
fn raise_descriptors() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure lives for the calls.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

fn failed(failure: &Failure) -> i32 {
    log::write("error", "The helper can't start.", json!({ "error": failure.message }));
    1
}

struct Helper {
    server: Arc<Server>,
    guests: Arc<Guests>,
    cgroups: Arc<Cgroups>,
    claim: Claim,
    linger: Option<Duration>,
}

impl Helper {
    fn open(root: Root, options: Serve) -> Result<Helper, Failure> {
        // SAFETY: no pointers are passed.
        unsafe { libc::umask(0o077) };
        let agent = File::open(&options.agent)
            .map_err(|error| Failure::from_io(format!("{} can't be opened", options.agent.display()), &error))?;
        let boot_id =
            processes::boot_id().map_err(|error| Failure::from_io("The machine's boot id can't be read", &error))?;
        let claim = Claim::take(&options.instance, &root)?;
        let cgroups = Arc::new(Cgroups::open(&options.instance)?);
        let network = Arc::new(Network::open(root.path(), &options.instance)?);
        let views = Views::open(root.path());
        let layers = Layers::open(root.path(), options.shared.as_deref(), root.owner())
            .map_err(|error| Failure::from_io("The layers' directory can't be used", &error))?;
        let may_mount = launch::may_mount();
        if let Err(failure) = &may_mount {
            log::warn("Root of sandboxes can't mount.", json!({ "error": failure.message }));
        }
        let rights = match (launch::has_mapped_layers(&root.layers()), &may_mount) {
            (false, _) => Rights::Machine,
            (true, Err(_)) => Rights::Own,
            (true, Ok(())) => Rights::Mounts,
        };
        let disks = Disks::open(root.disks())
            .map_err(|error| Failure::from_io("The disks' directory can't be used", &error))
            .map(Arc::new)?;
        let runsc = match &options.runsc {
            Some(file) => Runsc::open(file),
            None => Err(Failure::new(Code::Unimplemented, "The helper has been given no runsc, gVisor's program.")),
        };
        let features = features(&cgroups, rights, may_mount, &views, &disks, &runsc);
        let slots = Slots::new(cgroups.clone(), network.clone(), disks.clone(), rights);
        // The server is made of the guests, and told of their ends.
        let server_there: Arc<Mutex<Weak<Server>>> = Arc::default();
        let (told, watched) = (server_there.clone(), server_there.clone());
        let guests = Arc::new(Guests::new(guests::Parts {
            root: Arc::new(root),
            network,
            slots,
            views: views.ok(),
            layers,
            disks,
            watch: Watch::new()?,
            agent,
            runsc,
            boot_id,
            behind: Pool::new("behind", BEHIND_THREADS)
                .map_err(|error| Failure::from_io("Threads can't be made", &error))?,
            on_gone: Box::new(move |sandbox| {
                if let Some(server) = lock(&told).upgrade() {
                    server.tell_gone(sandbox);
                }
            }),
        }));
        guests.recover(&cgroups)?;
        let server = Arc::new(Server::new(serve::Parts {
            guests: guests.clone(),
            instance: options.instance,
            build: options.build,
            features,
            allow_uids: options.allow_uids,
            on_count: Box::new(signals::wake),
        })?);
        *lock(&server_there) = Arc::downgrade(&server);
        guests.watch.begin(move |sandbox, pidfd| {
            if let Some(server) = lock(&watched).upgrade() {
                server.guest_ended(sandbox, pidfd);
            }
        })?;
        Ok(Helper { server, guests, cgroups, claim, linger: options.linger.map(Duration::from_secs) })
    }

    fn serve(&self) -> i32 {
        if let Err(failure) = self.server.listen() {
            return failed(&failure);
        }
        // Whoever started it may not listen any more.
        let _ = std::io::stdout().write_all(b"ready\n");
        loop {
            let left = match (self.linger, self.server.idle()) {
                (Some(linger), Some(since)) => Some((since + linger).saturating_duration_since(Instant::now())),
                _ => None,
            };
            if left.map_or(false, |left| left.is_zero()) {
                break;
            }
            if let Signal::End = signals::next(left) {
                break;
            }
        }
        self.end();
        0
    }

    /// Guests live on. What nobody has goes.
    fn end(&self) {
        let deadline = Instant::now() + DRAIN_MOST;
        let connections = self.server.close();
        self.guests.slots.close(DRAIN_MOST);
        let mut is_all = self.server.drain(DRAIN_MOST);
        is_all &= self.guests.behind.drain(deadline);
        if self.guests.count() == 0 {
            self.cgroups.remove();
            self.guests.network.dispose();
            if let Some(views) = &self.guests.views {
                views.dispose();
            }
            self.claim.give_up();
        }
        connections.iter().for_each(|connection| connection.wait_sent(REPLIES_MOST));
        log::info("The helper ends.", json!({ "guests": self.guests.count(), "allDone": is_all }));
    }
}

/// What `hello` says of the machine.
fn features(
    cgroups: &Cgroups,
    rights: Rights,
    may_mount: Result<(), Failure>,
    views: &Result<Views, Failure>,
    disks: &Disks,
    runsc: &Result<Runsc, Failure>,
) -> Map<String, Value> {
    let no = |why: &str| json!({ "has": false, "why": why });
    let of = |result: Result<(), &Failure>| match result {
        Ok(()) => json!({ "has": true }),
        Err(failure) => json!({ "has": false, "why": failure.message }),
    };
    let mut features = Map::new();
    features.insert("cgroup".to_owned(), json!({ "has": cgroups.version() }));
    features.insert("network".to_owned(), of(Ok(())));
    features.insert(
        "seccomp".to_owned(),
        if has_filters() { json!({ "has": true }) } else { no("This kernel has no seccomp filters.") },
    );
    let why = "Sandboxes have the machine's user ids: its kernel can't mount these layers with mapped ids.";
    features.insert("userNamespace".to_owned(), if rights.has_ids() { json!({ "has": true }) } else { no(why) });
    features.insert(
        "mounts".to_owned(),
        if rights == Rights::Machine { no(why) } else { of(may_mount.as_ref().map(drop)) },
    );
    features.insert("views".to_owned(), of(views.as_ref().map(drop)));
    let why = "The machine's control groups don't hold processes to some of its CPUs, so sandboxes see all.";
    features.insert("cpuSets".to_owned(), if cgroups.has_cpu_sets() { json!({ "has": true }) } else { no(why) });
    features.insert("diskLimit".to_owned(), of(disks.able()));
    features.insert("gvisor".to_owned(), of(runsc.as_ref().map(drop)));
    features
}

/// Whether system calls can be filtered: then the kernel says which actions there are.
fn has_filters() -> bool {
    std::path::Path::new("/proc/sys/kernel/seccomp/actions_avail").exists()
}
