//! How a path of the API becomes a path of the system (spec/guest.md, "Users and paths").

use crate::error::Failure;

/// The longest path the system takes.
const PATH_MAX_BYTES: usize = 4095;

/// Where a path starts that isn't absolute.
pub struct Base<'a> {
    pub home: &'a str,
    /// The default working directory; itself any path
    pub workdir: Option<&'a str>,
}

/// Resolves `path`. An absolute one is used as it is, any other is joined to the home and cleaned. Errors:
/// `invalid_argument`.
pub fn resolve(path: &str, base: &Base<'_>) -> Result<String, Failure> {
    let path = match (path, base.workdir) {
        ("", None) => base.home,
        ("", Some(workdir)) => workdir,
        (path, _) => path,
    };
    check(path)?;
    let resolved = if path.starts_with('/') {
        path.to_owned()
    } else if path == "~" {
        base.home.to_owned()
    } else if let Some(rest) = path.strip_prefix("~/") {
        join(base.home, rest)
    } else if path.starts_with('~') {
        return Err(Failure::invalid("Only '~' and '~/…' are understood: another user's home must be given in full."));
    } else {
        join(base.home, path)
    };
    check(&resolved)?;
    Ok(resolved)
}

/// The last component; `/` of the root.
pub fn name_of(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match trimmed.rfind('/') {
        Some(slash) => &trimmed[slash + 1..],
        None if trimmed.is_empty() => "/",
        None => trimmed,
    }
}

/// The directory above, if there is one.
pub fn parent_of(path: &str) -> Option<&str> {
    let trimmed = path.trim_end_matches('/');
    let parent = trimmed[..trimmed.rfind('/')?].trim_end_matches('/');
    match parent {
        "" if trimmed.is_empty() => None,
        "" => Some("/"),
        parent => Some(parent),
    }
}

fn check(path: &str) -> Result<(), Failure> {
    if path.contains('\0') {
        return Err(Failure::invalid("A path can't contain a zero byte."));
    }
    if path.len() > PATH_MAX_BYTES {
        return Err(Failure::invalid("The path is too long.").with_errno(libc::ENAMETOOLONG));
    }
    Ok(())
}

/// Joins and removes `.`, `..` and doubled slashes by the text alone.
fn join(base: &str, rest: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(rest.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(path: &str) -> String {
        resolve(path, &Base { home: "/home/user", workdir: None }).unwrap()
    }

    #[test]
    fn relative_paths_start_at_home() {
        assert_eq!(resolved(""), "/home/user");
        assert_eq!(resolved("~"), "/home/user");
        assert_eq!(resolved("~/a"), "/home/user/a");
        assert_eq!(resolved("a/b"), "/home/user/a/b");
        assert_eq!(resolved("./a//b/../c"), "/home/user/a/c");
        assert_eq!(resolved("../../../x"), "/x");
    }

    #[test]
    fn absolute_paths_stay_as_they_are() {
        assert_eq!(resolved("/a/../b//c/"), "/a/../b//c/");
    }

    #[test]
    fn the_empty_path_is_the_working_directory() {
        let base = Base { home: "/root", workdir: Some("~/code") };
        assert_eq!(resolve("", &base).unwrap(), "/root/code");
        assert_eq!(resolve("a", &base).unwrap(), "/root/a");
    }

    #[test]
    fn refuses_what_it_can_not_mean() {
        let base = Base { home: "/root", workdir: None };
        assert!(resolve("~other/x", &base).is_err());
        assert!(resolve("a\0b", &base).is_err());
        assert!(resolve(&"x".repeat(5000), &base).is_err());
    }

    #[test]
    fn names_and_parents() {
        assert_eq!(name_of("/a/b"), "b");
        assert_eq!(name_of("/a/b//"), "b");
        assert_eq!(name_of("/"), "/");
        assert_eq!(parent_of("/a/b"), Some("/a"));
        assert_eq!(parent_of("/a//b/"), Some("/a"));
        assert_eq!(parent_of("/a"), Some("/"));
        assert_eq!(parent_of("/"), None);
    }
}
