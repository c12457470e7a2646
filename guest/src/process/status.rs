//! How a process ended, in the words of the API (Go's, e2b-wire 3.2).

use serde_json::{json, Value};

/// What waitpid said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    Exited(i32),
    Signaled { signal: i32, core_dumped: bool },
}

impl ExitStatus {
    /// Reads a raw wait status.
    pub fn from_raw(status: i32) -> ExitStatus {
        if libc::WIFSIGNALED(status) {
            ExitStatus::Signaled { signal: libc::WTERMSIG(status), core_dumped: libc::WCOREDUMP(status) }
        } else {
            ExitStatus::Exited(libc::WEXITSTATUS(status))
        }
    }
}

/// How a process ended and, if so, that its time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub status: ExitStatus,
    pub timed_out: bool,
}

impl End {
    /// The payload of the `end` frame.
    pub fn to_json(self) -> Value {
        let (code, exited, status, is_error) = match self.status {
            ExitStatus::Exited(code) => (code, true, format!("exit status {}", code), code != 0),
            ExitStatus::Signaled { signal, core_dumped } => {
                let dumped = if core_dumped { " (core dumped)" } else { "" };
                (-1, false, format!("signal: {}{}", signal_text(signal), dumped), true)
            }
        };
        let mut end = json!({ "exitCode": code, "exited": exited, "status": status });
        if is_error {
            end["error"] = status.into();
        }
        if self.timed_out {
            end["timedOut"] = true.into();
        }
        end
    }
}

/// Go's text for a signal.
fn signal_text(signal: i32) -> String {
    let text = match signal {
        libc::SIGHUP => "hangup",
        libc::SIGINT => "interrupt",
        libc::SIGQUIT => "quit",
        libc::SIGILL => "illegal instruction",
        libc::SIGTRAP => "trace/breakpoint trap",
        libc::SIGABRT => "aborted",
        libc::SIGBUS => "bus error",
        libc::SIGFPE => "floating point exception",
        libc::SIGKILL => "killed",
        libc::SIGUSR1 => "user defined signal 1",
        libc::SIGSEGV => "segmentation fault",
        libc::SIGUSR2 => "user defined signal 2",
        libc::SIGPIPE => "broken pipe",
        libc::SIGALRM => "alarm clock",
        libc::SIGTERM => "terminated",
        libc::SIGSTKFLT => "stack fault",
        libc::SIGXCPU => "CPU time limit exceeded",
        libc::SIGXFSZ => "file size limit exceeded",
        libc::SIGVTALRM => "virtual timer expired",
        libc::SIGPROF => "profiling timer expired",
        libc::SIGIO => "I/O possible",
        libc::SIGPWR => "power failure",
        libc::SIGSYS => "bad system call",
        other => return format!("signal {}", other),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(raw: i32, timed_out: bool) -> Value {
        End { status: ExitStatus::from_raw(raw), timed_out }.to_json()
    }

    #[test]
    fn a_clean_exit_has_no_error() {
        let end = end(0, false);
        assert_eq!(end, json!({ "exitCode": 0, "exited": true, "status": "exit status 0" }));
    }

    #[test]
    fn an_exit_code_is_an_error() {
        let end = end(3 << 8, false);
        let expected = json!({ "exitCode": 3, "exited": true, "status": "exit status 3", "error": "exit status 3" });
        assert_eq!(end, expected);
    }

    #[test]
    fn signals_have_go_names() {
        let text = |raw| end(raw, true);
        assert_eq!(text(9)["status"], "signal: killed");
        assert_eq!(text(9)["exitCode"], -1);
        assert_eq!(text(9)["timedOut"], true);
        assert_eq!(text(11 | 0x80)["error"], "signal: segmentation fault (core dumped)");
        assert_eq!(text(40)["status"], "signal: signal 40");
    }
}
