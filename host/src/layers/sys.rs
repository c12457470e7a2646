//! System calls that std doesn't have, on descriptors of directories and single names: nothing here follows a link that
//! somebody else may have put there.

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::io::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};

/// The longest target of a link, in bytes, as the kernel has it.
const LINK_MAX_BYTES: usize = 4096;

fn check(result: i32) -> io::Result<i32> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        value => Ok(value),
    }
}

/// `O_CLOEXEC` and `O_NOFOLLOW` are added.
pub fn open(dir: BorrowedFd<'_>, name: &CStr, flags: i32, mode: u32) -> io::Result<OwnedFd> {
    // SAFETY: both arguments live for the call, and a descriptor that comes back is nobody else's.
    unsafe {
        let flags = flags | libc::O_CLOEXEC | libc::O_NOFOLLOW;
        let fd = check(libc::openat(dir.as_raw_fd(), name.as_ptr(), flags, mode))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

pub fn open_dir(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    open(dir, name, libc::O_RDONLY | libc::O_DIRECTORY, 0)
}

/// Of the entry itself, also where it is a link.
pub fn stat(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<libc::stat> {
    // SAFETY: zeros are a valid `stat`, which the call fills.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        check(libc::fstatat(dir.as_raw_fd(), name.as_ptr(), &mut stat, libc::AT_SYMLINK_NOFOLLOW))?;
        Ok(stat)
    }
}

pub fn fstat(file: BorrowedFd<'_>) -> io::Result<libc::stat> {
    // SAFETY: as in `stat`.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        check(libc::fstat(file.as_raw_fd(), &mut stat))?;
        Ok(stat)
    }
}

pub fn mkdir(dir: BorrowedFd<'_>, name: &CStr, mode: u32) -> io::Result<()> {
    // SAFETY: the name lives for the call.
    check(unsafe { libc::mkdirat(dir.as_raw_fd(), name.as_ptr(), mode) }).map(drop)
}

pub fn mknod(dir: BorrowedFd<'_>, name: &CStr, mode: u32) -> io::Result<()> {
    // SAFETY: the name lives for the call.
    check(unsafe { libc::mknodat(dir.as_raw_fd(), name.as_ptr(), mode, 0) }).map(drop)
}

/// What overlay takes for "not there, whatever is below".
pub fn make_whiteout(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    mknod(dir, name, libc::S_IFCHR)
}

pub fn is_whiteout(stat: &libc::stat) -> bool {
    stat.st_mode & libc::S_IFMT == libc::S_IFCHR && stat.st_rdev == 0
}

pub fn symlink(target: &CStr, dir: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    // SAFETY: both texts live for the call.
    check(unsafe { libc::symlinkat(target.as_ptr(), dir.as_raw_fd(), name.as_ptr()) }).map(drop)
}

pub fn read_link(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<CString> {
    let mut text = vec![0u8; LINK_MAX_BYTES];
    // SAFETY: the kernel writes at most as many bytes as the buffer has.
    let length = unsafe { libc::readlinkat(dir.as_raw_fd(), name.as_ptr(), text.as_mut_ptr().cast(), text.len()) };
    if length < 0 {
        return Err(io::Error::last_os_error());
    }
    text.truncate(length as usize);
    Ok(CString::new(text)?)
}

/// A hard link; a link that is the source is linked itself.
pub fn link(from: BorrowedFd<'_>, name: &CStr, to: BorrowedFd<'_>, new: &CStr) -> io::Result<()> {
    // SAFETY: both names live for the call.
    check(unsafe { libc::linkat(from.as_raw_fd(), name.as_ptr(), to.as_raw_fd(), new.as_ptr(), 0) }).map(drop)
}

/// Fails where there is something by the new name.
pub fn rename_new(from: BorrowedFd<'_>, name: &CStr, to: BorrowedFd<'_>, new: &CStr) -> io::Result<()> {
    // SAFETY: both names live for the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            from.as_raw_fd(),
            name.as_ptr(),
            to.as_raw_fd(),
            new.as_ptr(),
            libc::RENAME_NOREPLACE,
        )
    };
    check(result as i32).map(drop)
}

pub fn unlink(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    // SAFETY: the name lives for the call.
    check(unsafe { libc::unlinkat(dir.as_raw_fd(), name.as_ptr(), 0) }).map(drop)
}

pub fn rmdir(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    // SAFETY: the name lives for the call.
    check(unsafe { libc::unlinkat(dir.as_raw_fd(), name.as_ptr(), libc::AT_REMOVEDIR) }).map(drop)
}

