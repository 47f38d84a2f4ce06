//! Whom a push is for, as its body names them.
//!
//! Bounds: 1,000 entries of a list, of which one problem names 100; 20 tags in each list of a
//! selector.

use std::borrow::Cow;

use crate::api::Problem;
use crate::api::body::Entry;
use crate::notification::{DeviceToken, InvalidNotification};
use crate::registry::{Alias, Selector, Tag};

/// Most tokens, and most aliases, of one request.
pub const MAX_RECIPIENTS: usize = 1_000;

/// Most tags in each list of a selector. **Ours:** what a person still understands.
pub(super) const MAX_SELECTOR_TAGS: usize = 20;

/// What `to` has one of.
pub(super) const KINDS: &str = "exactly one of token, tokens, alias, aliases, tag, tags, all";

/// Whom a push is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipients {
    /// These devices: at least one, unless entries that are none were skipped.
    Tokens(Vec<DeviceToken>),
    /// Every device of these aliases: at least one alias, unless entries were skipped.
    Aliases(Vec<Alias>),
    /// The devices of the app that are selected by their tags, or all of them.
    Selected(Selector),
}

/// What is done with the entries of a list that are no tokens, or no aliases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum OnInvalid {
    /// Nothing is sent.
    #[default]
    Refuse,
    /// The others are sent, and these have results that say why they were not.
    Skip,
}

/// An entry of a list that was skipped because it is none of what the list is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InvalidEntry {
    /// Its place in the list.
    pub(super) index: usize,
    /// What is wrong with it.
    pub(super) problem: Problem,
}

/// Recipients that were checked.
pub(super) struct Checked {
    pub(super) to: Recipients,
    /// The entries that were, in their order.
    pub(super) skipped: Vec<InvalidEntry>,
}

/// The recipients as they are written.
pub(super) enum To<'a> {
    Token(Cow<'a, str>),
    Tokens(Vec<Entry<'a>>),
    Alias(Cow<'a, str>),
    Aliases(Vec<Entry<'a>>),
    Tag(Cow<'a, str>),
    Tags(WrittenTags<'a>),
    All,
}

/// The lists of a selector, at least one of them.
pub(super) struct WrittenTags<'a> {
    pub(super) any: Option<Vec<Entry<'a>>>,
    pub(super) all: Option<Vec<Entry<'a>>>,
    pub(super) none: Option<Vec<Entry<'a>>>,
}

impl OnInvalid {
    /// As callers write it.
    pub(super) const WORDS: [&'static str; 2] = ["refuse", "skip"];

    pub(super) fn parse(word: &str) -> Option<Self> {
        match word {
            "refuse" => Some(Self::Refuse),
            "skip" => Some(Self::Skip),
            _ => None,
        }
    }
}

impl To<'_> {
    /// Whether they are a list, whose entries may be skipped.
    pub(super) const fn is_list(&self) -> bool {
        matches!(self, Self::Tokens(_) | Self::Aliases(_))
    }

    /// # Errors
    /// 400: a list has too few entries or too many; or some are no tokens, or no aliases, and not
    /// to be skipped.
    pub(super) fn check(self, on_invalid: OnInvalid) -> Result<Checked, Problem> {
        let whole = |to| {
            let skipped = Vec::new();
            Ok(Checked { to, skipped })
        };
        match self {
            Self::Token(text) => {
                let token = one("to.token", &text, DeviceToken::parse)?;
                whole(Recipients::Tokens(vec![token]))
            }
            Self::Tokens(entries) => {
                let list = List::read("to.tokens", entries, MAX_RECIPIENTS, DeviceToken::parse)?;
                list.checked(on_invalid, Recipients::Tokens)
            }
            Self::Alias(text) => {
                let alias = one("to.alias", &text, Alias::parse)?;
                whole(Recipients::Aliases(vec![alias]))
            }
            Self::Aliases(entries) => {
                let list = List::read("to.aliases", entries, MAX_RECIPIENTS, Alias::parse)?;
                list.checked(on_invalid, Recipients::Aliases)
            }
            Self::Tag(text) => whole(Recipients::Selected(Selector {
                all: vec![one("to.tag", &text, Tag::parse)?],
                ..Selector::default()
            })),
            Self::Tags(lists) => whole(Recipients::Selected(lists.check()?)),
            Self::All => whole(Recipients::Selected(Selector::default())),
        }
    }
}

impl WrittenTags<'_> {
    /// Without a tag that is none the selector would be another: each has to be right.
    fn check(self) -> Result<Selector, Problem> {
        let tags = |field, entries: Option<Vec<Entry<'_>>>| match entries {
            None => Ok(Vec::new()),
            Some(entries) => List::read(field, entries, MAX_SELECTOR_TAGS, Tag::parse)?.whole(),
        };
        Ok(Selector {
            any: tags("to.tags.any", self.any)?,
            all: tags("to.tags.all", self.all)?,
            none: tags("to.tags.none", self.none)?,
        })
    }
}

fn one<T>(
    field: &'static str,
    text: &str,
    parse: impl Fn(&str) -> Result<T, InvalidNotification>,
) -> Result<T, Problem> {
    parse(text).map_err(|error| Problem::invalid(&error.at(field)))
}

/// The entries of a list.
struct List<T> {
    valid: Vec<T>,
    invalid: Vec<InvalidEntry>,
}

impl<T> List<T> {
    fn read(
        field: &'static str,
        entries: Vec<Entry<'_>>,
        most: usize,
        parse: impl Fn(&str) -> Result<T, InvalidNotification>,
    ) -> Result<Self, Problem> {
        if entries.is_empty() {
            let expected = format!("1 to {most} of them");
            return Err(Problem::field("recipients", field, expected, "0"));
        }
        let mut list = Self {
            valid: Vec::with_capacity(entries.len()),
            invalid: Vec::new(),
        };
        for (index, entry) in entries.into_iter().enumerate() {
            let place = |error: InvalidNotification| error.at(format!("{field}[{index}]"));
            let value = entry
                .and_then(|text| parse(&text).map_err(|error| Problem::invalid(&place(error))));
            match value {
                Ok(value) => list.valid.push(value),
                Err(problem) => list.invalid.push(InvalidEntry { index, problem }),
            }
        }
        Ok(list)
    }

    fn checked(
        self,
        on_invalid: OnInvalid,
        of: impl FnOnce(Vec<T>) -> Recipients,
    ) -> Result<Checked, Problem> {
        if on_invalid == OnInvalid::Skip {
            return Ok(Checked {
                to: of(self.valid),
                skipped: self.invalid,
            });
        }
        Ok(Checked {
            to: of(self.whole()?),
            skipped: Vec::new(),
        })
    }

    /// The values of all entries, or a problem that names those that are at fault.
    fn whole(self) -> Result<Vec<T>, Problem> {
        let problems = self.invalid.into_iter().map(|entry| entry.problem);
        match Problem::of_all(problems.collect()) {
            Some(problem) => Err(problem),
            None => Ok(self.valid),
        }
    }
}
