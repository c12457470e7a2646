//! Disks of a limited size for what guests change: a sparse file with ext4 for each, on a loop device. `docs/isolation.md` says
//! why these.
//!
//! Nothing of them has a place among the machine's mounts. A disk is mounted as long as the guest or its `Disk` is there; then the
//! kernel unmounts it and frees the device, whoever ended.

mod device;
mod image;

use std::collections::HashMap;
use std::ffi::CStr;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::error::{Code, Failure};
use crate::launch::FsContext;
use crate::layers::remove_tree;
use crate::pool::lock;
use device::FileKey;
use image::Template;

/// Its name in a guest's directory.
pub const IMAGE: &str = "disk";
/// ext4 with less has no room for an agent's files.
const MIN_MB: u64 = 16;
/// Of files on ext4, below 16 TiB.
const MAX_MB: u64 = 8 << 20;
/// Sizes whose template is remembered: some 100 KB each.
const TEMPLATES_MAX: usize = 8;
const TRIAL_MB: u64 = 16;
/// `FS_IOC_SHUTDOWN` and its way that writes nothing more
const SHUTDOWN: u64 = 0x8004_587D;
const SHUTDOWN_AT_ONCE: u32 = 2;
/// `FITRIM`
const TRIM: u64 = 0xC018_5879;

pub struct Disks {
    /// Where those are that no guest has yet
    place: PathBuf,
    next: AtomicU64,
    usual_mb: AtomicU64,
    templates: Mutex<HashMap<u64, Arc<Template>>>,
    /// Which device showed a guest's file last: it is never to be shown by two
    devices: Mutex<HashMap<FileKey, PathBuf>>,
    able: Result<(), Failure>,
}

/// One that is mounted.
pub struct Disk {
    size_mb: u64,
    key: FileKey,
    /// Mounted without a place; nobody's but the helper's
    mount: OwnedFd,
    /// Again, for the guest
    theirs: Option<OwnedFd>,
    /// Where its file is as long as no guest has it
    image: Option<PathBuf>,
}

