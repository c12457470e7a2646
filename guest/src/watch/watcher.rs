//! One watcher, and what is known of the directories it has.

use std::collections::{BTreeMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Notify;

use super::kept::Kept;
use crate::error::{Code, Failure};
use crate::init::random_u64;

/// The number of a watcher; on the wire 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatcherId(u64);

impl WatcherId {
    pub fn random() -> WatcherId {
        WatcherId(random_u64())
    }

    /// Errors: `not_found`, as for any watcher that there isn't.
    pub fn parse(text: &str) -> Result<WatcherId, Failure> {
        let is_ours = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u64::from_str_radix(text, 16).ok().filter(|_| is_ours);
        number.map(WatcherId).ok_or_else(|| not_found(text))
    }

    pub fn to_text(self) -> String {
        format!("{:016x}", self.0)
    }
}

pub fn not_found(id: &str) -> Failure {
    Failure::new(Code::NotFound, format!("watcher with id {} not found", id))
}

/// How a directory is watched.
#[derive(Clone, Copy, Debug, Default)]
pub struct WatchOptions {
    pub recursive: bool,
    /// Describe what was created, written or changed
    pub include_entry: bool,
    pub allow_network_mounts: bool,
}

/// What happened, in the words of the API (e2b-wire 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Create,
    Write,
    Remove,
    Rename,
    Chmod,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Create => "create",
            Kind::Write => "write",
            Kind::Remove => "remove",
            Kind::Rename => "rename",
            Kind::Chmod => "chmod",
        }
    }

    pub fn has_entry(self) -> bool {
        matches!(self, Kind::Create | Kind::Write | Kind::Chmod)
    }
}

pub struct Watcher {
    /// As it was asked for, resolved
    pub root: PathBuf,
    pub options: WatchOptions,
    /// The kernel's numbers of what is watched, by path below the root; the root's own is empty
    pub directories: BTreeMap<Arc<Path>, i32>,
    /// Directories that have left their place, until their new one is known: the rename's cookie and the old path
    pub moving: Vec<(u32, PathBuf)>,
    /// Trees that were found while there were events to come: what was found may not be what was meant
    pub doubtful: Vec<Doubtful>,
    pub kept: Kept,
    /// Rings when there is something to take
    pub news: Arc<Notify>,
}

impl Watcher {
    pub fn new(root: PathBuf, options: WatchOptions) -> Watcher {
        Watcher {
            root,
            options,
            directories: BTreeMap::new(),
            moving: Vec::new(),
            doubtful: Vec::new(),
            kept: Kept::default(),
            news: Arc::new(Notify::new()),
        }
    }

    /// Without a slash at its end where nothing is below: `path` may be the root's own, empty or `.`.
    pub fn below_root(&self, path: &Path) -> PathBuf {
        match path.as_os_str().as_bytes() {
            b"" | b"." => self.root.clone(),
            _ => self.root.join(path),
        }
    }
}

/// Who watches a directory, and as what.
#[derive(Clone)]
pub struct Registration {
    pub watcher: WatcherId,
    /// Path below the watcher's root
    pub path: Arc<Path>,
    /// Events up to here are from before: somebody else watched the directory then
    pub from_byte: u64,
}

/// What was told of a new directory's contents when it was found. The same may still be in the queue.
pub struct Scan {
    pub told: HashSet<Vec<u8>>,
    /// Events up to here may be from before
    pub until_byte: u64,
}

/// A tree as it was found under a name that it may have lost by then, or another one gained.
pub struct Doubtful {
    pub path: PathBuf,
    /// Whether its contents are to be told
    pub tells: bool,
    /// The events that would say so come before this
    pub until_byte: u64,
}
