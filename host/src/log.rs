//! The helper's log: lines of JSON on standard error, without what guests say.

use std::io::Write;
use std::panic;
use std::process::abort;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{json, Value};

/// `fields`: an object of what is worth knowing beside the sentence.
pub fn write(level: &str, message: &str, fields: Value) {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_millis() as u64);
    let mut line = json!({ "time": time, "level": level, "message": message });
    if let (Value::Object(line), Value::Object(fields)) = (&mut line, fields) {
        line.extend(fields);
    }
    // Without a log there is nobody to tell.
    let _ = std::io::stderr().lock().write_all(format!("{}\n", line).as_bytes());
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
    use std::process::Command;
    use std::thread;

    use super::*;

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
