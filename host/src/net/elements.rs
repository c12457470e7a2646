//! Single addresses into a set of the rules and out of it: a message of some 50 µs, where the program `nft` takes 100 times
//! as long.

use std::io;
use std::net::Ipv4Addr;

use super::netlink::{Batch, Socket};

const SUBSYSTEM: u16 = 10;
const BEGIN: u16 = 16;
const END: u16 = 17;
const NEW_ELEMENT: u16 = (SUBSYSTEM << 8) | 12;
const DELETE_ELEMENT: u16 = (SUBSYSTEM << 8) | 14;
const IN_TABLE: u16 = 1;
const IN_SET: u16 = 2;
const ELEMENTS: u16 = 3;
const ELEMENT: u16 = 1;
const KEY: u16 = 1;
const VALUE: u16 = 1;
const FAMILY_INET: u8 = 1;

/// A set of IPv4 addresses in a table of family `inet`.
pub struct Set {
    pub table: &'static str,
    pub name: &'static str,
}

impl Set {
    /// Idempotent. It holds for every packet once this returns.
    pub fn add(&self, socket: &mut Socket, address: Ipv4Addr) -> io::Result<()> {
        self.change(socket, NEW_ELEMENT, libc::NLM_F_CREATE, address)
    }

    /// Idempotent.
    pub fn remove(&self, socket: &mut Socket, address: Ipv4Addr) -> io::Result<()> {
        match self.change(socket, DELETE_ELEMENT, 0, address) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            outcome => outcome,
        }
    }

    fn change(&self, socket: &mut Socket, kind: u16, flags: i32, address: Ipv4Addr) -> io::Result<()> {
        let mut batch = Batch::default();
        let [high, low] = SUBSYSTEM.to_be_bytes();
        batch.put(BEGIN, 0, &[0, 0, high, low], |_| {});
        batch.add(kind, flags, &[FAMILY_INET, 0, 0, 0], |message| {
            message.text(IN_TABLE, self.table);
            message.text(IN_SET, self.name);
            message.nested(ELEMENTS, |elements| {
                elements.nested(ELEMENT, |element| {
                    element.nested(KEY, |key| key.bytes(VALUE, &address.octets()));
                })
            })
        });
        batch.put(END, 0, &[0, 0, high, low], |_| {});
        socket.request(batch).map_err(|(_, error)| error)
    }
}
