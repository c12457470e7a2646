//! What becomes of archives and directories; by root, as all of this is. The process that does it is tested with the server.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{symlink, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::io::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use tar::{Builder, EntryType, Header};

use super::copy::{copy, Files, Made, Options};
use super::unpack::{unpack, Unpacked};
use super::{attributes, remove_tree, sys, Layers};
use crate::error::{Code, Failure};
use crate::names::Layer;

struct TestDir(PathBuf);

impl TestDir {
    fn new() -> TestDir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("e2b-layers-{}-{}", std::process::id(), number));
        fs::create_dir(&path).unwrap();
        TestDir(path)
    }

    fn path(&self, inner: &str) -> PathBuf {
        self.0.join(inner)
    }

    fn fd(&self) -> OwnedFd {
        File::open(&self.0).unwrap().into()
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        let name = CString::new(self.0.as_os_str().as_bytes()).unwrap();
        remove_tree(File::open("/").unwrap().as_fd(), &name).unwrap();
    }
}

#[derive(Default)]
struct Tar(Vec<(Header, Vec<u8>, Vec<u8>)>);

impl Tar {
    fn add(mut self, kind: EntryType, path: &str, content: &str) -> Tar {
        let mut header = Header::new_ustar();
        // The field itself: the builder refuses names that lead out.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o640);
        header.set_uid(12);
        header.set_gid(70_000);
        header.set_mtime(1_000_000);
        let data = match kind {
            EntryType::Link | EntryType::Symlink => {
                header.set_link_name_literal(content).unwrap();
                Vec::new()
            }
            _ => content.as_bytes().to_vec(),
        };
        header.set_size(data.len() as u64);
        self.0.push((header, data, Vec::new()));
        self
    }

    fn with_pax(mut self, key: &str, value: &str) -> Tar {
        let mut length = key.len() + value.len() + 3;
        while format!("{} {}={}\n", length, key, value).len() != length {
            length += 1;
        }
        let record = format!("{} {}={}\n", length, key, value);
        self.0.last_mut().unwrap().2.extend_from_slice(record.as_bytes());
        self
    }

    fn file(self, path: &str, content: &str) -> Tar {
        self.add(EntryType::Regular, path, content)
    }

    fn dir(self, path: &str) -> Tar {
        self.add(EntryType::Directory, path, "")
    }

    fn unpack(self, target: &TestDir) -> Result<Unpacked, Failure> {
        let folder = TestDir::new();
        let mut builder = Builder::new(File::create(folder.path("tar")).unwrap());
        for (mut header, data, pax) in self.0 {
            if !pax.is_empty() {
                let mut extension = Header::new_ustar();
                extension.set_entry_type(EntryType::XHeader);
                extension.set_size(pax.len() as u64);
                extension.set_cksum();
                builder.append(&extension, pax.as_slice()).unwrap();
            }
            header.set_cksum();
            builder.append(&header, data.as_slice()).unwrap();
        }
        builder.finish().unwrap();
        unpack(File::open(folder.path("tar")).unwrap(), target.0.as_os_str().as_bytes())
    }
}

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let (path, name) = (CString::new(path.as_os_str().as_bytes()).unwrap(), CString::new(name).unwrap());
    let mut value = [0u8; 64];
    let length = unsafe { libc::lgetxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    (length >= 0).then(|| value[..length as usize].to_vec())
}

fn set_attribute(path: &Path, name: &str, value: &str) {
    let name = CString::new(name).unwrap();
    attributes::set(File::open(path).unwrap().as_fd(), &name, value.as_bytes()).unwrap();
}

fn whiteout(path: PathBuf) {
    let name = CString::new(path.as_os_str().as_bytes()).unwrap();
    sys::make_whiteout(File::open("/").unwrap().as_fd(), &name).unwrap();
}

fn is_whiteout(path: &Path) -> bool {
    fs::symlink_metadata(path).map_or(false, |meta| meta.file_type().is_char_device() && meta.rdev() == 0)
}

