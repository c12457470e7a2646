//! Places for guests, made ahead: control groups, a network name space with its address, user ids, and a process that waits
//! in them. Making one takes ten milliseconds and more, nearly all of it waits within the kernel; so a start takes one that
//! is ready, and others are made while nobody waits for them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::cancel::Cancel;
use crate::cgroups::{Cgroups, Group};
use crate::disks::{Disk, Disks};
use crate::error::{Code, Failure};
use crate::launch::{self, ParkSpec, Parked, Rights, IDS};
use crate::log;
use crate::net::{Egress, Link, Network};
use crate::pool::lock;
use crate::records::Place;

/// As many ranges of ids as are set aside.
const SLOTS_MAX: u32 = 4096;
/// Ids that no distribution gives to users, systemd-nspawn or subordinate users.
const FIRST_ID: u32 = 0x7000_0000;

/// Ready ones when nobody has asked lately, and at most.
const READY_MIN: usize = 8;
const READY_MAX: usize = 128;
/// So many are ready as were taken in this time: rollouts and batches come again within a minute or don't.
const DEMAND_WINDOW: Duration = Duration::from_secs(60);
/// The kernel makes several at once only in part, and the machine is there for the guests. While guests start there are only as
/// many at work as fewer than this are ready.
const MAKERS: usize = 4;
/// So long after the last start nobody is taken to be busy with it: its agent is told who it is and asked for a first command,
/// which would share the processors with the making of the next slot.
const CALM: Duration = Duration::from_millis(100);
/// Between two tries when none can be made and nobody waits.
const RETRY: Duration = Duration::from_secs(5);
/// A start waits for a slot at most so long.
const TAKE_MOST: Duration = Duration::from_secs(30);
const REMOVE_MOST: Duration = Duration::from_secs(30);

/// What a guest has of the machine until it ends, beside its process.
pub struct Held {
    number: u32,
    pub group: Group,
    pub link: Link,
}

impl Held {
    pub fn place(&self) -> Place {
        Place { slot: self.number, address: self.link.address() }
    }
}

/// One that nobody has yet.
pub struct Ready {
    pub held: Held,
    pub parked: Parked,
    /// For what the guest changes, of the size that guests have had lately; none where they have no limit
    pub disk: Option<Disk>,
}

#[derive(Clone)]
pub struct Slots(Arc<Inner>);

struct Inner {
    cgroups: Arc<Cgroups>,
    network: Arc<Network>,
    disks: Arc<Disks>,
    rights: Rights,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Ready>,
    /// Of guests that have ended, as good as new
    links: Vec<Link>,
    /// Numbers that are somebody's
    taken: BTreeSet<u32>,
    takes: VecDeque<Instant>,
    last_take: Option<Instant>,
    waiting: usize,
    making: usize,
    makers: usize,
    /// How often making one has failed, and why the last time
    failures: u64,
    failure: Option<Failure>,
    closed: bool,
}

impl Slots {
    /// `rights`: of every guest.
    pub fn new(cgroups: Arc<Cgroups>, network: Arc<Network>, disks: Arc<Disks>, rights: Rights) -> Slots {
        Slots(Arc::new(Inner { cgroups, network, disks, rights, state: Mutex::default(), changed: Condvar::new() }))
    }

    /// Begins to make some. What earlier helpers left is adopted or removed before.
    pub fn begin(&self) {
        for _ in 0..MAKERS {
            let inner = self.0.clone();
            let made = thread::Builder::new().name("slots".to_owned()).spawn(move || inner.make_on());
            match made {
                Ok(_) => lock(&self.0.state).makers += 1,
                Err(error) => {
                    log::warn("A thread that makes slots can't be made.", json!({ "error": error.to_string() }))
                }
            }
        }
    }

