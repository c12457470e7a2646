//! Which of the machine's CPUs each slot's group is held to: the time of some alone would leave all of them visible, and what asks
//! for their number starts a thread or a compiler for each. The machine's own scheduling stays as it is: sets overlap.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Mutex;

use crate::pool::lock;

/// CPUs come and go while a group gets some.
const TRIES: usize = 3;

/// The CPUs of each group that hasn't all, by the group's name. Without a controller for them there are none.
#[derive(Default)]
pub struct CpuSets(Mutex<HashMap<String, Vec<u32>>>);

impl CpuSets {
    /// `directory`: the controller's, of the group. `count` is rounded up; where there are no more than that it has all.
    pub fn hold(&self, name: &str, directory: &Path, count: f64) -> io::Result<()> {
        self.hold_by(name, directory, count, |file, text| fs::write(file, text))
    }

    fn hold_by(
        &self,
        name: &str,
        directory: &Path,
        count: f64,
        mut write: impl FnMut(&Path, &str) -> io::Result<()>,
    ) -> io::Result<()> {
        for _ in 1..TRIES {
            match self.try_hold(name, directory, count, &mut write) {
                // Version 1 takes none that has left the machine since it was read which there are.
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
                done => return done,
            }
        }
        self.try_hold(name, directory, count, &mut write)
    }

    fn try_hold(
        &self,
        name: &str,
        directory: &Path,
        count: f64,
        write: impl FnOnce(&Path, &str) -> io::Result<()>,
    ) -> io::Result<()> {
        let file = directory.join("cpuset.cpus");
        let wanted = count.ceil() as usize;
        let there = match directory.parent().map(effective) {
            Some(Ok(there)) if there.len() > wanted => there,
            _ => return Ok(()),
        };
        // Chosen and noted in one, so that starts at once don't take the same.
        let cpus = {
            let mut taken = lock(&self.0);
            taken.remove(name);
            let cpus = least_taken(&there, wanted, taken.values().flatten());
            taken.insert(name.to_owned(), cpus.clone());
            cpus
        };
        let text = cpus.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        match write(&file, &text) {
            // The controller isn't there, or isn't to be had: who has it for others doesn't share it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.release(name);
                Ok(())
            }
            Err(error) => {
                self.release(name);
                Err(error)
            }
            Ok(()) => Ok(()),
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
    fn one_that_has_left_the_machine_is_given_to_no_group() {
        let parent = std::env::temp_dir().join(format!("e2b-host-cpus-{}", std::process::id()));
        fs::create_dir_all(parent.join("group")).unwrap();
        let there = |text| fs::write(parent.join("cpuset.effective_cpus"), text).unwrap();
        let (sets, group) = (CpuSets::default(), parent.join("group"));
        there("0-3");
        sets.hold_by("a", &group, 1.0, |_, text| Ok(assert_eq!(text, "0"))).unwrap();
        let mut asked = Vec::new();
        let write = |_: &Path, text: &str| {
            asked.push(text.to_owned());
            there("0,2-3");
            if text.contains('1') {
                Err(io::Error::from_raw_os_error(libc::EINVAL))
            } else {
                Ok(())
            }
        };
        sets.hold_by("b", &group, 2.0, write).unwrap();
        assert_eq!(asked, ["1,2", "2,3"]);
        let refuse = |_: &Path, _: &str| Err(io::Error::from_raw_os_error(libc::EINVAL));
        assert!(sets.hold_by("c", &group, 1.0, refuse).is_err());
        fs::remove_dir_all(parent).unwrap();
    }

    #[test]
    fn takes_those_that_fewest_have() {
        assert_eq!(least_taken(&[0, 1, 2, 3], 2, [0, 1, 3, 9].iter()), [0, 2]);
        assert_eq!(least_taken(&[2, 5], 1, [2].iter()), [5]);
    }
}
