//! What follows a command's name: options, those of every command taken out, and their values.

use lexopt::{Arg, Parser, ValueExt as _};

use super::usage::Usage;

/// What follows the command's name.
pub(super) struct Rest {
    pub(super) parser: Parser,
    pub(super) json: bool,
}

/// An option of a command's own, or the end.
pub(super) enum Next {
    Option(String),
    Help,
    End,
}

impl Rest {
    /// All of it is to come.
    pub(super) const fn new(parser: Parser) -> Self {
        let json = false;
        Self { parser, json }
    }

    /// The next option, those of every command aside.
    pub(super) fn next(&mut self) -> Result<Next, Usage> {
        loop {
            let name = match self.parser.next()? {
                None => return Ok(Next::End),
                Some(Arg::Short('h')) => return Ok(Next::Help),
                Some(Arg::Long(name)) => name.to_owned(),
                Some(other) => return Err(other.unexpected().into()),
            };
            match name.as_str() {
                "help" => return Ok(Next::Help),
                "json" => self.json = true,
                _ => return Ok(Next::Option(name)),
            }
        }
    }

    pub(super) fn text(&mut self) -> Result<String, Usage> {
        Ok(self.parser.value()?.string()?)
    }

    /// The value of an option that takes a number.
    pub(super) fn number(&mut self, option: &str) -> Result<u64, Usage> {
        let text = self.text()?;
        parse_number(&text).map_err(|why| Usage(format!("--{option}: {why}")))
    }
}

/// A number as options have it, or what was expected.
///
/// # Errors
/// If it is none, in words for the caller.
pub fn parse_number(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("expected a whole number such as 60, got {text:?}"))
}

pub(super) fn unknown(option: &str) -> Usage {
    Usage(format!("there is no option --{option} here"))
}
