//! What processes said last, kept for those who attach later. The pieces are those that subscribers get, so keeping
//! them copies nothing.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::{Rc, Weak};

use crate::error::Failure;
use crate::frame::Outgoing;

/// What is kept of one process, unless `exec` says otherwise.
pub const DEFAULT_BYTES: usize = 1024 * 1024;
/// The most that `exec` may ask for.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
/// What is kept of all processes together.
const TOTAL_MAX_BYTES: usize = 64 * 1024 * 1024;
/// What a piece counts besides its bytes: about what its bookkeeping takes.
const PIECE_BYTES: usize = 64;
/// Pieces of one output are joined up to this length, so that a process that says little at a time keeps much.
const JOIN_MAX_BYTES: usize = 4 * 1024;

/// Bytes of one output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub kind: Outgoing,
    pub bytes: Rc<[u8]>,
}

/// What a subscriber gets before the rest.
#[derive(Debug, PartialEq, Eq)]
pub struct Past {
    /// Offset of the first byte that will be sent, among all that the process said
    pub from: u64,
    pub pieces: VecDeque<Piece>,
}

/// The last output of one process.
pub struct Ring {
    keeper: Rc<Keeper>,
    max_bytes: usize,
    /// The place among the keeper's rings, while anything is kept
    place: Cell<Option<Place>>,
    pieces: RefCell<VecDeque<Piece>>,
    /// Bytes that are kept
    bytes: Cell<usize>,
    /// What they count
    cost: Cell<usize>,
    /// Bytes that the process ever said
    total: Cell<u64>,
}

impl Ring {
    pub fn new(keeper: &Rc<Keeper>, max_bytes: usize) -> Rc<Ring> {
        Rc::new(Ring {
            keeper: Rc::clone(keeper),
            max_bytes,
            place: Cell::new(None),
            pieces: RefCell::default(),
            bytes: Cell::new(0),
            cost: Cell::new(0),
            total: Cell::new(0),
        })
    }

    /// Keeps a piece, for as long as there is room.
    pub fn push(self: &Rc<Self>, kind: Outgoing, bytes: &Rc<[u8]>) {
        self.total.set(self.total.get() + bytes.len() as u64);
        if self.max_bytes == 0 {
            return;
        }
        self.append(Piece { kind, bytes: Rc::clone(bytes) });
        self.trim(self.max_bytes);
        if self.place.get().is_none() && self.cost.get() > 0 {
            self.keeper.enter(self);
        }
        self.keeper.relieve(self);
    }

    /// What is kept from the offset `since` on. Errors: `invalid_argument` beyond what the process said.
    pub fn past(&self, since: Option<u64>) -> Result<Past, Failure> {
        let total = self.total.get();
        let since = since.unwrap_or(0);
        if since > total {
            let message = format!("The field 'since' is {}, but the process has said only {} bytes.", since, total);
            return Err(Failure::invalid(message));
        }
        let mut at = total - self.bytes.get() as u64;
        let from = since.max(at);
        let mut pieces = VecDeque::new();
        for piece in self.pieces.borrow().iter() {
            let skipped = from.saturating_sub(at).min(piece.bytes.len() as u64) as usize;
            at += piece.bytes.len() as u64;
            match skipped {
                0 => pieces.push_back(piece.clone()),
                skipped if skipped < piece.bytes.len() => {
                    pieces.push_back(Piece { kind: piece.kind, bytes: Rc::from(&piece.bytes[skipped..]) });
                }
                _ => {}
            }
        }
        Ok(Past { from, pieces })
    }

    /// Nothing of what was said so far, only where that ends.
    pub fn present(&self) -> Past {
        Past { from: self.total.get(), pieces: VecDeque::new() }
    }

    /// Nothing more will be said: what is kept goes before that of running processes.
    pub fn end(self: &Rc<Self>) {
        self.pieces.borrow_mut().shrink_to_fit();
        self.keeper.end(self);
    }

    fn append(&self, piece: Piece) {
        let mut pieces = self.pieces.borrow_mut();
        self.bytes.set(self.bytes.get() + piece.bytes.len());
        self.count(piece.bytes.len() as isize);
        match pieces.back_mut() {
            Some(last) if last.kind == piece.kind && last.bytes.len() + piece.bytes.len() <= JOIN_MAX_BYTES => {
                last.bytes = [&*last.bytes, &*piece.bytes].concat().into();
            }
            _ => {
                self.count(PIECE_BYTES as isize);
                pieces.push_back(piece);
            }
        }
    }

    /// Drops the oldest pieces until the rest counts at most `max_bytes`.
    fn trim(&self, max_bytes: usize) {
        let mut pieces = self.pieces.borrow_mut();
        while self.cost.get() > max_bytes {
            match pieces.pop_front() {
                Some(piece) => {
                    self.bytes.set(self.bytes.get() - piece.bytes.len());
                    self.count(-((piece.bytes.len() + PIECE_BYTES) as isize));
                }
                None => return,
            }
        }
    }

    fn count(&self, change: isize) {
        self.cost.set((self.cost.get() as isize + change) as usize);
        self.keeper.used.set((self.keeper.used.get() as isize + change) as usize);
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.trim(0);
        if let Some(place) = self.place.get() {
            self.keeper.rings.borrow_mut().remove(&place);
        }
    }
}

