//! Whether a guest has left anything in its network name space. It may change nothing of it, as the name space is the
//! machine's, but what it sent and received stays: counters, connections that linger, what the kernel learned about peers.

use std::io;
use std::os::unix::io::BorrowedFd;

use super::space;

/// Files below /proc/net whose text tells of it. Counters of packets are among them, so that equal text means none passed.
const FILES: [&str; 12] =
    ["dev", "snmp", "netstat", "arp", "route", "fib_trie", "icmp", "raw", "packet", "unix", "igmp", "if_inet6"];
/// Those with the numbers of its sockets of TCP and UDP: for a list of them the kernel looks through the table of all that the machine
/// has, for milliseconds.
const COUNTS: [&str; 2] = ["sockstat", "sockstat6"];
/// What these say of the whole machine, or count until the kernel gets to it.
const OF_OTHERS: [&str; 4] = ["used", "orphan", "alloc", "mem"];

/// What a name space looks like now; the same as when it was new where it is as new.
pub fn look(namespace: BorrowedFd<'_>) -> io::Result<String> {
    space::within(namespace, || {
        let texts = FILES.iter().map(|file| read(file));
        let counts = COUNTS.iter().map(|file| read(file).map(|text| own_counts(&text)));
        texts.chain(counts).collect()
    })
}

/// A kernel without IPv6 has none of its files.
fn read(file: &str) -> io::Result<String> {
    match space::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        outcome => outcome,
    }
}

/// Of lines such as `TCP: inuse 2 orphan 0 tw 0 alloc 250 mem 103` what is the name space's.
fn own_counts(text: &str) -> String {
    let mut own = String::new();
    for line in text.lines() {
        let (protocol, counts) = line.split_once(':').unwrap_or((line, ""));
        own.push_str(protocol);
        let words: Vec<_> = counts.split_whitespace().collect();
        for pair in words.chunks(2).filter(|pair| !OF_OTHERS.contains(&pair[0])) {
            own.extend(pair.iter().flat_map(|word| [" ", *word]));
        }
        own.push('\n');
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_sockets_are_told_without_what_is_others() {
        let text = "sockets: used 562\nTCP: inuse 3 orphan 2 tw 1 alloc 279 mem 165\nUDP: inuse 4 mem 0\n\
                    FRAG: inuse 0 memory 5\n";
        assert_eq!(own_counts(text), "sockets\nTCP inuse 3 tw 1\nUDP inuse 4\nFRAG inuse 0 memory 5\n");
    }
}
