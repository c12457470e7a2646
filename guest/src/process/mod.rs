//! Processes: how they start, what they say, how they end.

pub mod child;
pub mod environment;
pub mod fds;
pub mod output;
#[allow(clippy::module_inception)]
pub mod process;
pub mod reaper;
pub mod replay;
pub mod spawn;
pub mod status;
pub mod supervisor;
pub mod table;
pub mod tree;
