//! The parent of each command: a process of the agent's own that adopts whatever the command's processes leave behind,
//! so that all of them stay its descendants, also those in sessions of their own and those whose parents have gone. It
//! lives as long as any of them, reaps them, and tells the agent how the command itself ended.
//!
//! It costs next to nothing because it has no memory: it runs in the agent's, on a stack of its own. Once the thread
//! that started it goes on, it may use neither the C library (whose thread-local data is that thread's) nor the heap.

use std::arch::asm;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};
use std::sync::Arc;

use super::child::{self, Plan, Stdio};
use super::status::ExitStatus;

/// Room for the command's process until it has a memory of its own, and for the supervisor.
const CHILD_STACK_BYTES: usize = 32 * 1024;
const STACK_BYTES: usize = 16 * 1024;
/// Time between looks at whether a supervisor that says nothing has been killed.
const LOOK_SECONDS: i64 = 1;
/// Its name in lists of processes.
const NAME: &[u8] = b"e2b-command\0";

/// The commands that have ended since the agent last looked. Supervisors add to it and send the agent SIGCHLD.
#[derive(Default)]
pub struct Exits(AtomicPtr<Record>);

impl Exits {
    /// The pids of supervisors whose commands have ended. Their memory must still be there.
    pub fn take(&self) -> Vec<u32> {
        let mut next = self.0.swap(ptr::null_mut(), Ordering::Acquire);
        let mut supervisors = Vec::new();
        while let Some(record) = unsafe { next.as_ref() } {
            supervisors.push(record.supervisor.load(Ordering::Relaxed) as u32);
            next = record.next.load(Ordering::Relaxed);
        }
        supervisors
    }
}

/// What a supervisor and the agent share.
struct Record {
    supervisor: AtomicI32,
    /// The command's process; 0 until it runs, a negative errno when it can't be started
    child: AtomicI32,
    /// What wait said of it, once `has_exited`
    status: AtomicI32,
    has_exited: AtomicBool,
    agent: i32,
    exits: Arc<Exits>,
    next: AtomicPtr<Record>,
    _stack: Stack,
}

impl Record {
    fn new(stack: Stack, exits: Arc<Exits>) -> Record {
        Record {
            supervisor: AtomicI32::new(0),
            child: AtomicI32::new(0),
            status: AtomicI32::new(0),
            has_exited: AtomicBool::new(false),
            agent: std::process::id() as i32,
            exits,
            next: AtomicPtr::default(),
            _stack: stack,
        }
    }
}

/// A supervisor that the agent has not yet reaped. Must be handed to `release`: dropping it only forgets its memory.
pub struct Supervisor {
    pub pid: u32,
    record: *mut Record,
}

// The record is only read, and through atomics.
unsafe impl Send for Supervisor {}

impl Supervisor {
    /// How the command ended, as soon as it has.
    pub fn status(&self) -> Option<ExitStatus> {
        let record = unsafe { &*self.record };
        let has_exited = record.has_exited.load(Ordering::Acquire);
        has_exited.then(|| ExitStatus::from_raw(record.status.load(Ordering::Relaxed)))
    }

    #[cfg(test)]
    pub fn of_nothing(pid: u32, exits: Arc<Exits>) -> Supervisor {
        Supervisor { pid, record: Box::into_raw(Box::new(Record::new(Stack::new(0), exits))) }
    }

    /// Frees what a supervisor used that has been reaped, and after its exit has been taken.
    pub fn release(self) {
        drop(unsafe { Box::from_raw(self.record) });
    }
}

struct Stack(Vec<u128>);

impl Stack {
    fn new(bytes: usize) -> Stack {
        Stack(Vec::with_capacity(bytes / std::mem::size_of::<u128>()))
    }

    fn top(&mut self) -> *mut libc::c_void {
        unsafe { self.0.as_mut_ptr().add(self.0.capacity()).cast() }
    }
}

