//! The layers of an image as one tree, for reading: an overlay that only this process sees.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::checked;

/// The kernel reads the options of a mount from one page.
const OPTIONS_MAX_BYTES: usize = 4095;
/// Far more than the engine writes into the files that name layers
const NAMES_MAX_BYTES: u64 = 64 * 1024;

/// Calls `read` with the path of a tree that has all of the layers of which the one in `layer` is the topmost: the engine's
/// overlay2 keeps in `link` the layer's short name, and in `lower` those below it. This process's mounts are its own afterwards.
pub fn with_tree<T>(layer: &str, read: impl FnOnce(&str) -> io::Result<T>) -> io::Result<T> {
    let layer = Path::new(layer);
    let text = |name: &str| -> io::Result<String> {
        let path = layer.join(name);
        if fs::metadata(&path)?.len() > NAMES_MAX_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(fs::read_to_string(path)?.trim().to_owned())
    };
    let lower = match text("lower") {
        Ok(lower) if !lower.is_empty() => lower,
        // One layer is the tree itself, and no overlay.
        Ok(_) => return read(&layer.join("diff").to_string_lossy()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return read(&layer.join("diff").to_string_lossy()),
        Err(error) => return Err(error),
    };
    let options = format!("lowerdir=l/{}:{}", text("link")?, lower);
    if options.len() > OPTIONS_MAX_BYTES {
        return Err(io::Error::from_raw_os_error(libc::E2BIG));
    }
    mount(layer, &options)?;
    read(&layer.to_string_lossy())
}

/// Over the layer's own directory, which is there and which nobody else sees covered.
fn mount(layer: &Path, options: &str) -> io::Result<()> {
    let root = layer.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let (target, options) = (CString::new(layer.as_os_str().as_bytes())?, CString::new(options)?);
    let (kind, everything) = (CString::new("overlay")?, CString::new("/")?);
    checked(unsafe { libc::unshare(libc::CLONE_NEWNS) }.into())?;
    let private = libc::MS_REC | libc::MS_PRIVATE;
    let nothing = std::ptr::null();
    checked(unsafe { libc::mount(nothing, everything.as_ptr(), nothing, private, nothing.cast()) }.into())?;
    // The short names are relative to it.
    std::env::set_current_dir(root)?;
    let flags = libc::MS_RDONLY | libc::MS_NODEV | libc::MS_NOSUID | libc::MS_NOEXEC;
    let mounted = unsafe { libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, options.as_ptr().cast()) };
    checked(mounted.into()).map(|_| ())
}
