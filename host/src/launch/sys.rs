//! System calls that std and older C libraries don't have.

use std::ffi::{CStr, CString};
use std::io;
use std::mem;
use std::os::unix::io::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use libc::{c_int, c_long, c_uint};

// The same numbers on every architecture; musl's headers lack some.
pub const OPEN_TREE: c_long = 428;
pub const MOVE_MOUNT: c_long = 429;
pub const FSOPEN: c_long = 430;
pub const FSCONFIG: c_long = 431;
pub const FSMOUNT: c_long = 432;
pub const CLONE3: c_long = 435;
pub const CLOSE_RANGE: c_long = 436;
pub const MOUNT_SETATTR: c_long = 442;

pub const MOVE_MOUNT_F_EMPTY_PATH: u64 = 0x4;
pub const MOVE_MOUNT_T_EMPTY_PATH: u64 = 0x40;
const OPEN_TREE_CLONE: c_uint = 1;
const FSCONFIG_SET_FLAG: c_uint = 0;
pub const FSCONFIG_SET_STRING: c_uint = 1;
pub const FSCONFIG_CMD_CREATE: c_uint = 6;
pub const MOUNT_ATTR_RDONLY: u64 = 0x1;
pub const MOUNT_ATTR_NOSUID: u64 = 0x2;
pub const MOUNT_ATTR_NODEV: u64 = 0x4;
pub const MOUNT_ATTR_NOEXEC: u64 = 0x8;
const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;
const SIGNALS: c_int = 64;

#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
}

/// A file system that isn't mounted yet.
pub struct FsContext(OwnedFd);

impl FsContext {
    pub fn open(kind: &CStr) -> io::Result<FsContext> {
        let fd = check(unsafe { libc::syscall(FSOPEN, kind.as_ptr(), 1 as c_uint) })?;
        Ok(FsContext(owned(fd)))
    }

    pub fn string(&self, key: &str, value: &str) -> io::Result<()> {
        let (key, value) = (text(key)?, text(value)?);
        let fd = self.0.as_raw_fd();
        let result = unsafe { libc::syscall(FSCONFIG, fd, FSCONFIG_SET_STRING, key.as_ptr(), value.as_ptr(), 0) };
        check(result).map(|_| ())
    }

    pub fn flag(&self, key: &str) -> io::Result<()> {
        let (key, fd, none) = (text(key)?, self.0.as_raw_fd(), std::ptr::null::<u8>());
        check(unsafe { libc::syscall(FSCONFIG, fd, FSCONFIG_SET_FLAG, key.as_ptr(), none, 0) }).map(|_| ())
    }

    /// The file system, mounted nowhere.
    pub fn mount(self, attributes: u64) -> io::Result<OwnedFd> {
        let none = std::ptr::null::<u8>();
        let fd = self.0.as_raw_fd();
        check(unsafe { libc::syscall(FSCONFIG, fd, FSCONFIG_CMD_CREATE, none, none, 0) })?;
        check(unsafe { libc::syscall(FSMOUNT, fd, 1 as c_uint, attributes) }).map(owned)
    }
}

/// A mount of what a descriptor is open on, at no place.
pub fn clone_mount(fd: BorrowedFd) -> io::Result<OwnedFd> {
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC as c_uint | libc::AT_EMPTY_PATH as c_uint;
    check(unsafe { libc::syscall(OPEN_TREE, fd.as_raw_fd(), EMPTY.as_ptr(), flags) }).map(owned)
}

/// Gives a mount without a place one.
pub fn attach(mount: BorrowedFd, path: &CStr) -> io::Result<()> {
    let (fd, flags) = (mount.as_raw_fd(), MOVE_MOUNT_F_EMPTY_PATH as c_uint);
    check(unsafe { libc::syscall(MOVE_MOUNT, fd, EMPTY.as_ptr(), libc::AT_FDCWD, path.as_ptr(), flags) }).map(|_| ())
}

