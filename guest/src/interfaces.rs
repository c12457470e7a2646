//! The addresses of this machine's network interfaces.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

/// Every address that interfaces have now.
pub fn addresses() -> Vec<IpAddr> {
    let mut first: *mut libc::ifaddrs = ptr::null_mut();
    if unsafe { libc::getifaddrs(&mut first) } != 0 {
        return Vec::new();
    }
    let mut addresses = Vec::new();
    let mut next = first;
    while !next.is_null() {
        let interface = unsafe { &*next };
        addresses.extend(unsafe { to_address(interface.ifa_addr) });
        next = interface.ifa_next;
    }
    unsafe { libc::freeifaddrs(first) };
    addresses
}

/// Reads an address of a known family. `address` is null or points to one that is whole.
unsafe fn to_address(address: *const libc::sockaddr) -> Option<IpAddr> {
    if address.is_null() {
        return None;
    }
    match i32::from((*address).sa_family) {
        libc::AF_INET => {
            let address = address.cast::<libc::sockaddr_in>().read_unaligned();
            Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr))))
        }
        libc::AF_INET6 => {
            let address = address.cast::<libc::sockaddr_in6>().read_unaligned();
            Some(IpAddr::V6(Ipv6Addr::from(address.sin6_addr.s6_addr)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_among_them() {
        assert!(addresses().contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }
}
