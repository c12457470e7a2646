//! What an operation can fail with: the server's closed vocabulary and a sentence for its log or its clients.

use std::fmt;
use std::io;

use serde_json::{json, Value};

/// The codes of spec/host.md, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    InvalidArgument,
    NotFound,
    Conflict,
    ResourceExhausted,
    Unavailable,
    FailedPrecondition,
    Unimplemented,
    Canceled,
    DeadlineExceeded,
    Internal,
}

impl Code {
    /// The code's spelling on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Code::InvalidArgument => "invalid_argument",
            Code::NotFound => "not_found",
            Code::Conflict => "conflict",
            Code::ResourceExhausted => "resource_exhausted",
            Code::Unavailable => "unavailable",
            Code::FailedPrecondition => "failed_precondition",
            Code::Unimplemented => "unimplemented",
            Code::Canceled => "canceled",
            Code::DeadlineExceeded => "deadline_exceeded",
            Code::Internal => "internal",
        }
    }
}

/// Why an operation failed; becomes the `error` of its reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: Code,
    /// A whole sentence
    pub message: String,
}

/// Messages quote fields of the request; longer ones would not fit a reply.
const MESSAGE_MAX_BYTES: usize = 4 * 1024;

impl Failure {
    pub fn new(code: Code, message: impl Into<String>) -> Failure {
        let mut message = message.into();
        if message.len() > MESSAGE_MAX_BYTES {
            let mut end = MESSAGE_MAX_BYTES;
            while !message.is_char_boundary(end) {
                end -= 1;
            }
            message.truncate(end);
            message.push('…');
        }
        Failure { code, message }
    }

    pub fn invalid(message: impl Into<String>) -> Failure {
        Failure::new(Code::InvalidArgument, message)
    }

    pub fn not_found(message: impl Into<String>) -> Failure {
        Failure::new(Code::NotFound, message)
    }

    pub fn internal(message: impl Into<String>) -> Failure {
        Failure::new(Code::Internal, message)
    }

    /// A failed system call: `action` says what can't be done (`The record can't be written`), the cause picks the code.
    pub fn from_io(action: impl fmt::Display, error: &io::Error) -> Failure {
        Failure::new(code_of(error.raw_os_error().unwrap_or(0)), format!("{}: {}.", action, text_of(error)))
    }

    /// The reply's `error`.
    pub fn to_json(&self) -> Value {
        json!({ "code": self.code.name(), "message": self.message })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The system's sentence for an error, without std's `(os error n)`.
pub fn text_of(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}

/// What lacks is the machine's fault, never the request's: fields are checked before the first system call.
fn code_of(errno: i32) -> Code {
    match errno {
        libc::ENOSPC | libc::EDQUOT | libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EAGAIN => {
            Code::ResourceExhausted
        }
        libc::ETIMEDOUT => Code::DeadlineExceeded,
        _ => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_the_system_said() {
        let failure = Failure::from_io("It can't be written", &io::Error::from_raw_os_error(libc::ENOSPC));
        assert_eq!(failure.message, "It can't be written: no space left on device.");
        assert_eq!(failure.to_json()["code"], "resource_exhausted");
    }

    #[test]
    fn cuts_long_messages_between_characters() {
        let failure = Failure::invalid("ä".repeat(MESSAGE_MAX_BYTES));
        assert!(failure.message.len() <= MESSAGE_MAX_BYTES + 3);
        assert!(failure.message.ends_with('…'));
    }
}
