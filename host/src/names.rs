//! Names that come with requests. They become parts of paths, so nothing but these forms gets through.

use std::fmt;

use crate::error::Failure;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $min:literal, $max:literal, $more:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Errors: `invalid_argument`.
            pub fn parse(text: &str) -> Result<$name, Failure> {
                let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
                let fits = ($min..=$max).contains(&text.len())
                    && plain(text.as_bytes()[0])
                    && text.bytes().all(|byte| plain(byte) || $more.as_bytes().contains(&byte));
                match fits {
                    true => Ok($name(text.to_owned())),
                    false => Err(Failure::invalid(format!(
                        "The name of {} must be {} to {} lower case letters and digits{}.",
                        $what,
                        $min,
                        $max,
                        if $more.is_empty() { String::new() } else { format!(", or, but for the first, '{}'", $more) }
                    ))),
                }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A guest's name: the sandbox's id.
    Sandbox, "a sandbox", 1, 32, "_"
);
name!(
    /// A layer's name.
    Layer, "a layer", 1, 64, ""
);
name!(
    /// A file's name in the spool.
    Upload, "an upload", 1, 64, ""
);
name!(
    /// The server's id: what the helper makes on the machine begins with `e2bn-` and this.
    Instance, "an instance", 4, 16, ""
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_nothing_through_that_could_leave_a_directory() {
        for text in ["", "..", "a/b", "A", "a b", "a\0", "é", "a-b", "a.b", "_a"] {
            assert!(Sandbox::parse(text).is_err(), "{:?}", text);
        }
        assert!(Sandbox::parse(&"a".repeat(33)).is_err());
        assert_eq!(Sandbox::parse("debug_sandbox_id").unwrap().as_str(), "debug_sandbox_id");
        assert!(Layer::parse("a_b").is_err());
        assert_eq!(Layer::parse(&"a9".repeat(32)).unwrap().as_str().len(), 64);
        assert!(Instance::parse("abc").is_err());
    }
}
