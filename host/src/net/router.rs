//! The router between guests and the machine, in a network name space that stays when the helper ends: a mount of it is in
//! the root's directory.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::mem;
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::{json, Value};

use super::addresses::Addresses;
use super::links::{self, End, Mac};
use super::netlink::{Batch, Socket};
use super::subnet::Subnet;
use super::{cant, nft, pristine, rules, space};
use crate::error::{Code, Failure};
use crate::pool::lock;

/// The router's interface to the machine.
pub const UP: &str = "up";
/// The machine's and the router's own numbers in the range.
pub const MACHINE: u32 = 1;
pub const ROUTER: u32 = 2;

/// Where the agents of guests listen that are asked by the network.
pub const AGENT_PORT: u16 = 49_982;

const GUESTS_MAC: Mac = [0x02, 0xe2, 0xb0, 0, 0, 1];
const GUEST_NAME: &str = "eth0";
const GUEST_INDEX: u32 = 2;
const NAMESPACE_FILES: i64 = 0x6e73_6673;

pub struct Router {
    pub subnet: Subnet,
    space: File,
    /// Within the router's name space
    links: Mutex<Socket>,
    elements: Mutex<Socket>,
    addresses: Mutex<Addresses>,
    mtu: u32,
}

/// The range that `record` wrote, if any.
pub fn recorded(root: &Path) -> Result<Option<Subnet>, Failure> {
    match fs::read_to_string(record_of(root)) {
        Ok(text) => {
            let record: Option<Value> = serde_json::from_str(&text).ok();
            Ok(record.and_then(|record| Subnet::parse(record["subnet"].as_str()?)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cant("The network's record can't be read")(error)),
    }
}

/// Written before anything is made with it.
pub fn record(root: &Path, subnet: &Subnet) -> Result<(), Failure> {
    let (path, text) = (record_of(root), json!({ "subnet": subnet.to_string() }).to_string());
    let draft = path.with_extension("new");
    let written = fs::write(&draft, text).and_then(|()| fs::rename(&draft, &path));
    written.map_err(cant("The network's record can't be written"))
}

impl Router {
    /// The one that is there, or a new one, in which no guest has a link.
    pub fn open(root: &Path, subnet: Subnet) -> Result<Router, Failure> {
        let opened = || -> io::Result<(File, Socket, Socket)> {
            let space = match pinned(root)? {
                Some(space) => space,
                None => pin(root)?,
            };
            let (links, elements) = space::within(space.as_fd(), || {
                Ok((Socket::open(libc::NETLINK_ROUTE)?, Socket::open(libc::NETLINK_NETFILTER)?))
            })?;
            Ok((space, links, elements))
        };
        let (space, links, elements) = opened().map_err(cant("The router's network name space can't be made"))?;
        nft::apply(&rules::of_router(subnet.nth(MACHINE)), Some(space.as_fd()))?;
        let mtu = mtu_outwards().map_err(cant("The machine's interfaces can't be read"))?;
        let addresses = Mutex::new(Addresses::new(subnet.last(), std::process::id().wrapping_mul(2_654_435_761)));
        Ok(Router { subnet, space, links: Mutex::new(links), elements: Mutex::new(elements), addresses, mtu })
    }

    pub fn space(&self) -> BorrowedFd<'_> {
        self.space.as_fd()
    }

    /// Largest packet to the machine and beyond, in bytes.
    pub fn mtu(&self) -> u32 {
        self.mtu
    }

    pub fn has_guests(&self) -> bool {
        lock(&self.addresses).is_any_taken()
    }

    pub fn has_uplink(&self) -> io::Result<bool> {
        Ok(links::list(&mut lock(&self.links))?.iter().any(|link| link.name == UP))
    }

    pub fn take_address(&self) -> Result<Ipv4Addr, Failure> {
        let number = lock(&self.addresses).take();
        number
            .map(|number| self.subnet.nth(number))
            .ok_or_else(|| Failure::new(Code::ResourceExhausted, "All addresses of the instance's network are in use."))
    }

    pub fn take_this_address(&self, address: Ipv4Addr) -> bool {
        self.subnet.number_of(address).map_or(false, |number| lock(&self.addresses).take_this(number))
    }

    /// A new name space with its end of a pair, and what it looks like.
    pub fn make_space(&self, address: Ipv4Addr) -> io::Result<(File, String)> {
        let (namespace, mut within) = space::create(|| {
            // The loopback, which is there already, has IPv6; what comes later has none.
            space::set_variable_if_any("ipv6/conf/default/disable_ipv6", "1")?;
            // As in containers: ports and pings need no right.
            space::set_variable("ipv4/ip_unprivileged_port_start", "0")?;
            space::set_variable("ipv4/ping_group_range", "0 2147483647")?;
            Socket::open(libc::NETLINK_ROUTE)
        })?;
        self.connect(address, namespace.as_fd(), &mut within)?;
        let new = pristine::look(namespace.as_fd())?;
        Ok((namespace, new))
    }

    /// Makes the pair of a name space that has lost it, as it does with the router.
    pub fn reconnect(&self, address: Ipv4Addr, namespace: &File) -> io::Result<()> {
        let name = name_of(self.number_of(address)?);
        if links::list(&mut lock(&self.links))?.iter().any(|link| link.name == name) {
            return Ok(());
        }
        let mut within = space::within(namespace.as_fd(), || Socket::open(libc::NETLINK_ROUTE))?;
        // The end whose other one is in a router that the kernel hasn't got to removing yet.
        remove_pair(&mut within, GUEST_NAME)?;
        self.connect(address, namespace.as_fd(), &mut within)
    }

    fn connect(&self, address: Ipv4Addr, namespace: BorrowedFd<'_>, within: &mut Socket) -> io::Result<()> {
        let (number, mac) = (self.number_of(address)?, mac_of(address));
        let name = name_of(number);
        let own = End { name: &name, index: number, mac: GUESTS_MAC };
        let peer = End { name: GUEST_NAME, index: GUEST_INDEX, mac };
        let mut batch = Batch::default();
        links::add_pair(&mut batch, &own, &peer, namespace, self.mtu);
        links::set_up(&mut batch, &name);
        links::add_neighbour(&mut batch, number, address, &mac);
        links::add_route(&mut batch, &Subnet::new(address, 32), number, None);
        lock(&self.links).request(batch).map_err(|(_, error)| error)?;
        let router = self.subnet.nth(ROUTER);
        let mut batch = Batch::default();
        links::set_up(&mut batch, "lo");
        links::set_up(&mut batch, peer.name);
        links::add_address(&mut batch, GUEST_INDEX, address);
        links::add_neighbour(&mut batch, GUEST_INDEX, router, &GUESTS_MAC);
        links::add_route(&mut batch, &Subnet::new(router, 32), GUEST_INDEX, None);
        links::add_route(&mut batch, &Subnet::new(Ipv4Addr::UNSPECIFIED, 0), GUEST_INDEX, Some(router));
        within.request(batch).map_err(|(_, error)| error)
    }

    /// Removes a guest's pair, whichever of it is there, and frees its address.
    pub fn forget(&self, address: Ipv4Addr) -> io::Result<()> {
        let number = self.number_of(address)?;
        remove_pair(&mut lock(&self.links), &name_of(number))?;
        self.set_closed(address, false)?;
        self.set_agent(address, false)?;
        lock(&self.addresses).give_back(number);
        Ok(())
    }

    pub fn keep_only(&self, addresses: &[Ipv4Addr]) -> io::Result<()> {
        let there = links::list(&mut lock(&self.links))?;
        for link in there.iter().filter(|link| link.name != UP && link.name != "lo") {
            let address = self.subnet.nth(link.index.min(self.subnet.last()));
            if !(link.name == name_of(link.index) && addresses.contains(&address)) {
                remove_pair(&mut lock(&self.links), &link.name)?;
                self.set_closed(address, false)?;
                self.set_agent(address, false)?;
            }
        }
        Ok(())
    }

    pub fn set_closed(&self, address: Ipv4Addr, is_closed: bool) -> io::Result<()> {
        let mut socket = lock(&self.elements);
        match is_closed {
            true => rules::CLOSED.add(&mut socket, address),
            false => rules::CLOSED.remove(&mut socket, address),
        }
    }

    /// Whether the machine reaches the guest's agent. Idempotent.
    pub fn set_agent(&self, address: Ipv4Addr, is_open: bool) -> io::Result<()> {
        let mut socket = lock(&self.elements);
        match is_open {
            true => rules::AGENTS.add(&mut socket, address),
            false => rules::AGENTS.remove(&mut socket, address),
        }
    }

    /// Removes the name space and the record.
    pub fn dispose(&self, root: &Path) {
        let pin = pin_of(root);
        if let Ok(path) = CString::new(pin.as_os_str().as_bytes()) {
            unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW) };
        }
        let _ = fs::remove_file(pin);
        let _ = fs::remove_file(record_of(root));
    }

    fn number_of(&self, address: Ipv4Addr) -> io::Result<u32> {
        self.subnet.number_of(address).ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
    }
}

