//! What root of a guest is to the machine, and what it may do inside.

/// From least of its own to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// The machine's root, with few capabilities: layers can't be mounted with mapped ids here, so it has no user name space
    Machine,
    /// Root of ids of its own
    Own,
    /// The same, in a second user name space that owns nothing but its mounts: there it may make and undo mounts
    Mounts,
}

/// chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, sys_chroot, audit_write,
/// setfcap: an engine's defaults but for raw sockets.
const CAPABILITIES: [u32; 12] = [0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 29, 31];
/// Without a user name space root could make devices of the machine.
const MKNOD: u32 = 27;
const SYS_ADMIN: u32 = 21;

impl Rights {
    pub fn has_ids(self) -> bool {
        self != Rights::Machine
    }

    pub fn may_mount(self) -> bool {
        self == Rights::Mounts
    }

    /// Those that root has, and nobody inside more than.
    pub fn capabilities(self) -> u64 {
        let of_ids = Some(MKNOD).filter(|_| self.has_ids());
        let of_mounts = Some(SYS_ADMIN).filter(|_| self.may_mount());
        CAPABILITIES.into_iter().chain(of_ids).chain(of_mounts).fold(0, |set, number| set | 1 << number)
    }
}
