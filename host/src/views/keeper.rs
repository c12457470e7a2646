//! Keeps the files that containers see of their machine true: each is written anew when somebody is about to read it.
//!
//! The kernel asks before a read (fanotify), and the reader waits for the answer. Nothing is done for containers that
//! don't look, but for a look at their use of CPUs every few seconds, of which averages are made. When the process ends
//! or is killed the kernel lets all readers go on, with what was written last; a step that takes too long ends it.
//! A container that reads without pause isn't asked for until the next second, so that it can't take the time of others.
//!
//! Lines of its input are names of directories that are new; the input's end is its own.

use std::collections::HashMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::mem;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::os::unix::io::{AsRawFd, FromRawFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::mounts::c_str;
use super::view::{Host, Live, View, SOURCE};
use super::waiting::{wait, Lines};

const TICK: Duration = Duration::from_secs(1);
/// Between two looks at nothing.
const IDLE: Duration = Duration::from_secs(3600);
/// Ticks between two looks at everyone's CPU time.
const TICKS_PER_SAMPLE: u32 = 5;
/// Reads in one tick that one container's are answered for.
const READS_PER_TICK: u32 = 200;
/// A text is good for so long: a reader who takes it in pieces gets pieces of one.
const FRESH: Duration = Duration::from_millis(10);
const EVENTS_BYTES: usize = 4096;
const NAME_MAX_BYTES: usize = 255;

/// Runs until the input ends. `directory` has one for each container, with what `View::describe` says in `SOURCE`.
/// `step_max_s`: longest step, in seconds, before the kernel ends the process, and with it everyone's wait.
pub fn run(directory: &Path, input: &File, step_max_s: u32) -> io::Result<()> {
    let mut keeper = Keeper::new(directory)?;
    for entry in fs::read_dir(directory)? {
        keeper.add(&entry?.file_name());
    }
    let mut names = Lines::of(input);
    loop {
        let asks = keeper.fanotify.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let ready = wait([names.as_raw_fd(), asks], keeper.deadline())?;
        // The default action of the alarm is the end of this process.
        unsafe { libc::alarm(step_max_s) };
        let is_over = keeper.step(&mut names, ready);
        unsafe { libc::alarm(0) };
        if is_over? {
            return Ok(());
        }
    }
}

struct Keeper {
    directory: PathBuf,
    host: Host,
    /// Absent where the kernel can't ask: then all is written with every sample
    fanotify: Option<File>,
    containers: HashMap<Vec<u8>, Container>,
    files: HashMap<Inode, (Vec<u8>, Live)>,
    /// Names of those that couldn't be read for want of descriptors, say: tried again with each tick
    late: Vec<OsString>,
    next_tick: Instant,
    ticks: u32,
}

type Inode = (u64, u64);

struct Container {
    view: View,
    written: [Option<Instant>; Live::ALL.len()],
    reads: u32,
    is_muted: bool,
}

impl Keeper {
    fn new(directory: &Path) -> io::Result<Keeper> {
        let flags = libc::FAN_CLASS_CONTENT | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK;
        let fd = unsafe { libc::fanotify_init(flags, (libc::O_RDONLY | libc::O_CLOEXEC) as libc::c_uint) };
        Ok(Keeper {
            directory: directory.into(),
            host: Host::read()?,
            fanotify: (fd >= 0).then(|| unsafe { File::from_raw_fd(fd) }),
            containers: HashMap::new(),
            files: HashMap::new(),
            late: Vec::new(),
            next_tick: Instant::now() + TICK,
            ticks: 0,
        })
    }

    /// Whether the input has ended.
    fn step(&mut self, names: &mut Lines, [has_names, has_reads]: [bool; 2]) -> io::Result<bool> {
        if has_names {
            match names.read()? {
                Some(lines) => lines.iter().for_each(|name| self.add(OsStr::from_bytes(name))),
                None => return Ok(true),
            }
        }
        if has_reads {
            self.answer()?;
        }
        if Instant::now() >= self.next_tick {
            self.tick();
        }
        Ok(false)
    }

    fn deadline(&self) -> Instant {
        match self.containers.is_empty() && self.late.is_empty() {
            true => Instant::now() + IDLE,
            false => self.next_tick,
        }
    }

    /// Begins with a container, or anew. What isn't one is left alone.
    fn add(&mut self, name: &OsStr) {
        let key = name.as_bytes().to_vec();
        if key.is_empty() || key.len() > NAME_MAX_BYTES || key.contains(&b'/') || key.starts_with(b".") {
            return;
        }
        let path = self.directory.join(name);
        let source = fs::read_to_string(path.join(OsStr::from_bytes(c_str(SOURCE).to_bytes())));
        let mut view = match source.map(|text| View::parse(&text)) {
            Ok(Some(view)) => view,
            Err(error) if is_passing(&error) => return self.late.push(name.to_owned()),
            _ => return,
        };
        if self.containers.contains_key(&key) {
            // Or this thread would be asked before it reads, and nobody could answer.
            self.mark(&key, libc::FAN_MARK_REMOVE);
        }
        view.resume_loads(&fs::read_to_string(path_of(&path, Live::Loadavg)).unwrap_or_default());
        self.files.retain(|_, (owner, _)| *owner != key);
        for live in Live::ALL {
            if let Ok(found) = fs::symlink_metadata(path_of(&path, live)) {
                self.files.insert((found.dev(), found.ino()), (key.clone(), live));
            }
        }
        self.containers.insert(key.clone(), Container { view, written: Default::default(), reads: 0, is_muted: false });
        self.mark(&key, libc::FAN_MARK_ADD);
    }

    /// Has the kernel ask before reads of a container's files, or stop that.
    fn mark(&mut self, name: &[u8], how: libc::c_uint) {
        let fanotify = match &self.fanotify {
            Some(fanotify) => fanotify.as_raw_fd(),
            None => return,
        };
        let path = self.directory.join(OsStr::from_bytes(name));
        let is_marked = Live::ALL.iter().all(|live| {
            let path = CString::new(path_of(&path, *live).as_os_str().as_bytes()).unwrap_or_default();
            let flags = how | libc::FAN_MARK_DONT_FOLLOW;
            unsafe { libc::fanotify_mark(fanotify, flags, libc::FAN_ACCESS_PERM, libc::AT_FDCWD, path.as_ptr()) == 0 }
        });
        if !is_marked && io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL) {
            // A kernel that doesn't let anyone hold up reads.
            self.fanotify = None;
        }
    }

    /// Writes what is about to be read, and lets the readers go on.
    fn answer(&mut self) -> io::Result<()> {
        let mut buffer = [0u8; EVENTS_BYTES];
        let (fd, length) = match self.fanotify.as_mut() {
            Some(fanotify) => (fanotify.as_raw_fd(), fanotify.read(&mut buffer)),
            None => return Ok(()),
        };
        let length = match length {
            Err(error) if is_passing(&error) => return Ok(()),
            length => length?,
        };
        const SIZE: usize = mem::size_of::<libc::fanotify_event_metadata>();
        let mut rest = &buffer[..length];
        while rest.len() >= SIZE {
            let event: libc::fanotify_event_metadata = unsafe { std::ptr::read_unaligned(rest.as_ptr().cast()) };
            rest = &rest[(event.event_len as usize).clamp(SIZE, rest.len())..];
            if event.fd < 0 {
                continue;
            }
            let file = unsafe { File::from_raw_fd(event.fd) };
            if let Ok(found) = file.metadata() {
                self.is_read((found.dev(), found.ino()));
            }
            let response = libc::fanotify_response { fd: event.fd, response: libc::FAN_ALLOW };
            let size = mem::size_of_val(&response);
            // A reader that was killed meanwhile waits no more.
            unsafe { libc::write(fd, (&response as *const libc::fanotify_response).cast(), size) };
        }
        Ok(())
    }

    fn is_read(&mut self, inode: Inode) {
        let (name, live) = match self.files.get(&inode) {
            Some((name, live)) => (name.clone(), *live),
            None => return,
        };
        let container = match self.containers.get_mut(&name) {
            Some(container) => container,
            None => return,
        };
        container.reads += 1;
        let is_fresh = container.written[live as usize].map_or(false, |at| at.elapsed() < FRESH);
        if !is_fresh {
            write(&self.directory.join(OsStr::from_bytes(&name)), container, live, &self.host);
        }
        if container.reads >= READS_PER_TICK && !container.is_muted {
            container.is_muted = true;
            self.mark(&name, libc::FAN_MARK_REMOVE);
        }
    }

    fn tick(&mut self) {
        self.next_tick = Instant::now() + TICK;
        self.ticks += 1;
        let mut muted = Vec::new();
        for (name, container) in &mut self.containers {
            container.reads = 0;
            if mem::take(&mut container.is_muted) {
                muted.push(name.clone());
            }
        }
        for name in muted {
            self.mark(&name, libc::FAN_MARK_ADD);
        }
        mem::take(&mut self.late).iter().for_each(|name| self.add(name));
        if self.ticks % TICKS_PER_SAMPLE == 0 {
            self.sample();
        }
    }

    fn sample(&mut self) {
        let (directory, host, is_asked) = (&self.directory, &self.host, self.fanotify.is_some());
        self.containers.retain(|name, container| {
            let path = directory.join(OsStr::from_bytes(name));
            if container.view.sample().is_none() {
                // One that has ended may boot again; one whose directory is gone doesn't.
                return path.exists();
            }
            if !is_asked {
                Live::ALL.iter().for_each(|live| write(&path, container, *live, host));
            }
            true
        });
        let containers = &self.containers;
        self.files.retain(|_, (name, _)| containers.contains_key(name));
    }
}

/// There is nothing now, or nothing left of what the machine has. Of a look at who reads: the kernel has refused that one reader.
fn is_passing(error: &io::Error) -> bool {
    let is_full = matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM));
    is_full || matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// One write, which leaves nothing of what was there. What can't be written stays as it is.
fn write(directory: &Path, container: &mut Container, live: Live, host: &Host) {
    // Doesn't wait for whoever holds a lease on the file.
    let file =
        OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path_of(directory, live));
    if let (Ok(file), Some(text)) = (file, container.view.text(live, host)) {
        let _ = file.write_at(text.as_bytes(), 0);
        container.written[live as usize] = Some(Instant::now());
    }
}

fn path_of(directory: &Path, live: Live) -> PathBuf {
    directory.join(OsStr::from_bytes(live.name().to_bytes()))
}
