//! Messages about interfaces, their addresses, routes and neighbours. All neighbours are permanent: nobody asks for one by
//! broadcast, and none counts against the machine's table of them, which has room for a thousand.

use std::io;
use std::net::Ipv4Addr;
use std::os::unix::io::{AsRawFd, BorrowedFd};

use super::netlink::{attributes, read_u32, Attributes, Batch, Socket};
use super::subnet::Subnet;

const VETH_INFO_PEER: u16 = 1;
const CREATE: i32 = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
const IPV4: u8 = libc::AF_INET as u8;
const UP: u32 = libc::IFF_UP as u32;

pub type Mac = [u8; 6];

/// One end of a pair.
pub struct End<'a> {
    pub name: &'a str,
    /// 0: whichever the kernel takes
    pub index: u32,
    pub mac: Mac,
}

/// A pair of interfaces, down, of which the second is in another name space.
pub fn add_pair(batch: &mut Batch, own: &End, peer: &End, space: BorrowedFd<'_>, mtu: u32) {
    batch.add(libc::RTM_NEWLINK, CREATE, &link_header(own.index, 0), |link| {
        describe(link, own, mtu);
        link.nested(libc::IFLA_LINKINFO, |info| {
            info.text(libc::IFLA_INFO_KIND, "veth");
            info.nested(libc::IFLA_INFO_DATA, |data| {
                data.nested(VETH_INFO_PEER, |other| {
                    other.raw(&link_header(peer.index, 0));
                    describe(other, peer, mtu);
                    other.u32(libc::IFLA_NET_NS_FD, space.as_raw_fd() as u32);
                })
            })
        })
    });
}

/// By its name: who makes a pair doesn't know the index yet.
pub fn set_up(batch: &mut Batch, name: &str) {
    batch.add(libc::RTM_NEWLINK, 0, &link_header(0, UP), |link| link.text(libc::IFLA_IFNAME, name));
}

pub fn remove(batch: &mut Batch, name: &str) {
    batch.add(libc::RTM_DELLINK, 0, &link_header(0, 0), |link| link.text(libc::IFLA_IFNAME, name));
}

/// An address alone, without a network.
pub fn add_address(batch: &mut Batch, index: u32, address: Ipv4Addr) {
    let mut header = vec![IPV4, 32, 0, libc::RT_SCOPE_UNIVERSE];
    header.extend_from_slice(&index.to_ne_bytes());
    batch.add(libc::RTM_NEWADDR, CREATE, &header, |one| one.bytes(libc::IFA_LOCAL, &address.octets()));
}

/// Where `to` is reached by an interface: at `via`, or on the link itself.
pub fn add_route(batch: &mut Batch, to: &Subnet, index: u32, via: Option<Ipv4Addr>) {
    let scope = if via.is_some() { libc::RT_SCOPE_UNIVERSE } else { libc::RT_SCOPE_LINK };
    let (table, protocol) = (libc::RT_TABLE_MAIN, libc::RTPROT_STATIC);
    let mut header = vec![IPV4, to.prefix(), 0, 0, table, protocol, scope, libc::RTN_UNICAST];
    header.extend_from_slice(&0u32.to_ne_bytes());
    batch.add(libc::RTM_NEWROUTE, CREATE, &header, |route| {
        route.bytes(libc::RTA_DST, &to.nth(0).octets());
        route.u32(libc::RTA_OIF, index);
        if let Some(via) = via {
            route.bytes(libc::RTA_GATEWAY, &via.octets());
        }
    });
}

pub fn add_neighbour(batch: &mut Batch, index: u32, address: Ipv4Addr, mac: &Mac) {
    let mut header = vec![IPV4, 0, 0, 0];
    header.extend_from_slice(&index.to_ne_bytes());
    header.extend_from_slice(&libc::NUD_PERMANENT.to_ne_bytes());
    header.extend_from_slice(&[0, libc::RTN_UNICAST]);
    batch.add(libc::RTM_NEWNEIGH, libc::NLM_F_CREATE | libc::NLM_F_REPLACE, &header, |one| {
        one.bytes(libc::NDA_DST, &address.octets());
        one.bytes(libc::NDA_LLADDR, mac);
    });
}

/// An interface of the socket's name space.
pub struct Link {
    pub index: u32,
    pub name: String,
    pub mtu: u32,
}

pub fn list(socket: &mut Socket) -> io::Result<Vec<Link>> {
    let mut batch = Batch::default();
    batch.put(libc::RTM_GETLINK, libc::NLM_F_DUMP, &link_header(0, 0), |_| {});
    let mut found = Vec::new();
    socket.dump(batch, |body| {
        let mut link = Link { index: body.get(4..8).map_or(0, read_u32), name: String::new(), mtu: 0 };
        for (kind, value) in attributes(body.get(16..).unwrap_or_default()) {
            match kind {
                libc::IFLA_IFNAME => link.name = String::from_utf8_lossy(value).trim_end_matches('\0').to_owned(),
                libc::IFLA_MTU if value.len() == 4 => link.mtu = read_u32(value),
                _ => {}
            }
        }
        found.push(link);
    })?;
    Ok(found)
}

/// A route of any table; one to everywhere has a prefix of 0.
pub struct Route {
    pub to: Subnet,
    /// 0 where it leads to no interface, or to several
    pub index: u32,
    pub is_main: bool,
}

/// Those of IPv4.
pub fn routes(socket: &mut Socket) -> io::Result<Vec<Route>> {
    let mut batch = Batch::default();
    let mut header = [0; 12];
    header[0] = IPV4;
    batch.put(libc::RTM_GETROUTE, libc::NLM_F_DUMP, &header, |_| {});
    let mut found = Vec::new();
    socket.dump(batch, |body| {
        if body.len() < 12 {
            return;
        }
        let (mut address, mut index) = (Ipv4Addr::UNSPECIFIED, 0);
        for (kind, value) in attributes(&body[12..]) {
            match (kind, value) {
                (libc::RTA_DST, &[a, b, c, d]) => address = Ipv4Addr::new(a, b, c, d),
                (libc::RTA_OIF, _) if value.len() == 4 => index = read_u32(value),
                _ => {}
            }
        }
        found.push(Route { to: Subnet::new(address, body[1]), index, is_main: body[4] == libc::RT_TABLE_MAIN });
    })?;
    Ok(found)
}

fn describe(link: &mut Attributes, end: &End, mtu: u32) {
    link.text(libc::IFLA_IFNAME, end.name);
    link.bytes(libc::IFLA_ADDRESS, &end.mac);
    link.u32(libc::IFLA_MTU, mtu);
}

fn link_header(index: u32, flags: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&flags.to_ne_bytes());
    header
}
