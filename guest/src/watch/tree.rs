//! Which directories a watcher has: the root and, for a recursive one, all below it as they come and go.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::hub::Hub;
use super::mounts::is_entered;
use super::watcher::{Doubtful, Kind, Registration, Scan, WatcherId};
use crate::error::{Code, Failure};
use crate::files::entry::path_failure;

/// Directories watched at once, by all watchers.
const DIRECTORIES_MAX: usize = 65_536;

/// A directory that the walk has yet to watch.
struct Found {
    /// Below the root
    path: PathBuf,
    /// The file system it was found on
    device: Option<u64>,
}

impl Hub {
    /// Watches the root with all that belongs to it. Errors: `not_found`, `invalid_argument`, `resource_exhausted`.
    pub(super) fn watch_root(&mut self, id: WatcherId) -> Result<(), Failure> {
        self.watch_tree(id, PathBuf::new(), false)
    }

    /// Finds out from scratch what there is to watch.
    pub(super) fn watch_anew(&mut self, id: WatcherId) {
        // One whose root has gone stays without.
        if let Some(watcher) = self.watchers.get_mut(&id).filter(|it| it.directories.contains_key(Path::new(""))) {
            watcher.moving.clear();
            watcher.doubtful.clear();
            let former = std::mem::take(&mut watcher.directories);
            self.watch_later(id, PathBuf::new(), false);
            // Only now: what stays keeps its number, and with it the events that are on their way.
            for (path, wd) in former {
                let is_kept =
                    self.watchers.get(&id).map_or(false, |watcher| watcher.directories.get(&path) == Some(&wd));
                if !is_kept {
                    self.unregister(id, &path, wd);
                }
            }
        }
    }

    /// A directory has come to `path`: one that was moved inside the tree, or a new one. Events are read late: what
    /// is known under a path may already be what came there after the event.
    pub(super) fn arrive(&mut self, id: WatcherId, path: PathBuf, cookie: u32) {
        let watcher = match self.watchers.get_mut(&id) {
            Some(watcher) => watcher,
            None => return,
        };
        let departed = watcher.moving.iter().position(|(moving, _)| cookie != 0 && *moving == cookie);
        let old = departed.map(|index| watcher.moving.swap_remove(index).1);
        // What left this place and hasn't said that it was moved is not what is known here.
        let is_doubtful = watcher.moving.iter().any(|(_, moving)| *moving == path);
        if is_doubtful || old.is_some() {
            self.forget_below(id, &path);
        }
        match old {
            None => self.watch_later(id, path, true),
            Some(old) if self.is_now_at(id, &old, &path) => self.rename_below(id, &old, &path),
            Some(old) => {
                self.forget_below(id, &old);
                self.watch_later(id, path, true);
                self.watch_later(id, old, true);
            }
        }
    }

    /// Whether the directory that is known as `old` is at `new`.
    fn is_now_at(&self, id: WatcherId, old: &Path, new: &Path) -> bool {
        let (watcher, inotify) = match (self.watchers.get(&id), &self.inotify) {
            (Some(watcher), Some(inotify)) => (watcher, inotify),
            _ => return false,
        };
        let found = match inotify.add(&watcher.below_root(new), false) {
            Ok(found) => found,
            Err(_) => return false,
        };
        if !self.directories.contains_key(&found) {
            inotify.remove(found);
        }
        watcher.directories.get(old) == Some(&found)
    }

    /// A directory has left `path`, maybe only for another place in the tree.
    pub(super) fn depart(&mut self, id: WatcherId, path: PathBuf, cookie: u32) {
        if let Some(watcher) = self.watchers.get_mut(&id) {
            if watcher.directories.contains_key(path.as_path()) {
                watcher.moving.push((cookie, path));
            }
        }
    }

    /// A directory says that it was moved, which it does after both its old and its new parent: one that has no new
    /// place by now has left the tree.
    pub(super) fn leave(&mut self, id: WatcherId, path: &Path) {
        if let Some(watcher) = self.watchers.get_mut(&id) {
            if let Some(index) = watcher.moving.iter().position(|(_, moving)| moving == path) {
                watcher.moving.swap_remove(index);
                self.forget_below(id, path);
            }
        }
    }

    /// Watches what was found later than the root. Where that fails the watcher is told that events are lost.
    fn watch_later(&mut self, id: WatcherId, path: PathBuf, tells: bool) {
        if let Err(failure) = self.watch_tree(id, path, tells) {
            self.lose(id, &format!("a sub-directory can't be watched ({})", failure.message.trim_end_matches('.')));
        }
    }