/// Idempotent.
fn remove_pair(socket: &mut Socket, name: &str) -> io::Result<()> {
    let mut batch = Batch::default();
    links::remove(&mut batch, name);
    match socket.request(batch) {
        Err((_, error)) if error.raw_os_error() != Some(libc::ENODEV) => Err(error),
        _ => Ok(()),
    }
}

fn name_of(number: u32) -> String {
    format!("g{}", number)
}

/// As Docker's containers have them: of the address.
fn mac_of(address: Ipv4Addr) -> Mac {
    let [a, b, c, d] = address.octets();
    [0x02, 0x42, a, b, c, d]
}

fn record_of(root: &Path) -> PathBuf {
    root.join("network.json")
}

fn pin_of(root: &Path) -> PathBuf {
    root.join("router")
}

/// The name space that an earlier helper mounted.
fn pinned(root: &Path) -> io::Result<Option<File>> {
    let file = match File::open(pin_of(root)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        outcome => outcome?,
    };
    let mut about: libc::statfs = unsafe { mem::zeroed() };
    // The kernel fills what it is given.
    match unsafe { libc::fstatfs(file.as_raw_fd(), &mut about) } {
        0 => Ok((about.f_type as i64 == NAMESPACE_FILES).then_some(file)),
        _ => Err(io::Error::last_os_error()),
    }
}