/// Adds attributes to a mount, and maps its ids as the user name space does if there is one.
pub fn set_attributes(mount: BorrowedFd, attributes: u64, ids: Option<BorrowedFd>) -> io::Result<()> {
    let attr = MountAttr {
        attr_set: attributes | ids.map_or(0, |_| MOUNT_ATTR_IDMAP),
        attr_clr: 0,
        propagation: 0,
        userns_fd: ids.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    let size = mem::size_of::<MountAttr>();
    let flags = libc::AT_EMPTY_PATH as c_uint;
    check(unsafe { libc::syscall(MOUNT_SETATTR, mount.as_raw_fd(), EMPTY.as_ptr(), flags, &attr, size) }).map(|_| ())
}

/// A copy of this process in name spaces of its own. Returns its pid and pidfd in the parent, none in the child.
///
/// # Safety
/// The child has one thread of a process that may have had more: until it runs another program it may do only what is
/// safe in a signal's handler.
pub unsafe fn clone_process(flags: c_int) -> io::Result<Option<(u32, OwnedFd)>> {
    let mut pidfd: c_int = -1;
    let args = CloneArgs {
        flags: flags as u32 as u64 | libc::CLONE_PIDFD as u64,
        pidfd: &mut pidfd as *mut c_int as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    match check(libc::syscall(CLONE3, &args, mem::size_of::<CloneArgs>()))? {
        0 => Ok(None),
        pid => Ok(Some((pid as u32, OwnedFd::from_raw_fd(pidfd)))),
    }
}

/// As a program is started with: the default for each signal, none held back. Safe in a child.
pub unsafe fn reset_signals() {
    for signal in 1..=SIGNALS {
        libc::signal(signal, libc::SIG_DFL);
    }
    let mut none: libc::sigset_t = mem::zeroed();
    libc::sigemptyset(&mut none);
    libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
}

/// A pair of connected sockets that carry whole messages.
pub fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    check(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) }.into())?;
    Ok((owned(fds[0].into()), owned(fds[1].into())))
}

/// One message with descriptors.
pub fn send(socket: BorrowedFd, bytes: &[u8], fds: &[RawFd]) -> io::Result<()> {
    let size = mem::size_of_val(fds);
    let mut control = vec![0u64; (unsafe { libc::CMSG_SPACE(size as c_uint) } as usize + 7) / 8];
    let mut part = libc::iovec { iov_base: bytes.as_ptr() as *mut libc::c_void, iov_len: bytes.len() };
    let sent = unsafe {
        let mut message: libc::msghdr = mem::zeroed();
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        if !fds.is_empty() {
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = libc::CMSG_SPACE(size as c_uint) as _;
            let header = libc::CMSG_FIRSTHDR(&message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size as c_uint) as _;
            std::ptr::copy_nonoverlapping(fds.as_ptr().cast::<u8>(), libc::CMSG_DATA(header), size);
        }
        libc::sendmsg(socket.as_raw_fd(), &message, libc::MSG_NOSIGNAL)
    };
    check(sent as c_long).map(|_| ())
}

/// The next message, or its beginning; empty when the other end is closed.
pub fn receive<const MAX: usize>(socket: BorrowedFd) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; MAX];
    let result = unsafe { libc::recv(socket.as_raw_fd(), bytes.as_mut_ptr().cast(), MAX, 0) };
    match check(result as c_long) {
        Ok(length) => bytes.truncate(length as usize),
        // It ended with something of ours unread.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => bytes.clear(),
        Err(error) => return Err(error),
    }
    Ok(bytes)
}

/// Has the calling thread be in this network name space.
pub fn enter_network(space: BorrowedFd) -> io::Result<()> {
    check(unsafe { libc::setns(space.as_raw_fd(), libc::CLONE_NEWNET) }.into()).map(|_| ())
}

/// Has the calling thread be in this mount name space, in its root.
pub fn enter_mounts(space: BorrowedFd) -> io::Result<()> {
    check(unsafe { libc::unshare(libc::CLONE_FS) }.into())?;
    check(unsafe { libc::setns(space.as_raw_fd(), libc::CLONE_NEWNS) }.into()).map(|_| ())
}

