//! Whether a guest has left anything in its network name space. It may change nothing of it, as the name space is the
//! machine's, but what it sent and received stays: counters, connections that linger, what the kernel learned about peers.

use std::io;
use std::os::unix::io::BorrowedFd;

use super::space;

/// Files below /proc/net whose text tells of it. Counters of packets are among them, so that equal text means none passed.
const FILES: [&str; 16] = [
    "dev", "snmp", "netstat", "arp", "route", "fib_trie", "tcp", "tcp6", "udp", "udp6", "icmp", "raw", "packet",
    "unix", "igmp", "if_inet6",
];

/// What a name space looks like now; the same as when it was new where it is as new.
pub fn look(namespace: BorrowedFd<'_>) -> io::Result<String> {
    space::within(namespace, || {
        let texts = FILES.iter().map(|file| match space::read(file) {
            // A kernel without IPv6 has no such file.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            outcome => outcome,
        });
        texts.collect()
    })
}
