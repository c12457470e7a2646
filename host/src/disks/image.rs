//! Files that are ext4 file systems. What is in them is written by the kernel alone, through what is mounted of them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::io::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Whatever the machine's own defaults are. Without a journal: what a power failure leaves is worth nothing unless the sandbox was
/// stopped before, and each journal takes a thread and memory.
const FEATURES: &str =
    "none,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum";
/// Tables of what isn't there yet take no space and no time; all of them lie together.
const EXTENDED: &str = "nodiscard,lazy_itable_init=1,packed_meta_blocks=1";
/// A file for each 16 KiB
const BYTES_PER_INODE: &str = "16384";
const MAKE_MOST: Duration = Duration::from_secs(30);
const REPAIR_MOST: Duration = Duration::from_secs(120);
/// Far more than a fresh file system has.
const TEMPLATE_MAX_BYTES: u64 = 64 << 20;
const MEBIBYTE: u64 = 1 << 20;
/// Of the superblock: where it is, and in it the state and the magic number
const SUPERBLOCK: u64 = 1024;
const MAGIC_AT: u64 = 56;
const STATE_AT: u64 = 58;
const MAGIC: u16 = 0xEF53;
/// Unmounted in order, and no errors seen
const STATE_CLEAN: u16 = 1;

/// What a fresh file system of one size has written, and where.
pub struct Template {
    size_bytes: u64,
    parts: Vec<(u64, Vec<u8>)>,
}

impl Template {
    /// With `upper` and `work` in it, so that they are there whatever a crash has kept from being written. `draft`: a path that
    /// nothing has, nor with an ending; nothing is there afterwards.
    pub fn make(size_mb: u64, draft: &Path) -> io::Result<Template> {
        let tree = draft.with_extension("tree");
        let made = (|| {
            let size_bytes = size_mb * MEBIBYTE;
            // The guest sees the first one's mode as its root's own.
            for (name, mode) in [("upper", 0o755), ("work", 0o700)] {
                fs::create_dir_all(tree.join(name))?;
                fs::set_permissions(tree.join(name), fs::Permissions::from_mode(mode))?;
            }
            let file = create(draft)?;
            file.set_len(size_bytes)?;
            let mut command = Command::new("mke2fs");
            command
                .env("MKE2FS_CONFIG", "/dev/null")
                .args(["-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-m", "0"]);
            command.args(["-i", BYTES_PER_INODE, "-O", FEATURES, "-E", EXTENDED, "-d"]);
            command.arg(&tree).arg(draft);
            match run(command, MAKE_MOST)? {
                0 => Ok(Template { size_bytes, parts: written(&file)? }),
                status => Err(other(format!("mke2fs ended with status {}", status))),
            }
        })();
        let _ = fs::remove_file(draft);
        let _ = fs::remove_dir_all(tree);
        made
    }

    /// A new file.
    pub fn copy(&self, path: &Path) -> io::Result<File> {
        let file = create(path)?;
        file.set_len(self.size_bytes)?;
        self.parts.iter().try_for_each(|(at, bytes)| file.write_all_at(bytes, *at))?;
        Ok(file)
    }
}

/// Opens one that nobody has mounted. What a crash of the machine has left in disorder is put in order, as good as that can be.
pub fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
    if !is_clean(&file)? {
        let mut command = Command::new("e2fsck");
        command.args(["-f", "-y"]).arg(path);
        // 1: it was in disorder.
        match run(command, REPAIR_MOST)? {
            0 | 1 => {}
            status => return Err(other(format!("e2fsck ended with status {}", status))),
        }
    }
    Ok(file)
}

fn is_clean(file: &File) -> io::Result<bool> {
    let word = |at: u64| -> io::Result<u16> {
        let mut bytes = [0; 2];
        file.read_exact_at(&mut bytes, SUPERBLOCK + at)?;
        Ok(u16::from_le_bytes(bytes))
    };
    Ok(word(MAGIC_AT)? == MAGIC && word(STATE_AT)? == STATE_CLEAN)
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// What of a file isn't holes.
fn written(file: &File) -> io::Result<Vec<(u64, Vec<u8>)>> {
    // SAFETY: no pointers are passed.
    let seek = |at: u64, what| match unsafe { libc::lseek(file.as_raw_fd(), at as libc::off_t, what) } {
        -1 => Err(io::Error::last_os_error()),
        at => Ok(at as u64),
    };
    let (mut parts, mut sum, mut at) = (Vec::new(), 0, 0);
    loop {
        let from = match seek(at, libc::SEEK_DATA) {
            Ok(from) => from,
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => return Ok(parts),
            Err(error) => return Err(error),
        };
        at = seek(from, libc::SEEK_HOLE)?;
        sum += at - from;
        if sum > TEMPLATE_MAX_BYTES {
            return Err(other("a fresh file system takes too much".to_owned()));
        }
        let mut bytes = vec![0; (at - from) as usize];
        file.read_exact_at(&mut bytes, from)?;
        if bytes.iter().any(|byte| *byte != 0) {
            parts.push((from, bytes));
        }
    }
}

/// Its status. Errors: also `TimedOut`, and what keeps it from being run.
fn run(mut command: Command, most: Duration) -> io::Result<i32> {
    let program = command.get_program().to_string_lossy().into_owned();
    // It ends with the helper: the next one would put the same file in order beside it, or mount it meanwhile.
    // SAFETY: one system call, which a child may make between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child = child.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => other(format!("there is no {} (of e2fsprogs)", program)),
        _ => error,
    })?;
    let deadline = Instant::now() + most;
    loop {
        if let Some(status) = child.try_wait()? {
            return status.code().ok_or_else(|| other(format!("{} was ended", program)));
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT));
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn other(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::Other, message)
}