    /// Watches the directory and, for a recursive watcher, all below; `tells` what it finds there as created.
    fn watch_tree(&mut self, id: WatcherId, path: PathBuf, tells: bool) -> Result<(), Failure> {
        let mut found = vec![Found { path: path.clone(), device: None }];
        while let Some(next) = found.pop() {
            if self.directories.len() >= DIRECTORIES_MAX {
                let message =
                    format!("The sandbox already watches {} directories, which is the most.", DIRECTORIES_MAX);
                return Err(Failure::new(Code::ResourceExhausted, message));
            }
            match self.watch_one(id, &next, tells) {
                Ok(below) => found.extend(below),
                Err(error) if !next.path.as_os_str().is_empty() && is_absence(&error) => {}
                Err(error) => {
                    let root = self.watchers.get(&id).map_or_else(PathBuf::new, |watcher| watcher.root.clone());
                    return Err(watch_failure(&root.join(&next.path), &error));
                }
            }
        }
        let until_byte = self.queue_end();
        if let Some(watcher) = self.watchers.get_mut(&id).filter(|_| until_byte > self.handled_bytes) {
            watcher.doubtful.push(Doubtful { path, tells, until_byte });
        }
        Ok(())
    }

    /// Watches one directory; returns those in it that are to be watched, too.
    fn watch_one(&mut self, id: WatcherId, next: &Found, tells: bool) -> io::Result<Vec<Found>> {
        let (watcher, inotify) = match (self.watchers.get(&id), &self.inotify) {
            (Some(watcher), Some(inotify)) => (watcher, inotify),
            _ => return Ok(Vec::new()),
        };
        let (full, options) = (watcher.below_root(&next.path), watcher.options);
        let is_root = next.path.as_os_str().is_empty();
        let metadata = if is_root { fs::metadata(&full)? } else { fs::symlink_metadata(&full)? };
        let is_mount = next.device.map_or(false, |device| device != metadata.dev());
        if is_mount && !is_entered(&full, options.allow_network_mounts) {
            return Ok(Vec::new());
        }
        // Before the look at what is in it: nothing is missed between the two.
        let wd = inotify.add(&full, is_root)?;
        if !self.register(id, &next.path, wd) || !options.recursive {
            return Ok(Vec::new());
        }
        let below = self.look_into(id, &full, &next.path, tells);
        if below.is_err() {
            self.forget_below(id, &next.path);
        }
        let found = |path| Found { path, device: Some(metadata.dev()) };
        Ok(below?.into_iter().map(found).collect())
    }

    /// Returns the directories in one; `tells` all that is in it.
    fn look_into(&mut self, id: WatcherId, full: &Path, path: &Path, tells: bool) -> io::Result<Vec<PathBuf>> {
        let mut told = HashSet::new();
        let mut directories = Vec::new();
        for entry in fs::read_dir(full)? {
            let entry = entry?;
            let inner = path.join(entry.file_name());
            if tells && !self.has_lost(id) {
                self.tell(id, &inner, Kind::Create);
                told.insert(entry.file_name().as_bytes().to_vec());
            }
            if entry.file_type().map_or(false, |kind| kind.is_dir()) {
                directories.push(inner);
            }
        }
        if !told.is_empty() {
            let until_byte = self.queue_end();
            self.scans.insert((id, Arc::from(path)), Scan { told, until_byte });
        }
        Ok(directories)
    }

    /// Notes who watches the directory. False if that is known already.
    fn register(&mut self, id: WatcherId, path: &Path, wd: i32) -> bool {
        let former = match self.watchers.get(&id) {
            Some(watcher) => watcher.directories.get(path).copied(),
            None => return false,
        };
        if former == Some(wd) {
            return false;
        }
        if former.is_some() {
            // Another directory was there before.
            self.forget_below(id, path);
        }
        let from_byte = if self.directories.contains_key(&wd) { self.queue_end() } else { 0 };
        let path: Arc<Path> = Arc::from(path);
        if let Some(watcher) = self.watchers.get_mut(&id) {
            watcher.directories.insert(Arc::clone(&path), wd);
        }
        let registrations = self.directories.entry(wd).or_default();
        if !registrations.iter().any(|known| known.watcher == id && known.path == path) {
            registrations.push(Registration { watcher: id, path, from_byte });
        }
        true
    }

