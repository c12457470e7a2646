//! One read buffer for the whole agent. Bytes are read into it and handled before anything else runs, so thousands of
//! idle connections and processes share it and own no buffer themselves.

use std::cell::RefCell;

/// Bytes that one read can bring.
pub const SCRATCH_BYTES: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
}

/// Lends the buffer to `work`, which must not call this again.
pub fn with_scratch<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    SCRATCH.with(|scratch| work(&mut scratch.borrow_mut()))
}