/// Has the calling thread be in a mount name space of its own, in an empty directory that can be written.
pub fn enter_empty_mounts() -> io::Result<()> {
    let (none, root, kind) = (text("none")?, text("/")?, text("tmpfs")?);
    let private = libc::MS_REC | libc::MS_PRIVATE;
    let null = std::ptr::null();
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) }.into())?;
    check(unsafe { libc::mount(none.as_ptr(), root.as_ptr(), std::ptr::null(), private, null) }.into())?;
    // Any directory that all machines have.
    let place = text("/sys")?;
    check(unsafe { libc::mount(kind.as_ptr(), place.as_ptr(), kind.as_ptr(), 0, null) }.into())?;
    check(unsafe { libc::chdir(place.as_ptr()) }.into()).map(|_| ())
}

/// Has the calling thread be in a mount name space of its own, with all mounts that it sees, in an empty directory in memory,
/// which is at `place` there alone.
pub fn enter_own_mounts(place: &CStr) -> io::Result<()> {
    let (none, root, kind) = (text("none")?, text("/")?, text("tmpfs")?);
    let private = libc::MS_REC | libc::MS_PRIVATE;
    let null = std::ptr::null();
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) }.into())?;
    check(unsafe { libc::mount(none.as_ptr(), root.as_ptr(), std::ptr::null(), private, null) }.into())?;
    let options = text("mode=700,size=1m")?;
    let options = options.as_ptr().cast();
    check(unsafe { libc::mount(kind.as_ptr(), place.as_ptr(), kind.as_ptr(), libc::MS_NODEV, options) }.into())?;
    check(unsafe { libc::chdir(place.as_ptr()) }.into()).map(|_| ())
}

/// Waits until the descriptor is readable or closed. Errors: also `TimedOut`.
pub fn wait_readable(fd: BorrowedFd, milliseconds: c_int) -> io::Result<()> {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    loop {
        match check(unsafe { libc::poll(&mut poll, 1, milliseconds) }.into()) {
            Ok(0) => return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT)),
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Has the calling thread be this user and group in effect, with the rights it has: a user name space that it makes is theirs.
pub fn assume_ids(id: u32) -> io::Result<()> {
    check(unsafe { libc::prctl(libc::PR_SET_SECUREBITS, NO_SETUID_FIXUP) }.into())?;
    // The C library's functions would change all threads.
    check(unsafe { libc::syscall(libc::SYS_setresgid, -1, id, -1) })?;
    check(unsafe { libc::syscall(libc::SYS_setresuid, -1, id, -1) }).map(|_| ())
}

/// Has the calling thread make files as this user and group, with the rights it has. Undone when dropped.
pub struct FileIds(());

/// Changes of ids leave capabilities alone.
const NO_SETUID_FIXUP: c_int = 1 << 2;

impl FileIds {
    pub fn assume(id: u32) -> io::Result<FileIds> {
        check(unsafe { libc::prctl(libc::PR_SET_SECUREBITS, NO_SETUID_FIXUP) }.into())?;
        let ids = FileIds(());
        // Neither call says whether it succeeded; asking does.
        let is_set = unsafe {
            libc::syscall(libc::SYS_setfsgid, id);
            libc::syscall(libc::SYS_setfsuid, id);
            let ids = [libc::syscall(libc::SYS_setfsuid, -1), libc::syscall(libc::SYS_setfsgid, -1)];
            ids == [c_long::from(id as i32); 2]
        };
        match is_set {
            true => Ok(ids),
            false => Err(io::Error::from_raw_os_error(libc::EPERM)),
        }
    }
}

impl Drop for FileIds {
    fn drop(&mut self) {
        unsafe {
            libc::syscall(libc::SYS_setfsuid, libc::geteuid());
            libc::syscall(libc::SYS_setfsgid, libc::getegid());
            libc::prctl(libc::PR_SET_SECUREBITS, 0);
        }
    }
}

const EMPTY: [libc::c_char; 1] = [0];

fn text(text: &str) -> io::Result<CString> {
    CString::new(text).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

fn check(result: c_long) -> io::Result<c_long> {
    match result < 0 {
        true => Err(io::Error::last_os_error()),
        false => Ok(result),
    }
}

/// A descriptor that a call has just made, which is nobody else's.
fn owned(fd: c_long) -> OwnedFd {
    unsafe { OwnedFd::from_raw_fd(fd as RawFd) }
}
