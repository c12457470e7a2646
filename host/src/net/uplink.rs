//! The one interface of the machine that all guests of an instance are behind.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::io::AsRawFd;

use super::cant;
use super::links::{self, End, Mac, Route};
use super::netlink::{Batch, Socket};
use super::router::{Router, MACHINE, ROUTER, UP};
use super::settings::Settings;
use super::space;
use super::subnet::{self, Subnet};
use crate::error::{Code, Failure};
use crate::names::Instance;

/// Held by whoever looks for a free range until it has a route.
const MACHINE_LOCK: &str = "/run/e2bn-network.lock";
const MACHINE_MAC: Mac = [0x02, 0xe2, 0xb0, 0, 0, 2];
const UP_MAC: Mac = [0x02, 0xe2, 0xb0, 0, 0, 3];
/// Most characters of an interface's name.
const NAME_MAX: usize = 15;

/// What an instance's things on the machine are called.
pub struct Names {
    pub table: String,
    pub uplink: String,
    /// Of the instance's name
    seed: u32,
}

impl Names {
    pub fn of(instance: &Instance) -> Names {
        // FNV-1a: names that differ in their end differ in all of it.
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = instance.as_str().bytes().fold(0xcbf2_9ce4_8422_2325, step);
        let whole = format!("e2bn{}", instance);
        let uplink = match whole.len() <= NAME_MAX {
            true => whole,
            false => format!("e2bn{:011x}", hash & 0xfff_ffff_ffff),
        };
        Names { table: format!("e2bn_{}", instance), uplink, seed: (hash >> 32) as u32 }
    }
}

/// Until it is dropped no other helper of this machine looks for a range.
pub fn lock_machine() -> Result<File, Failure> {
    let locked = || -> io::Result<File> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(MACHINE_LOCK)?;
        match unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) } {
            0 => Ok(file),
            _ => Err(io::Error::last_os_error()),
        }
    };
    locked().map_err(cant("The machine's networks can't be locked"))
}

/// The instance's range: the one it has, as long as it has guests or the range is free, or another. Errors:
/// `resource_exhausted`.
pub fn subnet_for(names: &Names, router: Option<&Router>, settings: &Settings) -> Result<Subnet, Failure> {
    let looked = || -> io::Result<Vec<Subnet>> {
        let mut socket = Socket::open(libc::NETLINK_ROUTE)?;
        let own = index_of(&mut socket, &names.uplink)?;
        let others = |route: &Route| route.to.prefix() != 0 && (own.is_none() || own != Some(route.index));
        Ok(links::routes(&mut socket)?.into_iter().filter(others).map(|route| route.to).collect())
    };
    let taken = looked().map_err(cant("The machine's routes can't be read"))?;
    if let Some(router) = router {
        if router.has_guests() || !taken.iter().any(|route| route.overlaps(&router.subnet)) {
            return Ok(router.subnet);
        }
    }
    let resolvers = settings.resolvers.iter().map(|address| Subnet::new(*address, 32));
    let wanted: Vec<Subnet> = settings.allow.iter().copied().chain(resolvers).collect();
    let found = subnet::choose(names.seed, &taken, &wanted);
    found.ok_or_else(|| {
        Failure::new(Code::ResourceExhausted, "The machine's routes leave no private network of 16,384 addresses free.")
    })
}

/// Makes the pair between the machine and the router, if it isn't there as it has to be, and has the machine forward.
pub fn ensure(names: &Names, router: &Router) -> Result<(), Failure> {
    let ensured = || -> io::Result<()> {
        let mut socket = Socket::open(libc::NETLINK_ROUTE)?;
        let own = index_of(&mut socket, &names.uplink)?;
        let is_routed = |route: &Route| route.to == router.subnet && own == Some(route.index);
        if own.is_none() || !links::routes(&mut socket)?.iter().any(is_routed) || !router.has_uplink()? {
            remove(names);
            connect(&mut socket, names, router)?;
        }
        if space::variable("ipv4/ip_forward")?.trim() != "1" {
            space::set_variable("ipv4/ip_forward", "1")?;
        }
        Ok(())
    };
    ensured().map_err(cant("The network between the machine and its sandboxes can't be made"))
}

/// Idempotent.
pub fn remove(names: &Names) {
    if let Ok(mut socket) = Socket::open(libc::NETLINK_ROUTE) {
        let mut batch = Batch::default();
        links::remove(&mut batch, &names.uplink);
        let _ = socket.request(batch);
    }
}

fn connect(socket: &mut Socket, names: &Names, router: &Router) -> io::Result<()> {
    let (machine, far) = (router.subnet.nth(MACHINE), router.subnet.nth(ROUTER));
    let own = End { name: &names.uplink, index: 0, mac: MACHINE_MAC };
    let peer = End { name: UP, index: 0, mac: UP_MAC };
    let mut batch = Batch::default();
    links::add_pair(&mut batch, &own, &peer, router.space(), router.mtu());
    links::set_up(&mut batch, own.name);
    socket.request(batch).map_err(|(_, error)| error)?;
    let made = || io::Error::from(io::ErrorKind::NotFound);
    let index = index_of(socket, &names.uplink)?.ok_or_else(made)?;
    space::set_variable(&format!("ipv4/conf/{}/rp_filter", names.uplink), "1")?;
    space::set_variable_if_any(&format!("ipv6/conf/{}/disable_ipv6", names.uplink), "1")?;
    let mut batch = Batch::default();
    links::add_address(&mut batch, index, machine);
    links::add_neighbour(&mut batch, index, far, &UP_MAC);
    links::add_route(&mut batch, &Subnet::new(far, 32), index, None);
    links::add_route(&mut batch, &router.subnet, index, Some(far));
    socket.request(batch).map_err(|(_, error)| error)?;
    let mut within = space::within(router.space(), || Socket::open(libc::NETLINK_ROUTE))?;
    let index = index_of(&mut within, UP)?.ok_or_else(made)?;
    let mut batch = Batch::default();
    links::set_up(&mut batch, UP);
    links::add_address(&mut batch, index, far);
    links::add_neighbour(&mut batch, index, machine, &MACHINE_MAC);
    links::add_route(&mut batch, &Subnet::new(machine, 32), index, None);
    links::add_route(&mut batch, &Subnet::new([0, 0, 0, 0].into(), 0), index, Some(machine));
    within.request(batch).map_err(|(_, error)| error)
}

fn index_of(socket: &mut Socket, name: &str) -> io::Result<Option<u32>> {
    Ok(links::list(socket)?.into_iter().find(|link| link.name == name).map(|link| link.index))
}
