//! Ends an operation that is under way: whoever waits looks here, or is woken.

use std::sync::{Arc, Mutex};

use crate::error::Failure;

#[derive(Clone, Default)]
pub struct Cancel(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    reason: Option<Failure>,
    waker: Option<Box<dyn Fn() + Send>>,
}

impl Cancel {
    pub fn new() -> Cancel {
        Cancel::default()
    }

    /// Ends it with this failure; the first one stays.
    pub fn cancel(&self, reason: Failure) {
        let mut state = self.lock();
        if state.reason.is_none() {
            state.reason = Some(reason);
        }
        if let Some(waker) = state.waker.take() {
            drop(state);
            waker();
        }
    }

    /// Errors: why it was ended.
    pub fn check(&self) -> Result<(), Failure> {
        match &self.lock().reason {
            Some(reason) => Err(reason.clone()),
            None => Ok(()),
        }
    }

    /// `waker` is called once, when it is ended; at once where it is already. The one before is forgotten.
    pub fn on_cancel(&self, waker: impl Fn() + Send + 'static) {
        let mut state = self.lock();
        if state.reason.is_some() {
            drop(state);
            waker();
            return;
        }
        state.waker = Some(Box::new(waker));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
