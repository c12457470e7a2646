//! Which numbers of the instance's range are whose. One is given again as late as can be: what others still send to the
//! guest that had it should not come to the next.

use std::collections::{HashSet, VecDeque};

/// The numbers before are the machine's, the router's, and nobody's.
pub const FIRST: u32 = 16;

pub struct Addresses {
    free: VecDeque<u32>,
    taken: HashSet<u32>,
}

impl Addresses {
    /// `last`: the number of the range's last address, which stays unused. `seed`: where giving begins.
    pub fn new(last: u32, seed: u32) -> Addresses {
        let mut free: VecDeque<u32> = (FIRST..last).collect();
        let turns = seed as usize % free.len().max(1);
        free.rotate_left(turns);
        Addresses { free, taken: HashSet::new() }
    }

    pub fn take(&mut self) -> Option<u32> {
        let number = self.free.pop_front()?;
        self.taken.insert(number);
        Some(number)
    }

    /// False where it is somebody's already.
    pub fn take_this(&mut self, number: u32) -> bool {
        let place = self.free.iter().position(|free| *free == number);
        place.map_or(false, |place| {
            self.free.remove(place);
            self.taken.insert(number)
        })
    }

    /// Idempotent.
    pub fn give_back(&mut self, number: u32) {
        if self.taken.remove(&number) {
            self.free.push_back(number);
        }
    }

    pub fn is_any_taken(&self) -> bool {
        !self.taken.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_what_came_back_last() {
        let mut addresses = Addresses::new(FIRST + 4, 2);
        assert_eq!(addresses.take(), Some(FIRST + 2));
        addresses.give_back(FIRST + 2);
        addresses.give_back(FIRST + 2);
        assert!(addresses.take_this(FIRST + 1));
        assert!(!addresses.take_this(FIRST + 1));
        let rest: Vec<_> = std::iter::from_fn(|| addresses.take()).collect();
        assert_eq!(rest, [FIRST + 3, FIRST, FIRST + 2]);
    }
}
