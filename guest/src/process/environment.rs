//! The environment of a process, and where its command may lie.

use std::ffi::CString;

use crate::error::Failure;
use crate::fields::StringMap;
use crate::users::User;

/// What every process starts with; shells' profiles go on from there.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The user's variables, then each layer over the one before.
pub fn compose(user: &User, layers: &[&StringMap]) -> StringMap {
    let mut env = StringMap::new();
    let own = [("PATH", DEFAULT_PATH), ("HOME", &user.home), ("USER", &user.name), ("LOGNAME", &user.name)];
    env.extend(own.iter().map(|(name, value)| (name.to_string(), value.to_string())));
    for layer in layers {
        env.extend(layer.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    env
}

/// Refuses what no environment can hold. Errors: `invalid_argument`, naming `field`.
pub fn check(field: &str, env: &StringMap) -> Result<(), Failure> {
    for (name, value) in env {
        if name.is_empty() || name.contains('=') || name.contains('\0') || value.contains('\0') {
            return Err(Failure::invalid(format!(
                "The field '{}' has a variable that can't be: names need one character, neither has zero bytes, \
                 and names have no '='.",
                field
            )));
        }
    }
    Ok(())
}

/// The paths to try for `cmd`, in order: itself if it has a slash, else the directories of the process's `PATH`.
pub fn candidates(cmd: &str, env: &StringMap) -> Vec<CString> {
    let paths: Vec<String> = if cmd.contains('/') {
        vec![cmd.to_owned()]
    } else if cmd.is_empty() {
        Vec::new()
    } else {
        let path = env.get("PATH").map_or("", String::as_str);
        path.split(':')
            .map(|dir| if dir.is_empty() { format!("./{}", cmd) } else { format!("{}/{}", dir, cmd) })
            .collect()
    };
    paths.into_iter().filter_map(|path| CString::new(path).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> StringMap {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn the_last_layer_wins() {
        let user = User { name: "u".into(), uid: 1, gid: 1, home: "/h".into(), groups: vec![1] };
        let env = compose(&user, &[&map(&[("A", "1"), ("B", "1")]), &map(&[("B", "2"), ("HOME", "/x")])]);
        let expected =
            map(&[("A", "1"), ("B", "2"), ("HOME", "/x"), ("LOGNAME", "u"), ("PATH", DEFAULT_PATH), ("USER", "u")]);
        assert_eq!(env, expected);
    }

    #[test]
    fn refuses_impossible_variables() {
        for (name, value) in [("", "x"), ("a=b", "x"), ("a\0", "x"), ("a", "x\0")] {
            assert!(check("env", &map(&[(name, value)])).is_err());
        }
        assert!(check("env", &map(&[("a", "x=y"), ("ü", "")])).is_ok());
    }

    #[test]
    fn looks_a_command_up_in_its_own_path() {
        let env = map(&[("PATH", "/a::/b")]);
        let paths: Vec<_> = candidates("x", &env).into_iter().map(|path| path.into_string().unwrap()).collect();
        assert_eq!(paths, ["/a/x", "./x", "/b/x"]);
        assert_eq!(candidates("./x", &env).len(), 1);
        assert!(candidates("", &env).is_empty());
    }
}
