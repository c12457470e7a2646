//! What the Docker runtime has this binary do: system calls that Node.js lacks, each in a process of its own. It runs
//! as root beside file systems that sandboxes have filled, so nothing here follows a link or trusts a name in them.

mod bind;
mod layers;
mod metadata;
pub mod namespace;
mod network;
pub mod resolve;
mod run_dir;
mod xattr;

use std::fs::File;
use std::io;
use std::os::unix::io::AsFd;
use std::path::Path;

use crate::views::keeper;

const KEEPER_STEP_MAX_S: u32 = 5;

pub const USAGE: &str = "usage: e2b-host host bind-view --pid <n> --container <id> --directory <dir>\n       \
                         e2b-host host apply-rules --pid <n> --container <id>\n       \
                         e2b-host host copy-metadata --from <dir> --to <dir>\n       \
                         e2b-host host keep-views --directory <dir>\n       \
                         e2b-host host copy-image-metadata --from <dir> --to <dir>\n       \
                         e2b-host host check-mounts --engine <socket>\n       \
                         e2b-host host mount-run-dir --directory <dir>\n       \
                         e2b-host host unmount-run-dir --directory <dir>";

/// Runs one command, `args` without the leading `host`. Errors: a sentence for the server's log.
pub fn run(mut args: impl Iterator<Item = String>) -> Result<(), String> {
    let command = args.next().unwrap_or_default();
    let mut flags = Flags(args.collect());
    match command.as_str() {
        "bind-view" => {
            let pid = flags.take_pid()?;
            let (container, directory) = (flags.take("--container")?, flags.take("--directory")?);
            flags.end()?;
            bind::bind(pid, &container, &directory)
                .map_err(|error| format!("What the container sees of its machine can't be bound: {}.", error))
        }
        "keep-views" => {
            let directory = flags.take("--directory")?;
            flags.end()?;
            // Of standard input as a file of its own: whoever reads it ends with it.
            let input = std::io::stdin().as_fd().try_clone_to_owned().map(File::from);
            let kept = input.and_then(|input| keeper::run(Path::new(&directory), &input, KEEPER_STEP_MAX_S));
            kept.map_err(|error| format!("What containers see can't be kept true: {}.", error))
        }
        "apply-rules" => {
            let (pid, container) = (flags.take_pid()?, flags.take("--container")?);
            flags.end()?;
            Err(format!("No rules can be made there: {}.", network::apply_rules(pid, &container)))
        }
        "copy-metadata" => {
            let (from, to) = (flags.take("--from")?, flags.take("--to")?);
            flags.end()?;
            metadata::copy(&from, &to).map_err(|error| format!("The metadata can't be copied: {}.", error))
        }
        "copy-image-metadata" => {
            let (from, to) = (flags.take("--from")?, flags.take("--to")?);
            flags.end()?;
            layers::with_tree(&from, |tree| metadata::copy(tree, &to))
                .map_err(|error| format!("The metadata can't be copied: {}.", error))
        }
        "check-mounts" => {
            let engine = flags.take("--engine")?;
            flags.end()?;
            run_dir::check_shared(&engine).map_err(|error| format!("Mounts aren't shared: {}.", error))
        }
        "mount-run-dir" | "unmount-run-dir" => {
            let directory = flags.take("--directory")?;
            flags.end()?;
            let act = if command == "mount-run-dir" { run_dir::mount } else { run_dir::unmount };
            act(&directory).map_err(|error| format!("{} failed for {}: {}.", command, directory, error))
        }
        _ => Err(format!("'{}' is not understood.\n{}", command, USAGE)),
    }
}

/// What is left of a command line of flags with one value each.
struct Flags(Vec<String>);

impl Flags {
    fn take(&mut self, name: &str) -> Result<String, String> {
        let at = self.0.iter().step_by(2).position(|flag| flag == name).map(|pair| pair * 2);
        match at {
            Some(at) if at + 1 < self.0.len() => Ok(self.0.drain(at..at + 2).nth(1).unwrap_or_default()),
            _ => Err(format!("{} is missing.\n{}", name, USAGE)),
        }
    }

    /// Of a process that isn't the machine's first.
    fn take_pid(&mut self) -> Result<u32, String> {
        let pid = self.take("--pid")?;
        pid.parse().ok().filter(|pid| *pid > 1).ok_or_else(|| format!("'{}' is no pid.", pid))
    }

    fn end(self) -> Result<(), String> {
        match self.0.first() {
            None => Ok(()),
            Some(flag) => Err(format!("'{}' is not understood.\n{}", flag, USAGE)),
        }
    }
}

/// The result of a system call that answers -1 for an error.
pub fn checked(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(line: &str) -> Result<(), String> {
        run(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for line in [
            "",
            "format-disk",
            "bind-view --pid 0 --container a --directory /tmp",
            "bind-view --pid 1 --container a --directory /tmp",
            "bind-view --pid 2 --container a --directory",
            "keep-views",
            "keep-views --directory /nowhere",
            "apply-rules --pid 1 --container 0123456789abcdef",
            "apply-rules --pid 2",
            "copy-metadata --from /nowhere",
            "copy-metadata --from /nowhere --to /nowhere --more",
            "check-mounts --engine /nowhere",
            "mount-run-dir --directory /nowhere",
            "unmount-run-dir",
        ] {
            assert!(outcome(line).is_err(), "{}", line);
        }
        assert!(outcome("copy-metadata --to /nowhere --from /nowhere").unwrap_err().contains("can't be copied"));
    }
}