/// The order in which rings are emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// By their ends
    Ended(u64),
    /// By their first output
    Running(u64),
}

/// All rings that keep anything.
#[derive(Default)]
pub struct Keeper {
    /// What all of them count
    used: Cell<usize>,
    rings: RefCell<BTreeMap<Place, Weak<Ring>>>,
    next: Cell<u64>,
}

impl Keeper {
    fn enter(&self, ring: &Rc<Ring>) {
        let place = Place::Running(self.number());
        ring.place.set(Some(place));
        self.rings.borrow_mut().insert(place, Rc::downgrade(ring));
    }

    fn end(&self, ring: &Rc<Ring>) {
        if let Some(place) = ring.place.get() {
            let mut rings = self.rings.borrow_mut();
            rings.remove(&place);
            let place = Place::Ended(self.number());
            ring.place.set(Some(place));
            rings.insert(place, Rc::downgrade(ring));
        }
    }

    fn number(&self) -> u64 {
        self.next.set(self.next.get() + 1);
        self.next.get()
    }

    /// Makes room where all together count too much: first what ended processes said, then all but an equal share of
    /// each running one's, where the one that speaks gives first.
    fn relieve(&self, speaker: &Ring) {
        while self.used.get() > TOTAL_MAX_BYTES {
            let ended = match self.rings.borrow().iter().next() {
                Some((Place::Ended(_), ring)) => ring.upgrade(),
                _ => break,
            };
            if let Some(ring) = ended {
                ring.trim(0);
                ring.place.take().map(|place| self.rings.borrow_mut().remove(&place));
            }
        }
        if self.used.get() > TOTAL_MAX_BYTES {
            let share = TOTAL_MAX_BYTES / self.rings.borrow().len().max(1);
            speaker.trim(share);
            if self.used.get() > TOTAL_MAX_BYTES {
                self.rings.borrow().values().filter_map(Weak::upgrade).for_each(|ring| ring.trim(share));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(length: usize, value: u8) -> Rc<[u8]> {
        vec![value; length].into()
    }

    proptest! {
        #[test]
        fn a_replay_is_the_end_of_what_was_said(
            said in proptest::collection::vec((any::<bool>(), 1usize..3000, any::<u8>()), 0..60),
            max_bytes in 0usize..40_000,
            since in 0u64..100_000,
        ) {
            let keeper = Rc::default();
            let ring = Ring::new(&keeper, max_bytes);
            let mut log: Vec<(Outgoing, u8)> = Vec::new();
            for (is_error, length, value) in said {
                let kind = if is_error { Outgoing::Stderr } else { Outgoing::Stdout };
                ring.push(kind, &bytes(length, value));
                log.extend(std::iter::repeat((kind, value)).take(length));
                prop_assert!(ring.cost.get() <= max_bytes && keeper.used.get() == ring.cost.get());
            }
            let total = log.len() as u64;
            prop_assert_eq!(ring.present().from, total);
            if since > total {
                prop_assert!(ring.past(Some(since)).is_err());
            } else {
                let past = ring.past(Some(since)).unwrap();
                // At most one piece, joined or not, is kept less than there is room for.
                let is_complete = past.from == since || (total - past.from) as usize + 4 * JOIN_MAX_BYTES + 60 * PIECE_BYTES > max_bytes;
                prop_assert!(past.from >= since && is_complete, "{} of {} kept", total - past.from, total);
                let replayed: Vec<_> =
                    past.pieces.iter().flat_map(|piece| piece.bytes.iter().map(move |byte| (piece.kind, *byte))).collect();
                prop_assert!(replayed[..] == log[past.from as usize..]);
            }
            drop(ring);
            prop_assert!(keeper.used.get() == 0 && keeper.rings.borrow().is_empty());
        }
    }

    #[test]
    fn all_together_are_bounded_and_the_ended_give_first() {
        const PIECE: usize = 32 * 1024;
        let keeper: Rc<Keeper> = Rc::default();
        let fill = || {
            let ring = Ring::new(&keeper, DEFAULT_BYTES);
            for _ in 0..40 {
                ring.push(Outgoing::Stdout, &bytes(PIECE, 1));
                assert!(keeper.used.get() <= TOTAL_MAX_BYTES);
            }
            ring
        };
        let mut rings: Vec<_> = (0..60).map(|_| fill()).collect();
        rings[7].end();
        rings[3].end();
        rings.extend((0..6).map(|_| fill()));
        // Room for 66 is made by the one that ended first, then by the other.
        assert_eq!((rings[7].bytes.get(), rings[3].bytes.get()), (0, 31 * PIECE));
        rings.extend((0..64).map(|_| fill()));
        assert_eq!(rings[3].bytes.get(), 0);
        let shares = rings.iter().map(|ring| ring.bytes.get()).filter(|bytes| *bytes > 0);
        assert!(shares.clone().count() == 128 && shares.max() <= Some(DEFAULT_BYTES));
        // Everybody who speaks is held to the same share.
        rings.iter().for_each(|ring| ring.push(Outgoing::Stdout, &bytes(PIECE, 2)));
        assert!(keeper.used.get() <= TOTAL_MAX_BYTES);
        rings.clear();
        assert_eq!(keeper.used.get(), 0);
    }
}