fn copied(sources: &[&TestDir], target: &TestDir, files: Files, is_whole: bool) -> Result<Made, Failure> {
    copy(sources.iter().map(|source| source.fd()).collect(), &target.fd(), Options { files, is_whole })
}

#[test]
fn an_archive_becomes_files_with_all_that_it_says_of_them() {
    let target = TestDir::new();
    let unpacked = Tar::default()
        .dir("./")
        .dir("sub/")
        .file("sub/file", "text")
        .with_pax("SCHILY.xattr.user.key", "value")
        .with_pax("SCHILY.xattr.trusted.overlay.redirect", "/etc")
        .with_pax("SCHILY.xattr.user.overlay.opaque", "y")
        .with_pax("mtime", "1000000.25")
        .add(EntryType::Link, "other", "sub/file")
        .add(EntryType::Symlink, "link", "/nowhere")
        .add(EntryType::Fifo, "pipe", "")
        .add(EntryType::Char, "device", "")
        .file("above/it/deep", "parents are made")
        .file("twice", "first")
        .file("twice", "second")
        .dir("was-dir/")
        .file("was-dir/in-it", "")
        .file("was-dir", "a file by now")
        .unpack(&target)
        .unwrap();
    assert_eq!(unpacked.opaque.len(), 0);
    let file = target.path("sub/file").metadata().unwrap();
    // Sandboxes have no owner above 65,535.
    assert_eq!((file.uid(), file.gid(), file.mode() & 0o7777), (12, 65_534, 0o640));
    assert_eq!((file.mtime(), file.mtime_nsec(), file.nlink()), (1_000_000, 250_000_000, 2));
    assert_eq!(target.path("sub").metadata().unwrap().mtime(), 1_000_000);
    assert_eq!(attribute(&target.path("sub/file"), "user.key").unwrap(), b"value");
    assert_eq!(attribute(&target.path("sub/file"), "trusted.overlay.redirect"), None);
    assert_eq!(attribute(&target.path("sub/file"), "user.overlay.opaque"), None);
    assert_eq!(fs::read_link(target.path("link")).unwrap(), Path::new("/nowhere"));
    assert!(target.path("pipe").metadata().unwrap().file_type().is_fifo());
    assert!(!target.path("device").exists());
    assert_eq!(fs::read_to_string(target.path("other")).unwrap(), "text");
    assert_eq!(fs::read_to_string(target.path("twice")).unwrap(), "second");
    assert_eq!(fs::read_to_string(target.path("was-dir")).unwrap(), "a file by now");
}

#[test]
fn what_an_archive_hides_is_hidden_below_it_only() {
    let target = TestDir::new();
    let unpacked = Tar::default()
        .file("a/.wh.gone", "")
        .file("a/.wh..wh..opq", "")
        .file("kept", "of this layer")
        .file(".wh.kept", "")
        .dir("dir/")
        .file(".wh.dir", "")
        .file(".wh.again", "")
        .file("again/file", "")
        .file(".wh.twice", "")
        .file("twice", "new")
        .file(".wh..wh.aufs", "")
        .unpack(&target)
        .unwrap();
    assert!(is_whiteout(&target.path("a/gone")));
    assert_eq!(fs::read_to_string(target.path("kept")).unwrap(), "of this layer");
    assert_eq!(fs::read_to_string(target.path("twice")).unwrap(), "new");
    assert!(target.path("again/file").is_file());
    assert_eq!(unpacked.opaque, [b"a".to_vec(), b"again".to_vec(), b"dir".to_vec()]);
}

