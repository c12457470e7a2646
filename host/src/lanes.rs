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

#[derive(Clone, Default)]
pub struct Lanes(Arc<Mutex<HashMap<Sandbox, Lane>>>);

#[derive(Default)]
struct Lane {
    waiting: VecDeque<Job>,
    /// Of what runs, unless that is an end
    running: Option<Cancel>,
}

impl Lanes {
    pub fn add(&self, sandbox: &Sandbox, job: Job) {
        let mut lanes = lock(&self.0);
        if !lanes.contains_key(sandbox) {
            lanes.insert(sandbox.clone(), Lane::default());
            self.begin(&mut lanes, sandbox.clone(), job);
            return;
        }
        let lane = lanes.entry(sandbox.clone()).or_default();
        if !job.ends {
            lane.waiting.push_back(job);
            return;
        }
        let others = lane.waiting.iter().filter(|job| !job.ends).map(|job| &job.cancel).chain(&lane.running);
        let ended: Vec<Cancel> = others.cloned().collect();
        lane.waiting.push_front(job);
        drop(lanes);
        for cancel in ended {
            cancel.cancel(Failure::not_found(format!("The sandbox {} was ended meanwhile.", sandbox)));
        }
    }

    fn begin(&self, lanes: &mut HashMap<Sandbox, Lane>, sandbox: Sandbox, job: Job) {
        if let Some(lane) = lanes.get_mut(&sandbox) {
            lane.running = (!job.ends).then(|| job.cancel.clone());
        }
        let (all, run) = (self.clone(), job.run);
        job.pool.run(move || {
            run();
            all.go_on(sandbox);
        });
    }

    fn go_on(&self, sandbox: Sandbox) {
        let mut lanes = lock(&self.0);
        match lanes.get_mut(&sandbox).and_then(|lane| lane.waiting.pop_front()) {
            Some(job) => self.begin(&mut lanes, sandbox, job),
            None => {
                lanes.remove(&sandbox);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn keeps_the_order_but_for_what_ends() {
        let (lanes, pool) = (Lanes::default(), Pool::new("test", 4).unwrap());
        let sandbox = Sandbox::parse("a").unwrap();
        let (said, says) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let cancels: Vec<Cancel> = (0..4).map(|_| Cancel::new()).collect();
        let mut released = Some(released);
        for (index, cancel) in cancels.iter().enumerate() {
            let (said, cancel, released) = (said.clone(), cancel.clone(), released.take());
            let outcome = cancel.clone();
            let run = Box::new(move || {
                if let Some(released) = released {
                    let _ = released.recv();
                }
                said.send((index, outcome.check().is_ok())).unwrap();
            });
            lanes.add(&sandbox, Job { pool: pool.clone(), cancel, ends: index == 3, run });
        }
        release.send(()).unwrap();
        let order: Vec<(usize, bool)> = (0..4).map(|_| says.recv().unwrap()).collect();
        assert_eq!(order, [(0, false), (3, true), (1, false), (2, false)]);
    }
}