/// What supervisor and command are started with.
struct Start {
    plan: Plan,
    stdio: Stdio,
    child_stack: Stack,
    record: *const Record,
}

/// Starts a supervisor that runs `plan`; returns the command's pid once its program runs. Only the thread that calls
/// this waits for that: the agent's memory is borrowed, not copied (as posix_spawn does). Once a child has switched its
/// user there, the kernel keeps the sandbox's processes from looking into the agent's memory.
pub fn start(plan: Plan, stdio: Stdio, exits: Arc<Exits>) -> io::Result<(u32, Supervisor)> {
    let mut stack = Stack::new(STACK_BYTES);
    let top = stack.top();
    let record = Box::into_raw(Box::new(Record::new(stack, exits)));
    let mut start = Box::new(Start { plan, stdio, child_stack: Stack::new(CHILD_STACK_BYTES), record });
    let argument: *mut Start = &mut *start;
    // The open files are shared until the supervisor has closed its own.
    let pid = unsafe { clone_quietly(supervise, top, libc::CLONE_VM | libc::CLONE_FILES, argument.cast()) };
    let pid = match pid {
        Ok(pid) => pid,
        Err(error) => {
            drop(unsafe { Box::from_raw(record) });
            return Err(error);
        }
    };
    let supervisor = Supervisor { pid: pid as u32, record };
    match wait_for_child(unsafe { &*record }, pid) {
        Some(child) if child > 0 => Ok((child as u32, supervisor)),
        Some(errno) => {
            wait_until_ended(pid);
            supervisor.release();
            Err(io::Error::from_raw_os_error(-errno))
        }
        None => {
            // Killed by the sandbox's root in the middle of the start. The command may be about to run in this memory.
            Box::leak(start);
            Err(io::Error::from_raw_os_error(libc::EINTR))
        }
    }
}

/// The command's pid or a negative errno; none if the supervisor has been killed before it knew.
fn wait_for_child(record: &Record, supervisor: i32) -> Option<i32> {
    let timeout = libc::timespec { tv_sec: LOOK_SECONDS, tv_nsec: 0 };
    loop {
        let child = record.child.load(Ordering::Acquire);
        if child != 0 {
            return Some(child);
        }
        let wait = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        unsafe { libc::syscall(libc::SYS_futex, record.child.as_ptr_of(), wait, 0, &timeout) };
        if record.child.load(Ordering::Acquire) == 0 && has_ended(supervisor, libc::WNOHANG) {
            return Some(record.child.load(Ordering::Acquire)).filter(|child| *child != 0);
        }
    }
}

fn wait_until_ended(pid: i32) {
    while !has_ended(pid, 0) {}
}

/// Whether a process is a child of the agent, running or not yet reaped.
pub fn is_child(pid: u32) -> bool {
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let look = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    unsafe { libc::waitid(libc::P_PID, pid, &mut info, look) == 0 }
}

/// Whether a child has ended, reaped or not; leaves the reaping to the reaper.
fn has_ended(pid: i32, flags: i32) -> bool {
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let look = libc::WEXITED | libc::WNOWAIT | flags;
    match unsafe { libc::waitid(libc::P_PID, pid as libc::id_t, &mut info, look) } {
        0 => unsafe { info.si_pid() != 0 },
        _ => io::Error::last_os_error().raw_os_error() == Some(libc::ECHILD),
    }
}

/// Clones with all signals blocked in the child: one that reached it would run the agent's handler there.
unsafe fn clone_quietly(
    main: extern "C" fn(*mut libc::c_void) -> libc::c_int,
    stack_top: *mut libc::c_void,
    flags: i32,
    argument: *mut libc::c_void,
) -> io::Result<i32> {
    let mut all: libc::sigset_t = std::mem::zeroed();
    let mut before: libc::sigset_t = std::mem::zeroed();
    libc::sigfillset(&mut all);
    libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
    let pid = libc::clone(main, stack_top, flags | libc::SIGCHLD, argument);
    let error = io::Error::last_os_error();
    libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut());
    if pid < 0 {
        return Err(error);
    }
    Ok(pid)
}

