//! Archives of COPY steps: where they end up, and what is refused.

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{symlink, MetadataExt, PermissionsExt};

use flate2::write::GzEncoder;
use serde_json::{json, Value};
use support::client::{EOF, INPUT};
use support::random::Random;
use support::{is_root, lives, wait_until, Agent, Options};
use tar::{Builder, EntryType, Header};

enum Item<'a> {
    File(&'a str, u32, &'a [u8]),
    Dir(&'a str, u32),
    Link(&'a str, &'a str),
    Hard(&'a str, &'a str),
    Other(&'a str, EntryType),
}
use Item::{Dir, File, Hard, Link, Other};

const MTIME: u64 = 1_500_000_000;

/// An archive, with names as they are given: the crate's own writer would refuse some.
fn archive(items: &[Item<'_>]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for item in items {
        let (name, kind, mode, link, bytes): (&str, EntryType, u32, &str, &[u8]) = match *item {
            File(name, mode, bytes) => (name, EntryType::Regular, mode, "", bytes),
            Dir(name, mode) => (name, EntryType::Directory, mode, "", b""),
            Link(name, target) => (name, EntryType::Symlink, 0o777, target, b""),
            Hard(name, target) => (name, EntryType::Link, 0o644, target, b""),
            Other(name, kind) => (name, kind, 0o644, "", b""),
        };
        let mut header = Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(bytes.len() as u64);
        header.set_mtime(MTIME);
        header.set_cksum();
        builder.append(&header, bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn order(src: &str, dest: &str, more: Value) -> Value {
    let mut request = json!({ "op": "unpack", "src": src, "dest": dest, "maxBytes": 1 << 20, "maxEntries": 1000 });
    for (name, value) in more.as_object().unwrap() {
        request[name] = value.clone();
    }
    request
}

fn unpack(agent: &Agent, request: Value, bytes: &[u8]) -> Value {
    let mut client = agent.open(request);
    client.upload(bytes);
    client.reply()
}

fn refusal(agent: &Agent, request: Value, bytes: &[u8]) -> Value {
    let mut client = agent.open(request);
    for piece in bytes.chunks(256 * 1024) {
        // The agent may answer before all has been sent.
        if client.0.write_all(&support::client::frame(INPUT, piece)).is_err() {
            break;
        }
    }
    let _ = client.0.write_all(&support::client::frame(EOF, b""));
    client.error()
}

fn mode(path: &str) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// What is in a directory, sorted.
fn names(path: &str) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_goes_to_a_path_or_into_a_directory() {
    let agent = Agent::start();
    let bytes = archive(&[File("dir/a.txt", 0o640, b"hello")]);
    let at = |name: &str| agent.path(name);
    let place = |dest: &str| unpack(&agent, order("dir/a.txt", dest, json!({})), &bytes);

    assert_eq!(place(&at("new/parents/b.txt")), json!({ "files": 1, "bytes": 5 }));
    assert_eq!(fs::read(at("new/parents/b.txt")).unwrap(), b"hello");
    assert_eq!(mode(&at("new/parents/b.txt")), 0o640);
    assert_eq!(mode(&at("new/parents")), 0o755);
    assert_eq!(fs::metadata(at("new/parents/b.txt")).unwrap().mtime() as u64, MTIME);
    place(&at("slash/"));
    assert_eq!(names(&at("slash")), ["a.txt"]);
    fs::create_dir(at("there")).unwrap();
    place(&at("there"));
    assert_eq!(names(&at("there")), ["a.txt"]);
    // A file is replaced, not written to: its other names keep what they had.
    fs::hard_link(at("there/a.txt"), at("kept")).unwrap();
    let changed = archive(&[File("dir/a.txt", 0o600, b"changed")]);
    unpack(&agent, order("dir/a.txt", &at("there/a.txt"), json!({})), &gzip(&changed));
    assert_eq!(fs::read(at("there/a.txt")).unwrap(), b"changed");
    assert_eq!(fs::read(at("kept")).unwrap(), b"hello");
    // Through a link, also one that leads to nothing yet.
    symlink("there", at("link")).unwrap();
    symlink("late/file", at("dangling")).unwrap();
    unpack(&agent, order("dir", &at("link/sub"), json!({})), &bytes);
    assert_eq!(names(&at("there/sub")), ["a.txt"]);
    place(&at("dangling"));
    assert_eq!(fs::read(at("late/file")).unwrap(), b"hello");
    // A relative one.
    unpack(&agent, order("dir/a.txt", "./x/y", json!({ "cwd": at("there") })), &bytes);
    assert_eq!(fs::read(at("there/x/y")).unwrap(), b"hello");
}

#[test]
fn a_directory_gives_its_contents_and_keeps_what_is_there() {
    let agent = Agent::start();
    let at = |name: &str| agent.path(name);
    fs::create_dir_all(at("app/sub/deep")).unwrap();
    fs::set_permissions(at("app/sub"), fs::Permissions::from_mode(0o711)).unwrap();
    for (name, text) in [("app/old", "old"), ("app/sub/old", "old"), ("app/sub/new", "before")] {
        fs::write(at(name), text).unwrap();
    }
    let bytes = archive(&[
        Dir("src/", 0o755),
        Dir("src/sub", 0o700),
        File("src/sub/new", 0o755, b"after"),
        Dir("src/read-only", 0o555),
        File("src/read-only/f", 0o444, b""),
        Link("src/sub/dangling", "/nowhere/at/all"),
        Hard("src/twin", "src/sub/new"),
        File("other", 0o644, b"not named"),
    ]);
    unpack(&agent, order("src/", &at("app"), json!({})), &bytes);
    assert_eq!(names(&at("app")), ["old", "read-only", "sub", "twin"]);
    assert_eq!(names(&at("app/sub")), ["dangling", "deep", "new", "old"]);
    assert_eq!(fs::read(at("app/sub/new")).unwrap(), b"after");
    assert_eq!((mode(&at("app/sub")), mode(&at("app/read-only"))), (0o711, 0o555));
    assert_eq!(fs::read_link(at("app/sub/dangling")).unwrap().to_str(), Some("/nowhere/at/all"));
    let inode = |name: &str| fs::metadata(at(name)).unwrap().ino();
    assert_eq!(inode("app/twin"), inode("app/sub/new"));
    assert_eq!(fs::metadata(at("app/read-only")).unwrap().mtime() as u64, MTIME);

    // Into nothing it is the directory itself, and all of the archive is a directory, too.
    unpack(&agent, order("src", &at("fresh"), json!({})), &bytes);
    assert_eq!(names(&at("fresh")), ["read-only", "sub", "twin"]);
    unpack(&agent, order(".", &at("all"), json!({})), &bytes);
    assert_eq!(names(&at("all")), ["other", "src"]);
    assert_eq!(mode(&at("all")), 0o755);
}

#[test]
fn patterns_choose_and_several_need_a_directory() {
    let agent = Agent::start();
    let at = |name: &str| agent.path(name);
    let bytes = archive(&[
        File("a.py", 0o644, b"a"),
        File("b.py", 0o644, b"b"),
        File("dir/c.py", 0o644, b"c"),
        File("dir/c.txt", 0o644, b"t"),
    ]);
    unpack(&agent, order("*.py", &at("top"), json!({})), &bytes);
    assert_eq!(names(&at("top")), ["a.py", "b.py"]);
    unpack(&agent, order("**/*.py", &at("all"), json!({})), &bytes);
    assert_eq!(names(&at("all")), ["a.py", "b.py", "c.py"]);
    unpack(&agent, order("[a]*.py", &at("one"), json!({})), &bytes);
    assert_eq!(fs::read(at("one")).unwrap(), b"a");
    // Of a directory among them the contents.
    unpack(&agent, order("*", &at("flat/"), json!({})), &bytes);
    assert_eq!(names(&at("flat")), ["a.py", "b.py", "c.py", "c.txt"]);
    fs::write(at("file"), "").unwrap();
    let refused = refusal(&agent, order("*.py", &at("file"), json!({})), &bytes);
    assert_eq!((&refused["code"], &refused["errno"]), (&json!("invalid_argument"), &json!("ENOTDIR")));
    let refused = refusal(&agent, order("*.rs", &at("top"), json!({})), &bytes);
    assert_eq!(refused["code"], "not_found");
    assert_eq!(refused["message"], "Nothing that was uploaded is named by '*.rs'.");
}

#[test]
fn neither_a_file_nor_a_directory_replaces_the_other() {
    let agent = Agent::start();
    let at = |name: &str| agent.path(name);
    fs::create_dir_all(at("app/x")).unwrap();
    fs::write(at("app/y"), "file").unwrap();
    let bytes = archive(&[
        File("one/a", 0o644, b""),
        File("one/x", 0o644, b""),
        File("two/a", 0o644, b""),
        Dir("two/y", 0o755),
    ]);
    for (src, errno) in [("one", "EISDIR"), ("two", "ENOTDIR")] {
        let refused = refusal(&agent, order(src, &at("app"), json!({})), &bytes);
        assert_eq!((&refused["code"], &refused["errno"]), (&json!("invalid_argument"), &json!(errno)), "{}", refused);
    }
    // Nothing of either has come.
    assert_eq!(names(&at("app")), ["x", "y"]);
    let refused = refusal(&agent, order("one/a", &at("app/y/z"), json!({})), &bytes);
    assert_eq!(refused["errno"], "ENOTDIR");
}

#[test]
fn owner_and_mode_are_for_everything() {
    let agent = Agent::start();
    let at = |name: &str| agent.path(name);
    let bytes = archive(&[Dir("d", 0o700), File("d/f", 0o4755, b""), Link("d/l", "f"), File("d/e/g", 0o600, b"")]);
    unpack(&agent, order("d", &at("plain"), json!({ "user": "root" })), &bytes);
    assert_eq!((mode(&at("plain/f")), mode(&at("plain/e"))), (0o4755, 0o755));
    unpack(&agent, order("d", &at("moded"), json!({ "mode": "0750", "user": "nobody" })), &bytes);
    for name in ["moded", "moded/f", "moded/e", "moded/e/g"] {
        assert_eq!(mode(&at(name)), 0o750, "{}", name);
    }
    if is_root() {
        unpack(&agent, order("d", &at("made/owned"), json!({ "user": "4242:7" })), &bytes);
        for name in ["made", "made/owned", "made/owned/f", "made/owned/l", "made/owned/e", "made/owned/e/g"] {
            let found = fs::symlink_metadata(at(name)).unwrap();
            assert_eq!((found.uid(), found.gid()), (4242, 7), "{}", name);
        }
    }
    let refused = refusal(&agent, order("d", &at("x"), json!({ "user": "root123" })), &bytes);
    assert_eq!(
        (&refused["code"], &refused["message"]),
        (&json!("unauthenticated"), &json!("invalid username: 'root123'"))
    );
    for mode in ["8", "77777", "+1", "rwx"] {
        assert_eq!(agent.error(order("d", &at("x"), json!({ "mode": mode })))["code"], "invalid_argument");
    }
    assert!(!std::path::Path::new(&at("x")).exists());
}

#[test]
fn hostile_archives_are_refused_by_name_and_leave_nothing() {
    let agent = Agent::start();
    let at = |name: &str| agent.path(name);
    fs::create_dir(at("app")).unwrap();
    let outside = at("outside");
    fs::create_dir(&outside).unwrap();
    let good = || File("good", 0o644, b"good");
    let up = format!("..{}", at("outside/up"));
    let absolute = at("outside/absolute");
    let mut bomb = archive(&[good()]);
    bomb.truncate(bomb.len() - 1024);
    let mut truncated = archive(&[good(), File("cut", 0o644, &[7; 3000])]);
    truncated.truncate(2000);
    let whole = archive(&[good(), File("late", 0o644, &[7; 3000])]);
    let mut flipped = gzip(&whole);
    let end = flipped.len() - 6;
    flipped[end] ^= 1;
    let mut damaged = whole.clone();
    damaged[1024 + 150] ^= 1;
    let mut huge_name = Header::new_gnu();
    huge_name.set_entry_type(EntryType::GNULongName);
    huge_name.set_size(1 << 40);
    huge_name.set_cksum();
    let mut long_name = huge_name.as_bytes().to_vec();
    long_name.resize(4 << 20, b'x');

    let cases: Vec<(Vec<u8>, &str, &str)> = vec![
        (archive(&[good(), File(&up, 0o644, b"")]), "invalid_argument", "outside of it"),
        (archive(&[good(), File("a/../../b", 0o644, b"")]), "invalid_argument", "'a/../../b' is outside of it"),
        (archive(&[good(), File(&absolute, 0o644, b"")]), "invalid_argument", "outside of it"),
        (
            archive(&[Link("l", &outside), File("l/through", 0o644, b"")]),
            "invalid_argument",
            "'l/through' lies below 'l'",
        ),
        (archive(&[Link("l", &outside), Dir("l/sub", 0o755)]), "invalid_argument", "lies below 'l'"),
        (archive(&[good(), File("good/below", 0o644, b"")]), "invalid_argument", "'good/below' lies below 'good'"),
        (archive(&[good(), Other("dev", EntryType::Char)]), "invalid_argument", "'dev' is neither"),
        (archive(&[good(), Other("disk", EntryType::Block)]), "invalid_argument", "'disk' is neither"),
        (archive(&[good(), Other("pipe", EntryType::Fifo)]), "invalid_argument", "'pipe' is neither"),
        (archive(&[good(), Hard("h", "/etc/passwd")]), "invalid_argument", "outside of it"),
        (archive(&[good(), Hard("h", "none")]), "invalid_argument", "'h' is another name of 'none'"),
        (archive(&[Link("l", "/etc"), Hard("h", "l/passwd")]), "invalid_argument", "'h' is another name of 'l/passwd'"),
        (archive(&[Link("l", "/etc/passwd"), Hard("h", "l")]), "invalid_argument", "'h' is another name of 'l'"),
        (archive(&[good(), Link("empty", "")]), "invalid_argument", "'empty' is a link without a target"),
        (archive(&[Dir("d", 0o755), File("d", 0o644, b"")]), "invalid_argument", "'d' both as"),
        (truncated, "invalid_argument", "breaks off behind 'cut'"),
        (bomb, "invalid_argument", "breaks off behind 'good'"),
        (gzip(&whole)[..60].to_vec(), "invalid_argument", "breaks off"),
        (flipped, "invalid_argument", "damaged behind 'late'"),
        (damaged, "invalid_argument", "damaged behind 'good'"),
        (b"this is no archive".to_vec(), "invalid_argument", "breaks off within its first entry"),
        (vec![b'x'; 4096], "invalid_argument", "no tar archive"),
        (Vec::new(), "invalid_argument", "no tar archive"),
        (long_name.clone(), "invalid_argument", "too long"),
        (gzip(&long_name), "invalid_argument", "too long"),
        (
            archive(&[good(), File("big", 0o644, &vec![0; (1 << 20) - 3])]),
            "resource_exhausted",
            "more than 1048576 bytes: 'big'",
        ),
        (gzip(&archive(&[good(), File("big", 0o644, &vec![0; 8 << 20])])), "resource_exhausted", "bytes: 'big'"),
    ];
    for (bytes, code, text) in cases {
        let refused = refusal(&agent, order(".", &at("app"), json!({})), &bytes);
        assert_eq!(refused["code"], code, "{}", refused);
        assert!(refused["message"].as_str().unwrap().contains(text), "{} lacks {}", refused, text);
        assert_eq!(names(&at("app")), [""; 0], "{}", text);
        assert_eq!(names(&outside), [""; 0], "{}", text);
    }
    let many: Vec<String> = (0..1001).map(|n| format!("f{}", n)).collect();
    let items: Vec<Item<'_>> = many.iter().map(|name| File(name, 0o644, b"")).collect();
    let refused = refusal(&agent, order(".", &at("app"), json!({})), &archive(&items));
    assert_eq!(refused["message"], "The archive has more than 1000 entries: 'f1000'.");
    assert_eq!(names(&at("app")), [""; 0]);
}

#[test]
fn a_full_disk_is_told_and_a_host_that_goes_leaves_nothing() {
    let agent = Agent::start();
    if let Some(small) = agent.small_dir() {
        let bytes = archive(&[File("f", 0o644, &vec![1; 500_000])]);
        let refused = refusal(&agent, order("f", &format!("{}/sub/f", small), json!({})), &bytes);
        assert_eq!((&refused["code"], &refused["errno"]), (&json!("resource_exhausted"), &json!("ENOSPC")));
        assert_eq!(agent.shell(&format!("ls -A {}", small)).text(), "");
    }
    let home = agent.path("home");
    let mut client = agent.open(order(".", &home, json!({})));
    client.input(&archive(&[File("f", 0o644, &[1; 2000])])[..1500]);
    wait_until("it has begun", || names(&home).len() == 1);
    drop(client);
    wait_until("it is undone", || names(&home).is_empty());
    // That was no whole archive, so what comes at its end is not told to be one.
    let refused = refusal(&agent, order(".", &home, json!({})), &archive(&[File("f", 0o644, &[1; 2000])])[..1500]);
    assert_eq!(refused["code"], "invalid_argument");
}

#[test]
fn few_are_unpacked_at_once() {
    let agent = Agent::start_with(Options { harmless: true, ..Options::default() });
    let home = agent.path("home");
    let mut open: Vec<_> = (0..4).map(|_| agent.open(order(".", &home, json!({})))).collect();
    wait_until("all have begun", || names(&home).len() == 4);
    assert_eq!(agent.error(order(".", &home, json!({})))["code"], "resource_exhausted");
    let mut last = open.pop().unwrap();
    last.upload(&archive(&[File("f", 0o644, b"text")]));
    assert_eq!(last.reply()["files"], 1);
    drop(open);
    wait_until("the others are undone", || names(&home) == ["f"]);
}

/// Any change of a good archive is either unpacked or refused, and stays below its destination.
#[test]
fn mutations_stay_inside() {
    let agent = Agent::start_with(Options { harmless: true, ..Options::default() });
    let whole = archive(&[
        Dir("d", 0o755),
        File("d/f", 0o644, &[7; 700]),
        Link("d/l", "../.."),
        Hard("h", "d/f"),
        File("d/l2/../x", 0o644, b""),
        Link("out", "../../out"),
    ]);
    let mut random = Random::new(7);
    for round in 0..400 {
        let mut bytes = if round % 4 == 0 { gzip(&whole) } else { whole.clone() };
        for _ in 0..=random.below(6) {
            let at = random.below(bytes.len());
            bytes[at] = [b'/', b'.', 0, b'7', 0x80, random.below(256) as u8][random.below(6)];
        }
        if round % 2 == 0 {
            repair(&mut bytes);
        }
        let mut client = agent.open(order(".", "in/side", json!({})));
        client.upload(&bytes);
        let (_, answer) = client.next().expect("an answer");
        serde_json::from_slice::<Value>(&answer).unwrap();
    }
    lives(&agent);
    let home = agent.path("home");
    assert!(names(&home).iter().all(|name| name == "in"), "{:?}", names(&home));
    assert!(names(&agent.path("")).iter().all(|name| ["agent.sock", "home", "small"].contains(&name.as_str())));
}

/// Makes the check sums of a plain archive right again, so that more than those is tried.
fn repair(bytes: &mut [u8]) {
    for block in bytes.chunks_mut(512).filter(|block| block.len() == 512 && &block[257..262] == b"ustar") {
        let sum: u32 = block
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
            .sum();
        block[148..156].copy_from_slice(format!("{:06o}\0 ", sum).as_bytes());
    }
}
