//! Which of the machine's CPUs each slot's group is held to: the time of some alone would leave all of them visible, and what asks
//! for their number starts a thread or a compiler for each. The machine's own scheduling stays as it is: sets overlap.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Mutex;

use crate::pool::lock;

/// The CPUs of each group that hasn't all, by the group's name. Without a controller for them there are none.
#[derive(Default)]
pub struct CpuSets(Mutex<HashMap<String, Vec<u32>>>);

impl CpuSets {
    /// `directory`: the controller's, of the group. `count` is rounded up; where there are no more than that it has all.
    pub fn hold(&self, name: &str, directory: &Path, count: f64) -> io::Result<()> {
        let file = directory.join("cpuset.cpus");
        let wanted = count.ceil() as usize;
        let there = match directory.parent().map(effective) {
            Some(Ok(there)) if there.len() > wanted => there,
            _ => return Ok(()),
        };
        // Chosen and noted in one, so that starts at once don't take the same.
        let cpus = {
            let mut taken = lock(&self.0);
            let cpus = least_taken(&there, wanted, taken.values().flatten());
            taken.insert(name.to_owned(), cpus.clone());
            cpus
        };
        let text = cpus.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        match fs::write(file, text) {
            // The controller isn't there, or isn't to be had: who has it for others doesn't share it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.release(name);
                Ok(())
            }
            done => done,
        }
    }

    /// As an earlier helper has held it.
    pub fn adopt(&self, name: &str, directory: &Path) -> io::Result<()> {
        let there = directory.parent().map_or_else(|| Ok(Vec::new()), effective);
        let cpus = match (there, effective(directory)) {
            (Ok(there), Ok(cpus)) if cpus.len() < there.len() => cpus,
            _ => return Ok(()),
        };
        lock(&self.0).insert(name.to_owned(), cpus);
        Ok(())
    }

    /// Idempotent.
    pub fn release(&self, name: &str) {
        lock(&self.0).remove(name);
    }
}

/// What a group may run on. Errors: `NotFound` without the controller.
pub fn effective(directory: &Path) -> io::Result<Vec<u32>> {
    let read = |file| fs::read_to_string(directory.join(file));
    read("cpuset.cpus.effective").or_else(|_| read("cpuset.effective_cpus")).map(|text| parse(&text))
}

/// Of a list such as `0-2,5`.
pub fn parse(text: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?)
    };
    text.trim().split(',').filter_map(range).flatten().collect()
}

/// As many as are wanted of those that fewest have, in order.
fn least_taken<'a>(there: &[u32], wanted: usize, taken: impl Iterator<Item = &'a u32>) -> Vec<u32> {
    let mut counts: HashMap<u32, usize> = there.iter().map(|cpu| (*cpu, 0)).collect();
    for cpu in taken {
        if let Some(count) = counts.get_mut(cpu) {
            *count += 1;
        }
    }
    let mut cpus = there.to_vec();
    cpus.sort_by_key(|cpu| (counts[cpu], *cpu));
    cpus.truncate(wanted);
    cpus.sort_unstable();
    cpus
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_of_cpus() {
        assert_eq!(parse("0-2,5\n"), [0, 1, 2, 5]);
        assert_eq!(parse("\n"), Vec::<u32>::new());
    }

    #[test]
    fn takes_those_that_fewest_have() {
        assert_eq!(least_taken(&[0, 1, 2, 3], 2, [0, 1, 3, 9].iter()), [0, 2]);
        assert_eq!(least_taken(&[2, 5], 1, [2].iter()), [5]);
    }
}
