//! The command line of `e2b-host serve`.

use std::path::PathBuf;

use crate::names::Instance;

pub const USAGE: &str = "usage: e2b-host serve --root <dir> --agent <file> --instance <id> [--allow-uid <uid>]... \
                         [--linger <seconds>] [--build <text>] [--shared <dir>] [--runsc <file>]";

#[derive(Debug, PartialEq)]
pub struct Serve {
    pub root: PathBuf,
    pub agent: PathBuf,
    pub instance: Instance,
    /// Who may connect, beside root
    pub allow_uids: Vec<u32>,
    /// Seconds without a connection after which it ends; none: never
    pub linger: Option<u64>,
    pub build: String,
    /// Of layers that helpers of this machine share
    pub shared: Option<PathBuf>,
    /// gVisor's program, for guests with a kernel of their own
    pub runsc: Option<PathBuf>,
}

/// Errors: a sentence for whoever typed it.
pub fn parse(args: impl Iterator<Item = String>) -> Result<Serve, String> {
    let mut args = args;
    let (mut root, mut agent, mut instance, mut linger, mut build) = (None, None, None, None, None);
    let (mut shared, mut runsc) = (None, None);
    let mut allow_uids = Vec::new();
    while let Some(flag) = args.next() {
        let value = args.next().ok_or_else(|| format!("'{}' needs a value.\n{}", flag, USAGE))?;
        let number = || value.parse().map_err(|_| format!("'{}' must be a whole number.", flag));
        match flag.as_str() {
            "--root" => root = Some(PathBuf::from(value)),
            "--agent" => agent = Some(PathBuf::from(value)),
            "--instance" => instance = Some(Instance::parse(&value).map_err(|failure| failure.message)?),
            "--allow-uid" => allow_uids.push(value.parse().map_err(|_| "'--allow-uid' must be a user's number.")?),
            "--linger" => linger = Some(number()?),
            "--build" if is_build(&value) => build = Some(value),
            "--build" => return Err("'--build' must be 1 to 64 lower case letters and digits.".to_owned()),
            "--shared" => shared = Some(PathBuf::from(value)),
            "--runsc" => runsc = Some(PathBuf::from(value)),
            _ => return Err(format!("'{}' is not understood.\n{}", flag, USAGE)),
        }
    }
    let missing = |flag: &str| format!("'{}' is missing.\n{}", flag, USAGE);
    Ok(Serve {
        root: root.ok_or_else(|| missing("--root"))?,
        agent: agent.ok_or_else(|| missing("--agent"))?,
        instance: instance.ok_or_else(|| missing("--instance"))?,
        allow_uids,
        linger,
        build: build.unwrap_or_default(),
        shared,
        runsc,
    })
}

fn is_build(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Serve, String> {
        parse(line.split(' ').map(str::to_owned))
    }

    #[test]
    fn reads_flags_and_says_which_is_wrong() {
        let serve = of("--root /r --agent /a --instance abcd --allow-uid 5 --allow-uid 6 --linger 9").unwrap();
        assert_eq!((serve.allow_uids, serve.linger), (vec![5, 6], Some(9)));
        assert!(of("--root /r --agent /a").unwrap_err().starts_with("'--instance' is missing."));
        assert!(of("--linger x").unwrap_err().contains("whole number"));
        assert!(of("--build A").is_err());
        assert!(of("--other 1").unwrap_err().starts_with("'--other' is not understood."));
    }
}
