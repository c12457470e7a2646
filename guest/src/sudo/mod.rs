//! `sudo` in images that have none and no package manager that could install it: a copy of this program whose file is
//! root's and has the setuid bit. Root may use it, and the accounts that `ensure-user` gave the right to. Nobody is asked for
//! a password. It never does anything but this where its file lends it root's rights, whatever it is called by.

mod args;

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::accounts;
use crate::fields::StringMap;
use crate::process::environment;
use crate::users::{self, User};
use args::{Action, Keep, Order, Shell};

/// Where nothing else is said, `LC_…` besides. The last ones say whom programs trust.
const USUALLY_KEPT: [&str; 11] = [
    "TERM",
    "COLORTERM",
    "LANG",
    "LANGUAGE",
    "TZ",
    "DISPLAY",
    "XAUTHORITY",
    "DEBIAN_FRONTEND",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
];
const FALLBACK_SHELL: &str = "/bin/sh";

/// Whether this process was started as sudo: by that name, or from a file that lends it other rights than its caller's.
pub fn is_asked_for() -> bool {
    let name = std::env::args_os().next().unwrap_or_default();
    lends_rights() || Path::new(&name).file_name().map_or(false, |name| name == "sudo")
}

fn lends_rights() -> bool {
    unsafe { libc::getuid() != libc::geteuid() || libc::getgid() != libc::getegid() }
}

/// Becomes the command; returns only what kept it from that. Errors: a sentence.
pub fn run() -> Result<(), String> {
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let order = args::parse(words.into_iter())?;
    if order.action == Action::Version {
        println!("sudo of e2b-guest {}", env!("CARGO_PKG_VERSION"));
        return Ok(());
    }
    let passwd = users::read_database("/etc/passwd").unwrap_or_default();
    let caller = caller(&passwd)?;
    match order.action {
        Action::List => println!("{} may run all commands as everybody, without a password", caller.name),
        Action::Forget if order.command.is_empty() => {}
        _ => return Err(become_command(&order, &caller, &passwd)),
    }
    Ok(())
}

/// Errors: who may not use this.
fn caller(passwd: &str) -> Result<User, String> {
    let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
    let mut caller = users::by_number(passwd, uid);
    caller.gid = gid;
    if unsafe { libc::geteuid() } != 0 {
        return Err("its file must be root's and have the setuid bit, and the sandbox must allow that".to_owned());
    }
    if uid == 0 || accounts::may_use_sudo(Path::new("/"), &caller.name) {
        return Ok(caller);
    }
    Err(format!("{} may not use sudo: there is no /etc/sudoers.d/{}", caller.name, caller.name))
}

fn become_command(order: &Order, caller: &User, passwd: &str) -> String {
    let target = match target(order) {
        Ok(target) => target,
        Err(message) => return message,
    };
    let shell = shell_of(passwd, &target.name);
    let words = match command(order, &shell) {
        Some(words) => words,
        None => return "there is no command; use: sudo [-E] [-H] [-i | -s] [-u user] [NAME=value] command".to_owned(),
    };
    let own: Vec<(String, String)> = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect();
    let env = environment_for(order, &own, &target, &shell, caller, &words);
    if let Err(error) = change_to(&target, order) {
        return error;
    }
    exec(&words, &env, order.shell == Shell::Login)
}

fn target(order: &Order) -> Result<User, String> {
    let plain = |name: &str| name.strip_prefix('#').unwrap_or(name).to_owned();
    let mut wanted = order.user.as_deref().map_or("root".to_owned(), plain);
    if let Some(group) = &order.group {
        wanted = format!("{}:{}", wanted, plain(group));
    }
    // An owner is `user:group`, so a name with a colon would be read as two.
    if order.user.as_ref().map_or(false, |user| user.contains(':')) {
        return Err(format!("there is no account '{}'", wanted));
    }
    users::find_owner(&wanted).map_err(|failure| failure.message)
}

