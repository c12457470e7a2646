//! What guests reach: a network name space for each, routed point to point, and the rules of the instance.
//!
//! ```text
//! guest's name space          router's name space            machine
//! eth0 10.x.y.z/32 ─ veth ─ g<n>
//! eth0 10.x.y.w/32 ─ veth ─ g<m>    up ───────── veth ───────── e2bn<tag>   rules, masquerade
//! ```
//!
//! The router has a name space of its own, so that the machine sees one interface and one route for all guests, and a
//! packet of one guest to another goes nowhere: between its interfaces the router forwards only to and from `up`.

mod settings;

use std::net::Ipv4Addr;
use std::os::unix::io::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use crate::error::Failure;
use crate::names::Instance;

pub use settings::Settings;

/// The network of one instance.
pub struct Network {}

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
    namespace: OwnedFd,
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
    /// Finds what an earlier helper made of this instance, or makes it. `root` keeps which addresses are the instance's.
    /// Errors: `failed_precondition` with what the machine lacks.
    pub fn open(_root: &Path, _instance: &Instance) -> Result<Network, Failure> {
        unimplemented!()
    }

    /// Puts rules in place, in one transaction: at no time are there none. Idempotent. Errors: `failed_precondition`.
    pub fn prepare(&self, _settings: &Settings) -> Result<(), Failure> {
        unimplemented!()
    }

    /// Makes the rules anew if somebody else has removed some of those that `prepare` made. Errors: as `prepare`.
    pub fn repair(&self) -> Result<(), Failure> {
        unimplemented!()
    }

    /// The name servers that guests ask: those of the last `prepare`.
    pub fn resolvers(&self) -> Vec<Ipv4Addr> {
        unimplemented!()
    }

    /// A new one, open. Milliseconds of the kernel's, so it is made ahead. Errors: `resource_exhausted` (addresses).
    pub fn make(&self) -> Result<Link, Failure> {
        unimplemented!()
    }

    /// The link of a guest that an earlier helper made: `pid` is one of its processes. Errors: `not_found`.
    pub fn adopt(&self, _address: Ipv4Addr, _pid: libc::pid_t) -> Result<Link, Failure> {
        unimplemented!()
    }

    /// Takes back every link that isn't of these addresses; for the start, after `adopt`.
    pub fn keep_only(&self, _addresses: &[Ipv4Addr]) -> Result<(), Failure> {
        unimplemented!()
    }

    /// Holds for all its packets from now on, those of connections from before too. Well below a millisecond.
    pub fn set_egress(&self, _link: &Link, _egress: Egress) -> Result<(), Failure> {
        unimplemented!()
    }

    /// Of a guest that has ended: the link, open again, if no packet has ever passed it and all of it is as `make` made
    /// it. Else it is removed.
    pub fn recycle(&self, _link: Link) -> Option<Link> {
        unimplemented!()
    }

    /// Frees its address. The name space itself goes with the last process in it.
    pub fn remove(&self, _link: Link) {
        unimplemented!()
    }

    /// Removes all that there is of the instance: for the end, when no guest is left.
    pub fn dispose(&self) {
        unimplemented!()
    }
}
