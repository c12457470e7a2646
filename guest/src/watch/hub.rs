//! All watchers, over one inotify instance: the system has few of those. A directory that several watch is one to the
//! kernel, so each of its events goes to all who registered there.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::io::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use tokio::sync::Notify;

use super::inotify::{Event, Events, Inotify};
use super::kept::TOO_MANY;
use super::watcher::{not_found, Kind, Registration, Scan, WatchOptions, Watcher, WatcherId};
use crate::error::{Code, Failure};
use crate::files::entry::describe;
use crate::users::Names;

/// Watchers at once.
const WATCHERS_MAX: usize = 1024;
/// Events of all watchers together, at most.
const KEPT_TOTAL_MAX_BYTES: usize = 32 * 1024 * 1024;
/// What one read brings, at most.
const READ_BYTES: usize = 16 * 1024;

#[derive(Default)]
pub struct Hub {
    /// Open while there are watchers
    pub(super) inotify: Option<Inotify>,
    pub(super) watchers: HashMap<WatcherId, Watcher>,
    /// By the kernel's number
    pub(super) directories: HashMap<i32, Vec<Registration>>,
    pub(super) scans: HashMap<(WatcherId, Arc<Path>), Scan>,
    /// Bytes that ever came from the queue, and the end of the event at hand among them
    read_bytes: u64,
    pub(super) handled_bytes: u64,
    kept_bytes: usize,
    /// Names of users, while a batch of events is described
    names: Option<Names>,
}

impl Hub {
    /// Watches the directory. Errors: `not_found`, `invalid_argument`, `resource_exhausted`.
    pub fn add(&mut self, root: PathBuf, options: WatchOptions) -> Result<(WatcherId, Arc<Notify>), Failure> {
        if self.watchers.len() >= WATCHERS_MAX {
            let message = format!("There are already {} watchers, which is the most: remove some.", WATCHERS_MAX);
            return Err(Failure::new(Code::ResourceExhausted, message));
        }
        self.open()?;
        // What happened before belongs to those who watched then.
        self.drain();
        let id = WatcherId::random();
        let watcher = Watcher::new(root, options);
        let news = Arc::clone(&watcher.news);
        self.watchers.insert(id, watcher);
        if let Err(failure) = self.watch_root(id) {
            self.remove(id)?;
            return Err(failure);
        }
        Ok((id, news))
    }

    fn open(&mut self) -> Result<(), Failure> {
        if self.inotify.is_some() {
            return Ok(());
        }
        let inotify = Inotify::open().map_err(|error| match error.raw_os_error() {
            Some(libc::EMFILE) => {
                let message = "The system has no room for another sandbox that watches: \
                    raise fs.inotify.max_user_instances on the host.";
                Failure::new(Code::ResourceExhausted, message).with_errno(libc::EMFILE)
            }
            _ => Failure::from_io("The directory can't be watched", &error),
        })?;
        self.inotify = Some(inotify);
        Ok(())
    }

    /// Errors: `not_found`.
    pub fn remove(&mut self, id: WatcherId) -> Result<(), Failure> {
        if !self.watchers.contains_key(&id) {
            return Err(not_found(&id.to_text()));
        }
        if self.watchers.len() == 1 {
            // The kernel forgets everything with the descriptor.
            *self = Hub::default();
            return Ok(());
        }
        self.forget_below(id, Path::new(""));
        self.scans.retain(|(watcher, _), _| *watcher != id);
        if let Some(watcher) = self.watchers.remove(&id) {
            self.kept_bytes -= watcher.kept.bytes();
        }
        Ok(())
    }

    /// Takes the watcher's events. Errors: `not_found`, `resource_exhausted` once after events were lost.
    pub fn take(&mut self, id: WatcherId) -> Result<String, Failure> {
        let watcher = self.watchers.get_mut(&id).ok_or_else(|| not_found(&id.to_text()))?;
        self.kept_bytes -= watcher.kept.bytes();
        watcher.kept.take()
    }

    /// To wait on for events, while there are watchers.
    pub fn descriptor(&self) -> Option<Arc<OwnedFd>> {
        self.inotify.as_ref().map(Inotify::descriptor)
    }

    pub fn is_recursive(&self) -> bool {
        self.watchers.values().any(|watcher| watcher.options.recursive)
    }

    pub fn has_pending(&self) -> bool {
        self.pending_bytes() > 0
    }

    fn pending_bytes(&self) -> usize {
        self.inotify.as_ref().map_or(0, Inotify::pending_bytes)
    }

    /// Where the queue ends now, among all the bytes that ever come from it.
    pub(super) fn queue_end(&self) -> u64 {
        self.read_bytes + self.pending_bytes() as u64
    }

    /// Handles all that is in the kernel's queue now. What comes meanwhile may be left.
    pub fn drain(&mut self) {
        let mut left = self.pending_bytes();
        let mut buffer = vec![0; READ_BYTES];
        while left > 0 {
            let read = self.inotify.as_ref().map_or(0, |inotify| inotify.read(&mut buffer));
            if read == 0 {
                break;
            }
            left = left.saturating_sub(read);
            self.read_bytes += read as u64;
            for event in Events(&buffer[..read]) {
                self.handled_bytes += event.bytes as u64;
                self.handle(&event);
            }
        }
        let handled_bytes = self.handled_bytes;
        self.scans.retain(|_, scan| scan.until_byte > handled_bytes);
        for watcher in self.watchers.values_mut() {
            watcher.doubtful.retain(|doubtful| doubtful.until_byte > handled_bytes);
        }
        self.names = None;
    }

