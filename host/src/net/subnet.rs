//! Ranges of IPv4, and the one that an instance takes for its guests.

use std::fmt;
use std::net::Ipv4Addr;

/// What an instance takes: 16,384 addresses.
pub const PREFIX: u8 = 18;
/// Where it is looked for, in this order: networks of one's own, those first that few have.
const PRIVATE: [(Ipv4Addr, u8); 3] =
    [(Ipv4Addr::new(10, 0, 0, 0), 8), (Ipv4Addr::new(172, 16, 0, 0), 12), (Ipv4Addr::new(192, 168, 0, 0), 16)];

/// A range in CIDR notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    first: u32,
    prefix: u8,
}

impl Subnet {
    /// The range that `address` is in.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Subnet {
        let prefix = prefix.min(32);
        Subnet { first: u32::from(address) & mask(prefix), prefix }
    }

    /// An address alone is a range as well.
    pub fn parse(text: &str) -> Option<Subnet> {
        let (address, prefix) = text.split_once('/').unwrap_or((text, "32"));
        let digits = (1..=2).contains(&prefix.len()) && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = prefix.parse().ok().filter(|prefix| digits && *prefix <= 32)?;
        Some(Subnet::new(address.parse().ok()?, prefix))
    }

    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// The number of its last address, from 0.
    pub fn last(&self) -> u32 {
        !mask(self.prefix)
    }

    /// The address so many behind the range's first.
    pub fn nth(&self, number: u32) -> Ipv4Addr {
        Ipv4Addr::from(self.first + number)
    }

    /// Which of the range's an address is.
    pub fn number_of(&self, address: Ipv4Addr) -> Option<u32> {
        self.overlaps(&Subnet::new(address, 32)).then(|| u32::from(address) - self.first)
    }

    pub fn overlaps(&self, other: &Subnet) -> bool {
        (self.first ^ other.first) & mask(self.prefix.min(other.prefix)) == 0
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.first), self.prefix)
    }
}

/// One that nothing of `taken` is in, and nothing of `wanted` where that can be. `seed`: where the search begins, so that
/// two instances that look at a time don't find the same.
pub fn choose(seed: u32, taken: &[Subnet], wanted: &[Subnet]) -> Option<Subnet> {
    let candidates = || {
        PRIVATE.iter().flat_map(move |(base, prefix)| {
            let count = 1u32 << (PREFIX - prefix);
            let size = 1u32 << (32 - PREFIX);
            (0..count)
                .map(move |n| Subnet { first: u32::from(*base) + seed.wrapping_add(n) % count * size, prefix: PREFIX })
        })
    };
    let is_free = |one: &Subnet| !taken.iter().any(|other| one.overlaps(other));
    let is_unwanted = |one: &Subnet| !wanted.iter().any(|other| one.overlaps(other));
    candidates().find(|one| is_free(one) && is_unwanted(one)).or_else(|| candidates().find(is_free))
}

/// The bits of an address that name the range.
fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        Subnet::parse(text).unwrap()
    }

    #[test]
    fn reads_ranges_and_nothing_else() {
        assert_eq!(subnet("10.1.2.3/8").to_string(), "10.0.0.0/8");
        assert_eq!(subnet("0.0.0.0/0").last(), u32::MAX);
        assert_eq!(subnet("192.0.2.7").to_string(), "192.0.2.7/32");
        for text in ["", "10.0.0.0/", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/+8", "::1", "10.0.0.0/8/8", "10.0.0.0/08 "] {
            assert_eq!(Subnet::parse(text), None, "{}", text);
        }
    }

    #[test]
    fn takes_a_range_that_is_free() {
        let ten = choose(5, &[], &[]).unwrap();
        assert_eq!(ten.to_string(), "10.1.64.0/18");
        assert_ne!(choose(5, &[subnet("10.1.65.1/32")], &[]), Some(ten));
        // What the operator opened is left alone as long as there is other.
        let elsewhere = choose(5, &[], &[subnet("10.0.0.0/8")]).unwrap();
        assert!(elsewhere.overlaps(&subnet("172.16.0.0/12")));
        assert_eq!(choose(5, &[], &[subnet("0.0.0.0/0")]), Some(ten));
        let all: Vec<_> = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].into_iter().map(subnet).collect();
        assert_eq!(choose(5, &all, &[]), None);
    }

    #[test]
    fn numbers_its_addresses() {
        let one = subnet("10.0.64.0/18");
        assert_eq!(one.number_of(one.nth(300)), Some(300));
        assert_eq!(one.number_of(Ipv4Addr::new(10, 0, 128, 0)), None);
    }
}
