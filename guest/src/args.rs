//! The command line (spec/guest.md).

use std::fs;
use std::net::SocketAddr;
use std::os::unix::io::RawFd;

use crate::agent::Mode;
use crate::frame::SECRET_BYTES;
use crate::server::Secret;

pub const USAGE: &str = "usage: e2b-guest --listen unix:<path> | fd:<number> | tcp:<address>:<port> \
                         [--mounts fd:<number>] \
                         [--secret-file <path>] [--unprivileged --home <dir>] [--no-http]";

/// Where to listen.
#[derive(Debug, PartialEq, Eq)]
pub enum Listen {
    Unix(String),
    /// A unix socket that whoever started this listens on already
    Fd(RawFd),
    Tcp(SocketAddr),
}

pub struct Args {
    pub listen: Listen,
    /// Required of every connection over TCP
    pub secret: Option<Secret>,
    pub mode: Mode,
    pub has_http: bool,
    /// Where the kernel asks about mounts: see `mounts`
    pub mounts: Option<RawFd>,
}

/// Reads the command line and the secret. Errors: a sentence for whoever started this.
pub fn parse(args: impl Iterator<Item = String>) -> Result<Args, String> {
    let (mut listen, mut mounts, mut secret_file, mut home) = (None, None, None, None);
    let (mut is_unprivileged, mut has_http) = (false, true);
    let mut args = args;
    while let Some(flag) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{} needs a value.", flag));
        match flag.as_str() {
            "--listen" => listen = Some(parse_listen(&value()?)?),
            "--mounts" => mounts = Some(parse_mounts(&value()?)?),
            "--secret-file" => secret_file = Some(value()?),
            "--home" => home = Some(value()?),
            "--unprivileged" => is_unprivileged = true,
            "--no-http" => has_http = false,
            _ => return Err(format!("'{}' is not understood.\n{}", flag, USAGE)),
        }
    }
    let listen = listen.ok_or_else(|| format!("--listen is missing.\n{}", USAGE))?;
    let secret = match (&listen, secret_file) {
        (Listen::Tcp(_), None) => return Err("--secret-file is required with tcp.".to_owned()),
        (Listen::Tcp(_), Some(path)) => Some(read_secret(&path)?),
        (Listen::Unix(_) | Listen::Fd(_), Some(_)) => return Err("--secret-file is for tcp only.".to_owned()),
        (Listen::Unix(_) | Listen::Fd(_), None) => None,
    };
    let mode = match (is_unprivileged, home) {
        (true, Some(home)) if home.starts_with('/') => Mode::Unprivileged { home },
        (true, _) => return Err("--unprivileged needs --home with an absolute path.".to_owned()),
        (false, Some(_)) => return Err("--home is for --unprivileged only.".to_owned()),
        (false, None) => Mode::Sandbox,
    };
    Ok(Args { listen, secret, mode, has_http, mounts })
}

fn parse_listen(text: &str) -> Result<Listen, String> {
    if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
        return Ok(Listen::Unix(path.to_owned()));
    }
    let tcp = text.strip_prefix("tcp:").and_then(|address| address.parse().ok()).map(Listen::Tcp);
    tcp.or_else(|| descriptor(text).map(Listen::Fd))
        .ok_or_else(|| format!("--listen '{}' is neither unix:<path>, fd:<number> nor tcp:<address>:<port>.", text))
}

fn parse_mounts(text: &str) -> Result<RawFd, String> {
    descriptor(text).ok_or_else(|| format!("--mounts '{}' is not fd:<number>.", text))
}

fn descriptor(text: &str) -> Option<RawFd> {
    text.strip_prefix("fd:").and_then(|number| number.parse().ok()).filter(|fd| *fd > 2)
}

fn read_secret(path: &str) -> Result<Secret, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("The secret can't be read: {}.", error))?;
    let bytes = text.trim_end().as_bytes();
    let is_hex = bytes.iter().all(|byte| byte.is_ascii_hexdigit());
    match <[u8; SECRET_BYTES]>::try_from(bytes) {
        Ok(secret) if is_hex => Ok(Secret::new(secret)),
        _ => Err(format!("The secret must be {} hex digits.", SECRET_BYTES)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Args, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn reads_addresses() {
        assert_eq!(parsed("--listen unix:/run/a.sock").unwrap().listen, Listen::Unix("/run/a.sock".into()));
        assert_eq!(parse_listen("tcp:127.0.0.1:80"), Ok(Listen::Tcp("127.0.0.1:80".parse().unwrap())));
        assert_eq!(parse_listen("tcp:[::1]:80"), Ok(Listen::Tcp("[::1]:80".parse().unwrap())));
        assert_eq!(parse_listen("fd:3"), Ok(Listen::Fd(3)));
        assert!(parse_listen("fd:2").is_err());
        assert!(parse_listen("unix:").is_err());
        assert!(parse_listen("tcp:host:80").is_err());
    }

    #[test]
    fn refuses_what_does_not_go_together() {
        for line in [
            "",
            "--listen",
            "--listen tcp:127.0.0.1:1",
            "--listen unix:/a --secret-file /b",
            "--listen fd:3 --secret-file /b",
            "--listen unix:/a --home /b",
            "--listen unix:/a --unprivileged",
            "--listen unix:/a --unprivileged --home relative",
            "--listen unix:/a --mounts fd:0",
            "--listen unix:/a --what",
        ] {
            assert!(parsed(line).is_err(), "{}", line);
        }
        assert!(parsed("--listen unix:/a --unprivileged --home /b --no-http").is_ok());
        assert_eq!(parsed("--listen fd:3 --mounts fd:4").unwrap().mounts, Some(4));
    }
}
