//! The words behind `sudo`, as far as programs and scripts use them.

/// What is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// A name, or `#` and a number; absent: root
    pub user: Option<String>,
    /// Likewise; absent: the user's own
    pub group: Option<String>,
    pub shell: Shell,
    pub keep: Keep,
    /// Whether HOME is the target's even where the environment is kept
    pub sets_home: bool,
    pub directory: Option<String>,
    /// `NAME=value` before the command
    pub variables: Vec<(String, String)>,
    /// Empty: there is none
    pub command: Vec<String>,
    /// What is wanted besides or instead of a command
    pub action: Action,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub enum Shell {
    #[default]
    None,
    Plain,
    Login,
}

/// What stays of the caller's environment.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Keep {
    #[default]
    Usual,
    These(Vec<String>),
    All,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub enum Action {
    #[default]
    Run,
    /// About a password that was given before: there is none, so nothing is to be done
    Forget,
    List,
    Version,
}

/// Errors: a sentence.
pub fn parse(args: impl Iterator<Item = String>) -> Result<Order, String> {
    let mut order = Order::default();
    let mut args = args.peekable();
    while let Some(arg) = args.next_if(|arg| arg.len() > 1 && arg.starts_with('-')) {
        if arg == "--" {
            break;
        }
        if let Some(long) = arg.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            let letter = short(name).ok_or_else(|| unknown(&arg))?;
            if let ('E', Some(names)) = (letter, &value) {
                order.keep_also(names);
            } else if let Some(value) = value.or_else(|| takes_value(letter).then(|| args.next()).flatten()) {
                order.set(letter, value).ok_or_else(|| unknown(&arg))?;
            } else {
                order.switch(letter).ok_or_else(|| unknown(&arg))?;
            }
            continue;
        }
        for (at, letter) in arg.char_indices().skip(1) {
            if !takes_value(letter) {
                order.switch(letter).ok_or_else(|| unknown(&arg))?;
                continue;
            }
            let rest = &arg[at + letter.len_utf8()..];
            let value = if rest.is_empty() { args.next() } else { Some(rest.to_owned()) };
            let value = value.ok_or_else(|| format!("the option '-{}' needs a value", letter))?;
            order.set(letter, value).ok_or_else(|| unknown(&arg))?;
            break;
        }
    }
    while let Some(arg) = args.next_if(|arg| is_variable(arg)) {
        let (name, value) = arg.split_once('=').unwrap_or((&arg, ""));
        order.variables.push((name.to_owned(), value.to_owned()));
    }
    order.command = args.collect();
    Ok(order)
}

impl Order {
    fn set(&mut self, letter: char, value: String) -> Option<()> {
        match letter {
            'u' => self.user = Some(value),
            'g' => self.group = Some(value),
            'D' => self.directory = Some(value),
            // A prompt for the password that nobody is asked for.
            'p' => {}
            _ => return None,
        }
        Some(())
    }

    fn switch(&mut self, letter: char) -> Option<()> {
        match letter {
            'i' => self.shell = Shell::Login,
            's' => self.shell = Shell::Plain,
            'E' => self.keep = Keep::All,
            'H' => self.sets_home = true,
            'k' | 'K' | 'v' => self.action = Action::Forget,
            'l' => self.action = Action::List,
            'V' => self.action = Action::Version,
            // All of them are about how a password is asked for.
            'A' | 'B' | 'N' | 'S' | 'n' => {}
            _ => return None,
        }
        Some(())
    }

    fn keep_also(&mut self, names: &str) {
        let names = names.split(',').map(str::to_owned);
        match &mut self.keep {
            Keep::All => {}
            Keep::These(before) => before.extend(names),
            Keep::Usual => self.keep = Keep::These(names.collect()),
        }
    }
}

fn short(long: &str) -> Option<char> {
    Some(match long {
        "user" => 'u',
        "group" => 'g',
        "chdir" => 'D',
        "prompt" => 'p',
        "login" => 'i',
        "shell" => 's',
        "preserve-env" => 'E',
        "set-home" => 'H',
        "reset-timestamp" | "remove-timestamp" | "validate" => 'k',
        "list" => 'l',
        "version" => 'V',
        "askpass" | "bell" | "stdin" | "non-interactive" | "no-update" => 'n',
        _ => return None,
    })
}

fn takes_value(letter: char) -> bool {
    matches!(letter, 'u' | 'g' | 'D' | 'p')
}

fn is_variable(arg: &str) -> bool {
    let is_name = |name: &str| {
        !name.starts_with(|first: char| first.is_ascii_digit())
            && !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    arg.split_once('=').map_or(false, |(name, _)| is_name(name))
}

fn unknown(arg: &str) -> String {
    format!("the option '{}' is none that this small sudo knows; the image's own packages may have the real one", arg)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(line: &str) -> Result<Order, String> {
        parse(line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned))
    }

    fn command(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| word.to_string()).collect()
    }

    #[test]
    fn options_end_where_the_command_begins() {
        assert_eq!(order("ls -u x").unwrap(), Order { command: command(&["ls", "-u", "x"]), ..Order::default() });
        assert_eq!(order("-- -x").unwrap().command, ["-x"]);
        assert_eq!(order("-n -u web id -un").unwrap().user.as_deref(), Some("web"));
        assert_eq!(order("-nuweb id").unwrap().user.as_deref(), Some("web"));
        assert_eq!(order("--user=web id").unwrap().user.as_deref(), Some("web"));
        assert_eq!(order("--user web id").unwrap().command, ["id"]);
        assert_eq!(order("-u #1000 -g #7 id").unwrap().group.as_deref(), Some("#7"));
    }

    #[test]
    fn variables_stand_before_the_command() {
        let order = order("A=1 B_2==x env A=3").unwrap();
        assert_eq!(order.variables, [("A".into(), "1".into()), ("B_2".into(), "=x".into())]);
        assert_eq!(order.command, ["env", "A=3"]);
    }

    #[test]
    fn the_environment_is_kept_as_asked() {
        assert_eq!(order("-EH id").unwrap().keep, Keep::All);
        assert!(order("-EH id").unwrap().sets_home);
        assert_eq!(order("--preserve-env=A,B id").unwrap().keep, Keep::These(command(&["A", "B"])));
        assert_eq!(order("--preserve-env id").unwrap().keep, Keep::All);
        assert_eq!(order("--preserve-env=A -E id").unwrap().keep, Keep::All);
    }

    #[test]
    fn what_it_does_not_know_it_does_not_ignore() {
        for line in ["-b sleep 1", "--edit x", "-e x", "-u", "--login=x id", "-ü id"] {
            assert!(order(line).is_err(), "{}", line);
        }
        assert_eq!(order("-i").unwrap().shell, Shell::Login);
        assert_eq!(order("-k").unwrap().action, Action::Forget);
        assert_eq!(order("").unwrap(), Order::default());
    }
}
