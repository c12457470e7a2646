//! Owners and times of what is at a path, itself where that is a link.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A time of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Unix seconds
    seconds: i64,
    /// 0 … 999,999,999, or one of the kernel's own
    nanoseconds: i64,
}

impl Time {
    pub const NOW: Time = Time { seconds: 0, nanoseconds: libc::UTIME_NOW as i64 };

    pub fn from_seconds(seconds: u64) -> Time {
        Time { seconds: i64::try_from(seconds).unwrap_or(i64::MAX), nanoseconds: 0 }
    }

    /// From a decimal number of seconds.
    pub fn parse(text: &str) -> Option<Time> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let seconds: i64 = whole.parse().ok()?;
        let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
        let nanoseconds: i64 = digits.parse().ok().filter(|_| digits.bytes().all(|digit| digit.is_ascii_digit()))?;
        match (whole.starts_with('-'), nanoseconds) {
            (true, 1..) => Some(Time { seconds: seconds.checked_sub(1)?, nanoseconds: 1_000_000_000 - nanoseconds }),
            _ => Some(Time { seconds, nanoseconds }),
        }
    }

    fn to_timespec(self) -> libc::timespec {
        libc::timespec { tv_sec: self.seconds as libc::time_t, tv_nsec: self.nanoseconds as libc::c_long }
    }
}

pub fn set_owner(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    let path = c_string(path)?;
    check(unsafe { libc::lchown(path.as_ptr(), uid, gid) })
}

pub fn set_times(path: &Path, accessed: Time, modified: Time) -> io::Result<()> {
    let path = c_string(path)?;
    let times = [accessed.to_timespec(), modified.to_timespec()];
    check(unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), times.as_ptr(), libc::AT_SYMLINK_NOFOLLOW) })
}

/// What may still be written to the file system of `path`.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let path = c_string(path)?;
    let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
    check(unsafe { libc::statvfs(path.as_ptr(), &mut stat) })?;
    Ok((stat.f_bavail as u64).saturating_mul(stat.f_frsize as u64))
}

fn c_string(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_fractions() {
        let time = |seconds, nanoseconds| Some(Time { seconds, nanoseconds });
        assert_eq!(Time::parse("12"), time(12, 0));
        assert_eq!(Time::parse("12.5"), time(12, 500_000_000));
        assert_eq!(Time::parse("12.0000000019"), time(12, 1));
        assert_eq!(Time::parse("-1.25"), time(-2, 750_000_000));
        for text in ["", "x", "1.x", "1.+5", "99999999999999999999"] {
            assert_eq!(Time::parse(text), None, "{}", text);
        }
    }
}
