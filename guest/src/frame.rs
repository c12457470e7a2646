//! The framing of spec/guest.md: `u32 big-endian length, u8 type, payload`. The decoder is pure: bytes in, frames
//! out. It refuses a frame by its header alone, so that nobody can make it hold more than the admitted frame's limit.

/// Bytes of a frame before its payload.
pub const HEADER_BYTES: usize = 5;
/// Longest payload of requests, replies and items.
pub const JSON_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Longest payload of frames that carry bytes.
pub const BYTES_MAX_BYTES: usize = 256 * 1024;
/// Length of a secret: 64 hex digits.
pub const SECRET_BYTES: usize = 64;

/// What the host sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming {
    Auth,
    Request,
    Input,
    Eof,
}

impl Incoming {
    fn from_byte(byte: u8) -> Option<Incoming> {
        match byte {
            0x00 => Some(Incoming::Auth),
            0x01 => Some(Incoming::Request),
            0x10 => Some(Incoming::Input),
            0x11 => Some(Incoming::Eof),
            _ => None,
        }
    }

    fn max_bytes(self) -> usize {
        match self {
            Incoming::Auth => SECRET_BYTES,
            Incoming::Request => JSON_MAX_BYTES,
            Incoming::Input => BYTES_MAX_BYTES,
            Incoming::Eof => 0,
        }
    }
}

/// What the agent sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing {
    Reply = 0x02,
    Error = 0x03,
    End = 0x04,
    Item = 0x05,
    Stdout = 0x12,
    Stderr = 0x13,
    Pty = 0x14,
    Data = 0x15,
}

/// One frame from the host.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: Incoming,
    pub payload: Vec<u8>,
}

/// The host broke the protocol: its connection is closed.
#[derive(Debug, PartialEq, Eq)]
pub struct Violation;

/// The header of a frame.
pub fn header(kind: Outgoing, payload_bytes: usize) -> [u8; HEADER_BYTES] {
    let length = (payload_bytes as u32).to_be_bytes();
    [length[0], length[1], length[2], length[3], kind as u8]
}

/// Collects bytes and cuts them into frames.
#[derive(Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Bytes at the buffer's start that frames already took
    taken: usize,
    /// Bytes still to come of the input frame that is being gathered
    open: usize,
}

/// Where gathering has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gathered {
    /// More bytes are needed
    Some,
    /// As much as was asked for
    Enough,
    /// The input is at its end
    All,
}

impl Decoder {
    /// Adds bytes as they came. To keep the bound, call it only after `next` has answered that it needs more.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.taken > 0 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame, if all of it is there. A frame that `admitted` doesn't list is a violation.
    pub fn next(&mut self, admitted: &[Incoming]) -> Result<Option<Frame>, Violation> {
        let bytes = &self.buffer[self.taken..];
        let (kind, length) = match read_header(bytes, admitted)? {
            Some((kind, length)) if bytes.len() >= HEADER_BYTES + length => (kind, length),
            _ => return Ok(None),
        };
        let payload = bytes[HEADER_BYTES..HEADER_BYTES + length].to_vec();
        self.take(HEADER_BYTES + length);
        Ok(Some(Frame { kind, payload }))
    }

    /// Appends the payloads of input frames to `into`, however far they have come, until that is `limit` bytes long.
    pub fn gather(&mut self, into: &mut Vec<u8>, limit: usize) -> Result<Gathered, Violation> {
        let (taken, gathered) = gather(&self.buffer[self.taken..], &mut self.open, into, limit)?;
        self.take(taken);
        Ok(gathered)
    }

    /// As `gather`, of bytes that have come just now, which go to their place without a stay here. Call it only after
    /// `gather` has answered that it needs more.
    pub fn gather_from(&mut self, mut bytes: &[u8], into: &mut Vec<u8>, limit: usize) -> Result<Gathered, Violation> {
        let mut gathered = Gathered::Some;
        if self.taken < self.buffer.len() {
            // A header that came in pieces.
            let missing = HEADER_BYTES - (self.buffer.len() - self.taken);
            let (rest_of_header, behind) = bytes.split_at(missing.min(bytes.len()));
            self.push(rest_of_header);
            gathered = self.gather(into, limit)?;
            bytes = behind;
        }
        if gathered == Gathered::Some {
            let (taken, now) = gather(bytes, &mut self.open, into, limit)?;
            gathered = now;
            bytes = &bytes[taken..];
        }
        if !bytes.is_empty() {
            self.push(bytes);
        }
        Ok(gathered)
    }

