//! Between fork and exec. The child runs in the agent's memory while the thread that forked waits, so until exec only
//! system calls are allowed: no allocation, no locks, no panics. Everything it needs is prepared before the fork.

use std::ffi::CString;
use std::os::unix::io::RawFd;
use std::ptr;

use crate::users::User;

/// Tells the kernel to end a process of the sandbox rather than the agent when memory is short.
const OOM_SCORE_ADJ: &[u8] = b"100";
/// The shell's exit codes.
const EXIT_CANNOT_RUN: i32 = 126;
const EXIT_NOT_FOUND: i32 = 127;
const SHELL: &[u8] = b"/bin/sh\0";
/// The kernel's number of signals, and the size of its set of them.
const SIGNALS: i32 = 64;
const SIGSET_BYTES: usize = 8;

/// The credentials of a process.
pub struct Credentials {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
}

impl From<&User> for Credentials {
    fn from(user: &User) -> Credentials {
        Credentials { uid: user.uid, gid: user.gid, groups: user.groups.clone() }
    }
}

/// All that the child needs, in the form the system calls want. Made and used on one thread.
pub struct Plan {
    /// For its own messages: the command as it was asked for
    cmd: CString,
    candidates: Vec<CString>,
    cwd: CString,
    /// Absent: stay who the agent is
    credentials: Option<Credentials>,
    nofile: Option<libc::rlimit>,
    /// Points into `_strings`: two free slots, then the arguments, then null. The slots are for the shell and the
    /// path when the file turns out to be a script without an interpreter line.
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
    _strings: Vec<CString>,
}

/// What a plan is made from. No string may contain a zero byte.
pub struct PlanParts {
    pub cmd: CString,
    pub args: Vec<CString>,
    /// `NAME=value`
    pub env: Vec<CString>,
    pub candidates: Vec<CString>,
    pub cwd: CString,
    pub credentials: Option<Credentials>,
    /// The limit on open files to go back to
    pub nofile: Option<libc::rlimit>,
}

const ARGV_FREE_SLOTS: usize = 2;

impl Plan {
    pub fn new(parts: PlanParts) -> Plan {
        let PlanParts { cmd, args, env, candidates, cwd, credentials, nofile } = parts;
        let mut argv = vec![ptr::null(); ARGV_FREE_SLOTS];
        argv.push(cmd.as_ptr());
        argv.extend(args.iter().map(|arg| arg.as_ptr()));
        argv.push(ptr::null());
        let envp = env.iter().map(|pair| pair.as_ptr()).chain([ptr::null()]).collect();
        let strings = args.into_iter().chain(env).collect();
        Plan { cmd, candidates, cwd, credentials, nofile, argv, envp, _strings: strings }
    }
}

/// What the child's standard streams become; all close-on-exec and none below 3.
pub struct Stdio {
    pub stdin: RawFd,
    pub stdout: RawFd,
    pub stderr: RawFd,
    /// Whether they are a terminal, to become the controlling one
    pub is_terminal: bool,
}

/// Becomes the process. Must be called in a fresh fork with all signals blocked.
pub unsafe fn run(plan: &mut Plan, stdio: &Stdio) -> ! {
    libc::setsid();
    for (from, to) in [(stdio.stdin, 0), (stdio.stdout, 1), (stdio.stderr, 2)] {
        libc::dup2(from, to);
    }
    if stdio.is_terminal {
        libc::ioctl(0, libc::TIOCSCTTY as _, 0);
        if let Some(credentials) = &plan.credentials {
            // As at a login, so that the process can open its terminal by name.
            libc::fchown(0, credentials.uid, u32::MAX);
        }
    }
    reset_signals();
    raise_oom_score();
    if let Some(limit) = &plan.nofile {
        libc::setrlimit(libc::RLIMIT_NOFILE, limit);
    }
    if let Some(credentials) = &plan.credentials {
        if !switch_user(credentials) {
            fail(&[b"cannot switch to the user"], EXIT_CANNOT_RUN);
        }
    }
    if libc::chdir(plan.cwd.as_ptr()) != 0 {
        fail(&[b"cwd '", plan.cwd.as_bytes(), b"': ", text_of(errno())], EXIT_CANNOT_RUN);
    }
    let error = exec(plan);
    let code = if error == libc::ENOENT || error == libc::ENOTDIR { EXIT_NOT_FOUND } else { EXIT_CANNOT_RUN };
    fail(&[plan.cmd.as_bytes(), b": ", text_of(error)], code)
}

