//! The system calls that a guest's processes may make: spec/system-calls.json as a filter of the kernel's. What isn't listed is
//! `EPERM`, and `ENOSYS` where it is newer than all that are, so that programs try an older call. Where root may mount, some are
//! asked about: the guest's agent says whether they go on (`guest/src/mounts.rs`).

use std::collections::BTreeMap;

use serde_json::Value;

use super::rights::Rights;

const CALLS: &str = include_str!("../../../spec/system-calls.json");

// Offsets in the kernel's `seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;
const ALLOW: u32 = 0x7fff_0000;
const ASK: u32 = 0x7fc0_0000;
const REFUSE: u32 = 0x0005_0000;

/// The kernel's names of what a program's calls may be numbered by: the machine's own first. Others are refused whole.
#[cfg(target_arch = "x86_64")]
const ABIS: [(&str, u32); 2] = [("x86_64", 0xc000_003e), ("i386", 0x4000_0003)];
#[cfg(target_arch = "aarch64")]
const ABIS: [(&str, u32); 2] = [("aarch64", 0xc000_00b7), ("arm", 0x4000_0028)];

/// What a call's number leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Allow,
    Absent,
    /// Allowed where one of the conditions holds
    Conditions(Vec<Condition>),
    /// What the first says of the rules that hold
    Rules(Vec<Rule>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Condition {
    argument: u32,
    operation: Operation,
    value: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Equal,
    Unequal,
    NoBits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule {
    argument: u32,
    holds: Holds,
    then: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Always,
    /// Where the argument has one of these bits
    Any(u32),
    All(u32),
}

/// The filter's instructions, eight bytes each. The list is this program's own, so that what is wrong with it is a panic.
pub fn filter(rights: Rights) -> Vec<u8> {
    let calls: Value = serde_json::from_str(CALLS).expect("spec/system-calls.json is JSON");
    let mut program = vec![load(ARCHITECTURE)];
    for (name, audit) in ABIS {
        let part = of_abi(&verdicts(&calls, name, rights));
        program.extend(unless(libc::BPF_JEQ, audit, part));
    }
    program.push(give(REFUSE | libc::EPERM as u32));
    assert!(program.len() <= libc::BPF_MAXINSNS as usize, "the kernel takes a filter of this length");
    program.iter().flat_map(bytes_of).collect()
}

/// Which number leads to what, for one way of numbering.
fn verdicts(calls: &Value, abi: &str, rights: Rights) -> BTreeMap<u32, Verdict> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let column = list(&calls["architectures"]).iter().position(|name| name == abi).expect("the list has its numbers");
    let number = |numbers: &Value| numbers[column].as_u64().map(|number| number as u32);
    let mut verdicts = BTreeMap::new();
    let groups = calls["allowed"].as_object().expect("calls are in groups");
    for numbers in groups.values().filter_map(Value::as_object).flat_map(|group| group.values()) {
        verdicts.extend(number(numbers).map(|number| (number, Verdict::Allow)));
    }
    for call in list(&calls["absent"]) {
        verdicts.extend(number(&call["numbers"]).map(|number| (number, Verdict::Absent)));
    }
    for call in list(&calls["conditions"]) {
        let condition = condition(&call);
        if let Some(number) = number(&call["numbers"]) {
            match verdicts.entry(number).or_insert_with(|| Verdict::Conditions(Vec::new())) {
                Verdict::Conditions(conditions) => conditions.push(condition),
                other => panic!("{} is both {:?} and conditional", call["name"], other),
            }
        }
    }
    if rights.may_mount() {
        let more = &calls["withMounts"];
        let numbers = more["allowed"].as_object().into_iter().flat_map(|group| group.values());
        verdicts.extend(numbers.filter_map(|numbers| number(numbers)).map(|number| (number, Verdict::Allow)));
        let absent = list(&more["absent"]).into_iter().filter_map(|call| number(&call["numbers"]));
        verdicts.extend(absent.map(|number| (number, Verdict::Absent)));
        let mut ruled: BTreeMap<u32, Vec<Rule>> = BTreeMap::new();
        for call in list(&more["rules"]) {
            let number = number(&call["numbers"]).expect("what has rules is a call of each way of numbering");
            ruled.entry(number).or_default().push(rule(&call));
        }
        // In place of the conditions that they have otherwise.
        verdicts.extend(ruled.into_iter().map(|(number, rules)| (number, Verdict::Rules(rules))));
    }
    verdicts
}

fn rule(call: &Value) -> Rule {
    let number = |field: &str| call[field].as_u64().expect("a number") as u32;
    let then = match call["then"].as_str() {
        Some("allow") => ALLOW,
        Some("ask") => ASK,
        Some("refuse") => REFUSE | libc::EPERM as u32,
        other => panic!("{:?} is no answer", other),
    };
    let holds = match (call["allBits"].as_u64(), call["bits"].as_u64()) {
        (Some(bits), _) => Holds::All(bits as u32),
        (None, Some(bits)) => Holds::Any(bits as u32),
        (None, None) => Holds::Always,
    };
    Rule { argument: number("argument"), holds, then }
}

fn condition(call: &Value) -> Condition {
    let number = |field: &str| call[field].as_u64().expect("a number") as u32;
    let operation = match call["operation"].as_str() {
        Some("equal") => Operation::Equal,
        Some("unequal") => Operation::Unequal,
        Some("no-bits") => Operation::NoBits,
        other => panic!("{:?} is no operation", other),
    };
    Condition { argument: number("argument"), operation, value: number("value") }
}

/// The instructions for one way of numbering; all paths end.
fn of_abi(verdicts: &BTreeMap<u32, Verdict>) -> Vec<libc::sock_filter> {
    let newest = verdicts.keys().next_back().copied().unwrap_or(0);
    // x32 is the machine's own way with a bit more: such numbers are no newer calls.
    let mut ranges = vec![(newest + 1, 0x3fff_ffff, Verdict::Absent)];
    for (number, verdict) in verdicts.iter().rev() {
        match ranges.last_mut() {
            Some((first, _, same)) if *first == number + 1 && same == verdict => *first = *number,
            _ => ranges.push((*number, *number, verdict.clone())),
        }
    }
    ranges.reverse();
    let mut program = vec![load(NUMBER)];
    program.extend(search(&ranges));
    program
}

/// Halves the ranges until one is left.
fn search(ranges: &[(u32, u32, Verdict)]) -> Vec<libc::sock_filter> {
    if ranges.len() == 1 {
        let (first, last, verdict) = &ranges[0];
        let mut program = unless(libc::BPF_JGE, *first, unless_not(libc::BPF_JGT, *last, decide(verdict)));
        program.push(give(REFUSE | libc::EPERM as u32));
        return program;
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let mut program = unless(libc::BPF_JGE, high[0].0, search(high));
    program.extend(search(low));
    program
}

fn decide(verdict: &Verdict) -> Vec<libc::sock_filter> {
    match verdict {
        Verdict::Allow => vec![give(ALLOW)],
        Verdict::Absent => vec![give(REFUSE | libc::ENOSYS as u32)],
        Verdict::Conditions(conditions) => by_conditions(conditions),
        Verdict::Rules(rules) => by_rules(rules),
    }
}

fn by_rules(rules: &[Rule]) -> Vec<libc::sock_filter> {
    let mut program = Vec::new();
    for Rule { argument, holds, then } in rules {
        program.push(load(ARGUMENTS + 8 * argument));
        let answer = vec![give(*then)];
        match holds {
            Holds::Always => program.extend(answer),
            Holds::Any(bits) => program.extend(unless(libc::BPF_JSET, *bits, answer)),
            Holds::All(bits) => {
                let code = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
                program.push(libc::sock_filter { code, jt: 0, jf: 0, k: *bits });
                program.extend(unless(libc::BPF_JEQ, *bits, answer));
            }
        }
    }
    program.push(give(REFUSE | libc::EPERM as u32));
    program
}

fn by_conditions(conditions: &[Condition]) -> Vec<libc::sock_filter> {
    let mut program = Vec::new();
    for Condition { argument, operation, value } in conditions {
        // The lower half, little-endian. The kernel takes no more of these arguments.
        program.push(load(ARGUMENTS + 8 * argument));
        program.extend(match operation {
            Operation::Equal => unless(libc::BPF_JEQ, *value, vec![give(ALLOW)]),
            Operation::Unequal => unless_not(libc::BPF_JEQ, *value, vec![give(ALLOW)]),
            Operation::NoBits => unless_not(libc::BPF_JSET, *value, vec![give(ALLOW)]),
        });
    }
    program.push(give(REFUSE | libc::EPERM as u32));
    program
}

/// `part`, which is skipped unless the comparison holds.
fn unless(comparison: u32, value: u32, part: Vec<libc::sock_filter>) -> Vec<libc::sock_filter> {
    skip(comparison, value, part, false)
}

/// `part`, which is skipped if the comparison holds.
fn unless_not(comparison: u32, value: u32, part: Vec<libc::sock_filter>) -> Vec<libc::sock_filter> {
    skip(comparison, value, part, true)
}

fn skip(comparison: u32, value: u32, part: Vec<libc::sock_filter>, if_true: bool) -> Vec<libc::sock_filter> {
    let code = (libc::BPF_JMP | comparison | libc::BPF_K) as u16;
    // A conditional jump reaches 255 instructions, another one all.
    let mut program = match u8::try_from(part.len()) {
        Ok(length) => {
            let (jt, jf) = if if_true { (length, 0) } else { (0, length) };
            vec![libc::sock_filter { code, jt, jf, k: value }]
        }
        Err(_) => {
            let (jt, jf) = if if_true { (0, 1) } else { (1, 0) };
            let far = (libc::BPF_JMP | libc::BPF_JA) as u16;
            vec![
                libc::sock_filter { code, jt, jf, k: value },
                libc::sock_filter { code: far, jt: 0, jf: 0, k: part.len() as u32 },
            ]
        }
    };
    program.extend(part);
    program
}

fn load(offset: u32) -> libc::sock_filter {
    libc::sock_filter { code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, jt: 0, jf: 0, k: offset }
}

fn give(verdict: u32) -> libc::sock_filter {
    libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: verdict }
}

fn bytes_of(instruction: &libc::sock_filter) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..2].copy_from_slice(&instruction.code.to_ne_bytes());
    bytes[2] = instruction.jt;
    bytes[3] = instruction.jf;
    bytes[4..].copy_from_slice(&instruction.k.to_ne_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would decide.
    fn decide(filter: &[u8], architecture: u32, number: u32, arguments: &[u32]) -> u32 {
        let (mut at, mut value) = (0, 0);
        loop {
            let part = &filter[at * 8..at * 8 + 8];
            let code = u16::from_ne_bytes([part[0], part[1]]) as u32;
            let (jt, jf) = (part[2] as usize, part[3] as usize);
            let k = u32::from_ne_bytes([part[4], part[5], part[6], part[7]]);
            at += 1;
            let is_true = match code & 0xf0 {
                _ if code & 7 == libc::BPF_RET => return k,
                _ if code & 7 == libc::BPF_LD => {
                    value = match k {
                        NUMBER => number,
                        ARCHITECTURE => architecture,
                        offset => arguments[((offset - ARGUMENTS) / 8) as usize],
                    };
                    continue;
                }
                libc::BPF_AND if code & 7 == libc::BPF_ALU => {
                    value &= k;
                    continue;
                }
                libc::BPF_JA => {
                    at += k as usize;
                    continue;
                }
                libc::BPF_JEQ => value == k,
                libc::BPF_JGT => value > k,
                libc::BPF_JGE => value >= k,
                libc::BPF_JSET => value & k != 0,
                other => panic!("{:x}", other),
            };
            at += if is_true { jt } else { jf };
        }
    }

    #[test]
    fn allows_what_is_listed_in_each_way_of_numbering_and_nothing_else() {
        let calls: Value = serde_json::from_str(CALLS).unwrap();
        let (refused, absent) = (REFUSE | libc::EPERM as u32, REFUSE | libc::ENOSYS as u32);
        for rights in [Rights::Machine, Rights::Own, Rights::Mounts] {
            let filter = filter(rights);
            for (name, architecture) in ABIS {
                let verdicts = verdicts(&calls, name, rights);
                let newest = *verdicts.keys().next_back().unwrap();
                for number in 0..newest + 9 {
                    let expected = match verdicts.get(&number) {
                        Some(Verdict::Allow) => ALLOW,
                        Some(Verdict::Absent) => absent,
                        Some(Verdict::Conditions(_) | Verdict::Rules(_)) => continue,
                        None if number > newest => absent,
                        None => refused,
                    };
                    assert_eq!(decide(&filter, architecture, number, &[]), expected, "{} {}", name, number);
                }
            }
            assert_eq!(decide(&filter, 0x8000_0015, 0, &[]), refused, "an architecture that isn't this one");
            assert_eq!(decide(&filter, ABIS[0].1, 0x4000_0000, &[]), refused, "x32");
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn looks_at_arguments() {
        let filter = filter(Rights::Own);
        let allows = |number: i64, argument: u32| decide(&filter, ABIS[0].1, number as u32, &[argument]) == ALLOW;
        assert!(allows(libc::SYS_socket, libc::AF_INET as u32) && !allows(libc::SYS_socket, libc::AF_VSOCK as u32));
        assert!(allows(libc::SYS_clone, libc::CLONE_VM as u32) && !allows(libc::SYS_clone, libc::CLONE_NEWUSER as u32));
        assert!(allows(libc::SYS_personality, u32::MAX) && !allows(libc::SYS_personality, 0x0004_0000));
        for number in [libc::SYS_mount, libc::SYS_bpf, libc::SYS_io_uring_setup, libc::SYS_unshare, libc::SYS_keyctl] {
            assert!(!allows(number, 0), "{}", number);
        }
        assert_eq!(decide(&filter, ABIS[0].1, super::super::sys::CLONE3 as u32, &[0]), REFUSE | libc::ENOSYS as u32);
    }

    #[test]
    fn asks_about_new_file_systems_and_copies_of_all_mounts() {
        let filter = filter(Rights::Mounts);
        let refused = REFUSE | libc::EPERM as u32;
        // `mount`, `clone` and `unshare` in each way of numbering.
        #[cfg(target_arch = "x86_64")]
        let numbers = [[165, 56, 272], [21, 120, 310]];
        #[cfg(target_arch = "aarch64")]
        let numbers = [[40, 220, 97], [21, 120, 337]];
        for ((_, architecture), [mount, clone, unshare]) in ABIS.into_iter().zip(numbers) {
            let of_mount = |flags: u64| decide(&filter, architecture, mount, &[0, 0, 0, flags as u32]);
            for flags in [0, libc::MS_RDONLY | libc::MS_NODEV, 0xc0ed_0000, 0xc0ed_0000 | libc::MS_NOSUID] {
                assert_eq!(of_mount(flags), ASK, "{:x}", flags);
            }
            assert_eq!(of_mount(libc::MS_BIND | libc::MS_REC), ASK);
            for flags in [libc::MS_BIND, libc::MS_BIND | libc::MS_REMOUNT, libc::MS_REMOUNT, libc::MS_MOVE] {
                assert_eq!(of_mount(flags), ALLOW, "{:x}", flags);
            }
            assert_eq!([of_mount(libc::MS_PRIVATE | libc::MS_REC), of_mount(libc::MS_SLAVE)], [ALLOW; 2]);
            assert_eq!([of_mount(libc::MS_SHARED), of_mount(libc::MS_SHARED | libc::MS_REC)], [refused; 2]);
            for number in [clone, unshare] {
                let of = |flags: i32| decide(&filter, architecture, number, &[flags as u32]);
                assert_eq!([of(libc::CLONE_NEWNS), of(libc::CLONE_NEWNS | libc::CLONE_NEWUSER)], [ASK; 2]);
                assert_eq!([of(libc::CLONE_NEWUSER), of(libc::CLONE_NEWPID), of(libc::CLONE_FS)], [ALLOW; 3]);
                for other in [libc::CLONE_NEWNET, libc::CLONE_NEWCGROUP, libc::CLONE_NEWIPC, libc::CLONE_NEWUTS] {
                    assert_eq!(
                        [of(other), of(other | libc::CLONE_NEWUSER), of(other | libc::CLONE_NEWNS)],
                        [refused; 3]
                    );
                }
            }
            // CLONE_NEWTIME, which for `clone` is part of a signal's number.
            assert_eq!(decide(&filter, architecture, unshare, &[0x80]), refused);
        }
    }
}
