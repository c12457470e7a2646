//! Mounts by root inside, where whoever started the agent lets it mount: the kernel asks here about each call that makes a file
//! system or copies mounts (spec/system-calls.json), by a descriptor of the filter of system calls.
//!
//! A file system takes some of the kernel's memory that is on nobody's account, and nothing tells when one has gone: a descriptor holds
//! it as well as a mount does. So they are counted as they are made. A copy of all mounts holds a lock that the whole machine waits
//! for: so many are made in a second. Only numbers are looked at, which the caller can't change meanwhile.

use std::cell::Cell;
use std::io;
use std::mem;
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::io::Interest;
use tokio::time::{sleep, Instant};

// SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_SEND and SECCOMP_USER_NOTIF_FLAG_CONTINUE.
const RECEIVE: u64 = 0xc050_2100;
const SEND: u64 = 0xc018_2101;
const CONTINUE: u32 = 1;

/// `mount` as this machine numbers it, and as its 32-bit programs do: the kernel's name of the way, and the number.
#[cfg(target_arch = "x86_64")]
const MOUNT: [(u32, i32); 2] = [(0xc000_003e, 165), (0x4000_0003, 21)];
#[cfg(target_arch = "aarch64")]
const MOUNT: [(u32, i32); 2] = [(0xc000_00b7, 40), (0x4000_0028, 21)];
/// Mounts that are copied: MS_BIND with MS_REC. Flags with these upper bits mean what they do without the upper half.
const COPY: u64 = libc::MS_BIND | libc::MS_REC;
const MAGIC: u64 = 0xc000_0000;

/// File systems: so many at once, and one more each time that this has passed. All that a day gives, held at once, are some
/// 26,000: 100 MB of the kernel's memory.
const FILE_SYSTEMS: Share = Share { at_once: 4096, each: Duration::from_secs(4), debt_max: 0 };
/// Copies of mounts. Who makes more waits a little.
const COPIES: Share = Share { at_once: 512, each: Duration::from_millis(125), debt_max: 32 };

#[repr(C)]
#[derive(Default)]
struct Question {
    id: u64,
    pid: u32,
    flags: u32,
    number: i32,
    architecture: u32,
    instruction: u64,
    args: [u64; 6],
}

#[repr(C)]
struct Answer {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

/// Answers from now on. `fd`: the filter's, which is this function's from then on.
pub fn start(fd: RawFd) -> io::Result<()> {
    // Nobody inside may get at that descriptor, whichever rights over processes they have.
    if unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let filter = AsyncFd::with_interest(unsafe { OwnedFd::from_raw_fd(fd) }, Interest::READABLE)?;
    tokio::task::spawn_local(answer(Rc::new(filter)));
    Ok(())
}

async fn answer(filter: Rc<AsyncFd<OwnedFd>>) {
    let (file_systems, copies) = (Bucket::new(FILE_SYSTEMS), Bucket::new(COPIES));
    while let Ok(mut ready) = filter.readable().await {
        // Who asked may have ended meanwhile, and without a question the kernel would have this wait for the next.
        while is_asked(filter.get_ref().as_raw_fd()) {
            let question = match receive(filter.get_ref().as_raw_fd()) {
                Some(question) => question,
                None => continue,
            };
            let bucket = if question.is_file_system() { &file_systems } else { &copies };
            match bucket.take(Instant::now()) {
                Some(Duration::ZERO) => reply(filter.get_ref().as_raw_fd(), question.id, true),
                Some(wait) => {
                    let filter = Rc::clone(&filter);
                    tokio::task::spawn_local(async move {
                        sleep(wait).await;
                        reply(filter.get_ref().as_raw_fd(), question.id, true);
                    });
                }
                None => reply(filter.get_ref().as_raw_fd(), question.id, false),
            }
        }
        ready.clear_ready();
    }
}

impl Question {
    /// Whether it makes a file system; else it copies mounts.
    fn is_file_system(&self) -> bool {
        let flags = self.args[3];
        MOUNT.contains(&(self.architecture, self.number)) && (flags & COPY != COPY || flags & MAGIC != 0)
    }
}

fn is_asked(filter: RawFd) -> bool {
    let mut poll = libc::pollfd { fd: filter, events: libc::POLLIN, revents: 0 };
    unsafe { libc::poll(&mut poll, 1, 0) == 1 && poll.revents & libc::POLLIN != 0 }
}

/// The next question; none where who asked has ended.
fn receive(filter: RawFd) -> Option<Question> {
    let mut question = Question::default();
    let result = unsafe { libc::ioctl(filter, RECEIVE as _, &mut question) };
    (result == 0).then_some(question)
}

/// Has the call go on, or fail as one does where there are as many mounts as there may be. Nobody is there to be told where who
/// asked has ended, or was interrupted and asks again.
fn reply(filter: RawFd, id: u64, goes_on: bool) {
    let (error, flags) = if goes_on { (0, CONTINUE) } else { (-libc::ENOSPC, 0) };
    let answer = Answer { id, value: 0, error, flags };
    unsafe { libc::ioctl(filter, SEND as _, &answer) };
}

#[derive(Clone, Copy)]
struct Share {
    at_once: u32,
    /// A further one each time that this has passed
    each: Duration,
    /// So many more than there are get theirs by waiting
    debt_max: u32,
}

/// What is left of a share.
struct Bucket {
    share: Share,
    /// When it is full again
    full: Cell<Instant>,
}

impl Bucket {
    fn new(share: Share) -> Bucket {
        Bucket { share, full: Cell::new(Instant::now()) }
    }