impl Disks {
    /// What an earlier helper had made ahead goes; takes some ten milliseconds. `place`: a directory of the helper's alone.
    pub fn open(place: PathBuf) -> io::Result<Disks> {
        DirBuilder::new().recursive(true).mode(0o700).create(&place)?;
        for entry in fs::read_dir(&place)? {
            let path = entry?.path();
            fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path))?;
        }
        let devices = Mutex::new(device::all()?);
        let (next, usual_mb) = (AtomicU64::new(0), AtomicU64::new(0));
        let mut disks = Disks { place, next, usual_mb, templates: Mutex::default(), devices, able: Ok(()) };
        // Whether they can be had is seen by making one.
        disks.able = disks.make(TRIAL_MB).map(drop);
        Ok(disks)
    }

    /// Errors: why this machine has none. Guests have no limit then.
    pub fn able(&self) -> Result<(), &Failure> {
        self.able.as_ref().map(|_| ())
    }

    /// The size that guests have had lately; 0: they have no limit.
    pub fn usual_mb(&self) -> u64 {
        self.able.as_ref().map_or(0, |()| self.usual_mb.load(Ordering::Relaxed))
    }

    pub fn note_size(&self, size_mb: u64) {
        self.usual_mb.store(size_mb, Ordering::Relaxed);
    }

    /// A new one, with `upper` and `work` in it. Takes some milliseconds. Errors: `invalid_argument`, `resource_exhausted`.
    pub fn make(&self, size_mb: u64) -> Result<Disk, Failure> {
        if size_mb > MAX_MB {
            return Err(Failure::invalid(format!("The field 'diskMb' must be at most {}.", MAX_MB)));
        }
        self.try_make(size_mb).map_err(|error| Failure::from_io("A disk of a limited size can't be made", &error))
    }

    fn try_make(&self, size_mb: u64) -> io::Result<Disk> {
        let template = self.template(size_mb.max(MIN_MB))?;
        let path = self.new_path();
        let mounted = template.copy(&path).and_then(|file| self.mount(&file));
        let (mount, theirs, key) = mounted.map_err(|error| {
            let _ = fs::remove_file(&path);
            error
        })?;
        Ok(Disk { size_mb, key, mount, theirs: Some(theirs), image: Some(path) })
    }

    /// That of a guest, which may have been left in disorder. Errors: `unavailable` where it can't be put in order.
    pub fn open_image(&self, path: &Path, size_mb: u64) -> Result<Disk, Failure> {
        let opened = self.find(path, size_mb).and_then(|found| match found {
            Some(disk) => Ok(disk),
            None => {
                let (mount, theirs, key) = self.mount(&image::open(path)?)?;
                Ok(Disk { size_mb, key, mount, theirs: Some(theirs), image: None })
            }
        });
        opened.map_err(|error| {
            let failure = Failure::from_io("The sandbox's disk can't be used", &error);
            Failure { code: if failure.code == Code::Internal { Code::Unavailable } else { failure.code }, ..failure }
        })
    }

    /// That of a guest, if it is on a device: another device would show the same file system to a second mind.
    pub fn find(&self, path: &Path, size_mb: u64) -> io::Result<Option<Disk>> {
        let key = device::key_of(&File::open(path)?)?;
        let known = lock(&self.devices).get(&key).cloned();
        let path = match known {
            Some(path) => path,
            None => return Ok(None),
        };
        let _shown = match device::open_if_shows(path.clone(), key)? {
            Some(device) => device,
            None => return Ok(None),
        };
        let (mount, theirs) = (mount(&path)?, mount(&path)?);
        Ok(Some(Disk { size_mb, key, mount, theirs: Some(theirs), image: None }))
    }

    /// Its file goes: another may have its number.
    pub fn forget(&self, disk: &Disk) {
        lock(&self.devices).remove(&disk.key);
    }

    fn mount(&self, file: &File) -> io::Result<(OwnedFd, OwnedFd, FileKey)> {
        let key = device::key_of(file)?;
        let (_shown, path) = device::attach(file)?;
        lock(&self.devices).insert(key, path.clone());
        // Two mounts of one file system: kernels before 6.15 copy none that has no place.
        Ok((mount(&path)?, mount(&path)?, key))
    }

    fn template(&self, size_mb: u64) -> io::Result<Arc<Template>> {
        let known = lock(&self.templates).get(&size_mb).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let made = Arc::new(Template::make(size_mb, &self.new_path())?);
        let mut templates = lock(&self.templates);
        if templates.len() >= TEMPLATES_MAX {
            templates.clear();
        }
        templates.insert(size_mb, made.clone());
        Ok(made)
    }

    fn new_path(&self) -> PathBuf {
        self.place.join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

impl Disk {
    pub fn size_mb(&self) -> u64 {
        self.size_mb
    }

    /// Gives its file a guest's name, whose it is from then on.
    pub fn keep_at(&mut self, path: &Path) -> io::Result<()> {
        if let Some(image) = &self.image {
            fs::rename(image, path)?;
        }
        self.image = None;
        Ok(())
    }

    /// The guest's mount of it, once.
    pub fn take_mount(&mut self) -> Option<OwnedFd> {
        self.theirs.take()
    }

    /// Its root, by a path that any process of root's can open as long as this is there.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.mount.as_raw_fd()))
    }

    /// An empty directory for the overlay to work in, beside `upper`.
    pub fn renew_work(&self) -> io::Result<()> {
        let work = c_name(b"work\0");
        remove_tree(self.open_root()?.as_fd(), work)?;
        make_directory(self.mount.as_fd(), work, 0o700)
    }

    /// All that was written to it is in its file by then, and what was freed in it is the machine's again.
    pub fn settle(&self) -> io::Result<()> {
        let root = self.open_root()?;
        // SAFETY: the descriptor is open.
        check(unsafe { libc::syncfs(root.as_raw_fd()) })?;
        // From, length, least length.
        let range: [u64; 3] = [0, u64::MAX, 0];
        // SAFETY: the structure is the kernel's and lives for the call. A file system that can't keeps what it has.
        unsafe { libc::ioctl(root.as_raw_fd(), TRIM as _, &range) };
        Ok(())
    }

    /// Its end, without a wait for what nobody will read.
    pub fn discard(self) {
        self.shut_down();
    }

    fn shut_down(&self) {
        if let Ok(root) = self.open_root() {
            // SAFETY: the number lives for the call. Where it fails, all is written first.
            unsafe { libc::ioctl(root.as_raw_fd(), SHUTDOWN as _, &SHUTDOWN_AT_ONCE) };
        }
    }

    fn open_root(&self) -> io::Result<OwnedFd> {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
        // SAFETY: the name ends with a zero; a descriptor that comes back is nobody else's.
        let fd = unsafe { libc::openat(self.mount.as_raw_fd(), c_name(b".\0").as_ptr(), flags) };
        check(fd)?;
        // SAFETY: as above.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Some(image) = self.image.take() {
            self.shut_down();
            let _ = fs::remove_file(image);
        }
    }
}

fn mount(device: &Path) -> io::Result<OwnedFd> {
    let context = FsContext::open(c_name(b"ext4\0"))?;
    context.string("source", &device.to_string_lossy())?;
    // What can't be written isn't gone on with: the guest sees errors, and nobody else.
    context.string("errors", "remount-ro")?;
    context.flag("noinit_itable")?;
    context.mount(0)
}

fn make_directory(parent: BorrowedFd, name: &CStr, mode: libc::mode_t) -> io::Result<()> {
    // SAFETY: the name ends with a zero and lives for both calls.
    check(unsafe { libc::mkdirat(parent.as_raw_fd(), name.as_ptr(), mode) })?;
    check(unsafe { libc::fchmodat(parent.as_raw_fd(), name.as_ptr(), mode, 0) })
}

fn c_name(bytes: &'static [u8]) -> &'static CStr {
    CStr::from_bytes_with_nul(bytes).expect("names end with their only zero byte")
}

fn check(result: libc::c_int) -> io::Result<()> {
    match result {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