/// The words to run; a shell gets them as one line. None: there are none, and no shell is wanted.
fn command(order: &Order, shell: &str) -> Option<Vec<String>> {
    if order.shell == Shell::None {
        return (!order.command.is_empty()).then(|| order.command.clone());
    }
    let mut words = vec![shell.to_owned()];
    if !order.command.is_empty() {
        let line: Vec<String> = order.command.iter().map(|word| quote(word)).collect();
        words.extend(["-c".to_owned(), line.join(" ")]);
    }
    Some(words)
}

/// For a shell. What it expands stays as it is: `sudo -i echo '$HOME'` shows the target's.
fn quote(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "_-$".contains(letter);
    let escape = |letter: char| if is_plain(letter) { letter.to_string() } else { format!("\\{}", letter) };
    match word {
        "" => "''".to_owned(),
        word => {
            word.split('\n').map(|line| line.chars().map(escape).collect::<String>()).collect::<Vec<_>>().join("'\n'")
        }
    }
}

fn environment_for(
    order: &Order,
    own: &[(String, String)],
    target: &User,
    shell: &str,
    caller: &User,
    words: &[String],
) -> StringMap {
    let stays = |name: &str| match &order.keep {
        Keep::All => order.shell != Shell::Login,
        Keep::These(names) if names.iter().any(|kept| kept == name) => true,
        _ if order.shell == Shell::Login => name == "TERM",
        _ => USUALLY_KEPT.contains(&name) || name.starts_with("LC_"),
    };
    let kept: StringMap = own.iter().filter(|(name, _)| stays(name)).cloned().collect();
    let keeps_home = kept.contains_key("HOME") && !order.sets_home;
    let mut env = environment::compose(target, &[&kept]);
    let identity = [
        ("PATH", environment::DEFAULT_PATH.to_owned()),
        ("USER", target.name.clone()),
        ("LOGNAME", target.name.clone()),
        ("SHELL", shell.to_owned()),
        ("SUDO_COMMAND", words.join(" ")),
        ("SUDO_USER", caller.name.clone()),
        ("SUDO_UID", caller.uid.to_string()),
        ("SUDO_GID", caller.gid.to_string()),
    ];
    env.extend(identity.into_iter().map(|(name, value)| (name.to_owned(), value)));
    if !keeps_home {
        env.insert("HOME".to_owned(), target.home.clone());
    }
    env.extend(order.variables.iter().cloned());
    env
}

/// For good: neither the saved ids nor a group of the caller's stays.
fn change_to(target: &User, order: &Order) -> Result<(), String> {
    let fail = |what: &str| format!("{}: {}", what, io::Error::last_os_error());
    let groups: Vec<libc::gid_t> = target.groups.clone();
    unsafe {
        if libc::setgroups(groups.len(), groups.as_ptr()) != 0 {
            return Err(fail("setgroups"));
        }
        if libc::setresgid(target.gid, target.gid, target.gid) != 0 {
            return Err(fail("setresgid"));
        }
        if libc::setresuid(target.uid, target.uid, target.uid) != 0 {
            return Err(fail("setresuid"));
        }
    }
    let home = (order.shell == Shell::Login).then(|| target.home.as_str());
    if let Some(directory) = order.directory.as_deref().or(home) {
        std::env::set_current_dir(directory).map_err(|error| format!("'{}': {}", directory, error))?;
    }
    Ok(())
}

fn exec(words: &[String], env: &StringMap, is_login: bool) -> String {
    let name = &words[0];
    let base = name.rsplit('/').next().unwrap_or(name);
    let first = if is_login { format!("-{}", base) } else { name.clone() };
    let terminated = |text: String| CString::new(text).ok();
    let args: Option<Vec<CString>> = std::iter::once(first).chain(words[1..].iter().cloned()).map(terminated).collect();
    let vars: Option<Vec<CString>> =
        env.iter().map(|(name, value)| terminated(format!("{}={}", name, value))).collect();
    let (args, vars) = match (args, vars) {
        (Some(args), Some(vars)) => (args, vars),
        _ => return format!("{}: a word has a zero byte", name),
    };
    let pointers = |list: &[CString]| {
        list.iter().map(|text| text.as_ptr()).chain(std::iter::once(std::ptr::null())).collect::<Vec<_>>()
    };
    let (args, vars) = (pointers(&args), pointers(&vars));
    let mut reason = libc::ENOENT;
    // Rust has it ignored, and what is ignored stays so.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    for path in environment::candidates(name, env) {
        unsafe { libc::execve(path.as_ptr(), args.as_ptr(), vars.as_ptr()) };
        match io::Error::last_os_error().raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) | None => {}
            Some(other) => reason = other,
        }
    }
    match reason {
        libc::ENOENT => format!("{}: command not found", name),
        other => format!("{}: {}", name, io::Error::from_raw_os_error(other)),
    }
}

