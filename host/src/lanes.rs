//! For each sandbox one operation at a time, in the order they came. What ends a sandbox goes first, and ends the others.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use crate::cancel::Cancel;
use crate::error::Failure;
use crate::names::Sandbox;
use crate::pool::{lock, Pool};

/// What runs in a lane, and in which threads.
pub struct Job {
    pub pool: Pool,
    pub cancel: Cancel,
    /// Goes before the others, and ends them with `not_found`
    pub ends: bool,
    pub run: Box<dyn FnOnce() + Send>,
}

#[derive(Clone)]
pub struct Lanes {
    inner: Arc<Mutex<Inner>>,
    /// For what was ended before a thread had it: that only has to be said
    ended: Pool,
}

#[derive(Default)]
struct Inner {
    lanes: HashMap<Sandbox, Lane>,
    next_call: u64,
}

struct Lane {
    waiting: VecDeque<Job>,
    now: Now,
}

enum Now {
    /// A thread was asked for, for the first that waits. Another can go before it until the thread comes
    Called(u64),
    /// What ends it. None: it is an end
    Running(Option<Cancel>),
}

impl Lanes {
    pub fn new(ended: Pool) -> Lanes {
        Lanes { inner: Arc::default(), ended }
    }

    pub fn add(&self, sandbox: &Sandbox, job: Job) {
        let mut inner = lock(&self.inner);
        let Inner { lanes, next_call } = &mut *inner;
        let fresh = || Lane { waiting: VecDeque::new(), now: Now::Called(0) };
        let lane = lanes.entry(sandbox.clone()).or_insert_with(fresh);
        let mut ended = Vec::new();
        let mut place = lane.waiting.len();
        if job.ends {
            if let Now::Running(Some(cancel)) = &lane.now {
                ended.push(cancel.clone());
            }
            ended.extend(lane.waiting.iter().filter(|job| !job.ends).map(|job| job.cancel.clone()));
            place = lane.waiting.iter().take_while(|job| job.ends).count();
        }
        lane.waiting.insert(place, job);
        let is_next = place == 0 && matches!(lane.now, Now::Called(_));
        let call = if is_next { self.call(lane, next_call, sandbox) } else { None };
        drop(inner);
        for cancel in ended {
            cancel.cancel(Failure::not_found(format!("The sandbox {} was ended meanwhile.", sandbox)));
        }
        if let Some(call) = call {
            call();
        }
    }

    /// What asks for a thread for the first that waits; one that was asked for before finds nothing to do.
    fn call(&self, lane: &mut Lane, next_call: &mut u64, sandbox: &Sandbox) -> Option<impl FnOnce()> {
        let first = lane.waiting.front()?;
        let number = *next_call;
        *next_call += 1;
        lane.now = Now::Called(number);
        let pool = if first.cancel.check().is_err() { self.ended.clone() } else { first.pool.clone() };
        let (all, sandbox) = (self.clone(), sandbox.clone());
        Some(move || pool.run(move || all.answer(sandbox, number)))
    }

    /// In the thread that came.
    fn answer(&self, sandbox: Sandbox, number: u64) {
        let job = {
            let mut inner = lock(&self.inner);
            let lane = match inner.lanes.get_mut(&sandbox) {
                Some(lane) if matches!(lane.now, Now::Called(last) if last == number) => lane,
                _ => return,
            };
            let job = lane.waiting.pop_front().expect("a thread is asked for only where something waits");
            lane.now = Now::Running((!job.ends).then(|| job.cancel.clone()));
            job
        };
        (job.run)();
        let mut inner = lock(&self.inner);
        let Inner { lanes, next_call } = &mut *inner;
        let call = lanes.get_mut(&sandbox).and_then(|lane| self.call(lane, next_call, &sandbox));
        if call.is_none() {
            lanes.remove(&sandbox);
        }
        drop(inner);
        if let Some(call) = call {
            call();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn keeps_the_order_but_for_what_ends() {
        let pool = Pool::new("test", 4).unwrap();
        let lanes = Lanes::new(pool.clone());
        let sandbox = Sandbox::parse("a").unwrap();
        let (said, says) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel();
        let cancels: Vec<Cancel> = (0..4).map(|_| Cancel::new()).collect();
        let mut released = Some(released);
        for (index, cancel) in cancels.iter().enumerate() {
            let (said, begin, cancel, released) = (said.clone(), begin.clone(), cancel.clone(), released.take());
            let outcome = cancel.clone();
            let run = Box::new(move || {
                if let Some(released) = released {
                    begin.send(()).unwrap();
                    let _ = released.recv();
                }
                said.send((index, outcome.check().is_ok())).unwrap();
            });
            lanes.add(&sandbox, Job { pool: pool.clone(), cancel, ends: index == 3, run });
            if index == 0 {
                begun.recv().unwrap();
            }
        }
        release.send(()).unwrap();
        let order: Vec<(usize, bool)> = (0..4).map(|_| says.recv().unwrap()).collect();
        assert_eq!(order, [(0, false), (3, true), (1, false), (2, false)]);
    }

    #[test]
    fn what_ends_a_sandbox_passes_what_only_waits_for_a_thread() {
        let (busy, free) = (Pool::new("busy", 1).unwrap(), Pool::new("free", 1).unwrap());
        let lanes = Lanes::new(free.clone());
        let sandbox = Sandbox::parse("a").unwrap();
        let (release, released) = mpsc::channel::<()>();
        // Another sandbox's, which has the one thread.
        busy.run(move || released.recv().unwrap());
        let (said, says) = mpsc::channel();
        let job = |name: &'static str, pool: &Pool, ends: bool| {
            let (said, cancel) = (said.clone(), Cancel::new());
            let outcome = cancel.clone();
            let run = Box::new(move || said.send((name, outcome.check().is_ok())).unwrap());
            Job { pool: pool.clone(), cancel, ends, run }
        };
        let next = || says.recv_timeout(Duration::from_secs(60));
        lanes.add(&sandbox, job("copy", &busy, false));
        lanes.add(&sandbox, job("look", &free, false));
        lanes.add(&sandbox, job("kill", &free, true));
        // Nor has what was ended to wait for that thread to be told so.
        assert_eq!([next(), next(), next()], [Ok(("kill", true)), Ok(("copy", false)), Ok(("look", false))]);
        lanes.add(&sandbox, job("later copy", &busy, false));
        release.send(()).unwrap();
        assert_eq!(next(), Ok(("later copy", true)));
        assert!(busy.drain(Instant::now() + Duration::from_secs(60)));
        assert!(says.try_recv().is_err());
    }
}