    fn take(&mut self, bytes: usize) {
        self.taken += bytes;
        if self.taken == self.buffer.len() {
            // An idle connection holds no buffer.
            self.buffer = Vec::new();
            self.taken = 0;
        }
    }

    /// The bytes that no frame took, for a connection that goes on without frames.
    pub fn into_rest(mut self) -> Vec<u8> {
        self.buffer.split_off(self.taken)
    }
}

/// What a frame is and how long its payload, once its header is there. One that `admitted` doesn't list is a violation.
fn read_header(bytes: &[u8], admitted: &[Incoming]) -> Result<Option<(Incoming, usize)>, Violation> {
    if bytes.len() < HEADER_BYTES {
        return Ok(None);
    }
    let length = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
    let kind = Incoming::from_byte(bytes[4]).ok_or(Violation)?;
    if !admitted.contains(&kind) || length > kind.max_bytes() {
        return Err(Violation);
    }
    Ok(Some((kind, length)))
}

/// Appends what `bytes` has of input. Returns how much of them it took: all but the beginning of a header, as far as
/// there is room.
fn gather(bytes: &[u8], open: &mut usize, into: &mut Vec<u8>, limit: usize) -> Result<(usize, Gathered), Violation> {
    let mut at = 0;
    while into.len() < limit {
        if *open == 0 {
            match read_header(&bytes[at..], &[Incoming::Input, Incoming::Eof])? {
                None => return Ok((at, Gathered::Some)),
                Some((Incoming::Eof, _)) => return Ok((at + HEADER_BYTES, Gathered::All)),
                Some((_, length)) => *open = length,
            }
            at += HEADER_BYTES;
        }
        let length = (*open).min(bytes.len() - at).min(limit - into.len());
        if length == 0 && *open > 0 {
            return Ok((at, Gathered::Some));
        }
        into.extend_from_slice(&bytes[at..at + length]);
        *open -= length;
        at += length;
    }
    Ok((at, Gathered::Enough))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Incoming; 4] = [Incoming::Auth, Incoming::Request, Incoming::Input, Incoming::Eof];
    const PIECE_MAX_BYTES: usize = 64 * 1024;

    fn encode(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = (payload.len() as u32).to_be_bytes().to_vec();
        bytes.push(kind);
        bytes.extend_from_slice(payload);
        bytes
    }

    /// Feeds `bytes` in pieces of the given lengths, over and over, and gathers frames up to the first violation.
    fn decode(bytes: &[u8], pieces: &[usize]) -> (Vec<Frame>, bool) {
        let mut decoder = Decoder::default();
        let mut frames = Vec::new();
        let mut lengths = pieces.iter().cycle();
        let mut rest = bytes;
        while !rest.is_empty() {
            let length = (*lengths.next().unwrap()).min(rest.len());
            decoder.push(&rest[..length]);
            rest = &rest[length..];
            loop {
                match decoder.next(&ALL) {
                    Ok(Some(frame)) => {
                        assert!(frame.payload.len() <= frame.kind.max_bytes());
                        frames.push(frame);
                    }
                    Ok(None) => break,
                    Err(Violation) => return (frames, true),
                }
            }
            assert!(decoder.buffer.len() <= HEADER_BYTES + JSON_MAX_BYTES + PIECE_MAX_BYTES);
        }
        (frames, false)
    }

    #[test]
    fn refuses_a_long_frame_by_its_header() {
        let mut decoder = Decoder::default();
        decoder.push(&[0x00, 0x40, 0x00, 0x01, 0x01]);
        assert_eq!(decoder.next(&ALL), Err(Violation));
    }

    #[test]
    fn refuses_a_frame_that_is_not_admitted() {
        let mut decoder = Decoder::default();
        decoder.push(&encode(0x10, b"x"));
        assert_eq!(decoder.next(&[Incoming::Request]), Err(Violation));
    }

    #[test]
    fn keeps_what_follows_a_frame() {
        let mut decoder = Decoder::default();
        let mut bytes = encode(0x01, b"{}");
        bytes.extend_from_slice(b"raw");
        decoder.push(&bytes);
        assert!(decoder.next(&ALL).unwrap().is_some());
        assert_eq!(decoder.into_rest(), b"raw");
    }

    fn valid_frame() -> impl Strategy<Value = (u8, Vec<u8>)> {
        prop_oneof![
            (Just(0x00), proptest::collection::vec(any::<u8>(), 0..=SECRET_BYTES)),
            (Just(0x01), proptest::collection::vec(any::<u8>(), 0..3000)),
            (Just(0x10), proptest::collection::vec(any::<u8>(), 0..3000)),
            Just((0x11, Vec::new())),
        ]
    }

    /// What is gathered of `bytes` that come in pieces, batch by batch, until the end, a violation, or no more comes.
    fn gather_all(bytes: &[u8], pieces: &[usize], limit: usize) -> (Vec<u8>, Option<Gathered>) {
        let mut decoder = Decoder::default();
        let (mut all, mut batch) = (Vec::new(), Vec::new());
        let mut lengths = pieces.iter().cycle();
        let mut rest = bytes;
        loop {
            let mut gathered = decoder.gather(&mut batch, limit);
            while gathered == Ok(Gathered::Some) && !rest.is_empty() {
                let length = (*lengths.next().unwrap()).min(rest.len());
                gathered = decoder.gather_from(&rest[..length], &mut batch, limit);
                rest = &rest[length..];
                assert!(decoder.buffer.len() <= PIECE_MAX_BYTES + HEADER_BYTES);
            }
            assert!(batch.len() <= limit);
            all.append(&mut batch);
            if gathered != Ok(Gathered::Enough) {
                return (all, gathered.ok());
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn arbitrary_bytes_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..4000),
            pieces in proptest::collection::vec(1..PIECE_MAX_BYTES, 1..8),
        ) {
            decode(&bytes, &pieces);
        }

        #[test]
        fn likely_headers_never_panic(
            headers in proptest::collection::vec((0u32..6_000_000, 0u8..0x16), 0..40),
            pieces in proptest::collection::vec(1usize..200, 1..8),
        ) {
            let bytes: Vec<u8> = headers
                .iter()
                .flat_map(|(length, kind)| length.to_be_bytes().into_iter().chain([*kind]))
                .collect();
            decode(&bytes, &pieces);
        }

        #[test]
        fn input_is_gathered_whole_however_it_is_cut(
            sent in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..3000), 0..12),
            pieces in proptest::collection::vec(1usize..1500, 1..8),
            limit in 1usize..5000,
            is_whole in any::<bool>(),
        ) {
            let mut bytes: Vec<u8> = sent.iter().flat_map(|payload| encode(0x10, payload)).collect();
            if is_whole {
                bytes.extend(encode(0x11, b""));
            }
            let end = if is_whole { Gathered::All } else { Gathered::Some };
            prop_assert_eq!(gather_all(&bytes, &pieces, limit), (sent.concat(), Some(end)));
        }

        #[test]
        fn only_input_is_gathered(
            bytes in proptest::collection::vec(any::<u8>(), 0..4000),
            pieces in proptest::collection::vec(1..PIECE_MAX_BYTES, 1..8),
        ) {
            let (gathered, end) = gather_all(&bytes, &pieces, BYTES_MAX_BYTES);
            let (frames, _) = decode(&bytes, &pieces);
            let isnt_input = |frame: &Frame| !matches!(frame.kind, Incoming::Input | Incoming::Eof);
            if frames.first().map_or(false, isnt_input) {
                prop_assert_eq!((gathered.len(), end), (0, None));
            }
        }

        #[test]
        fn valid_frames_survive_any_split(
            sent in proptest::collection::vec(valid_frame(), 1..20),
            pieces in proptest::collection::vec(1usize..1500, 1..8),
        ) {
            let bytes: Vec<u8> = sent.iter().flat_map(|(kind, payload)| encode(*kind, payload)).collect();
            let (frames, violated) = decode(&bytes, &pieces);
            prop_assert!(!violated);
            let received: Vec<_> = frames.into_iter().map(|frame| (frame.kind, frame.payload)).collect();
            let expected: Vec<_> = sent
                .into_iter()
                .map(|(kind, payload)| (Incoming::from_byte(kind).unwrap(), payload))
                .collect();
            prop_assert_eq!(received, expected);
        }
    }
}