#[test]
fn an_archive_that_is_none_or_lies_is_refused() {
    let refused = |tar: Tar| tar.unpack(&TestDir::new()).map(|unpacked| unpacked.made).unwrap_err().code;
    assert_eq!(refused(Tar::default().file("../out", "")), Code::InvalidArgument);
    assert_eq!(refused(Tar::default().file("a/../../out", "")), Code::InvalidArgument);
    assert_eq!(refused(Tar::default().add(EntryType::Link, "link", "../out")), Code::InvalidArgument);
    assert_eq!(refused(Tar::default().add(EntryType::Link, "link", "missing")), Code::InvalidArgument);
    assert_eq!(refused(Tar::default().file(".wh...", "")), Code::InvalidArgument);
    assert_eq!(refused(Tar::default().file("file", "").file("file/below", "")), Code::InvalidArgument);
    assert_eq!(refused(Tar::default().add(EntryType::GNUSparse, "file", "")), Code::InvalidArgument);
    assert_eq!(
        refused(Tar::default().add(EntryType::Symlink, "loop", "loop").file("loop/x", "")),
        Code::InvalidArgument
    );

    let folder = TestDir::new();
    let long = TestDir::new();
    let mut header = Header::new_ustar();
    header.set_path("file").unwrap();
    header.set_size(1 << 40);
    header.set_cksum();
    for bytes in [&header.as_bytes()[..], &[0xff; 1024][..]] {
        fs::write(folder.path("tar"), bytes).unwrap();
        let failure = unpack(File::open(folder.path("tar")).unwrap(), long.0.as_os_str().as_bytes()).err().unwrap();
        assert_eq!(failure.code, Code::InvalidArgument, "{}", failure);
    }
}

#[test]
fn a_copy_has_links_holes_attributes_and_what_hides_things() {
    let (source, target) = (TestDir::new(), TestDir::new());
    fs::create_dir(source.path("dir")).unwrap();
    set_attribute(&source.path("dir"), "trusted.overlay.opaque", "y");
    set_attribute(&source.path("dir"), "trusted.overlay.impure", "y");
    fs::write(source.path("dir/file"), "text").unwrap();
    set_attribute(&source.path("dir/file"), "user.key", "value");
    fs::set_permissions(source.path("dir/file"), fs::Permissions::from_mode(0o4711)).unwrap();
    fs::hard_link(source.path("dir/file"), source.path("same")).unwrap();
    symlink("dir/file", source.path("link")).unwrap();
    whiteout(source.path("gone"));
    let mut holes = File::create(source.path("holes")).unwrap();
    holes.set_len(1 << 40).unwrap();
    holes.write_all(b"begin").unwrap();
    std::os::unix::net::UnixListener::bind(source.path("socket")).unwrap();

    let made = copied(&[&source], &target, Files::Copied, false).unwrap();
    assert!(made.size_bytes < 1 << 20, "{}", made.size_bytes);
    assert_eq!(attribute(&target.path("dir"), "trusted.overlay.opaque").unwrap(), b"y");
    assert_eq!(attribute(&target.path("dir"), "trusted.overlay.impure"), None);
    assert_eq!(attribute(&target.path("same"), "user.key").unwrap(), b"value");
    let (one, other) = (target.path("dir/file").metadata().unwrap(), target.path("same").metadata().unwrap());
    assert_eq!((one.ino(), one.mode() & 0o7777), (other.ino(), 0o4711));
    assert_ne!(one.ino(), source.path("same").metadata().unwrap().ino());
    assert_eq!(one.mtime_nsec(), source.path("same").metadata().unwrap().mtime_nsec());
    assert_eq!(fs::read_link(target.path("link")).unwrap(), Path::new("dir/file"));
    assert!(is_whiteout(&target.path("gone")));
    assert!(!target.path("socket").exists());
    let holes = target.path("holes").metadata().unwrap();
    assert_eq!(holes.len(), 1 << 40);
    assert!(holes.blocks() < 2048, "{}", holes.blocks());
}