fn shell_of(passwd: &str, name: &str) -> String {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name));
    let shell = line.and_then(|line| line.split(':').nth(6)).filter(|shell| !shell.is_empty());
    shell
        .filter(|shell| fs::metadata(shell).map_or(false, |found| found.mode() & 0o111 != 0))
        .unwrap_or(FALLBACK_SHELL)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, uid: u32) -> User {
        User { name: name.into(), uid, gid: uid, home: format!("/home/{}", name), groups: vec![uid] }
    }

    fn env_of(line: &str, own: &[(&str, &str)]) -> StringMap {
        let order = args::parse(line.split(' ').map(str::to_owned)).unwrap();
        let own: Vec<_> = own.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        environment_for(&order, &own, &user("web", 7), "/bin/sh", &user("user", 1000), &["id".to_owned()])
    }

    #[test]
    fn the_environment_is_the_targets() {
        let own =
            [("TERM", "xterm"), ("LC_ALL", "C"), ("SECRET", "1"), ("HOME", "/x"), ("PATH", "/evil"), ("USER", "user")];
        let env = env_of("id", &own);
        let said = |name: &str| env.get(name).map(String::as_str);
        assert_eq!(said("TERM"), Some("xterm"));
        assert_eq!(said("LC_ALL"), Some("C"));
        assert_eq!(said("SECRET"), None);
        assert_eq!(said("HOME"), Some("/home/web"));
        assert_eq!(said("PATH"), Some(environment::DEFAULT_PATH));
        assert_eq!((said("USER"), said("SUDO_USER"), said("SUDO_UID")), (Some("web"), Some("user"), Some("1000")));
    }

    #[test]
    fn what_is_to_be_kept_is() {
        let own = [("SECRET", "1"), ("OTHER", "2"), ("HOME", "/x"), ("PATH", "/evil")];
        let all = env_of("-E id", &own);
        assert_eq!((all["SECRET"].as_str(), all["HOME"].as_str()), ("1", "/x"));
        assert_eq!(all["PATH"], environment::DEFAULT_PATH);
        assert_eq!(env_of("-E -H id", &own)["HOME"], "/home/web");
        let some = env_of("--preserve-env=OTHER X=y id", &own);
        assert_eq!((some.get("SECRET"), some["OTHER"].as_str(), some["X"].as_str()), (None, "2", "y"));
        assert_eq!(env_of("-i id", &own).get("SECRET"), None);
    }

    #[test]
    fn a_shell_gets_words_as_they_were() {
        let order = args::parse(["-s", "echo", "a b", "$HOME", "", "x;y"].iter().map(|word| word.to_string())).unwrap();
        assert_eq!(command(&order, "/bin/sh").unwrap(), ["/bin/sh", "-c", "echo a\\ b $HOME '' x\\;y"]);
        assert_eq!(command(&Order::default(), "/bin/sh"), None);
    }

    #[test]
    fn a_shell_that_is_not_there_is_not_used() {
        assert_eq!(shell_of("a:x:1:1::/:/no/such/shell\nb:x:2:2::/:/bin/sh\n", "a"), "/bin/sh");
        assert_eq!(shell_of("a:x:1:1::/:/bin/cat\n", "a"), "/bin/cat");
        assert_eq!(shell_of("", "a"), "/bin/sh");
    }
}