fn pin(root: &Path) -> io::Result<File> {
    let pin = pin_of(root);
    File::create(&pin)?;
    let target = CString::new(pin.as_os_str().as_bytes())?;
    let (space, ()) = space::create(|| {
        for family in ["all", "default"] {
            // A packet comes from the interface that its sender's address is behind, or it is dropped.
            space::set_variable(&format!("ipv4/conf/{}/rp_filter", family), "1")?;
            space::set_variable(&format!("ipv4/conf/{}/send_redirects", family), "0")?;
            space::set_variable_if_any(&format!("ipv6/conf/{}/disable_ipv6", family), "1")?;
        }
        space::set_variable("ipv4/ip_forward", "1")?;
        // Every refusal is said: it goes to a guest and to nobody else.
        space::set_variable("ipv4/icmp_ratemask", "0")?;
        space::mount_own(&target)
    })?;
    Ok(space)
}

/// Of the way that most packets take from this machine.
fn mtu_outwards() -> io::Result<u32> {
    let mut socket = Socket::open(libc::NETLINK_ROUTE)?;
    let default = links::routes(&mut socket)?.into_iter().find(|route| route.is_main && route.to.prefix() == 0);
    let links = links::list(&mut socket)?;
    let found = default.and_then(|route| links.into_iter().find(|link| link.index == route.index));
    Ok(found.map_or(1500, |link| link.mtu).clamp(576, 65_535))
}
