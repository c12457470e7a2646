//! Gives a container rules of its own for what passes its interfaces: in its network namespace, where they go with it and
//! hold for nobody else. Nothing in a container may change them, as that takes a capability which none has.

use std::io;
use std::os::unix::io::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::checked;
use super::namespace::Process;

/// Where the program is; `PATH` of users other than root has none of them on some systems.
const PATH: &str = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";

/// Becomes `nft -f -` in the network namespace of process `pid`, which has to belong to `container`: returns only an error.
pub fn apply_rules(pid: u32, container: &str) -> io::Error {
    let entered = Process::open(pid, container)
        .and_then(|process| process.namespace("net"))
        .and_then(|namespace| checked(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) }.into()));
    match entered {
        Err(error) => error,
        Ok(_) => Command::new("nft").args(["-f", "-"]).env_clear().envs([("PATH", PATH), ("LC_ALL", "C")]).exec(),
    }
}
