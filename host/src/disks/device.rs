//! Loop devices: files as disks. Each ends by itself once nobody has it open or mounted, also after a crash.

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::mem;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::io::AsRawFd;
use std::path::{Path, PathBuf};

const CONTROL: &str = "/dev/loop-control";
/// `LOOP_CTL_GET_FREE`, `LOOP_CONFIGURE` (Linux 5.8), `LOOP_GET_STATUS64`
const GET_FREE: u64 = 0x4C82;
const CONFIGURE: u64 = 0x4C0A;
const GET_STATUS: u64 = 0x4C05;
/// `LO_FLAGS_AUTOCLEAR`: ends with its last user
const AUTOCLEAR: u32 = 4;
/// `LO_FLAGS_DIRECT_IO`: past the cache of the file system that the file is on, where that can be; else pages were cached twice
const DIRECT_IO: u32 = 16;
const BLOCK_BYTES: u32 = 4096;
/// Others take devices at the same time.
const TRIES: usize = 200;

/// Names a file whatever its path.
pub type FileKey = (u64, u64);

#[repr(C)]
struct Info {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

#[repr(C)]
struct Config {
    fd: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

pub fn key_of(file: &File) -> io::Result<FileKey> {
    let found = file.metadata()?;
    Ok((found.dev(), found.ino()))
}

/// A device that shows the file, and its path. It lasts as long as one of: what is returned, and what is mounted of it.
pub fn attach(file: &File) -> io::Result<(File, PathBuf)> {
    let control = open(PathBuf::from(CONTROL))?;
    let mut last = io::Error::from_raw_os_error(libc::EBUSY);
    for _ in 0..TRIES {
        // SAFETY: no pointers are passed.
        let number = check(unsafe { libc::ioctl(control.as_raw_fd(), GET_FREE as _) })?;
        let path = path_of(&number.to_string());
        let device = open_made(number, &path)?;
        // SAFETY: all zeros is a value of this plain structure.
        let mut config: Config = unsafe { mem::zeroed() };
        config.fd = file.as_raw_fd() as u32;
        config.block_size = BLOCK_BYTES;
        config.info.flags = AUTOCLEAR | DIRECT_IO;
        // SAFETY: the structure is the kernel's and lives for the call.
        match check(unsafe { libc::ioctl(device.as_raw_fd(), CONFIGURE as _, &config) }) {
            Ok(_) => return Ok((device, path)),
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// The device, if it still shows this file: it stays so as long as what is returned is there. Errors: it couldn't be looked at.
pub fn open_if_shows(path: PathBuf, key: FileKey) -> io::Result<Option<File>> {
    Ok(open_if_any(path)?.and_then(|(device, shown)| (shown == key).then_some(device)))
}

/// Every device of the machine that shows a file and is to be had. Errors: they couldn't be looked at.
pub fn all() -> io::Result<HashMap<FileKey, PathBuf>> {
    let mut found = HashMap::new();
    let entries = match fs::read_dir("/sys/block") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("loop"));
        if let (Some(number), true) = (number, entry.path().join("loop").is_dir()) {
            let path = path_of(number);
            if let Some((_, key)) = open_if_any(path.clone())? {
                found.insert(key, path);
            }
        }
    }
    Ok(found)
}

/// A device and what it shows. None: it shows nothing, or is others' alone.
fn open_if_any(path: PathBuf) -> io::Result<Option<(File, FileKey)>> {
    let opened = open(path).and_then(|device| {
        let key = shown(&device)?;
        Ok((device, key))
    });
    match opened {
        // What this process or the machine lacks says nothing of the device.
        Err(error)
            if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EAGAIN)) =>
        {
            Err(error)
        }
        opened => Ok(opened.ok()),
    }
}

fn shown(device: &File) -> io::Result<FileKey> {
    // SAFETY: all zeros is a value of this plain structure, which is the kernel's and lives for the call.
    let mut info: Info = unsafe { mem::zeroed() };
    // SAFETY: as above.
    check(unsafe { libc::ioctl(device.as_raw_fd(), GET_STATUS as _, &mut info) })?;
    Ok((info.device, info.inode))
}

fn path_of(number: &str) -> PathBuf {
    PathBuf::from(format!("/dev/loop{}", number))
}

/// Where nobody makes nodes of devices as these come, as in containers, it is made here.
fn open_made(number: libc::c_int, path: &Path) -> io::Result<File> {
    match open(path.to_owned()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    let text = fs::read_to_string(format!("/sys/block/loop{}/dev", number))?;
    let mut parts = text.trim().split(':').map(str::parse::<u32>);
    let device = match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => libc::makedev(major, minor),
        _ => return Err(io::Error::from_raw_os_error(libc::ENXIO)),
    };
    let name = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the name ends with a zero and lives for the call.
    match check(unsafe { libc::mknod(name.as_ptr(), libc::S_IFBLK | 0o600, device) }) {
        // Somebody else was faster.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => open(path.to_owned()),
    }
}

fn open(path: PathBuf) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_CLOEXEC).open(path)
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    match result {
        0.. => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}
