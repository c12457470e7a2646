//! Threads that do what requests ask for. Each kind has its own, so that what waits (a start, for a slot) or works long (a
//! copy of layers) never keeps a kill from its thread.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;

type Task = Box<dyn FnOnce() + Send>;

/// Plenty: what runs here calls the system and has no deep stacks.
const STACK_BYTES: usize = 256 * 1024;

/// At most so many threads, the first at once and each other when there is a task and none is idle; they stay.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    name: &'static str,
    threads_max: usize,
    state: Mutex<State>,
    added: Condvar,
    /// A thread has nothing more to do
    rested: Condvar,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    threads: usize,
    idle: usize,
}

impl Pool {
    /// With one thread, so that every task is done, however few there may be later.
    pub fn new(name: &'static str, threads_max: usize) -> io::Result<Pool> {
        let inner = Inner { name, threads_max, state: Mutex::default(), added: Condvar::new(), rested: Condvar::new() };
        let pool = Pool(Arc::new(inner));
        pool.add_thread(&mut lock(&pool.0.state))?;
        Ok(pool)
    }

    /// Tasks begin in the order they came. How many can wait is bounded by whoever gives them.
    pub fn run(&self, task: impl FnOnce() + Send + 'static) {
        let mut state = lock(&self.0.state);
        state.tasks.push_back(Box::new(task));
        if state.tasks.len() > state.idle && state.threads < self.0.threads_max {
            // Without another thread those that are there do it later.
            let _ = self.add_thread(&mut state);
        }
        drop(state);
        self.0.added.notify_one();
    }

    fn add_thread(&self, state: &mut State) -> io::Result<()> {
        let inner = self.0.clone();
        let thread = thread::Builder::new().name(self.0.name.to_owned()).stack_size(STACK_BYTES);
        thread.spawn(move || inner.work())?;
        state.threads += 1;
        Ok(())
    }

    /// Waits until nothing runs or waits: whether that came by then.
    pub fn drain(&self, deadline: Instant) -> bool {
        let mut state = lock(&self.0.state);
        while !(state.tasks.is_empty() && state.idle == state.threads) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.0.rested.wait_timeout(state, left).unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
        true
    }
}

impl Inner {
    fn work(&self) {
        let mut state = lock(&self.state);
        loop {
            match state.tasks.pop_front() {
                Some(task) => {
                    drop(state);
                    task();
                    state = lock(&self.state);
                }
                None => {
                    state.idle += 1;
                    self.rested.notify_all();
                    state = self.added.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
                    state.idle -= 1;
                }
            }
        }
    }
}

/// Nobody meets one whose holder has panicked: that ends the helper (`log::end_at_panics`).
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn runs_as_many_at_once_as_it_has_threads() {
        let pool = Pool::new("test", 2).unwrap();
        let (ended, ends) = mpsc::channel();
        let (first, first_goes) = mpsc::channel::<()>();
        let done = ended.clone();
        pool.run(move || {
            let _ = first_goes.recv();
            done.send(1).unwrap();
        });
        pool.run(move || ended.send(2).unwrap());
        // The second ends while the first waits.
        assert_eq!(ends.recv(), Ok(2));
        first.send(()).unwrap();
        assert_eq!(ends.recv(), Ok(1));
    }
}
