//! The helper's log: lines of JSON on standard error, without what guests say.

use std::io::Write;
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
