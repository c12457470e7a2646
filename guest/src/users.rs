//! Users and groups from /etc/passwd and /etc/group as they are at that moment. Read by hand: a static binary has no
//! name service, and a sandbox may add users while it runs.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;

use crate::error::{Code, Failure};

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";
/// Far more than any system has; a hostile file must not fill the agent's memory.
const FILE_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Whom an operation is done for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub home: String,
    /// Every group of the user, the primary one first
    pub groups: Vec<u32>,
}

/// Finds a user by login name. Errors: `unauthenticated`.
pub fn find(name: &str) -> Result<User, Failure> {
    // An image without a passwd file has a root all the same.
    let passwd = read_database(PASSWD).unwrap_or_default();
    let mut user = parse_user(&passwd, name)
        .or_else(|| root().filter(|root| root.name == name))
        .ok_or_else(|| Failure::new(Code::Unauthenticated, format!("invalid username: '{}'", name)))?;
    user.groups.extend(parse_groups(&read_database(GROUP).unwrap_or_default(), &user));
    Ok(user)
}

/// Whom files are to belong to: `user` or `user:group`, each a name or a number. A number needs no account. Without a
/// group it is the user's own, and that of the same number where there is no such account. Errors: `unauthenticated`
/// (user), `invalid_argument` (group).
pub fn find_owner(owner: &str) -> Result<User, Failure> {
    let (name, group) = match owner.split_once(':') {
        Some((name, group)) => (name, Some(group)),
        None => (owner, None),
    };
    let mut user = find(name).or_else(|failure| match name.parse() {
        Ok(uid) => Ok(by_number(&read_database(PASSWD).unwrap_or_default(), uid)),
        Err(_) => Err(failure),
    })?;
    if let Some(group) = group.filter(|group| !group.is_empty()) {
        let found = parse_group(&read_database(GROUP).unwrap_or_default(), group).or_else(|| group.parse().ok());
        user.gid = found.ok_or_else(|| Failure::invalid(format!("There is no group '{}'.", group)))?;
    }
    Ok(user)
}

/// The account of a number; one without a name has the number as its name.
pub fn by_number(passwd: &str, uid: u32) -> User {
    let named = parse_names(passwd).remove(&uid).and_then(|name| parse_user(passwd, &name));
    named.unwrap_or_else(|| User { name: uid.to_string(), uid, gid: uid, home: "/".to_owned(), groups: vec![uid] })
}

/// The number of a group.
pub fn parse_group(group: &str, name: &str) -> Option<u32> {
    group.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok()).flatten()
    })
}

/// Names of ids, for the owners of files.
#[derive(Default)]
pub struct Names {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Names {
    pub fn load() -> Names {
        Names {
            users: parse_names(&read_database(PASSWD).unwrap_or_default()),
            groups: parse_names(&read_database(GROUP).unwrap_or_default()),
        }
    }

    /// The user's name, or the number as text.
    pub fn user(&self, uid: u32) -> String {
        self.users.get(&uid).cloned().unwrap_or_else(|| uid.to_string())
    }

    /// The group's name, or the number as text.
    pub fn group(&self, gid: u32) -> String {
        self.groups.get(&gid).cloned().unwrap_or_else(|| gid.to_string())
    }
}

fn root() -> Option<User> {
    parse_user("root:x:0:0:root:/root:/bin/sh", "root")
}

/// Reads a regular file of bounded size; never waits on a pipe that somebody put in its place.
pub fn read_database(path: &str) -> io::Result<String> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut bytes = Vec::new();
    file.take(FILE_MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `name:password:uid:gid:comment:home:shell`
pub fn parse_user(passwd: &str, name: &str) -> Option<User> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let home = match fields.nth(1)? {
            home if home.starts_with('/') => home,
            _ => "/",
        };
        Some(User { name: name.to_owned(), uid, gid, home: home.to_owned(), groups: vec![gid] })
    })
}

/// `name:password:gid:member,member`
fn parse_groups(group: &str, user: &User) -> Vec<u32> {
    let mut groups: Vec<u32> = group
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let gid = fields.nth(2)?.parse().ok()?;
            let is_member = fields.next()?.split(',').any(|member| member == user.name);
            (is_member && gid != user.gid).then_some(gid)
        })
        .collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

fn parse_names(database: &str) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for line in database.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(Ok(id))) = (fields.next(), fields.nth(1).map(str::parse)) {
            names.entry(id).or_insert_with(|| name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        broken\nbad:x:notanumber:0::/x:\n\
        user:x:1000:1000::/home/user:/bin/bash\n\
        homeless:x:1001:1001:::\n";
    const GROUP: &str = "root:x:0:\nsudo:x:27:other,user\nuser:x:1000:user\ndocker:x:999:user\nbroken:x\n";

    #[test]
    fn finds_a_user_and_the_groups() {
        let user = parse_user(PASSWD, "user").unwrap();
        assert_eq!((user.uid, user.gid, user.home.as_str()), (1000, 1000, "/home/user"));
        assert_eq!(parse_groups(GROUP, &user), [27, 999]);
    }

    #[test]
    fn owners_may_be_numbers() {
        let numbered = by_number(PASSWD, 1000);
        assert_eq!((numbered.name.as_str(), numbered.home.as_str()), ("user", "/home/user"));
        assert_eq!(by_number(PASSWD, 4242).gid, 4242);
        assert_eq!(parse_group(GROUP, "sudo"), Some(27));
        assert_eq!(parse_group(GROUP, "broken"), None);
        assert_eq!(find_owner("4242").unwrap().uid, 4242);
        assert_eq!(find_owner("4242:7").unwrap().gid, 7);
        assert_eq!(find_owner("root").unwrap().gid, 0);
        assert_eq!(find_owner("no-such-user:0").unwrap_err().message, "invalid username: 'no-such-user'");
        assert_eq!(find_owner("0:no-such-group").unwrap_err().code, Code::InvalidArgument);
    }

    #[test]
    fn skips_broken_lines() {
        assert_eq!(parse_user(PASSWD, "broken"), None);
        assert_eq!(parse_user(PASSWD, "bad"), None);
        assert_eq!(parse_user(PASSWD, "homeless").unwrap().home, "/");
        assert_eq!(parse_user(PASSWD, ""), None);
    }

    #[test]
    fn an_unknown_user_is_named() {
        let failure = find("no-such-user").unwrap_err();
        assert_eq!(failure.code, Code::Unauthenticated);
        assert_eq!(failure.message, "invalid username: 'no-such-user'");
    }

    #[test]
    fn ids_without_a_name_stay_numbers() {
        let names = Names { users: parse_names(PASSWD), groups: parse_names(GROUP) };
        assert_eq!(names.user(1000), "user");
        assert_eq!(names.group(27), "sudo");
        assert_eq!(names.user(4242), "4242");
    }
}