    /// Takes one. Returns how long to wait for it; none where there is none.
    fn take(&self, now: Instant) -> Option<Duration> {
        let Share { at_once, each, debt_max } = self.share;
        let full = self.full.get().max(now) + each;
        let wait = (full - now).saturating_sub(each * at_once);
        if wait > each * debt_max {
            return None;
        }
        self.full.set(full);
        Some(wait)
    }
}

const _: () = assert!(mem::size_of::<Question>() == 80 && mem::size_of::<Answer>() == 24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_given_and_comes_back_with_time() {
        let bucket = Bucket::new(Share { at_once: 3, each: Duration::from_secs(4), debt_max: 0 });
        let now = Instant::now();
        let take = |seconds| bucket.take(now + Duration::from_secs(seconds));
        assert_eq!([take(0), take(0), take(1)], [Some(Duration::ZERO); 3]);
        assert_eq!([take(1), take(3)], [None; 2]);
        assert_eq!([take(4), take(5), take(8)], [Some(Duration::ZERO), None, Some(Duration::ZERO)]);
        assert_eq!([take(100), take(100), take(100), take(100)].iter().flatten().count(), 3);
    }

    #[test]
    fn who_takes_more_than_there_is_waits_or_gets_none() {
        let bucket = Bucket::new(Share { at_once: 1, each: Duration::from_secs(1), debt_max: 2 });
        let now = Instant::now();
        let waits = [(); 5].map(|()| bucket.take(now).map(|wait| wait.as_secs()));
        assert_eq!(waits, [Some(0), Some(1), Some(2), None, None]);
    }

    #[test]
    fn tells_a_new_file_system_from_a_copy_of_mounts() {
        for (architecture, number) in MOUNT {
            let of = |flags| Question { architecture, number, args: [0, 0, 0, flags, 0, 0], ..Question::default() };
            assert!(of(0).is_file_system() && of(libc::MS_RDONLY).is_file_system());
            assert!(of(0xc0ed_0000).is_file_system() && of(0xc0ed_0000 | COPY).is_file_system());
            assert!(!of(COPY).is_file_system());
        }
        // `unshare`, on whichever machine.
        let number = libc::SYS_unshare as i32;
        assert!(!Question { architecture: MOUNT[0].0, number, ..Question::default() }.is_file_system());
    }
}
