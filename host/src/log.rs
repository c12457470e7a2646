//! The helper's log: lines of JSON on standard error, without what guests say. Where that is a file, it and the one before it are bounded.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::panic;
use std::path::Path;
use std::process::abort;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{json, Value};

/// Of the file and of the one before it, each, in bytes.
const FILE_MAX: u64 = 8 << 20;
/// What standard error is, as the kernel shows it.
const STDERR: &str = "/proc/self/fd/2";

/// `fields`: an object of what is worth knowing beside the sentence.
pub fn write(level: &str, message: &str, fields: Value) {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_millis() as u64);
    let mut line = json!({ "time": time, "level": level, "message": message });
    if let (Value::Object(line), Value::Object(fields)) = (&mut line, fields) {
        line.extend(fields);
    }
    let line = format!("{}\n", line);
    let mut stderr = io::stderr().lock();
    // Without a log there is nobody to tell.
    let _ = make_room(line.len() as u64);
    let _ = stderr.write_all(line.as_bytes());
}

/// A file that would become too long gets `.1` behind its name, and standard error goes on in a new one; only with standard error locked.
fn make_room(bytes: u64) -> io::Result<()> {
    let found = fs::metadata(STDERR)?;
    if !found.is_file() || found.len() == 0 || found.len() + bytes <= FILE_MAX {
        return Ok(());
    }
    replace(&fs::read_link(STDERR)?).or_else(|_| {
        // It has gone from its folder, or nothing can be made there: its beginning gives way instead.
        check(unsafe { libc::ftruncate(libc::STDERR_FILENO, 0) })
    })
}

fn replace(path: &Path) -> io::Result<()> {
    let mut older = OsString::from(path);
    older.push(".1");
    fs::rename(path, older)?;
    let file = OpenOptions::new().create_new(true).append(true).mode(0o600).open(path)?;
    check(unsafe { libc::dup2(file.as_raw_fd(), libc::STDERR_FILENO) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

pub fn info(message: &str, fields: Value) {
    write("info", message, fields);
}

pub fn warn(message: &str, fields: Value) {
    write("warn", message, fields);
}

/// From here on a thread that panics ends the process, however it was built: without that thread it would look well and not be, and
/// the next helper finds everything by its records.
pub fn end_at_panics() {
    panic::set_hook(Box::new(|fault| {
        write("error", "The helper ends, by a fault of its own.", json!({ "error": fault.to_string() }));
        abort();
    }));
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};
    use std::thread;

    use super::*;

    #[test]
    fn a_file_and_the_one_before_it_are_bounded() {
        const CHILD: &str = "E2B_HOST_TEST_LOGS";
        if std::env::var_os(CHILD).is_some() {
            for line in 0..300 {
                info(&"x".repeat(100_000), json!({ "line": line }));
            }
            return;
        }
        let folder = std::env::temp_dir().join(format!("e2b-host-log-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let path = folder.join("host.log");
        let test = "log::tests::a_file_and_the_one_before_it_are_bounded";
        let mut child = Command::new(std::env::current_exe().unwrap());
        let file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        let child = child.args(["--exact", test, "--nocapture"]).env(CHILD, "1").stderr(file);
        assert!(child.stdout(Stdio::null()).status().unwrap().success());
        let sizes = |name: &str| fs::metadata(folder.join(name)).unwrap().len();
        assert!(sizes("host.log") <= FILE_MAX && sizes("host.log.1") <= FILE_MAX);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        assert!(fs::read_to_string(&path).unwrap().contains("\"line\":299"));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_panic_in_any_thread_ends_the_process() {
        const CHILD: &str = "E2B_HOST_TEST_PANICS";
        if std::env::var_os(CHILD).is_some() {
            end_at_panics();
            let _ = thread::spawn(|| panic!("on purpose")).join();
            return;
        }
        let test = "log::tests::a_panic_in_any_thread_ends_the_process";
        let mut child = Command::new(std::env::current_exe().unwrap());
        let output = child.args(["--exact", test, "--nocapture"]).env(CHILD, "1").output().unwrap();
        assert_eq!(output.status.signal(), Some(libc::SIGABRT));
        assert!(String::from_utf8_lossy(&output.stderr).contains("on purpose"));
    }
}
