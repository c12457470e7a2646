//! What an operation can fail with: the server's closed vocabulary, a sentence for API clients, and the system's
//! name of the cause where there is one.

use std::fmt;
use std::io;

use serde_json::{json, Value};

/// The codes of spec/guest.md, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    InvalidArgument,
    Unauthenticated,
    NotFound,
    Conflict,
    ResourceExhausted,
    FailedPrecondition,
    Unavailable,
    Unimplemented,
    Internal,
}

impl Code {
    /// The code's spelling on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Code::InvalidArgument => "invalid_argument",
            Code::Unauthenticated => "unauthenticated",
            Code::NotFound => "not_found",
            Code::Conflict => "conflict",
            Code::ResourceExhausted => "resource_exhausted",
            Code::FailedPrecondition => "failed_precondition",
            Code::Unavailable => "unavailable",
            Code::Unimplemented => "unimplemented",
            Code::Internal => "internal",
        }
    }
}

/// Why an operation failed; becomes its `error` frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: Code,
    /// A whole sentence, shown to API clients
    pub message: String,
    /// The system's name of the cause, e.g. `ENOSPC`
    pub errno: Option<&'static str>,
}

/// Messages quote paths and names from the request; longer ones would not fit an `error` frame.
const MESSAGE_MAX_BYTES: usize = 16 * 1024;

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
        Failure { code, message, errno: None }
    }

    pub fn invalid(message: impl Into<String>) -> Failure {
        Failure::new(Code::InvalidArgument, message)
    }

    pub fn with_errno(mut self, errno: i32) -> Failure {
        self.errno = errno_name(errno);
        self
    }

    /// A failed system call as a failure: `action` says what was tried (`cannot open '/x'`), the errno picks the code.
    pub fn from_io(action: impl fmt::Display, error: &io::Error) -> Failure {
        let errno = error.raw_os_error().unwrap_or(0);
        Failure::new(code_of(errno), format!("{}: {}", action, text_of(error))).with_errno(errno)
    }

    /// The payload of the `error` frame.
    pub fn to_json(&self) -> Value {
        let mut value = json!({ "code": self.code.name(), "message": self.message });
        if let Some(errno) = self.errno {
            value["errno"] = errno.into();
        }
        value
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

fn code_of(errno: i32) -> Code {
    match errno {
        libc::ENOENT => Code::NotFound,
        libc::EEXIST => Code::Conflict,
        libc::ENOTDIR | libc::EISDIR | libc::EINVAL | libc::ENAMETOOLONG | libc::ELOOP | libc::ENXIO => {
            Code::InvalidArgument
        }
        libc::ENOSPC | libc::EDQUOT | libc::EFBIG | libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EMLINK => {
            Code::ResourceExhausted
        }
        libc::EACCES
        | libc::EPERM
        | libc::EROFS
        | libc::EBUSY
        | libc::ENOTEMPTY
        | libc::ETXTBSY
        | libc::EXDEV
        | libc::EOPNOTSUPP => Code::FailedPrecondition,
        libc::EAGAIN
        | libc::ECONNREFUSED
        | libc::ECONNRESET
        | libc::ECONNABORTED
        | libc::EHOSTUNREACH
        | libc::ENETUNREACH
        | libc::EADDRNOTAVAIL
        | libc::ETIMEDOUT => Code::Unavailable,
        _ => Code::Internal,
    }
}

/// An errno's symbolic name; none for what operations here can't meet.
pub fn errno_name(errno: i32) -> Option<&'static str> {
    Some(match errno {
        libc::E2BIG => "E2BIG",
        libc::EACCES => "EACCES",
        libc::EADDRNOTAVAIL => "EADDRNOTAVAIL",
        libc::EAGAIN => "EAGAIN",
        libc::EBADF => "EBADF",
        libc::EBUSY => "EBUSY",
        libc::ECONNABORTED => "ECONNABORTED",
        libc::ECONNREFUSED => "ECONNREFUSED",
        libc::ECONNRESET => "ECONNRESET",
        libc::EDQUOT => "EDQUOT",
        libc::EEXIST => "EEXIST",
        libc::EFAULT => "EFAULT",
        libc::EFBIG => "EFBIG",
        libc::EHOSTUNREACH => "EHOSTUNREACH",
        libc::EINTR => "EINTR",
        libc::EINVAL => "EINVAL",
        libc::EIO => "EIO",
        libc::EISDIR => "EISDIR",
        libc::ELOOP => "ELOOP",
        libc::EMFILE => "EMFILE",
        libc::EMLINK => "EMLINK",
        libc::ENAMETOOLONG => "ENAMETOOLONG",
        libc::ENETUNREACH => "ENETUNREACH",
        libc::ENFILE => "ENFILE",
        libc::ENODEV => "ENODEV",
        libc::ENOENT => "ENOENT",
        libc::ENOEXEC => "ENOEXEC",
        libc::ENOMEM => "ENOMEM",
        libc::ENOSPC => "ENOSPC",
        libc::ENOSYS => "ENOSYS",
        libc::ENOTCONN => "ENOTCONN",
        libc::ENOTDIR => "ENOTDIR",
        libc::ENOTEMPTY => "ENOTEMPTY",
        libc::ENXIO => "ENXIO",
        libc::EOPNOTSUPP => "EOPNOTSUPP",
        libc::EPERM => "EPERM",
        libc::EPIPE => "EPIPE",
        libc::EROFS => "EROFS",
        libc::ESRCH => "ESRCH",
        libc::ESTALE => "ESTALE",
        libc::ETIMEDOUT => "ETIMEDOUT",
        libc::ETXTBSY => "ETXTBSY",
        libc::EXDEV => "EXDEV",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_resource_exhausted_and_named() {
        let failure = Failure::from_io("cannot write '/x'", &io::Error::from_raw_os_error(libc::ENOSPC));
        assert_eq!(failure.code, Code::ResourceExhausted);
        assert_eq!(failure.errno, Some("ENOSPC"));
        assert_eq!(failure.message, "cannot write '/x': no space left on device");
    }

    #[test]
    fn long_messages_are_cut_at_a_character() {
        let failure = Failure::invalid("é".repeat(MESSAGE_MAX_BYTES));
        assert!(failure.message.len() <= MESSAGE_MAX_BYTES + '…'.len_utf8());
        assert!(failure.message.ends_with('…'));
    }
}
