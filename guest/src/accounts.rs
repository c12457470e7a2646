//! Makes accounts: distributions disagree on the programs for it, and some images have none. The databases are edited as
//! those programs do it: under their lock, each file replaced at once.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::io::AsRawFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Code, Failure};
use crate::files::attributes;
use crate::init::random_uuid;
use crate::users::{self, User};

/// As `useradd` has it
const NAME_MAX_BYTES: usize = 32;
/// Where people's ids begin, and where they end
const IDS: std::ops::Range<u32> = 1000..60_000;
/// Longest wait for somebody else who edits the accounts
const LOCK_TIME: Duration = Duration::from_secs(5);

/// An account that is there now.
pub struct Account {
    pub user: User,
    pub is_new: bool,
}

/// Makes the account, with a group and a home of its own and no password, unless there is one of that name, and lets it
/// use sudo without a password where that is asked for. `root` is the directory that /etc lies in. Errors:
/// `invalid_argument` (name), `failed_precondition` (locked, no id left), as the system has them.
pub fn ensure(root: &Path, name: &str, has_sudo: bool) -> Result<Account, Failure> {
    check(name)?;
    let files = Files { root, etc: root.join("etc") };
    fs::create_dir_all(&files.etc).map_err(|error| Failure::from_io("There can't be a directory '/etc'", &error))?;
    let _lock = files.lock()?;
    let passwd = users::read_database(&files.path("passwd")).unwrap_or_default();
    let found = users::parse_user(&passwd, name);
    let is_new = found.is_none();
    let user = match found {
        Some(user) => user,
        None => files.add(name, passwd)?,
    };
    files.make_home(&user)?;
    if has_sudo {
        files.allow_sudo(name)?;
    }
    Ok(Account { user, is_new })
}

/// Whether an account has the right that `ensure` gives: its file of /etc/sudoers.d says so, and only root may change that.
pub fn may_use_sudo(root: &Path, name: &str) -> bool {
    let path = root.join("etc").join(sudoers_file(name));
    let is_roots = fs::metadata(&path).map_or(false, |found| found.uid() == 0 && found.mode() & 0o022 == 0);
    let said = users::read_database(&path.to_string_lossy()).unwrap_or_default();
    check(name).is_ok() && is_roots && said.lines().any(|line| line == sudoers_line(name).trim_end())
}

/// sudo skips files whose names have a dot.
fn sudoers_file(name: &str) -> String {
    format!("sudoers.d/{}", name.replace('.', "_"))
}

fn sudoers_line(name: &str) -> String {
    format!("{} ALL=(ALL:ALL) NOPASSWD: ALL\n", name)
}

/// What every program understands as a login name.
fn check(name: &str) -> Result<(), Failure> {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let is_other = |byte: u8| is_letter(byte) || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    if name.len() <= NAME_MAX_BYTES && name.bytes().next().map_or(false, is_letter) && name.bytes().all(is_other) {
        return Ok(());
    }
    let message = format!(
        "'{}' can't be made an account: a user's name has up to {} letters, digits, dots, dashes and underscores, and begins \
         with a letter.",
        name, NAME_MAX_BYTES
    );
    Err(Failure::invalid(message))
}

struct Files<'a> {
    root: &'a Path,
    etc: PathBuf,
}