extern "C" fn supervise(start: *mut libc::c_void) -> libc::c_int {
    let start = unsafe { &mut *start.cast::<Start>() };
    let record = start.record;
    unsafe {
        let all = u64::MAX;
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &all, ptr::null_mut::<u64>(), 8);
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        libc::prctl(libc::PR_SET_NAME, NAME.as_ptr());
        (*record).supervisor.store(libc::getpid(), Ordering::Relaxed);
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        let argument: *mut Start = start;
        let child = libc::clone(become_child, start.child_stack.top(), flags, argument.cast());
        let child = if child < 0 { -io::Error::last_os_error().raw_os_error().unwrap_or(libc::EAGAIN) } else { child };
        (*record).child.store(child, Ordering::Release);
        // From here on `start` and the C library are the agent's again.
        let wake = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
        system_call(libc::SYS_futex, [(*record).child.as_ptr_of() as usize, wake as usize, 1, 0]);
        // Kernels before 5.9 can't: there the agent's files are shared on.
        system_call(libc::SYS_close_range, [0, u32::MAX as usize, libc::CLOSE_RANGE_UNSHARE as usize, 0]);
        reap_all(&*record, child as isize)
    }
}

/// Reaps until there is no process left below this one, and ends.
unsafe fn reap_all(record: &Record, child: isize) -> ! {
    loop {
        let mut status: libc::c_int = 0;
        let pid = system_call(libc::SYS_wait4, [usize::MAX, &mut status as *mut libc::c_int as usize, 0, 0]);
        if pid == -(libc::ECHILD as isize) {
            system_call(libc::SYS_exit_group, [0; 4]);
        }
        if pid == child && !record.has_exited.load(Ordering::Relaxed) {
            record.status.store(status, Ordering::Relaxed);
            record.has_exited.store(true, Ordering::Release);
            tell(record);
        }
    }
}

unsafe fn tell(record: &Record) {
    let own = record as *const Record as *mut Record;
    let list = &record.exits.0;
    let mut first = list.load(Ordering::Relaxed);
    loop {
        record.next.store(first, Ordering::Relaxed);
        match list.compare_exchange(first, own, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => break,
            Err(current) => first = current,
        }
    }
    system_call(libc::SYS_kill, [record.agent as usize, libc::SIGCHLD as usize, 0, 0]);
}

extern "C" fn become_child(start: *mut libc::c_void) -> libc::c_int {
    let start = unsafe { &mut *start.cast::<Start>() };
    unsafe { child::run(&mut start.plan, &start.stdio) }
}

/// The address that the kernel waits on.
trait AsPointer {
    fn as_ptr_of(&self) -> *const i32;
}

impl AsPointer for AtomicI32 {
    fn as_ptr_of(&self) -> *const i32 {
        self as *const AtomicI32 as *const i32
    }
}

/// A system call that leaves `errno` alone; answers a negative errno.
#[cfg(target_arch = "x86_64")]
unsafe fn system_call(number: libc::c_long, arguments: [usize; 4]) -> isize {
    let result: isize;
    asm!("syscall", inlateout("rax") number as isize => result, in("rdi") arguments[0], in("rsi") arguments[1],
        in("rdx") arguments[2], in("r10") arguments[3], lateout("rcx") _, lateout("r11") _, options(nostack));
    result
}

#[cfg(target_arch = "aarch64")]
unsafe fn system_call(number: libc::c_long, arguments: [usize; 4]) -> isize {
    let result: isize;
    asm!("svc 0", in("x8") number, inlateout("x0") arguments[0] as isize => result, in("x1") arguments[1],
        in("x2") arguments[2], in("x3") arguments[3], options(nostack));
    result
}