    /// Stops to watch `path` and all below it.
    pub(super) fn forget_below(&mut self, id: WatcherId, path: &Path) {
        if let Some(watcher) = self.watchers.get_mut(&id) {
            watcher.moving.retain(|(_, moving)| !moving.starts_with(path));
        }
        for (path, wd) in self.take_below(id, path) {
            self.unregister(id, &path, wd);
        }
    }

    /// Notes that the directory at `old`, with all below it, is at `new`.
    fn rename_below(&mut self, id: WatcherId, old: &Path, new: &Path) {
        let rename = |path: &Path| match path.strip_prefix(old) {
            Ok(rest) if rest.as_os_str().is_empty() => new.to_owned(),
            Ok(rest) => new.join(rest),
            Err(_) => path.to_owned(),
        };
        let handled_bytes = self.handled_bytes;
        let doubtful: Vec<(PathBuf, bool)> = match self.watchers.get_mut(&id) {
            Some(watcher) => {
                watcher.moving.iter_mut().for_each(|(_, moving)| *moving = rename(moving));
                // Those that are above leave all that was moved in doubt.
                let touched = |path: &Path| path.starts_with(old) || old.starts_with(path);
                let live = watcher.doubtful.iter().filter(|doubtful| doubtful.until_byte >= handled_bytes);
                let path = |path: &Path| if path.starts_with(old) { path.to_owned() } else { old.to_owned() };
                live.filter(|doubtful| touched(&doubtful.path)).map(|it| (path(&it.path), it.tells)).collect()
            }
            None => return,
        };
        doubtful.iter().for_each(|(path, _)| self.forget_below(id, path));
        for (path, wd) in self.take_below(id, old) {
            let renamed: Arc<Path> = Arc::from(rename(&path));
            if let Some(watcher) = self.watchers.get_mut(&id) {
                watcher.directories.insert(Arc::clone(&renamed), wd);
            }
            for registration in self.directories.entry(wd).or_default() {
                if registration.watcher == id && registration.path == path {
                    registration.path = Arc::clone(&renamed);
                }
            }
        }
        for (path, tells) in doubtful {
            self.watch_later(id, rename(&path), tells);
        }
    }

    /// Takes out what a watcher has at `path` and below.
    fn take_below(&mut self, id: WatcherId, path: &Path) -> BTreeMap<Arc<Path>, i32> {
        let watcher = match self.watchers.get_mut(&id) {
            Some(watcher) => watcher,
            None => return BTreeMap::new(),
        };
        if path.as_os_str().is_empty() {
            return std::mem::take(&mut watcher.directories);
        }
        // Paths are ordered by their components: what is below stands together.
        let range = watcher.directories.range(Arc::from(path)..);
        let below: Vec<Arc<Path>> =
            range.map(|(key, _)| key).take_while(|key| key.starts_with(path)).map(Arc::clone).collect();
        below.into_iter().filter_map(|key| watcher.directories.remove_entry(&key)).collect()
    }

    fn unregister(&mut self, id: WatcherId, path: &Arc<Path>, wd: i32) {
        if let Some(registrations) = self.directories.get_mut(&wd) {
            registrations.retain(|known| known.watcher != id || known.path != *path);
            if registrations.is_empty() {
                self.directories.remove(&wd);
                self.inotify.iter().for_each(|inotify| inotify.remove(wd));
            }
        }
        self.scans.remove(&(id, Arc::clone(path)));
    }

    /// The kernel watches a directory no longer.
    pub(super) fn forget_number(&mut self, wd: i32) {
        for registration in self.directories.remove(&wd).unwrap_or_default() {
            if let Some(watcher) = self.watchers.get_mut(&registration.watcher) {
                if watcher.directories.get(&registration.path) == Some(&wd) {
                    watcher.directories.remove(&registration.path);
                    self.scans.remove(&(registration.watcher, registration.path));
                }
            }
        }
    }
}

/// What was found has gone meanwhile, or something else is there now: its parent tells.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP))
}

fn watch_failure(path: &Path, error: &io::Error) -> Failure {
    match error.raw_os_error() {
        Some(libc::ENOSPC) => {
            let message =
                "The system watches no more directories: raise fs.inotify.max_user_watches on the host, or watch less.";
            Failure::new(Code::ResourceExhausted, message).with_errno(libc::ENOSPC)
        }
        _ => path_failure("watched", &path.to_string_lossy(), error),
    }
}
