//! What guests reach: a network name space for each, routed point to point, and the rules of the instance.
//!
//! ```text
//! guest's name space          router's name space            machine
//! eth0 10.x.y.z/32 ── veth ── g<n>
//! eth0 10.x.y.w/32 ── veth ── g<m>   up ──────── veth ─────── e2bn<instance>: rules, masquerade
//! ```
//!
//! The router has a name space of its own, so that the machine sees one interface and one route for all guests, and a
//! packet of one guest to another goes nowhere: the router forwards only to and from `up`. A guest that is to reach
//! nothing is in a set of the router's.

mod addresses;
mod cut;
mod elements;
mod links;
mod netlink;
mod nft;
mod pristine;
mod router;
mod rules;
mod settings;
mod space;
mod subnet;
#[cfg(test)]
mod tests;
mod uplink;

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::io::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::error::{Code, Failure};
use crate::names::Instance;
use crate::pool::lock;
use crate::processes;

use router::Router;
use uplink::Names;

pub use router::AGENT_PORT;
pub use settings::Settings;

/// The network of one instance.
pub struct Network {
    root: PathBuf,
    names: Names,
    /// Held while rules or the router are made
    making: Mutex<Option<Applied>>,
    router: Mutex<Option<Arc<Router>>>,
}

/// What `prepare` was last asked for, and the rules that came of it.
struct Applied {
    settings: Settings,
    text: String,
}

/// What one guest may reach now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Egress {
    /// What the instance's settings say
    Open,
    /// Nothing; nothing reaches it either
    Closed,
}

/// One guest's network name space, with its interface and address; its loopback is up.
pub struct Link {
    address: Ipv4Addr,
    namespace: File,
    /// What the name space looked like when it was new; unknown of one that an earlier helper made
    new: Option<String>,
    /// Whether the machine may ask the guest's agent by the network
    has_agent: AtomicBool,
}

impl Link {
    /// What names it in records: no other link has it as long as this one is there.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The name space, owned by the machine's user name space.
    pub fn namespace(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }
}

impl Network {
    /// Finds what an earlier helper made of this instance. `root` keeps which addresses are the instance's. Errors:
    /// `failed_precondition` with what the machine lacks.
    pub fn open(root: &Path, instance: &Instance) -> Result<Network, Failure> {
        let names = Names::of(instance);
        // Without the program, or without the right, this fails.
        nft::list(&names.table, None)?;
        let router = router::recorded(root)?.map(|subnet| Router::open(root, subnet)).transpose()?;
        let router = Mutex::new(router.map(Arc::new));
        Ok(Network { root: root.to_owned(), names, making: Mutex::new(None), router })
    }

    /// Puts rules in place, in one transaction: at no time are there none. Makes anew what somebody else has removed of them.
    /// Idempotent. Errors: `failed_precondition`.
    pub fn prepare(&self, settings: &Settings) -> Result<(), Failure> {
        let mut making = lock(&self.making);
        self.bring_up(&mut making, settings.clone())
    }

    fn bring_up(&self, making: &mut Option<Applied>, settings: Settings) -> Result<(), Failure> {
        let _machine = uplink::lock_machine()?;
        let known = lock(&self.router).clone();
        let subnet = uplink::subnet_for(&self.names, known.as_deref(), &settings)?;
        let router = match known.filter(|router| router.subnet == subnet) {
            Some(router) => router,
            None => {
                router::record(&self.root, &subnet)?;
                let router = Arc::new(Router::open(&self.root, subnet)?);
                *lock(&self.router) = Some(router.clone());
                router
            }
        };
        // Rules first, by the interface's name: at no time is there an interface without them.
        let text = rules::of_instance(&self.names.table, &self.names.uplink, &subnet, &settings);
        let is_same = making.as_ref().map_or(false, |applied| applied.text == text);
        if !is_same || !rules::are_whole(&text, &nft::list(&self.names.table, None)?) {
            nft::apply(&text, None)?;
        }
        *making = Some(Applied { settings, text });
        uplink::ensure(&self.names, &router)?;
        nft::admit(&self.names.uplink)
    }

    /// The name servers that guests ask: those of the last `prepare`.
    pub fn resolvers(&self) -> Vec<Ipv4Addr> {
        lock(&self.making).as_ref().map_or_else(Vec::new, |applied| applied.settings.resolvers.clone())
    }