    /// One that is ready, or the next that is. Errors: `resource_exhausted`, `deadline_exceeded`, what keeps any from being
    /// made, what `cancel` says.
    pub fn take(&self, cancel: &Cancel) -> Result<Ready, Failure> {
        let inner = self.0.clone();
        cancel.on_cancel(move || {
            drop(inner.lock());
            inner.changed.notify_all();
        });
        let deadline = Instant::now() + TAKE_MOST;
        let mut state = self.0.lock();
        state.note_take();
        let failures = state.failures;
        state.waiting += 1;
        if state.ready.is_empty() {
            self.0.changed.notify_all();
        }
        let taken = loop {
            if let Err(failure) = cancel.check() {
                break Err(failure);
            }
            if let Some(ready) = state.ready.pop_front() {
                if ready.parked.is_alive() {
                    break Ok(ready);
                }
                // Somebody has ended the process that waited.
                let inner = self.0.clone();
                // Without a thread its number stays taken until the next start.
                let _ = thread::Builder::new().spawn(move || inner.put_away(ready));
                continue;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.closed || left.is_zero() || state.failures > failures {
                break Err(state.why_none());
            }
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        };
        state.waiting -= 1;
        taken
    }

    /// Has others made for those that were taken. Apart from that, so that it doesn't take a start's processor.
    pub fn refill(&self) {
        self.0.changed.notify_all();
    }

    /// The slot of a guest that an earlier helper started; `pid` is the guest's. Errors: `not_found` and `failed_precondition` where it
    /// was seen that something of it isn't there any more.
    pub fn adopt(&self, place: &Place, pid: u32, egress: Egress) -> Result<Held, Failure> {
        let group = self.0.cgroups.adopt(&place.slot.to_string())?;
        let link = self.0.network.adopt(place.address, pid as libc::pid_t, egress)?;
        self.0.lock().taken.insert(place.slot);
        Ok(Held { number: place.slot, group, link })
    }

    /// Sets aside the number of a slot of which something is in use.
    pub fn reserve(&self, number: u32) {
        self.0.lock().taken.insert(number);
    }

    /// The number of a slot of which nothing is in use.
    pub fn release(&self, number: u32) {
        self.0.lock().taken.remove(&number);
    }

    /// Ends what runs in a slot that couldn't be adopted whole, also what is frozen.
    pub fn kill_remainder(&self, number: u32) -> Result<(), Failure> {
        self.0.cgroups.remainder(&number.to_string()).kill()
    }

    /// Of a guest that has ended and whose slot couldn't be adopted whole. Its address is free after the next start.
    pub fn give_back_remainder(&self, number: u32) {
        self.0.free(number, self.0.cgroups.remainder(&number.to_string()));
    }

    /// After its guest has ended. Takes some milliseconds.
    pub fn give_back(&self, held: Held) {
        self.0.give_back(held, true);
    }

    /// Removes what is ready and makes no more. Resolves once no more is being made, or after `most`.
    pub fn close(&self, most: Duration) {
        let deadline = Instant::now() + most;
        let mut state = self.0.lock();
        state.closed = true;
        self.0.changed.notify_all();
        while state.makers > 0 && Instant::now() < deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
        let (ready, links) = (std::mem::take(&mut state.ready), std::mem::take(&mut state.links));
        drop(state);
        ready.into_iter().for_each(|ready| self.0.put_away(ready));
        links.into_iter().for_each(|link| self.0.network.remove(link));
    }
}

impl State {
    fn note_take(&mut self) {
        self.forget_takes();
        let now = Instant::now();
        self.last_take = Some(now);
        if self.takes.len() < READY_MAX {
            self.takes.push_back(now);
        }
    }

    /// What is left of the time after the last start in which only what is short is made.
    fn until_calm(&self) -> Option<Duration> {
        self.last_take.and_then(|last| CALM.checked_sub(last.elapsed()))
    }

    /// Whether one more maker may be at work now.
    fn has_turn(&self) -> bool {
        self.until_calm().is_none() || self.making + self.ready.len() < MAKERS + self.waiting
    }

    fn forget_takes(&mut self) {
        while self.takes.front().map_or(false, |taken| taken.elapsed() > DEMAND_WINDOW) {
            self.takes.pop_front();
        }
    }

    fn target(&self) -> usize {
        self.takes.len().clamp(READY_MIN, READY_MAX)
    }

