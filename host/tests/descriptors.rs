//! What the helper doesn't hold of whoever starts it.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::io::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

#[test]
fn a_helper_holds_no_descriptor_of_its_starter() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let root = std::env::temp_dir().join(format!("e2b-host-descriptors-{}", std::process::id()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_e2b-host"));
    command
        .args(["serve", "--instance", "descriptors", "--agent", env!("CARGO_BIN_EXE_e2b-host"), "--root"])
        .arg(&root);
    let fd = theirs.as_raw_fd();
    // Without the flag that closes it at the start of a program, as a shell's descriptors are.
    unsafe {
        command.pre_exec(move || match libc::dup2(fd, 200) {
            200 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        })
    };
    let mut helper = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(helper.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    drop(theirs);
    // The end, which doesn't come while anybody has the other side.
    ours.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let read = ours.read(&mut [0]);
    unsafe { libc::kill(helper.id() as libc::pid_t, libc::SIGTERM) };
    helper.wait().unwrap();
    std::fs::remove_dir_all(root).unwrap();
    assert_eq!(read.unwrap(), 0);
}
