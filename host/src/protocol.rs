//! Messages: four bytes, big-endian, that say how many bytes of JSON follow.

use std::io::{self, Read, Write};

use serde_json::{json, Value};

use crate::error::Failure;

/// 1 MiB: a page of the longest list is far below it.
pub const MESSAGE_MAX_BYTES: usize = 1024 * 1024;

/// The protocol that `hello` agrees on.
pub const VERSION: u64 = 1;

/// The next message, or none at the end of the stream. Errors: also `InvalidData` for one that is too long.
pub fn read_message(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut head = [0; 4];
    match stream.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u32::from_be_bytes(head) as usize;
    if length > MESSAGE_MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the message is too long"));
    }
    // Grows as bytes come: a head alone claims nothing.
    let mut payload = Vec::new();
    stream.take(length as u64).read_to_end(&mut payload)?;
    match payload.len() == length {
        true => Ok(Some(payload)),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// `payload`: at most `MESSAGE_MAX_BYTES`.
pub fn write_message(stream: &mut impl Write, payload: &[u8]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(payload.len() + 4);
    bytes.extend((payload.len() as u32).to_be_bytes());
    bytes.extend(payload);
    stream.write_all(&bytes)
}

pub fn reply(id: u64, result: Result<Value, Failure>) -> Value {
    match result {
        Ok(value) => json!({ "id": id, "ok": value }),
        Err(failure) => json!({ "id": id, "error": failure.to_json() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let mut bytes = Vec::new();
        write_message(&mut bytes, br#"{"id":1}"#).unwrap();
        let failed = reply(2, Err(Failure::not_found("Nothing.")));
        write_message(&mut bytes, failed.to_string().as_bytes()).unwrap();
        let mut stream = bytes.as_slice();
        assert_eq!(read_message(&mut stream).unwrap().unwrap(), br#"{"id":1}"#);
        assert!(read_message(&mut stream).unwrap().is_some());
        assert!(read_message(&mut stream).unwrap().is_none());
    }

    #[test]
    fn refuses_long_and_cut_messages() {
        let too_long = (MESSAGE_MAX_BYTES as u32 + 1).to_be_bytes();
        assert_eq!(read_message(&mut too_long.as_slice()).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(read_message(&mut [0, 0, 0, 9, b'{'].as_slice()).is_err());
    }
}
