//! What a waiting process is to do, as a list of system calls. The process is a copy of a helper with threads, of which
//! only one goes on in it: it may not allocate, lock or unwind. So whatever needs thinking is thought here, and the
//! process only makes calls (child.rs).

use std::ffi::CString;
use std::os::unix::io::RawFd;

/// Bytes of a whole script: it goes over a socket in one piece.
pub const SCRIPT_MAX_BYTES: usize = 128 * 1024;
/// Results that later calls can refer to.
pub const REGISTERS: usize = 8;
/// Pointers of one `argv` or `envp`, the last included.
pub const POINTERS_MAX: usize = 12;
pub const ARGS: usize = 6;
/// Bytes of a call's head: number, two errors that don't matter, register, number of arguments, bytes of the body.
pub const HEAD_BYTES: usize = 24;
/// Bytes of an argument: its kind, its value, and bytes behind it.
pub const ARG_BYTES: usize = 16;
/// Of a call whose result nobody wants.
pub const NO_REGISTER: u32 = u32::MAX;

/// Kinds of arguments, as they are written.
pub mod kind {
    pub const VALUE: u32 = 0;
    /// Pointer to the bytes behind the call
    pub const BYTES: u32 = 1;
    /// One of the descriptors that came with the script
    pub const RECEIVED: u32 = 2;
    /// The result of an earlier call
    pub const RESULT: u32 = 3;
    /// Pointer to an array of pointers to the strings behind the call, each with its zero byte
    pub const STRINGS: u32 = 4;
    /// Pointer to the `sock_fprog` of the instructions behind the call
    pub const FILTER: u32 = 5;
}

/// An argument of a call.
pub enum Arg<'a> {
    Value(u64),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// A descriptor that the process has under this number
    Fd(RawFd),
    Received(usize),
    Result(usize),
    Strings(&'a [&'a str]),
    /// Instructions of eight bytes
    Filter(&'a [u8]),
}

/// Calls in order. The first that fails ends the process, unless its error is one that doesn't matter.
#[derive(Default)]
pub struct Script {
    bytes: Vec<u8>,
    /// What each call is for, to tell what failed
    labels: Vec<String>,
}

impl Script {
    /// Adds a call. `label`: what can't be done if it fails, such as `mount /proc`.
    pub fn call(&mut self, label: &str, number: libc::c_long, args: &[Arg]) {
        self.add(label, number, args, &[], None);
    }

    /// A call that may fail with any of `errors`, two at most.
    pub fn try_call(&mut self, label: &str, number: libc::c_long, args: &[Arg], errors: &[libc::c_int]) {
        self.add(label, number, args, errors, None);
    }

    /// A call whose result later ones refer to by `register`; it is -1 after an error that doesn't matter.
    pub fn keep(&mut self, label: &str, number: libc::c_long, args: &[Arg], errors: &[libc::c_int], register: usize) {
        debug_assert!(register < REGISTERS);
        self.add(label, number, args, errors, Some(register));
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the call of this number is for.
    pub fn label(&self, step: usize) -> &str {
        self.labels.get(step).map_or("start", String::as_str)
    }

    fn add(&mut self, label: &str, number: libc::c_long, args: &[Arg], errors: &[i32], register: Option<usize>) {
        debug_assert!(args.len() <= ARGS && errors.len() <= 2);
        let (mut descriptions, mut body) = (Vec::new(), Vec::new());
        for arg in args {
            let start = body.len();
            let (kind, value) = match arg {
                Arg::Value(value) => (kind::VALUE, *value),
                Arg::Fd(fd) => (kind::VALUE, *fd as u64),
                Arg::Received(index) => (kind::RECEIVED, *index as u64),
                Arg::Result(register) => (kind::RESULT, *register as u64),
                Arg::Text(text) => append(&mut body, kind::BYTES, &with_zero(text)),
                Arg::Bytes(bytes) => append(&mut body, kind::BYTES, bytes),
                Arg::Filter(bytes) => append(&mut body, kind::FILTER, bytes),
                Arg::Strings(strings) => {
                    debug_assert!(strings.len() < POINTERS_MAX);
                    let texts: Vec<u8> = strings.iter().flat_map(|text| with_zero(text)).collect();
                    append(&mut body, kind::STRINGS, &texts)
                }
            };
            descriptions.extend_from_slice(&kind.to_ne_bytes());
            descriptions.extend_from_slice(&((body.len() - start) as u32).to_ne_bytes());
            descriptions.extend_from_slice(&value.to_ne_bytes());
        }
        let register = register.map_or(NO_REGISTER, |register| register as u32);
        let error = |index: usize| errors.get(index).copied().unwrap_or(0) as u32;
        for part in [number as u32, error(0), error(1), register, args.len() as u32, body.len() as u32] {
            self.bytes.extend_from_slice(&part.to_ne_bytes());
        }
        self.bytes.extend_from_slice(&descriptions);
        self.bytes.extend_from_slice(&body);
        self.labels.push(label.to_owned());
    }
}

/// Puts bytes behind a call. Returns their kind and place.
fn append(body: &mut Vec<u8>, kind: u32, bytes: &[u8]) -> (u32, u64) {
    let place = body.len() as u64;
    body.extend_from_slice(bytes);
    (kind, place)
}

/// A text's bytes for the kernel, which ends at the first zero byte.
fn with_zero(text: &str) -> Vec<u8> {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default().into_bytes_with_nul()
}