    fn handle(&mut self, event: &Event<'_>) {
        if event.is(libc::IN_Q_OVERFLOW) {
            return self.overflow();
        }
        let registrations = match self.directories.get(&event.wd) {
            Some(registrations) => registrations.clone(),
            // Not watched any more.
            None => return,
        };
        for registration in registrations {
            if self.handled_bytes <= registration.from_byte {
                continue;
            }
            if event.name.is_empty() {
                self.handle_self(event, &registration);
            } else {
                self.handle_child(event, &registration);
            }
        }
        if event.is(libc::IN_IGNORED) {
            self.forget_number(event.wd);
        }
    }

    /// A directory's own change: of a sub-directory its parent tells.
    fn handle_self(&mut self, event: &Event<'_>, registration: &Registration) {
        let (id, path) = (registration.watcher, &registration.path);
        let is_root = path.as_os_str().is_empty();
        if event.is(libc::IN_MOVE_SELF) {
            if is_root {
                self.tell(id, Path::new("."), Kind::Rename);
                // Names below would no longer be true.
                self.forget_below(id, path);
            } else {
                self.leave(id, path);
            }
        } else if is_root && event.is(libc::IN_DELETE_SELF | libc::IN_UNMOUNT) {
            self.tell(id, Path::new("."), Kind::Remove);
        } else if is_root && event.is(libc::IN_ATTRIB) {
            self.tell(id, Path::new("."), Kind::Chmod);
        }
    }

    fn handle_child(&mut self, event: &Event<'_>, registration: &Registration) {
        let id = registration.watcher;
        let path = registration.path.join(OsStr::from_bytes(event.name));
        let appears = event.is(libc::IN_CREATE | libc::IN_MOVED_TO);
        let vanishes = event.is(libc::IN_DELETE | libc::IN_MOVED_FROM);
        if appears || vanishes {
            let was_told = self.was_told(event, registration);
            if appears && was_told {
                return;
            }
        }
        let kind = match event.mask {
            _ if appears => Kind::Create,
            _ if event.is(libc::IN_MOVED_FROM) => Kind::Rename,
            _ if vanishes => Kind::Remove,
            _ if event.is(libc::IN_MODIFY) => Kind::Write,
            _ if event.is(libc::IN_ATTRIB) => Kind::Chmod,
            _ => return,
        };
        self.tell(id, &path, kind);
        let is_recursive = self.watchers.get(&id).map_or(false, |watcher| watcher.options.recursive);
        if is_recursive && event.is(libc::IN_ISDIR) {
            match kind {
                Kind::Create => self.arrive(id, path, event.cookie),
                Kind::Rename => self.depart(id, path, event.cookie),
                Kind::Remove => self.forget_below(id, &path),
                Kind::Write | Kind::Chmod => {}
            }
        }
    }

    /// Whether the name was there when its directory was found, and has been told as created then.
    fn was_told(&mut self, event: &Event<'_>, registration: &Registration) -> bool {
        match self.scans.get_mut(&(registration.watcher, Arc::clone(&registration.path))) {
            Some(scan) if self.handled_bytes <= scan.until_byte => scan.told.remove(event.name),
            _ => false,
        }
    }

    /// Keeps an event for the watcher.
    pub(super) fn tell(&mut self, id: WatcherId, path: &Path, kind: Kind) {
        let watcher = match self.watchers.get_mut(&id) {
            Some(watcher) if !watcher.kept.has_lost() => watcher,
            _ => return,
        };
        let mut event = json!({ "name": path.to_string_lossy(), "type": kind.name() });
        if watcher.options.include_entry && kind.has_entry() {
            let full = watcher.below_root(path);
            let names = self.names.get_or_insert_with(Names::load);
            if let Ok(entry) = describe(&full, &full.to_string_lossy(), names) {
                event["entry"] = entry;
            }
        }
        self.kept_bytes -= watcher.kept.bytes();
        watcher.kept.push(&event.to_string());
        self.kept_bytes += watcher.kept.bytes();
        watcher.news.notify_one();
        if self.kept_bytes > KEPT_TOTAL_MAX_BYTES {
            let fullest = self.watchers.iter().max_by_key(|(_, watcher)| watcher.kept.bytes()).map(|(id, _)| *id);
            fullest.into_iter().for_each(|id| self.lose(id, TOO_MANY));
        }
    }

    pub(super) fn has_lost(&self, id: WatcherId) -> bool {
        self.watchers.get(&id).map_or(true, |watcher| watcher.kept.has_lost())
    }

    /// Drops the watcher's events; it is told why.
    pub(super) fn lose(&mut self, id: WatcherId, reason: &str) {
        if let Some(watcher) = self.watchers.get_mut(&id) {
            self.kept_bytes -= watcher.kept.bytes();
            watcher.kept.lose(reason);
            watcher.news.notify_one();
        }
    }

    /// The kernel has dropped events of whomever: nobody knows enough, and directories may be there unwatched.
    fn overflow(&mut self) {
        let ids: Vec<WatcherId> = self.watchers.keys().copied().collect();
        for id in ids {
            self.lose(id, "the system's queue was full (fs.inotify.max_queued_events)");
            self.watch_anew(id);
        }
    }
}
