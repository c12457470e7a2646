//! Signals that end the helper, taken one at a time by its main thread.

use std::ptr;
use std::time::Duration;

pub enum Signal {
    /// SIGTERM, SIGINT or SIGHUP
    End,
    /// `wake` was called, or the time is over
    Look,
}

/// Has these signals wait for `next`. For the start: threads that are made later have it from here.
pub fn block() {
    // SAFETY: the set is made by the call before it is used, and lives for it.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set(), ptr::null_mut()) };
}

/// Without `most` it waits until there is one.
pub fn next(most: Option<Duration>) -> Signal {
    let set = set();
    let time = most.map(|most| libc::timespec {
        tv_sec: most.as_secs() as libc::time_t,
        tv_nsec: most.subsec_nanos() as libc::c_long,
    });
    let time = time.as_ref().map_or(ptr::null(), |time| time as *const libc::timespec);
    // SAFETY: set and time live for the call; what the signal says beside its number isn't asked for.
    match unsafe { libc::sigtimedwait(&set, ptr::null_mut(), time) } {
        libc::SIGTERM | libc::SIGINT | libc::SIGHUP => Signal::End,
        _ => Signal::Look,
    }
}

/// Ends the main thread's wait.
pub fn wake() {
    send(libc::SIGUSR1);
}

/// Ends the helper, as whoever started it would.
pub fn end() {
    send(libc::SIGTERM);
}

fn send(signal: libc::c_int) {
    // SAFETY: no pointers are passed, and the signal is blocked in every thread. To itself a process may always send.
    unsafe { libc::kill(libc::getpid(), signal) };
}

fn set() -> libc::sigset_t {
    // SAFETY: `sigemptyset` makes the set of it before anything reads it.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR1] {
            libc::sigaddset(&mut set, signal);
        }
        set
    }
}
