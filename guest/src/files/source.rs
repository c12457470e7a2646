//! A file that is read in pieces, until its end rather than its size: files of /proc have none.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

use serde_json::Value;

use super::entry::{describe_open, path_failure};
use super::kind::is_made_up;
use crate::error::Failure;
use crate::frame::BYTES_MAX_BYTES;
use crate::users::Names;

/// Least buffer: what a file of unknown size is read with first.
const BUFFER_MIN_BYTES: usize = 4 * 1024;

pub struct Source {
    path: String,
    file: File,
    /// Bytes still to be read at most
    left: u64,
    /// Bytes that the size promises; only to choose buffers by
    promised: u64,
    size: u64,
    has_size: bool,
}

impl Source {
    /// Opens a regular file and describes it. Errors: `not_found`, `invalid_argument` (a directory, a pipe, …).
    pub fn open(path: String, offset: u64, length: Option<u64>) -> Result<(Source, Value), Failure> {
        let fail = |error: io::Error| path_failure("read", &path, &error);
        check_regular(&path, &fs::metadata(&path).map_err(fail)?)?;
        // What it is may have changed since, so it is looked at again once it is open, without waiting for anybody.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let mut file = OpenOptions::new().read(true).custom_flags(flags).open(&path).map_err(fail)?;
        let metadata = file.metadata().map_err(fail)?;
        check_regular(&path, &metadata)?;
        if offset > 0 {
            file.seek(SeekFrom::Start(offset)).map_err(fail)?;
        }
        let entry = describe_open(&path, &metadata, &Names::load());
        let promised = metadata.len().saturating_sub(offset);
        let has_size = !is_made_up(&file);
        Ok((Source { path, file, left: length.unwrap_or(u64::MAX), promised, size: metadata.len(), has_size }, entry))
    }

    /// Whether the file is as long as its size says, as far as its kind and its first bytes tell.
    pub fn has_size(&self, first: &[u8]) -> bool {
        self.has_size && (self.size > 0 || first.is_empty())
    }

    /// Replaces what `buffer` has by the next bytes, at most a frame of them; none at the end. Its memory is used again.
    pub fn next(&mut self, buffer: &mut Vec<u8>) -> Result<(), Failure> {
        // One byte more than promised finds the end of a small file in the same step.
        let wanted = usize::try_from(self.promised.saturating_add(1)).unwrap_or(usize::MAX);
        let size =
            wanted.clamp(BUFFER_MIN_BYTES, BYTES_MAX_BYTES).min(usize::try_from(self.left).unwrap_or(usize::MAX));
        buffer.resize(size, 0);
        let mut filled = 0;
        while filled < size {
            match self.file.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(path_failure("read", &self.path, &error)),
            }
        }
        buffer.truncate(filled);
        self.left -= filled as u64;
        self.promised = self.promised.saturating_sub(filled as u64);
        Ok(())
    }
}

/// Errors: `invalid_argument` where reading or writing isn't what the API means by it.
pub fn check_regular(path: &str, metadata: &Metadata) -> Result<(), Failure> {
    if metadata.is_dir() {
        return Err(path_failure("opened", path, &io::Error::from_raw_os_error(libc::EISDIR)));
    }
    if !metadata.is_file() {
        return Err(Failure::invalid(format!("path '{}' is not a regular file", path)));
    }
    Ok(())
}
