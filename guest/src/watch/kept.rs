//! What a watcher keeps until somebody takes it: events as the text they are sent as, so that their size is known
//! exactly. Where something is lost, all is dropped and the loss itself is what is kept.

use crate::error::{Code, Failure};

/// Events of one watcher, at most: with the frame's other parts less than the longest frame.
pub const KEPT_MAX_BYTES: usize = 3 * 1024 * 1024;

/// Why events are lost when a watcher has too many.
pub const TOO_MANY: &str = "more came than are kept";

#[derive(Default)]
pub struct Kept {
    /// Events, a comma between each two
    events: String,
    /// Why some are lost, until that has been told
    lost: Option<String>,
}

impl Kept {
    pub fn bytes(&self) -> usize {
        self.events.len()
    }

    pub fn has_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// Adds an event. After a loss nothing is kept until that has been told.
    pub fn push(&mut self, event: &str) {
        if self.lost.is_some() {
            return;
        }
        if self.events.len() + event.len() >= KEPT_MAX_BYTES {
            self.lose(TOO_MANY);
            return;
        }
        if !self.events.is_empty() {
            self.events.push(',');
        }
        self.events.push_str(event);
    }

    /// Drops what is kept. The first reason stands.
    pub fn lose(&mut self, reason: &str) {
        self.events = String::new();
        self.lost.get_or_insert_with(|| reason.to_owned());
    }

    /// Takes the events or, once, the loss. Errors: `resource_exhausted`.
    pub fn take(&mut self) -> Result<String, Failure> {
        match self.lost.take() {
            None => Ok(std::mem::take(&mut self.events)),
            Some(reason) => {
                let message = format!("Events were lost: {}. Read the directory again to know what is in it.", reason);
                Err(Failure::new(Code::ResourceExhausted, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_loss_is_told_once_and_takes_the_rest_with_it() {
        let mut kept = Kept::default();
        kept.push("1");
        kept.lose("a");
        kept.lose("b");
        kept.push("2");
        let failure = kept.take().unwrap_err();
        assert_eq!(failure.message, "Events were lost: a. Read the directory again to know what is in it.");
        kept.push("3");
        kept.push("4");
        assert_eq!(kept.take(), Ok("3,4".to_owned()));
        assert_eq!(kept.take(), Ok(String::new()));
    }

    proptest! {
        #[test]
        fn never_keeps_more_than_its_bound_and_never_loses_in_silence(
            sizes in proptest::collection::vec(1usize..800_000, 0..20),
        ) {
            let mut kept = Kept::default();
            for size in &sizes {
                kept.push(&"x".repeat(*size));
                prop_assert!(kept.bytes() <= KEPT_MAX_BYTES);
            }
            let total: usize = sizes.iter().sum::<usize>() + sizes.len().saturating_sub(1);
            match kept.take() {
                Ok(events) => prop_assert_eq!(events.len(), total),
                Err(_) => prop_assert!(total >= KEPT_MAX_BYTES),
            }
        }
    }
}