impl Files<'_> {
    fn path(&self, name: &str) -> String {
        self.etc.join(name).to_string_lossy().into_owned()
    }

    /// The lock of `lckpwdf`, which all programs take that edit accounts; let go with the file.
    fn lock(&self) -> Result<File, Failure> {
        let fail = |error: io::Error| Failure::from_io("The accounts can't be locked", &error);
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let path = self.etc.join(".pwd.lock");
        let file =
            OpenOptions::new().write(true).create(true).mode(0o600).custom_flags(flags).open(path).map_err(fail)?;
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        lock.l_type = libc::F_WRLCK as libc::c_short;
        let deadline = Instant::now() + LOCK_TIME;
        while unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &lock) } != 0 {
            let error = io::Error::last_os_error();
            if !matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) {
                return Err(fail(error));
            }
            if Instant::now() > deadline {
                return Err(Failure::new(Code::FailedPrecondition, "Another program is editing the accounts."));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(file)
    }

    fn add(&self, name: &str, passwd: String) -> Result<User, Failure> {
        let group = users::read_database(&self.path("group")).unwrap_or_default();
        let own_group = users::parse_group(&group, name);
        let (taken_users, taken_groups) = (ids(&passwd), ids(&group));
        // One number for both, as far as nobody has it.
        let is_free = |id: &u32| !taken_users.contains(id) && (own_group.is_some() || !taken_groups.contains(id));
        let uid = IDS.into_iter().find(is_free).ok_or_else(|| {
            Failure::new(Code::FailedPrecondition, format!("There is no id left for an account '{}'.", name))
        })?;
        let gid = own_group.unwrap_or(uid);
        let home = format!("/home/{}", name);
        let shell = ["/bin/bash", "/bin/sh"].into_iter().find(|path| self.root.join(&path[1..]).exists());
        if own_group.is_none() {
            self.append("group", &group, &format!("{}:x:{}:\n", name, gid), 0o644)?;
        }
        for (file, line) in
            [("shadow", format!("{}:*:19000:0:99999:7:::\n", name)), ("gshadow", format!("{}:!::\n", name))]
        {
            // Where there are none of these the other files are all there is.
            if let Ok(before) = users::read_database(&self.path(file)) {
                if !before.lines().any(|line| line.split(':').next() == Some(name)) {
                    self.append(file, &before, &line, 0o640)?;
                }
            }
        }
        // Last: with it the account is there.
        let before = if passwd.is_empty() { "root:x:0:0:root:/root:/bin/sh\n".to_owned() } else { passwd };
        let line = format!("{}:x:{}:{}::{}:{}\n", name, uid, gid, home, shell.unwrap_or("/bin/sh"));
        self.append("passwd", &before, &line, 0o644)?;
        Ok(User { name: name.to_owned(), uid, gid, home, groups: vec![gid] })
    }

    /// Replaces a file of /etc by what it had and one line more, with its owner and mode.
    fn append(&self, file: &str, before: &str, line: &str, mode: u32) -> Result<(), Failure> {
        let fail = |error: io::Error| Failure::from_io(format!("'/etc/{}' can't be changed", file), &error);
        let separator = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
        // A link stays one.
        let path = fs::canonicalize(self.etc.join(file)).unwrap_or_else(|_| self.etc.join(file));
        let (mode, owner) = match fs::metadata(&path) {
            Ok(found) => (found.mode() & 0o7777, (found.uid(), found.gid())),
            Err(_) => (mode, (0, 0)),
        };
        let beside = path.with_file_name(format!(".e2b-{}", random_uuid()));
        let write = || {
            let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            new.write_all([before, separator, line].concat().as_bytes())?;
            attributes::set_owner(&beside, owner.0, owner.1)?;
            fs::set_permissions(&beside, Permissions::from_mode(mode))?;
            fs::rename(&beside, &path)
        };
        write().map_err(|error| {
            // What is left of it is of no use.
            let _ = fs::remove_file(&beside);
            fail(error)
        })
    }

    /// A home that is there may be one that somebody made for the account before there was one.
    fn make_home(&self, user: &User) -> Result<(), Failure> {
        let home = self.root.join(user.home.trim_start_matches('/'));
        let fail = |error: io::Error| Failure::from_io(format!("'{}' can't be made a home", user.home), &error);
        if user.uid == 0 || home == self.root {
            return Ok(());
        }
        match fs::symlink_metadata(&home) {
            Ok(found) if found.is_dir() && found.uid() == 0 => {}
            Ok(_) => return Ok(()),
            Err(_) => {
                if let Some(parent) = home.parent() {
                    fs::create_dir_all(parent).map_err(fail)?;
                }
                DirBuilder::new().mode(0o755).create(&home).map_err(fail)?;
                self.copy_skeleton(&home, user).map_err(fail)?;
            }
        }
        attributes::set_owner(&home, user.uid, user.gid).map_err(fail)
    }

    /// The files that a new home has: on every distribution a few dot files.
    fn copy_skeleton(&self, home: &Path, user: &User) -> io::Result<()> {
        const FILES_MAX: usize = 64;
        const FILE_MAX_BYTES: u64 = 1 << 20;
        let entries = match fs::read_dir(self.etc.join("skel")) {
            Ok(entries) => entries,
            Err(_) => return Ok(()),
        };
        for entry in entries.take(FILES_MAX) {
            let entry = entry?;
            let found = fs::symlink_metadata(entry.path())?;
            if found.is_file() && found.len() <= FILE_MAX_BYTES {
                let to = home.join(entry.file_name());
                fs::copy(entry.path(), &to)?;
                attributes::set_owner(&to, user.uid, user.gid)?;
            }
        }
        Ok(())
    }

    fn allow_sudo(&self, name: &str) -> Result<(), Failure> {
        let fail = |error: io::Error| Failure::from_io("'/etc/sudoers.d' can't be changed", &error);
        let directory = self.etc.join("sudoers.d");
        fs::create_dir_all(&directory).map_err(fail)?;
        let (file, line) = (sudoers_file(name), sudoers_line(name));
        if users::read_database(&self.path(&file)).ok().as_deref() == Some(line.as_str()) {
            return Ok(());
        }
        self.append(&file, "", &line, 0o440)?;
        fs::set_permissions(self.etc.join(&file), Permissions::from_mode(0o440)).map_err(fail)
    }
}

