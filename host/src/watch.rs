//! Sees guests end: a thread that waits for all of their process descriptors at once.

use std::collections::HashMap;
use std::io;
use std::os::unix::io::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::error::Failure;
use crate::names::Sandbox;
use crate::pool::lock;
use crate::processes;

const EVENTS_AT_ONCE: usize = 64;

#[derive(Clone)]
pub struct Watch(Arc<Inner>);

struct Inner {
    epoll: OwnedFd,
    /// By the number of the descriptor, which is its own as long as it is held here
    watched: Mutex<HashMap<RawFd, (Sandbox, Arc<OwnedFd>)>>,
}

impl Watch {
    pub fn new() -> Result<Watch, Failure> {
        // SAFETY: no pointers are passed; the descriptor is new and nobody else's.
        let epoll = unsafe {
            match libc::epoll_create1(libc::EPOLL_CLOEXEC) {
                -1 => return Err(failed(io::Error::last_os_error())),
                epoll => OwnedFd::from_raw_fd(epoll),
            }
        };
        Ok(Watch(Arc::new(Inner { epoll, watched: Mutex::default() })))
    }

    /// `ended` is called for each that ends and wasn't removed before, in a thread of the watch's own.
    pub fn begin(&self, ended: impl Fn(Sandbox, Arc<OwnedFd>) + Send + 'static) -> Result<(), Failure> {
        let inner = self.0.clone();
        let made = thread::Builder::new().name("watch".to_owned()).spawn(move || loop {
            for descriptor in inner.wait() {
                if let Some((sandbox, pidfd)) = inner.take_ended(descriptor) {
                    ended(sandbox, pidfd);
                }
            }
        });
        made.map(drop).map_err(failed)
    }

    pub fn add(&self, sandbox: &Sandbox, pidfd: &Arc<OwnedFd>) -> Result<(), Failure> {
        let descriptor = pidfd.as_raw_fd();
        lock(&self.0.watched).insert(descriptor, (sandbox.clone(), pidfd.clone()));
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: descriptor as u64 };
        // SAFETY: both descriptors are open and the structure lives for the call.
        let added = unsafe { libc::epoll_ctl(self.0.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, descriptor, &mut event) };
        if added < 0 {
            let error = io::Error::last_os_error();
            lock(&self.0.watched).remove(&descriptor);
            return Err(failed(error));
        }
        Ok(())
    }

    /// Its end is expected. Idempotent.
    pub fn remove(&self, pidfd: &OwnedFd) {
        self.0.remove(pidfd.as_raw_fd());
    }
}

impl Inner {
    fn remove(&self, descriptor: RawFd) -> Option<(Sandbox, Arc<OwnedFd>)> {
        self.remove_if(descriptor, |_| true)
    }

    /// The number may be another guest's by now, who lives: that the one before ended was seen, and its descriptor closed since.
    fn take_ended(&self, descriptor: RawFd) -> Option<(Sandbox, Arc<OwnedFd>)> {
        self.remove_if(descriptor, |pidfd| processes::is_ended(pidfd.as_fd()))
    }

    fn remove_if(&self, descriptor: RawFd, is_it: impl Fn(&OwnedFd) -> bool) -> Option<(Sandbox, Arc<OwnedFd>)> {
        let mut watched = lock(&self.watched);
        if !is_it(&watched.get(&descriptor)?.1) {
            return None;
        }
        let removed = watched.remove(&descriptor)?;
        drop(watched);
        // SAFETY: the descriptor is open, as it is held; for this call no structure is needed.
        unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_DEL, descriptor, std::ptr::null_mut()) };
        Some(removed)
    }

    fn wait(&self) -> Vec<RawFd> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS_AT_ONCE];
        // SAFETY: the array has as many members as are said.
        let count =
            unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), EVENTS_AT_ONCE as libc::c_int, -1) };
        events[..count.max(0) as usize].iter().map(|event| event.u64 as RawFd).collect()
    }
}

fn failed(error: io::Error) -> Failure {
    Failure::from_io("The sandbox's end can't be watched", &error)
}
