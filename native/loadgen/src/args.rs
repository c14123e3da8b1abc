//! The command line: `--name value` pairs and bare `--flag`s, read where they are used.

use std::collections::HashMap;
use std::io;
use std::str::FromStr;

/// The options of one run, by name without the leading dashes.
pub(crate) struct Args(HashMap<String, String>);

/// An error about the command line.
pub(crate) fn bad(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

impl Args {
    /// Takes every word after the mode. A name followed by another name, or by nothing, is a flag.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> io::Result<Self> {
        let mut options = HashMap::new();
        let mut words = words.peekable();
        while let Some(word) = words.next() {
            let Some(name) = word.strip_prefix("--") else {
                return Err(bad(format!("unexpected argument {word:?}")));
            };
            let value = words.next_if(|next| !next.starts_with("--")).unwrap_or_default();
            options.insert(name.to_owned(), value);
        }
        Ok(Self(options))
    }

    /// Whether the option was given at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The option's text, if it was given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The option as a number, or `default` where it was not given.
    pub(crate) fn number<T: FromStr>(&self, name: &str, default: T) -> io::Result<T> {
        match self.0.get(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| bad(format!("--{name}: not a number: {text:?}"))),
        }
    }
}
