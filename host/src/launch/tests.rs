//! A real agent in a guest of its own, over a small tree of this machine's programs. Needs root.

#[allow(dead_code)]
#[path = "../../../guest/tests/support/client.rs"]
mod client;

use std::fs;
use std::os::unix::fs::{symlink, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;

use super::process::PATIENCE_MS;
use super::*;
use crate::processes;
use client::Client;

const BASE: u32 = 0x6ffe_0000;
const NS_GET_OWNER_UID: libc::c_ulong = 0xb704;
/// What the tests' commands are made of, and what they link.
const PROGRAMS: [&str; 13] =
    ["sh", "cat", "chroot", "grep", "id", "ls", "mkdir", "mknod", "mount", "sleep", "stat", "umount", "unshare"];

/// A directory with a layer and a place for a guest's changes.
struct Scene(PathBuf);

impl Scene {
    fn new() -> Scene {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("e2b-host-test-{}-{}", std::process::id(), number));
        for name in ["layer/etc", "layer/tmp", "upper", "work"] {
            fs::create_dir_all(dir.join(name)).unwrap();
        }
        let scene = Scene(dir);
        fs::set_permissions(scene.path("layer/tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
        fs::write(scene.path("layer/etc/passwd"), "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n")
            .unwrap();
        for name in ["bin", "sbin", "lib", "lib64"] {
            fs::create_dir_all(scene.path("layer/usr").join(name)).unwrap();
            symlink(Path::new("usr").join(name), scene.path("layer").join(name)).unwrap();
        }
        for name in PROGRAMS {
            scene.add_program(name);
        }
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn add_program(&self, name: &str) {
        let path = ["/usr/bin", "/usr/sbin"]
            .iter()
            .find_map(|place| fs::canonicalize(Path::new(place).join(name)).ok())
            .unwrap();
        let listed = Command::new("ldd").arg(&path).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        fs::copy(&path, self.path("layer/usr/bin").join(name)).unwrap();
        for library in listed.split_whitespace().filter(|word| word.starts_with('/')) {
            let inside = library.strip_prefix("/usr/").or(library.strip_prefix('/')).unwrap();
            let target = self.path("layer/usr").join(inside);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(library, target).unwrap();
        }
    }

    fn park(&self, rights: Rights) -> Parked {
        let network = std::thread::spawn(|| {
            assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "these tests need root");
            File::open("/proc/thread-self/ns/net").unwrap()
        });
        let network = network.join().unwrap();
        park(&ParkSpec { netns: network.as_fd(), procs: &[], groups: &[], uid_base: BASE, rights }).unwrap()
    }

    fn launch(&self, parked: Parked) -> Result<Guest, Failure> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let agent =
            File::open(root.join("build/e2b-guest")).expect("build/e2b-guest: run `node scripts/setup.mjs test`");
        let (layer, storage) = (File::open(self.path("layer")).unwrap(), File::open(&self.0).unwrap());
        let storage = clone_mount(storage.as_fd()).unwrap();
        let _ = fs::remove_file(self.path("agent.sock"));
        let listener = UnixListener::bind(self.path("agent.sock")).unwrap();
        let view = File::open(self.path("view")).ok().map(|file| mounts::view(file.as_fd()).unwrap());
        let covers: Vec<Cover> = view
            .iter()
            .flat_map(|mount| ["/proc/meminfo", "/proc/nothing"].map(|path| Cover { path, mount: mount.as_fd() }))
            .collect();
        let launched = parked.launch(&Plan {
            layers: &[layer.as_fd()],
            storage: storage.as_fd(),
            agent: agent.as_fd(),
            listener: listener.as_fd(),
            hostname: "e2b",
            memory_bytes: 512 << 20,
            files: &[PlanFile { path: "/etc/hosts", bytes: b"127.0.0.1 localhost\n" }],
            covers: &covers[..covers.len().min(1)],
        })?;
        Ok(Guest { launched, socket: self.path("agent.sock") })
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Guest {
    launched: Launched,
    socket: PathBuf,
}

impl Guest {
    /// What a shell command of this user says, errors included.
    fn run(&self, user: &str, command: &str) -> String {
        let mut client = Client(UnixStream::connect(&self.socket).unwrap());
        let args = ["-c", command];
        client.request(
            &json!({ "op": "exec", "cmd": "/bin/sh", "args": args, "user": user, "cwd": "/", "stdin": false }),
        );
        client.reply();
        let output = client.output();
        output.text() + &output.error_text()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        processes::kill(self.launched.pidfd.as_fd()).unwrap();
        processes::wait(&self.launched.pidfd, Duration::from_secs(60)).unwrap();
    }
}

/// What a guest of this tree says, and the tree.
fn guest(rights: Rights) -> (Scene, Guest) {
    let scene = Scene::new();
    fs::write(scene.path("view"), "MemTotal: 7 kB\n").unwrap();
    let made = Command::new("mknod").arg(scene.path("layer/null-of-image")).args(["-m", "666", "c", "1", "3"]).status();
    assert!(made.unwrap().success());
    // Where an earlier run of it could have put it.
    fs::create_dir_all(scene.path("layer/run/e2b-guest")).unwrap();
    assert!(Command::new("mkfifo").arg(scene.path("layer/run/e2b-guest/agent")).status().unwrap().success());
    let parked = scene.park(rights);
    let guest = scene.launch(parked).unwrap();
    (scene, guest)
}

#[test]
fn a_guest_has_a_root_a_name_and_an_agent() {
    let (scene, guest) = guest(Rights::Mounts);
    assert_eq!(guest.run("root", "cat /proc/sys/kernel/hostname /etc/hosts"), "e2b\n127.0.0.1 localhost\n");
    assert_eq!(guest.run("root", "cat /proc/1/cmdline | grep -a -c 'e2b-guest/agent.--listen.fd:3'"), "1\n");
    assert_eq!(guest.run("root", "cat /proc/meminfo"), "MemTotal: 7 kB\n");
    assert_eq!(guest.run("root", "ls /dev"), DEVICE_NAMES);
    assert_eq!(guest.run("root", "stat -c %U:%a /dev/null /dev/shm /dev/mqueue"), "root:666\nroot:1777\nroot:1777\n");
    // Files have on the disk the owners that they have inside, however they came there.
    guest.run("root", "echo > /mine");
    assert_eq!(guest.run("user", "id -u; echo > /tmp/of-user"), "1000\n");
    let owner = |name: &str| fs::metadata(scene.path("upper").join(name)).unwrap().uid();
    assert_eq!((owner("mine"), owner("etc/hosts"), owner("tmp/of-user")), (0, 0, 1000));
    assert_eq!(guest.run("user", "stat -c %u /mine /tmp/of-user /etc/passwd"), "0\n1000\n0\n");
    // On the machine its root is nobody.
    let ids = fs::read_to_string(format!("/proc/{}/status", guest.launched.pid)).unwrap();
    assert!(ids.contains(&format!("Uid:\t{0}\t{0}\t{0}\t{0}\n", BASE)), "{}", ids);
    let namespace = File::open(format!("/proc/{}/ns/user", guest.launched.pid)).unwrap();
    let mut owner = 0u32;
    assert_eq!(unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_OWNER_UID, &mut owner) }, 0);
    assert_eq!(owner, BASE);
    assert_eq!(processes::start_time(guest.launched.pid).unwrap(), guest.launched.start_time);
}

const DEVICE_NAMES: &str =
    "core\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n";

#[test]
fn a_guest_is_held_with_ids_of_its_own_and_without() {
    let all = [
        (Rights::Mounts, "00000000a82405fb"),
        (Rights::Own, "00000000a80405fb"),
        (Rights::Machine, "00000000a00405fb"),
    ];
    for (rights, capabilities) in all {
        let (_scene, guest) = guest(rights);
        for process in ["1", "self"] {
            let status = guest.run("root", &format!("cat /proc/{}/status", process));
            let has = |line: String| assert!(status.contains(&line), "{} in {}", line, status);
            for set in ["CapPrm", "CapEff", "CapBnd"] {
                has(format!("{}:\t{}\n", set, capabilities));
            }
            has("CapInh:\t0000000000000000\n".to_owned());
            has("SigBlk:\t0000000000000000\n".to_owned());
            has("NoNewPrivs:\t0\n".to_owned());
            has("Seccomp:\t2\n".to_owned());
        }
        // The agent's own are a socket that listens, its event loop and signals, and no file or directory of the machine.
        for descriptor in fs::read_dir(format!("/proc/{}/fd", guest.launched.pid)).unwrap().flatten() {
            // Those of the command before go while they are listed.
            let target = fs::read_link(descriptor.path()).unwrap_or_default();
            let target = target.to_str().unwrap();
            let kinds = ["/dev/null", "/null", "socket:", "pipe:", "anon_inode:"];
            assert!(target.is_empty() || kinds.iter().any(|kind| target.starts_with(kind)), "{}", target);
        }
        if !rights.may_mount() {
            let said = guest.run("root", "mount -t tmpfs none /tmp > /dev/null 2>&1 && echo done");
            assert_eq!(said, "", "{:?}", rights);
        }
        let refused = [
            "mknod /tmp/disk b 254 0",
            "mknod /tmp/memory c 1 1",
            "echo x > /proc/sys/kernel/hostname",
            "echo 1 > /proc/sys/kernel/core_pattern",
            "echo b > /proc/sysrq-trigger",
            "echo > /sys/kernel/profiling",
            "echo > /run/e2b-guest/agent",
            "cat /null-of-image",
        ];
        for command in refused {
            let said = guest.run("root", &format!("({}) > /tmp/said 2>&1 && echo done", command));
            assert_eq!(said, "", "{} as {:?}", command, rights);
        }
        let hidden = "/proc/keys /proc/timer_list /proc/kcore /sys/firmware/* /proc/acpi/* /proc/scsi/*";
        assert_eq!(guest.run("root", &format!("cat {} 2> /dev/null | grep -c ''", hidden)), "0\n");
        let flags = "grep -E ' (/|/sys|/proc/sys) ' /proc/mounts | grep -c -E ' (ro|rw,nodev)[, ]'";
        assert_eq!(guest.run("root", flags), "3\n");
        assert_eq!(guest.run("root", "cat /proc/1/oom_score_adj"), "50\n");
    }
}

#[test]
fn root_of_a_guest_mounts_what_is_its_own() {
    let (scene, guest) = guest(Rights::Mounts);
    let works = [
        "mkdir -p /tmp/a /tmp/b /tmp/o /mnt && mount -t tmpfs none /mnt && echo x > /mnt/file",
        "mount --bind /mnt /tmp/a && cat /tmp/a/file",
        "mount -o remount,bind,ro /tmp/a && ! echo y 2> /dev/null > /tmp/a/file",
        "mkdir /mnt/upper /mnt/work && mount -t overlay none -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /tmp/o",
        "echo mine > /tmp/o/passwd && grep root /etc/passwd && cat /mnt/upper/passwd",
        "mount --move /tmp/a /tmp/b && umount /tmp/b && umount /tmp/o && umount /mnt && ! ls /mnt/file 2> /dev/null",
        "mount --rbind / /mnt && chroot /mnt cat /etc/passwd && umount -l /mnt",
        "unshare -m --propagation private sh -c 'mount -t tmpfs none /mnt' && ! grep ' /mnt ' /proc/mounts",
        "unshare -Urm sh -c 'mount -t tmpfs none /mnt && id -u' && unshare -fp id",
    ];
    for command in works {
        let said = guest.run("root", &format!("({}) > /tmp/said 2>&1 && echo done; cat /tmp/said", command));
        assert!(said.starts_with("done\n"), "{}: {}", command, said);
    }
    assert_eq!(guest.run("user", "unshare -Urm sh -c 'mount -t tmpfs none /mnt && id -u'"), "0\n");
    // Its layers are as they were.
    assert!(fs::read_to_string(scene.path("layer/etc/passwd")).unwrap().starts_with("root:"));
    assert_eq!(guest.run("user", "mount -t tmpfs none /mnt > /dev/null 2>&1 || echo refused"), "refused\n");
}

#[test]
fn mounts_of_the_helper_stay_as_they_are_whoever_mounts() {
    let (_scene, guest) = guest(Rights::Mounts);
    let attempts = [
        "umount -l /proc/kcore",
        "umount -l /proc/sys",
        "umount -l /sys/firmware",
        "umount -l /proc/meminfo",
        "umount -l /proc",
        "umount -l /run/e2b-guest/agent",
        "mount -o remount,bind,rw /proc/sys",
        "mount -o remount,rw /proc/sys",
        "mount -o remount,bind,rw /run/e2b-guest/agent",
        "mount -o remount,bind,rw /proc/meminfo",
        "mount -o remount,bind,suid,dev /",
        "mount -o remount,lowerdir=/etc /",
        "mount --bind /proc /mnt",
        "mount --bind /sys /mnt",
        "mount --move /proc/kcore /mnt",
        "mount --make-shared /",
        "mount -t proc none /mnt",
        "mount -t sysfs none /mnt",
        "mount -t mqueue none /mnt",
        "mount -t cgroup2 none /mnt",
        "mount -t cgroup -o memory none /mnt",
        "mount -t devtmpfs none /mnt",
        "mount -t ext4 /dev/null /mnt",
        "mount -t tmpfs none /mnt && mknod -m 666 /mnt/null c 1 3 && cat /mnt/null",
        "mount --rbind /proc /mnt && umount -l /mnt/kcore",
        "mount --rbind /proc /mnt && mount -o remount,bind,rw /mnt/sys",
    ];
    for command in attempts {
        // As root, and as root of name spaces that it makes.
        for (before, after) in [("(", ")"), ("unshare -m sh -c '", "'"), ("unshare -Urmpf sh -c '", "'")] {
            let attempt = format!("mkdir -p /mnt; {}{}{} > /tmp/said 2>&1 && echo done", before, command, after);
            assert_eq!(guest.run("root", &attempt), "", "{}", attempt);
        }
    }
    let writes =
        "unshare -Urm sh -c 'umount -l /proc/sys; mount --rbind /proc /mnt; echo x > /mnt/sys/kernel/core_pattern'";
    assert_eq!(guest.run("root", &format!("({}) 2> /dev/null && echo done", writes)), "");
    // What the agent has is its own, and the outer name spaces can't be had by way of it.
    for path in ["/proc/1/ns/user", "/proc/1/ns/mnt", "/proc/1/root/etc/passwd", "/proc/1/environ"] {
        assert_eq!(guest.run("root", &format!("cat {} > /dev/null 2>&1 && echo read", path)), "", "{}", path);
    }
    for space in ["net", "uts", "ipc", "cgroup"] {
        assert_eq!(guest.run("root", &format!("unshare --{} true 2> /dev/null && echo made", space)), "", "{}", space);
    }
}

#[test]
fn name_spaces_inside_are_counted_and_end_with_the_guest() {
    let (_scene, guest) = guest(Rights::Mounts);
    // A hundred of each, of which it has one already.
    let refused = "37\n";
    for kind in ["U", "m", "fp"] {
        let each = format!("unshare -{} sleep 600 > /dev/null 2>> /tmp/refused &", kind);
        guest.run("root", &format!("echo > /tmp/refused; i=0; while [ $i -lt 100 ]; do {} i=$((i+1)); done", each));
        let deadline = Instant::now() + Duration::from_secs(60);
        let count = || guest.run("root", "grep -c 'No space' /tmp/refused");
        while count() != refused && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(count(), refused, "{}", kind);
    }
    let group = guest.launched.pid;
    drop(guest);
    assert!(!Path::new(&format!("/proc/{}", group)).exists());
}

#[test]
fn what_is_no_image_for_a_guest_leaves_nothing() {
    let scene = Scene::new();
    symlink("tmp", scene.path("layer/proc")).unwrap();
    let parked = scene.park(Rights::Mounts);
    let pid = parked.process.pid;
    let failure = scene.launch(parked).err().unwrap();
    assert_eq!(failure.code, Code::FailedPrecondition, "{}", failure);
    assert!(!Path::new(&format!("/proc/{}", pid)).exists());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(scene.0.to_str().unwrap()), "{}", mounts);
}

#[test]
fn who_waits_ends_with_the_helper() {
    let scene = Scene::new();
    let Parked { process, socket, .. } = scene.park(Rights::Mounts);
    assert!(process.is_alive());
    drop(socket);
    sys::wait_readable(process.pidfd.as_ref().unwrap().as_fd(), PATIENCE_MS).unwrap();
}
