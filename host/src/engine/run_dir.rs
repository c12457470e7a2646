//! The file system of a guest's run directory: a few KiB of memory, so that what its root writes there is neither on the
//! disk that the server's own state is on nor left behind, and holds no programs and no devices.

use std::ffi::CString;
use std::fs;
use std::io;
use std::mem;
use std::os::unix::fs::MetadataExt;
use std::os::unix::io::AsRawFd;
use std::os::unix::net::UnixStream;

use super::checked;

const NAME: &[u8] = b"e2b-guest\0";
const KIND: &[u8] = b"tmpfs\0";
/// Room for a socket and little else.
const LIMITS: &[u8] = b"size=64k,nr_inodes=32,mode=0700\0";
/// Most mounts that are taken off one directory; there is never more than one of ours.
const LAYERS_MAX: usize = 16;

/// Mounts an empty file system. `directory` is one that no guest can put something else in the place of.
pub fn mount(directory: &str) -> io::Result<()> {
    let target = CString::new(directory)?;
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC | libc::MS_NOATIME;
    let (name, kind, limits) = (NAME.as_ptr().cast(), KIND.as_ptr().cast(), LIMITS.as_ptr().cast());
    checked(unsafe { libc::mount(name, target.as_ptr(), kind, flags, limits) }.into())?;
    Ok(())
}

/// Takes off what is mounted there, also while it is in use. Idempotent.
pub fn unmount(directory: &str) -> io::Result<()> {
    let target = CString::new(directory)?;
    for _ in 0..LAYERS_MAX {
        let flags = libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW;
        match checked(unsafe { libc::umount2(target.as_ptr(), flags) }.into()) {
            Ok(_) => {}
            // No mount point (any more), or nothing there.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL) | Some(libc::ENOENT)) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::from_raw_os_error(libc::EBUSY))
}

/// Errors unless whoever listens at `engine` sees what is mounted here. A process that only has the socket, as one in a
/// container, doesn't see the listener's either.
pub fn check_shared(engine: &str) -> io::Result<()> {
    let pid = listener_of(&UnixStream::connect(engine)?)?;
    let theirs = fs::metadata(format!("/proc/{}/ns/mnt", pid)).map_err(|_| other_mounts())?;
    let own = fs::metadata("/proc/self/ns/mnt")?;
    if (theirs.dev(), theirs.ino()) == (own.dev(), own.ino()) {
        return Ok(());
    }
    Err(other_mounts())
}

fn other_mounts() -> io::Error {
    io::Error::new(io::ErrorKind::Other, "the engine doesn't see this machine's mounts")
}

fn listener_of(stream: &UnixStream) -> io::Result<libc::pid_t> {
    let mut peer: libc::ucred = unsafe { mem::zeroed() };
    let mut size = mem::size_of::<libc::ucred>() as libc::socklen_t;
    let (level, option) = (libc::SOL_SOCKET, libc::SO_PEERCRED);
    let into = &mut peer as *mut libc::ucred;
    checked(unsafe { libc::getsockopt(stream.as_raw_fd(), level, option, into.cast(), &mut size) }.into())?;
    Ok(peer.pid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_listener_of_this_process_shares_its_mounts() {
        let path = std::env::temp_dir().join(format!("run-dir-{}.sock", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let checked = check_shared(path.to_str().unwrap());
        drop(listener);
        fs::remove_file(&path).unwrap();
        checked.unwrap();
        assert!(check_shared(path.to_str().unwrap()).is_err());
    }

    #[test]
    fn what_is_not_mounted_is_unmounted_already() {
        let path = std::env::temp_dir().join(format!("run-dir-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        // Without the right to unmount the kernel says so first.
        let outcome = unmount(path.to_str().unwrap());
        fs::remove_dir(&path).unwrap();
        assert!(outcome.is_ok() || outcome.unwrap_err().raw_os_error() == Some(libc::EPERM));
        let _ = unmount(path.to_str().unwrap());
    }
}