/// The numbers of a database's third fields.
fn ids(database: &str) -> std::collections::HashSet<u32> {
    database.lines().filter_map(|line| line.split(':').nth(2)?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::test_dir::TestDir;

    fn read(root: &Path, name: &str) -> String {
        fs::read_to_string(root.join("etc").join(name)).unwrap()
    }

    #[test]
    fn an_account_is_made_once_and_nothing_else_changes() {
        if unsafe { libc::geteuid() } != 0 {
            return;
        }
        let dir = TestDir::new();
        let root = dir.path();
        fs::create_dir_all(root.join("etc/skel")).unwrap();
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::write(root.join("bin/bash"), "").unwrap();
        fs::write(root.join("etc/skel/.bashrc"), "rc").unwrap();
        fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/bash\nother:x:1000:1000::/x:/bin/sh").unwrap();
        fs::write(root.join("etc/group"), "root:x:0:\nusers:x:1001:other\n").unwrap();
        fs::write(root.join("etc/shadow"), "root:*:1:0:99999:7:::\n").unwrap();
        fs::set_permissions(root.join("etc/shadow"), Permissions::from_mode(0o600)).unwrap();

        let account = ensure(root, "user", true).unwrap();
        assert!(account.is_new);
        assert_eq!((account.user.uid, account.user.gid), (1002, 1002));
        let passwd = "root:x:0:0:root:/root:/bin/bash\nother:x:1000:1000::/x:/bin/sh\n\
                      user:x:1002:1002::/home/user:/bin/bash\n";
        assert_eq!(read(root, "passwd"), passwd);
        assert_eq!(read(root, "group"), "root:x:0:\nusers:x:1001:other\nuser:x:1002:\n");
        assert_eq!(read(root, "shadow"), "root:*:1:0:99999:7:::\nuser:*:19000:0:99999:7:::\n");
        assert_eq!(fs::metadata(root.join("etc/shadow")).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(read(root, "sudoers.d/user"), "user ALL=(ALL:ALL) NOPASSWD: ALL\n");
        assert_eq!(fs::metadata(root.join("etc/sudoers.d/user")).unwrap().mode() & 0o7777, 0o440);
        assert!(!root.join("etc/gshadow").exists());
        for path in ["home/user", "home/user/.bashrc"] {
            assert_eq!(fs::metadata(root.join(path)).unwrap().uid(), 1002, "{}", path);
        }

        assert!(may_use_sudo(root, "user") && !may_use_sudo(root, "other") && !may_use_sudo(root, "../sudoers.d/user"));

        let again = ensure(root, "user", true).unwrap();
        assert!(!again.is_new);
        assert_eq!((again.user.uid, again.user.home.as_str()), (1002, "/home/user"));
        assert_eq!(read(root, "passwd"), passwd);
        // A group of that name is taken as the account's own.
        assert_eq!(ensure(root, "users", false).unwrap().user.gid, 1001);
        let left: Vec<_> = fs::read_dir(root.join("etc")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 6, "{:?}", left);
    }

    #[test]
    fn an_image_without_accounts_gets_its_first_ones() {
        if unsafe { libc::geteuid() } != 0 {
            return;
        }
        let dir = TestDir::new();
        assert_eq!(ensure(dir.path(), "user", false).unwrap().user.uid, 1000);
        let passwd = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n";
        assert_eq!(read(dir.path(), "passwd"), passwd);
        assert_eq!(read(dir.path(), "group"), "user:x:1000:\n");
    }

    #[test]
    fn a_right_that_others_can_write_is_none() {
        if unsafe { libc::geteuid() } != 0 {
            return;
        }
        let dir = TestDir::new();
        ensure(dir.path(), "user", true).unwrap();
        let file = dir.path().join("etc/sudoers.d/user");
        fs::set_permissions(&file, Permissions::from_mode(0o642)).unwrap();
        assert!(!may_use_sudo(dir.path(), "user"));
        fs::set_permissions(&file, Permissions::from_mode(0o440)).unwrap();
        attributes::set_owner(&file, 1000, 1000).unwrap();
        assert!(!may_use_sudo(dir.path(), "user"));
    }

    #[test]
    fn names_that_are_none_are_refused() {
        let dir = TestDir::new();
        for name in ["", "a:b", "a\nroot", "-a", "1000", "ä", "a/b", &"x".repeat(33)] {
            assert!(ensure(dir.path(), name, true).is_err(), "{}", name);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