    fn why_none(&self) -> Failure {
        match &self.failure {
            _ if self.closed => Failure::new(Code::Unavailable, "The helper is ending."),
            Some(failure) => failure.clone(),
            None => Failure::new(Code::DeadlineExceeded, "No slot for the sandbox got ready in time."),
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn make_on(&self) {
        let mut state = self.lock();
        let mut rest_until: Option<Instant> = None;
        loop {
            state.forget_takes();
            let resting = rest_until.map_or(false, |until| Instant::now() < until) && state.waiting == 0;
            let has = state.ready.len() + state.making;
            if state.closed {
                state.makers -= 1;
                self.changed.notify_all();
                return;
            }
            let is_short = has < state.target() + state.waiting;
            if !resting && is_short && state.has_turn() {
                state.making += 1;
                drop(state);
                let made = self.make();
                state = self.lock();
                state.making -= 1;
                rest_until = made.is_err().then(|| Instant::now() + RETRY);
                match made {
                    Ok(slot) => state.ready.push_back(slot),
                    Err(failure) => {
                        log::warn("No slot can be made.", json!({ "error": failure.message }));
                        state.failures += 1;
                        state.failure = Some(failure);
                    }
                }
                self.changed.notify_all();
            } else if !resting && has > state.target() + state.waiting && !state.ready.is_empty() {
                // More than are asked for lately: the oldest goes.
                if let Some(ready) = state.ready.pop_front() {
                    drop(state);
                    self.put_away(ready);
                    state = self.lock();
                }
            } else {
                // Demand is forgotten as time passes, so it is looked at then.
                let wait = match state.until_calm() {
                    Some(wait) if is_short && !resting => Some(wait),
                    _ if state.takes.is_empty() && rest_until.is_none() => None,
                    _ => Some(RETRY),
                };
                state = match wait {
                    Some(wait) => {
                        self.changed.wait_timeout(state, wait).unwrap_or_else(|poisoned| poisoned.into_inner()).0
                    }
                    None => self.changed.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner()),
                };
            }
        }
    }

    fn make(&self) -> Result<Ready, Failure> {
        let (number, link) = {
            let mut state = self.lock();
            let number = (0..SLOTS_MAX).find(|number| !state.taken.contains(number)).ok_or_else(|| {
                Failure::new(Code::ResourceExhausted, format!("All {} places for sandboxes are taken.", SLOTS_MAX))
            })?;
            state.taken.insert(number);
            (number, state.links.pop())
        };
        self.make_numbered(number, link)
    }

    fn make_numbered(&self, number: u32, link: Option<Link>) -> Result<Ready, Failure> {
        let group = match self.cgroups.create(&number.to_string()) {
            Ok(group) => group,
            Err(failure) => {
                let mut state = self.lock();
                state.links.extend(link);
                state.taken.remove(&number);
                return Err(failure);
            }
        };
        let link = match link.map_or_else(|| self.network.make(), Ok) {
            Ok(link) => link,
            Err(failure) => {
                self.free(number, group);
                return Err(failure);
            }
        };
        let held = Held { number, group, link };
        let parked = held.group.procs().and_then(|procs| {
            launch::park(&ParkSpec {
                netns: held.link.namespace(),
                procs: &procs,
                groups: held.group.directories(),
                uid_base: FIRST_ID + number * IDS,
                rights: self.rights,
            })
        });
        match parked {
            Ok(parked) => Ok(Ready { held, parked, disk: self.make_disk() }),
            Err(failure) => {
                self.network.remove(held.link);
                self.free(number, held.group);
                Err(failure)
            }
        }
    }

    /// Whoever starts a guest with it makes what couldn't be made here, or says why not.
    fn make_disk(&self) -> Option<Disk> {
        match self.disks.usual_mb() {
            0 => None,
            size_mb => self.disks.make(size_mb).ok(),
        }
    }

    fn put_away(&self, Ready { held, parked, disk }: Ready) {
        drop((parked, disk));
        self.give_back(held, false);
    }

    fn give_back(&self, held: Held, was_used: bool) {
        let link = match was_used {
            true => self.network.recycle(held.link),
            false => Some(held.link),
        };
        self.free(held.number, held.group);
        let mut state = self.lock();
        let surplus = match link {
            Some(link) if !state.closed && state.links.len() < READY_MAX => {
                state.links.push(link);
                None
            }
            link => link,
        };
        drop(state);
        if let Some(link) = surplus {
            self.network.remove(link);
        }
    }

    /// Removes a slot's group. Its number is free then, and not before: the next slot could have no group by that name, and what
    /// may still run in it has the ids that go with the number.
    fn free(&self, number: u32, group: Group) {
        match group.remove(REMOVE_MOST) {
            Ok(()) => drop(self.lock().taken.remove(&number)),
            Err(failure) => log::warn("A control group stays behind.", json!({ "error": failure.message })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_guests_start_no_more_is_made_than_is_short() {
        let mut state = State { making: MAKERS, ..State::default() };
        assert!(state.has_turn());
        state.note_take();
        assert!(!state.has_turn());
        state.waiting = 1;
        assert!(state.has_turn());
        state = State { making: MAKERS - 1, ..state };
        state.waiting = 0;
        assert!(state.has_turn());
        state.making = MAKERS;
        state.last_take = Instant::now().checked_sub(2 * CALM);
        assert!(state.has_turn());
    }
}
