use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::os::unix::io::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::copy;
use crate::test_dir::TestDir;

const MIB: usize = 1 << 20;

fn run(program: &str, args: &[&str]) -> String {
    let done = Command::new(program).args(args).output();
    let done = done.unwrap_or_else(|error| panic!("{} can't be run: {}", program, error));
    assert!(done.status.success(), "{}: {}", program, String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// A btrfs in a file, which shares blocks between files.
struct Btrfs(TestDir);

impl Btrfs {
    fn new() -> Btrfs {
        let dir = TestDir::new();
        let (image, place) = (dir.path().join("image"), dir.path().join("mounted"));
        File::create(&image).unwrap().set_len(128 * MIB as u64).unwrap();
        fs::create_dir(&place).unwrap();
        run("mkfs.btrfs", &["-q", image.to_str().unwrap()]);
        run("mount", &["-t", "btrfs", "-o", "loop", image.to_str().unwrap(), place.to_str().unwrap()]);
        Btrfs(dir)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join("mounted").join(name)
    }
}

impl Drop for Btrfs {
    fn drop(&mut self) {
        run("umount", &[self.0.path().join("mounted").to_str().unwrap()]);
    }
}

/// The first block of each of a file's extents on the disk, and whether another file has it too.
fn extents(path: &Path) -> Vec<(u64, bool)> {
    let said = run("filefrag", &["-v", "-s", path.to_str().unwrap()]);
    let rows = said.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let block = fields.get(2)?.trim().split("..").next()?.trim().parse().ok()?;
        Some((block, fields.last()?.contains("shared")))
    });
    rows.collect()
}

#[test]
fn where_the_file_system_can_a_copy_is_the_same_blocks_until_one_of_both_is_written_to() {
    let btrfs = Btrfs::new();
    let (from, to) = (btrfs.file("from"), btrfs.file("to"));
    let content: Vec<u8> = (0..4 * MIB).map(|at| (at / 4096 % 251) as u8).collect();
    File::create(&from).unwrap().write_all(&content).unwrap();
    let (source, target) = (File::open(&from).unwrap(), File::create(&to).unwrap());
    source.sync_all().unwrap();
    let alone = extents(&from);
    assert!(!alone.is_empty() && alone.iter().all(|&(_, is_shared)| !is_shared), "{:?}", alone);

    copy(source.as_raw_fd(), target.as_raw_fd(), content.len() as i64, false).unwrap();
    target.sync_all().unwrap();
    let (one, other) = (extents(&from), extents(&to));
    assert_eq!(one, other);
    assert!(one.iter().all(|&(_, is_shared)| is_shared), "{:?}", one);
    assert_eq!(fs::read(&to).unwrap(), content);

    // Both ways nothing of it is seen in the other.
    target.write_all_at(b"changed", 2 * MIB as u64).unwrap();
    target.sync_all().unwrap();
    assert!(fs::read(&from).unwrap() == content);
    let writer = fs::OpenOptions::new().write(true).open(&from).unwrap();
    writer.write_all_at(&[255; 4096], 0).unwrap();
    writer.sync_all().unwrap();
    let mut expected = content;
    expected[2 * MIB..2 * MIB + 7].copy_from_slice(b"changed");
    assert!(fs::read(&to).unwrap() == expected);
    assert_ne!(extents(&from), extents(&to));
    assert!(extents(&to).iter().any(|&(_, is_shared)| is_shared), "what is the same still is shared");
}
