//! Arbitrary connections: the kept corpus, of which each file is what one connection sends, and mutations of it for
//! `E2B_FUZZ_SECONDS` (default 5). A finding is an agent that no longer answers. `E2B_FUZZ_SEED` repeats a run; what is
//! found goes into the corpus.
//!
//! The agent is an unprivileged one with a home of its own, and no file of the corpus names a path outside of it.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs};

use serde_json::json;
use support::random::Random;
use support::{lives, throw, Agent, Options};

/// Inputs between two looks at the agent.
const ROUND: usize = 100;
/// What programs that read numbers and texts trip over.
const TOKENS: [&[u8]; 16] = [
    b"0",
    b"-1",
    b"65536",
    b"4294967296",
    b"18446744073709551616",
    b"1e999",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"\"\"",
    b"\"\\u0000\"",
    b"~",
    b"\\ud800",
    b"\"op\":\"watch\"",
    b"\xff",
];

fn start() -> Agent {
    let agent = Agent::start_with(Options { harmless: true, ..Options::default() });
    fs::write(agent.path("home/f"), "contents").unwrap();
    // Something to attach to, and somebody who watches what the others do.
    agent.exec(json!({ "cmd": "cat", "stdin": true, "tag": "kept" }));
    agent.call(json!({ "op": "create-watcher", "path": "", "recursive": true, "includeEntry": true }));
    agent
}

fn corpus() -> BTreeMap<String, Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    files.map(|path| (named(&path), fs::read(&path).unwrap())).collect()
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{} must be a number", name)))
}

/// One change of the bytes.
fn mutate(bytes: &mut Vec<u8>, others: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let end = at + random.below(bytes.len() - at + 1).min(40);
    match random.below(8) {
        0 if at < bytes.len() => bytes[at] = random.next() as u8,
        1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
        5 => drop(bytes.splice(at..end, TOKENS[random.below(TOKENS.len())].iter().copied())),
        6 => {
            let other = &others[random.below(others.len())];
            bytes.splice(at.., other[random.below(other.len() + 1)..].iter().copied());
        }
        _ => {
            let end = bytes[at..].iter().position(|byte| !byte.is_ascii_digit()).map_or(at, |length| at + length);
            bytes.splice(at..end, TOKENS[random.below(6)].iter().copied());
        }
    }
}

/// Makes the first frame's length right again, so that its contents are looked at.
fn repair(bytes: &mut [u8], first_end: usize) {
    if bytes.len() >= 5 {
        let length = first_end.min(bytes.len()).saturating_sub(5) as u32;
        bytes[..4].copy_from_slice(&length.to_be_bytes());
    }
}

#[test]
fn the_corpus_does_no_harm() {
    let agent = start();
    let corpus = corpus();
    assert!(corpus.len() >= 40);
    for (name, bytes) in corpus {
        throw(&agent, &bytes);
        let answer = std::panic::catch_unwind(|| lives(&agent));
        assert!(answer.is_ok(), "the agent doesn't survive {}", name);
    }
}

#[test]
fn mutations_of_the_corpus_do_no_harm() {
    let budget = Duration::from_secs(number("E2B_FUZZ_SECONDS").unwrap_or(5));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = number("E2B_FUZZ_SEED").unwrap_or(now);
    println!("E2B_FUZZ_SEED={}", seed);
    let mut random = Random::new(seed);
    let inputs: Vec<Vec<u8>> = corpus().into_values().collect();
    let agent = start();
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < budget {
        for _ in 0..ROUND {
            let mut bytes = inputs[random.below(inputs.len())].clone();
            let rest = bytes.len();
            let first = bytes.get(..4).map_or(0, |length| u32::from_be_bytes(length.try_into().unwrap()) as usize + 5);
            for _ in 0..=random.below(4) {
                mutate(&mut bytes, &inputs, &mut random);
            }
            if random.below(3) > 0 {
                let end = (first + bytes.len()).saturating_sub(rest);
                repair(&mut bytes, end);
            }
            throw(&agent, &bytes);
        }
        count += ROUND;
        let answer = std::panic::catch_unwind(|| lives(&agent));
        assert!(answer.is_ok(), "the agent doesn't survive E2B_FUZZ_SEED={} up to input {}", seed, count);
    }
    println!("{} inputs", count);
}
