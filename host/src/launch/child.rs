//! The process that waits, from its first instruction to the agent's. It is a copy of one thread of a helper that had more, so
//! it makes system calls and nothing else: no memory from the heap, no locks, no panics. It does what scripts say.

use std::mem;
use std::os::unix::io::RawFd;
use std::ptr;

use super::script::{kind, ARGS, ARG_BYTES, HEAD_BYTES, NO_REGISTER, POINTERS_MAX, REGISTERS, SCRIPT_MAX_BYTES};
use super::steps::INNER;
use super::sys;

/// Descriptors that come with one script.
pub const RECEIVED_MAX: usize = 64;
/// Bytes of a report: number of the call, and its error.
pub const REPORT_BYTES: usize = 8;
/// The number in a report that all went well.
pub const ALL_WELL: u32 = u32::MAX;
/// The number in a report about what comes before any call.
pub const BEFORE_CALLS: u32 = u32::MAX - 1;
const SOCKET_FROM: RawFd = 100;
const ARG_USIZE: usize = mem::size_of::<usize>();

/// What the process starts with. All of it is the parent's memory, of which it has a copy.
pub struct Start<'a> {
    /// To the parent
    pub socket: RawFd,
    /// Descriptors that the script uses, in order, each once
    pub keep: &'a [RawFd],
    pub script: &'a [u8],
    /// Room for the second script
    pub buffer: &'a mut [u8; SCRIPT_MAX_BYTES],
}

/// Never returns.
///
/// # Safety
/// The caller is a process of its own, with one thread.
pub unsafe fn main(start: Start) -> ! {
    sys::reset_signals();
    let socket = libc::fcntl(start.socket, libc::F_DUPFD_CLOEXEC, SOCKET_FROM);
    if socket < 0 {
        libc::_exit(1);
    }
    close_all_but(start.keep, socket);
    // Until the parent has mapped the ids and moved this to its control groups. Nothing comes: the parent is gone.
    let mut word = [0u8; 1];
    if libc::read(socket, word.as_mut_ptr().cast(), 1) != 1 {
        libc::_exit(1);
    }
    let parked = run(start.script, &[]);
    report(socket, parked);
    if parked.is_err() {
        libc::_exit(1);
    }
    close_all_but(&[0, 1, 2, INNER], socket);
    let mut received = [-1; RECEIVED_MAX];
    let outcome = match receive(socket, start.buffer, &mut received) {
        Some(length) => match start.buffer.get(..length) {
            Some(script) => run(script, &received),
            None => Err((BEFORE_CALLS, libc::EPROTO)),
        },
        // Nothing comes: the parent is gone, or has no use for it.
        None => libc::_exit(0),
    };
    // The last call is `execve`, which doesn't return where all goes well.
    report(socket, outcome);
    libc::_exit(1)
}

/// Whatever else the parent had open is not this process's to hold.
unsafe fn close_all_but(keep: &[RawFd], socket: RawFd) {
    let mut from = 0;
    let mut previous = -1;
    loop {
        // The next number that stays.
        let mut next = if socket > previous { socket } else { RawFd::MAX };
        for fd in keep {
            if *fd > previous && *fd < next {
                next = *fd;
            }
        }
        if next == RawFd::MAX {
            libc::syscall(sys::CLOSE_RANGE, from, u32::MAX, 0);
            return;
        }
        if next > from {
            libc::syscall(sys::CLOSE_RANGE, from, next - 1, 0);
        }
        from = next.wrapping_add(1);
        previous = next;
    }
}

unsafe fn report(socket: RawFd, outcome: Result<(), (u32, i32)>) {
    let (step, error) = outcome.err().unwrap_or((ALL_WELL, 0));
    let report = [step, error as u32];
    libc::send(socket, report.as_ptr().cast(), REPORT_BYTES, libc::MSG_NOSIGNAL);
}