    /// A new one, open. Milliseconds of the kernel's, so it is made ahead. Errors: `resource_exhausted` (addresses),
    /// `failed_precondition` before `prepare`.
    pub fn make(&self) -> Result<Link, Failure> {
        let router = self.router()?;
        let address = router.take_address()?;
        let made = router.make_space(address).map_err(cant("A network name space can't be made"));
        match made {
            Ok((namespace, new)) => Ok(Link { address, namespace, new: Some(new), has_agent: AtomicBool::new(false) }),
            Err(failure) => {
                let _ = router.forget(address);
                Err(failure)
            }
        }
    }

    /// The link of a guest that an earlier helper made: `pid` is one of its processes. Made anew in its name space where the
    /// router is a new one. Errors: `not_found`, `failed_precondition` without a router.
    pub fn adopt(&self, address: Ipv4Addr, pid: libc::pid_t, egress: Egress) -> Result<Link, Failure> {
        let unknown = |error: io::Error| match processes::is_gone(&error) {
            true => Failure::not_found("There is no such network name space."),
            false => cant("A guest's network name space can't be opened")(error),
        };
        let router = self.router()?;
        let namespace = space::of_process(pid).map_err(unknown)?;
        if !router.take_this_address(address) {
            return Err(Failure::not_found("The address is none of this instance's, or another guest's."));
        }
        let connected = match egress {
            // A router that is a new one has no guest in its set.
            Egress::Closed => router.set_closed(address, true),
            Egress::Open => Ok(()),
        };
        let connected = connected.and_then(|()| router.reconnect(address, &namespace));
        connected.map_err(cant("A guest's network can't be made anew"))?;
        Ok(Link { address, namespace, new: None, has_agent: AtomicBool::new(false) })
    }

    /// Takes back every link that isn't of these addresses; for the start, after `adopt`.
    pub fn keep_only(&self, addresses: &[Ipv4Addr]) -> Result<(), Failure> {
        match lock(&self.router).clone() {
            Some(router) => router.keep_only(addresses).map_err(cant("Interfaces can't be removed")),
            None => Ok(()),
        }
    }

    /// Holds for all its packets from now on, those of connections from before too. Well below a millisecond.
    pub fn set_egress(&self, link: &Link, egress: Egress) -> Result<(), Failure> {
        let router = self.router()?;
        router
            .set_closed(link.address, egress == Egress::Closed)
            .map_err(cant("The kernel takes no rule for a sandbox"))
    }

    /// From now on this machine reaches the guest at `AGENT_PORT`, also a closed one, and is answered. Idempotent.
    pub fn open_agent(&self, link: &Link) -> Result<(), Failure> {
        link.has_agent.store(true, Ordering::Relaxed);
        self.router()?.set_agent(link.address, true).map_err(cant("The kernel takes no rule for a sandbox"))
    }

    /// Of a guest whose agent was asked by the network, and which has ended: ends what this machine's processes still wait for there.
    pub fn cut_agent(&self, link: &Link) -> Result<(), Failure> {
        match link.has_agent.load(Ordering::Relaxed) {
            true => cut::cut_connections(link.address).map_err(cant("Connections to a sandbox can't be ended")),
            false => Ok(()),
        }
    }

    /// Of a guest that has ended: the link, open again, if no packet has ever passed it and all of it is as `make` made
    /// it. Else it is removed.
    pub fn recycle(&self, link: Link) -> Option<Link> {
        let is_new = || pristine::look(link.namespace()).ok() == link.new;
        if !link.has_agent.load(Ordering::Relaxed)
            && link.new.is_some()
            && is_new()
            && self.set_egress(&link, Egress::Open).is_ok()
        {
            return Some(link);
        }
        self.remove(link);
        None
    }

    /// Frees its address. The name space itself goes with the last process in it. Takes the kernel some 10 ms.
    pub fn remove(&self, link: Link) {
        if let Some(router) = lock(&self.router).clone() {
            // What fails is found by `keep_only` at the next start, and its address isn't given to others before.
            let _ = router.forget(link.address);
        }
    }

    /// Takes everything off the machine that the instance made; for the end of a helper that leaves no guests.
    pub fn dispose(&self) {
        let mut making = lock(&self.making);
        *making = None;
        if let Some(router) = lock(&self.router).take() {
            nft::dismiss(&self.names.uplink);
            uplink::remove(&self.names);
            let _ = nft::apply(&rules::removal_of(&self.names.table), None);
            router.dispose(&self.root);
        }
    }

    fn router(&self) -> Result<Arc<Router>, Failure> {
        let router = lock(&self.router).clone();
        router.ok_or_else(|| {
            Failure::new(Code::FailedPrecondition, "What sandboxes may reach isn't known: no prepare came.")
        })
    }
}

fn cant(action: &'static str) -> impl Fn(io::Error) -> Failure {
    move |error| Failure::from_io(action, &error)
}
