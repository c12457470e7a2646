//! The host's side of one connection, blocking.

use std::io::{Read, Write};

use serde_json::Value;

pub const AUTH: u8 = 0x00;
pub const REQUEST: u8 = 0x01;
pub const REPLY: u8 = 0x02;
pub const ERROR: u8 = 0x03;
pub const END: u8 = 0x04;
pub const ITEM: u8 = 0x05;
pub const INPUT: u8 = 0x10;
pub const EOF: u8 = 0x11;
pub const STDOUT: u8 = 0x12;
pub const STDERR: u8 = 0x13;
pub const PTY: u8 = 0x14;
pub const DATA: u8 = 0x15;

pub struct Client<S>(pub S);

/// All that a process said.
pub struct Output {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub pty: Vec<u8>,
    pub end: Value,
}

impl Output {
    pub fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    pub fn error_text(&self) -> String {
        String::from_utf8(self.stderr.clone()).unwrap()
    }
}

pub fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes().to_vec();
    bytes.push(kind);
    bytes.extend_from_slice(payload);
    bytes
}

impl<S: Read + Write> Client<S> {
    pub fn send(&mut self, kind: u8, payload: &[u8]) {
        self.0.write_all(&frame(kind, payload)).unwrap();
    }

    pub fn request(&mut self, request: &Value) {
        self.send(REQUEST, request.to_string().as_bytes());
    }

    pub fn input(&mut self, bytes: &[u8]) {
        self.send(INPUT, bytes);
    }

    pub fn eof(&mut self) {
        self.send(EOF, b"");
    }

    /// Sends a whole file.
    pub fn upload(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(256 * 1024) {
            self.input(piece);
        }
        self.eof();
    }

    /// The next frame; none when the agent has closed the connection.
    pub fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut header = [0; 5];
        let mut filled = 0;
        while filled < header.len() {
            match self.0.read(&mut header[filled..]) {
                Ok(0) if filled == 0 => return None,
                Ok(0) => panic!("the connection ended inside a frame"),
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => panic!("nothing came: {}", error),
            }
        }
        let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        assert!(length <= 4 * 1024 * 1024);
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).unwrap();
        Some((header[4], payload))
    }

    pub fn reply(&mut self) -> Value {
        self.expect(REPLY)
    }

    pub fn error(&mut self) -> Value {
        self.expect(ERROR)
    }

    /// The end of a stream, which must be all that is left of it.
    pub fn end(&mut self) -> Value {
        let end = self.expect(END);
        assert!(self.next().is_none(), "something follows the end");
        end
    }

    /// Everything up to the end.
    pub fn output(&mut self) -> Output {
        let mut output = Output { stdout: Vec::new(), stderr: Vec::new(), pty: Vec::new(), end: Value::Null };
        loop {
            let (kind, payload) = self.next().expect("the stream breaks off");
            match kind {
                STDOUT => output.stdout.extend(payload),
                STDERR => output.stderr.extend(payload),
                PTY => output.pty.extend(payload),
                END => {
                    output.end = serde_json::from_slice(&payload).unwrap();
                    assert!(self.next().is_none(), "something follows the end");
                    return output;
                }
                other => panic!("frame {:#x}: {}", other, String::from_utf8_lossy(&payload)),
            }
        }
    }

    /// Reads frames of bytes until they have brought `text`.
    pub fn wait_for(&mut self, text: &str) -> String {
        let mut seen = Vec::new();
        loop {
            let (kind, payload) = self.next().expect("the stream breaks off");
            assert!((STDOUT..=PTY).contains(&kind), "{}", String::from_utf8_lossy(&payload));
            seen.extend(payload);
            let so_far = String::from_utf8_lossy(&seen);
            if so_far.contains(text) {
                return so_far.into_owned();
            }
        }
    }

    /// The bytes of a `read`.
    pub fn download(&mut self) -> Vec<u8> {
        self.reply();
        let mut bytes = Vec::new();
        loop {
            match self.next().expect("the stream breaks off") {
                (DATA, payload) => bytes.extend(payload),
                (END, payload) => {
                    let end: Value = serde_json::from_slice(&payload).unwrap();
                    assert_eq!(end["bytes"], bytes.len());
                    return bytes;
                }
                (kind, payload) => panic!("frame {:#x}: {}", kind, String::from_utf8_lossy(&payload)),
            }
        }
    }

    fn expect(&mut self, kind: u8) -> Value {
        let (got, payload) = self.next().expect("the connection is closed without an answer");
        assert_eq!(got, kind, "{}", String::from_utf8_lossy(&payload));
        serde_json::from_slice(&payload).unwrap()
    }
}
