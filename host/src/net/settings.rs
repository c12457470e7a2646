//! The field `network` of `prepare`, checked: nothing of it gets into a rule's text but addresses and numbers.

use std::net::Ipv4Addr;

use serde_json::Value;

use crate::error::Failure;

/// What guests may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whatever the machine reaches, other guests of the instance excepted
    pub open: bool,
    /// Closed ranges that are reached all the same
    pub allow: Vec<(Ipv4Addr, u8)>,
    /// Name servers, on port 53 alone
    pub resolvers: Vec<Ipv4Addr>,
    pub bounds: Bounds,
}

/// Of each guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at once, as the kernel tracks them
    pub connections: u32,
    /// New ones in a second, with as many more at a time as it may have at once
    pub connections_per_second: u32,
    /// Packets outwards in a second; one may be a whole segment of tens of KiB
    pub packets_per_second: u32,
}

impl Settings {
    /// Errors: `invalid_argument`, which names the field.
    pub fn parse(_network: &Value) -> Result<Settings, Failure> {
        unimplemented!()
    }
}