/// Every signal at its default and none blocked: the agent's own handlers must not run here, nor may what it ignores
/// be inherited. The raw call, because the C library's keeps two signals to itself.
unsafe fn reset_signals() {
    // The kernel's own structure, which is not longer than this anywhere: no handler, no flags, an empty mask.
    let default = [0u64; 4];
    for signal in 1..=SIGNALS {
        libc::syscall(libc::SYS_rt_sigaction, signal, &default, ptr::null_mut::<u64>(), SIGSET_BYTES);
    }
    let none = 0u64;
    libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &none, ptr::null_mut::<u64>(), SIGSET_BYTES);
}

unsafe fn raise_oom_score() {
    let path = b"/proc/self/oom_score_adj\0";
    let fd = libc::open(path.as_ptr().cast(), libc::O_WRONLY | libc::O_CLOEXEC);
    if fd >= 0 {
        libc::write(fd, OOM_SCORE_ADJ.as_ptr().cast(), OOM_SCORE_ADJ.len());
        libc::close(fd);
    }
}

/// The raw calls: the C library's would change the agent's other threads too.
unsafe fn switch_user(credentials: &Credentials) -> bool {
    let Credentials { uid, gid, groups } = credentials;
    libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) == 0
        && libc::syscall(libc::SYS_setresgid, *gid, *gid, *gid) == 0
        && libc::syscall(libc::SYS_setresuid, *uid, *uid, *uid) == 0
}

/// Tries each candidate as a shell would; returns the errno to report. One that exists but may not be run outweighs
/// those that don't exist.
unsafe fn exec(plan: &mut Plan) -> i32 {
    let mut result = libc::ENOENT;
    for path in &plan.candidates {
        libc::execve(path.as_ptr(), plan.argv[ARGV_FREE_SLOTS..].as_ptr(), plan.envp.as_ptr());
        match errno() {
            libc::ENOENT | libc::ENOTDIR => {}
            libc::EACCES => result = libc::EACCES,
            libc::ENOEXEC => {
                // A script without an interpreter line: `sh path args…` in place of `cmd args…`.
                plan.argv[1] = SHELL.as_ptr().cast();
                plan.argv[2] = path.as_ptr();
                libc::execve(SHELL.as_ptr().cast(), plan.argv[1..].as_ptr(), plan.envp.as_ptr());
                return libc::ENOEXEC;
            }
            other => return other,
        }
    }
    result
}

/// Writes the parts and a line's end to stderr, and exits.
unsafe fn fail(parts: &[&[u8]], code: i32) -> ! {
    for part in parts.iter().chain(&[&b"\n"[..]]) {
        libc::write(2, part.as_ptr().cast(), part.len());
    }
    libc::_exit(code)
}

fn errno() -> i32 {
    // Reads errno only: allocates nothing.
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn text_of(errno: i32) -> &'static [u8] {
    match errno {
        libc::ENOENT | libc::ENOTDIR => b"not found",
        libc::EACCES | libc::EPERM => b"permission denied",
        libc::E2BIG => b"argument list too long",
        libc::ENOEXEC => b"exec format error",
        libc::ENAMETOOLONG => b"file name too long",
        libc::ENOMEM => b"out of memory",
        libc::ETXTBSY => b"text file busy",
        libc::ELOOP => b"too many symbolic links",
        _ => b"cannot be run",
    }
}