/// Of the entry itself, also where it is a link.
pub fn chown_at(dir: BorrowedFd<'_>, name: &CStr, uid: u32, gid: u32) -> io::Result<()> {
    let flags = libc::AT_SYMLINK_NOFOLLOW;
    // SAFETY: the name lives for the call.
    check(unsafe { libc::fchownat(dir.as_raw_fd(), name.as_ptr(), uid, gid, flags) }).map(drop)
}

pub fn chown(file: BorrowedFd<'_>, uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::fchown(file.as_raw_fd(), uid, gid) }).map(drop)
}

pub fn chmod(file: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::fchmod(file.as_raw_fd(), mode) }).map(drop)
}

/// Follows links: for what was just made and is none.
pub fn chmod_at(dir: BorrowedFd<'_>, name: &CStr, mode: u32) -> io::Result<()> {
    // SAFETY: the name lives for the call.
    check(unsafe { libc::fchmodat(dir.as_raw_fd(), name.as_ptr(), mode, 0) }).map(drop)
}

/// Access and modification: seconds and nanoseconds.
pub type Times = [(i64, i64); 2];

pub fn times_of(stat: &libc::stat) -> Times {
    [(stat.st_atime, stat.st_atime_nsec), (stat.st_mtime, stat.st_mtime_nsec)]
}

pub fn set_times_at(dir: BorrowedFd<'_>, name: &CStr, times: Times) -> io::Result<()> {
    let times = times.map(|(seconds, nanos)| libc::timespec { tv_sec: seconds, tv_nsec: nanos });
    let flags = libc::AT_SYMLINK_NOFOLLOW;
    // SAFETY: name and the two times live for the call.
    check(unsafe { libc::utimensat(dir.as_raw_fd(), name.as_ptr(), times.as_ptr(), flags) }).map(drop)
}

pub fn set_times(file: BorrowedFd<'_>, times: Times) -> io::Result<()> {
    let times = times.map(|(seconds, nanos)| libc::timespec { tv_sec: seconds, tv_nsec: nanos });
    // SAFETY: the two times live for the call.
    check(unsafe { libc::futimens(file.as_raw_fd(), times.as_ptr()) }).map(drop)
}

/// Writes what the file system has of everybody's to the disk.
pub fn sync_all(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::syncfs(file.as_raw_fd()) }).map(drop)
}

/// `LOCK_SH` or `LOCK_EX`; waits.
pub fn lock(file: BorrowedFd<'_>, kind: i32) -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::flock(file.as_raw_fd(), kind) }).map(drop)
}

/// The names in a directory, without `.` and `..`.
pub fn names(dir: BorrowedFd<'_>) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    each_name(dir, |name| {
        names.push(name.to_owned());
        Ok(())
    })?;
    Ok(names)
}

/// Calls `each` with one name after the other, as there may be more than fit the memory, and says how many there were. Of
/// names that come or go meanwhile it has some.
pub fn each_name(dir: BorrowedFd<'_>, mut each: impl FnMut(&CStr) -> io::Result<()>) -> io::Result<u64> {
    // Opened anew, since how far one has been read is the same for all copies of a descriptor; and not by way of /proc, which
    // a worker that sees nothing but a layer doesn't have.
    let stream = Stream::of(open_dir(dir, &CString::new(".")?)?)?;
    let mut count = 0;
    while let Some(name) = stream.read()? {
        if !matches!(name.to_bytes(), b"." | b"..") {
            each(name)?;
            count += 1;
        }
    }
    Ok(count)
}

/// An open directory that is read.
struct Stream(*mut libc::DIR);

impl Stream {
    fn of(dir: OwnedFd) -> io::Result<Stream> {
        // SAFETY: the descriptor is a directory's, and becomes the stream's where that is made.
        let stream = unsafe { libc::fdopendir(dir.as_raw_fd()) };
        if stream.is_null() {
            return Err(io::Error::last_os_error());
        }
        let _ = dir.into_raw_fd();
        Ok(Stream(stream))
    }

    /// The text is there until the next call.
    fn read(&self) -> io::Result<Option<&CStr>> {
        // SAFETY: the stream is open and this thread's alone. An entry's name ends with a zero; the entry may be shorter than its
        // type, so there is no reference to the whole of it.
        unsafe {
            *libc::__errno_location() = 0;
            let entry = libc::readdir(self.0);
            if !entry.is_null() {
                return Ok(Some(CStr::from_ptr(std::ptr::addr_of!((*entry).d_name).cast())));
            }
        }
        match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(0) => Ok(None),
            error => Err(error),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: it is open, and nobody's any more.
        unsafe { libc::closedir(self.0) };
    }
}
