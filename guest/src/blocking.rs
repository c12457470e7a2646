//! System calls that can take long (a disk, a file system in user space) run on a few threads beside the event loop.

use crate::error::{Code, Failure};

/// At most this many at once; further ones wait.
pub const MAX_THREADS: usize = 8;
/// Enough for the walks and buffers here, none of which recurse.
pub const STACK_BYTES: usize = 256 * 1024;

/// Runs `work` beside the event loop. It can't be stopped: keep it to one step of bounded size.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(Failure::new(Code::Internal, "The agent is shutting down.")),
    }
}