#[test]
fn layers_become_one_that_shows_what_they_showed() {
    let (low, middle, top, target) = (TestDir::new(), TestDir::new(), TestDir::new(), TestDir::new());
    for name in ["both", "hidden", "closed", "was-file"] {
        fs::create_dir(low.path(name)).unwrap();
        fs::write(low.path(name).join("low"), "low").unwrap();
    }
    fs::write(low.path("file"), "low").unwrap();
    fs::write(low.path("stays"), "low").unwrap();
    fs::create_dir(middle.path("both")).unwrap();
    fs::write(middle.path("both/middle"), "").unwrap();
    whiteout(middle.path("both/low"));
    whiteout(middle.path("hidden"));
    fs::create_dir(middle.path("closed")).unwrap();
    set_attribute(&middle.path("closed"), "trusted.overlay.opaque", "y");
    fs::write(middle.path("was-file"), "").unwrap();
    fs::create_dir(top.path("hidden")).unwrap();
    fs::create_dir(top.path("was-file")).unwrap();
    fs::create_dir(top.path("closed")).unwrap();
    fs::write(top.path("file"), "top").unwrap();
    fs::set_permissions(top.path("closed"), fs::Permissions::from_mode(0o710)).unwrap();

    copied(&[&top, &middle, &low], &target, Files::Linked, true).unwrap();
    let list = |name: &str| {
        let entries = fs::read_dir(target.path(name)).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(list(""), "both closed file hidden stays was-file");
    assert_eq!(list("both"), "middle");
    assert_eq!((list("hidden"), list("closed"), list("was-file")), Default::default());
    assert_eq!(attribute(&target.path("closed"), "trusted.overlay.opaque"), None);
    assert_eq!(target.path("closed").metadata().unwrap().mode() & 0o777, 0o710);
    assert_eq!(fs::read_to_string(target.path("file")).unwrap(), "top");
    // Nobody changes a layer, so the files are the same ones.
    assert_eq!(target.path("stays").metadata().unwrap().ino(), low.path("stays").metadata().unwrap().ino());
}

#[test]
fn what_is_deeper_than_a_path_is_long_is_copied_and_removed() {
    let (source, target) = (TestDir::new(), TestDir::new());
    let name = CString::new("d".repeat(200)).unwrap();
    let bottom = (0..60).fold(source.fd(), |dir, _| {
        sys::mkdir(dir.as_fd(), &name, 0o755).unwrap();
        sys::open_dir(dir.as_fd(), &name).unwrap()
    });
    let path = format!("/proc/self/fd/{}", bottom.as_raw_fd());
    fs::write(path.clone() + "/file", "").unwrap();
    fs::hard_link(path.clone() + "/file", path + "/same").unwrap();
    assert_eq!(copied(&[&source], &target, Files::Copied, false).unwrap().entries, 62);
    let (dir, top) = (File::open(source.path("..")).unwrap(), source.0.file_name().unwrap().as_bytes().to_vec());
    remove_tree(dir.as_fd(), &CString::new(top).unwrap()).unwrap();
    assert!(!source.0.exists());
}

#[test]
fn a_layer_stays_as_long_as_somebody_copies_from_it() {
    let root = TestDir::new();
    let layers = Layers::open(&root.0, None, 0).unwrap();
    let (read, other) = (Layer::parse("read").unwrap(), Layer::parse("other").unwrap());
    for layer in [&read, &other] {
        fs::create_dir_all(root.path("layers").join(layer.as_str()).join("diff")).unwrap();
    }
    let of_read = std::slice::from_ref(&read);
    let (first, second) = (layers.readers.add(of_read), layers.readers.add(of_read));
    layers.remove(&other).unwrap();
    drop(first);
    assert_eq!(layers.remove(&read).unwrap_err().code, Code::Conflict);
    drop(second);
    layers.remove(&read).unwrap();
    assert_eq!(layers.list().unwrap(), Vec::<String>::new());
    // Their files go behind that.
    while fs::read_dir(root.path("layers")).unwrap().next().is_some() {
        std::thread::yield_now();
    }
}