/// A script and its descriptors. Returns its length; none if there is nothing to come.
unsafe fn receive(socket: RawFd, buffer: &mut [u8], received: &mut [RawFd; RECEIVED_MAX]) -> Option<usize> {
    // A header is 16 bytes on all machines, and aligned as u64 is.
    let mut control = [0u64; 2 + RECEIVED_MAX * mem::size_of::<RawFd>() / 8];
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut message: libc::msghdr = mem::zeroed();
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = mem::size_of_val(&control) as _;
    let length = libc::recvmsg(socket, &mut message, libc::MSG_CMSG_CLOEXEC);
    if length <= 0 {
        return None;
    }
    let header = libc::CMSG_FIRSTHDR(&message);
    if !header.is_null() && (*header).cmsg_type == libc::SCM_RIGHTS {
        let bytes = (*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
        let count = (bytes / mem::size_of::<RawFd>()).min(RECEIVED_MAX);
        ptr::copy_nonoverlapping(libc::CMSG_DATA(header).cast::<RawFd>(), received.as_mut_ptr(), count);
    }
    Some(length as usize)
}

/// Makes the calls. Errors: the number of the first that failed, and why.
unsafe fn run(script: &[u8], received: &[RawFd]) -> Result<(), (u32, i32)> {
    let mut registers = [-1i64; REGISTERS];
    let mut rest = script;
    let mut step = 0;
    while rest.len() >= HEAD_BYTES {
        let word = |index: usize| rest.as_ptr().cast::<u32>().add(index).read_unaligned();
        let (number, errors, register) = (word(0), [word(1) as i32, word(2) as i32], word(3));
        let (count, body) = (word(4) as usize, word(5) as usize);
        let place = HEAD_BYTES + count * ARG_BYTES;
        if count > ARGS || rest.len() < place + body {
            return Err((step, libc::EPROTO));
        }
        let result = call(number, rest.as_ptr().add(HEAD_BYTES), count, rest.as_ptr().add(place), received, &registers);
        if result == 0 && libc::c_long::from(number) == libc::SYS_clone {
            // Not this process but the one that it has made, which is there to be ended.
            loop {
                libc::pause();
            }
        }
        if result < 0 {
            let error = *libc::__errno_location();
            if error != errors[0] && error != errors[1] {
                return Err((step, error));
            }
        }
        if register != NO_REGISTER {
            if let Some(slot) = registers.get_mut(register as usize) {
                *slot = result;
            }
        }
        rest = rest.get(place + body..).unwrap_or(&[]);
        step += 1;
    }
    Ok(())
}

/// One call: its arguments are descriptions at `args`, and what these point to is behind `body`.
unsafe fn call(
    number: u32,
    args: *const u8,
    count: usize,
    body: *const u8,
    received: &[RawFd],
    registers: &[i64; REGISTERS],
) -> i64 {
    let mut values = [0usize; ARGS];
    let mut pointers = [ptr::null::<u8>(); POINTERS_MAX];
    let mut filter: libc::sock_fprog = mem::zeroed();
    for (index, value) in values.iter_mut().enumerate().take(count) {
        let arg = args.add(index * ARG_BYTES);
        let (kind, length) = (arg.cast::<u32>().read_unaligned(), arg.cast::<u32>().add(1).read_unaligned() as usize);
        let given = arg.add(ARG_BYTES - 8).cast::<u64>().read_unaligned() as usize;
        *value = match kind {
            kind::BYTES => body.add(given) as usize,
            kind::RECEIVED => received.get(given).copied().unwrap_or(-1) as usize,
            kind::RESULT => registers.get(given).copied().unwrap_or(-1) as usize,
            kind::FILTER => {
                filter.len = (length / 8) as u16;
                filter.filter = body.add(given) as *mut libc::sock_filter;
                &filter as *const libc::sock_fprog as usize
            }
            // Two arrays of one call, `argv` and `envp`, share the pointers: the second goes behind the first.
            kind::STRINGS => point_at_strings(&mut pointers, body.add(given), length),
            _ => given,
        };
    }
    libc::syscall(number.into(), values[0], values[1], values[2], values[3], values[4], values[5])
}

/// Fills the free end of `pointers`. Returns the address of the first one.
unsafe fn point_at_strings(pointers: &mut [*const u8; POINTERS_MAX], texts: *const u8, length: usize) -> usize {
    // An array ends with a null pointer, so the free end begins behind the last but one of those that are not null.
    let used = pointers.iter().rposition(|pointer| !pointer.is_null()).map_or(0, |last| last + 2);
    let first = pointers.as_ptr() as usize + used * ARG_USIZE;
    let (mut at, mut next) = (used, 0);
    while next < length {
        if let Some(pointer) = pointers.get_mut(at) {
            *pointer = texts.add(next);
        }
        while next < length && *texts.add(next) != 0 {
            next += 1;
        }
        next += 1;
        at += 1;
    }
    first
}
