//! A JSON object becomes values of its fields, or a problem that names the field at fault.
//!
//! ```text
//!   bytes ─[text]─► a text in UTF-8 ─► Members: the JSON of each field ─► text, flag, integer, …
//! ```
//!
//! An object is read once for its members and each member once for its value; what is not looked
//! at, a payload above all, stays the bytes that came. Only names in a table are let through, each
//! once, and only objects: an array is never one by the order of what is in it.

mod text;
mod value;

#[cfg(test)]
mod tests;

use core::fmt;
use core::str::FromStr;
use std::borrow::Cow;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Problem;
use crate::environment::Environment;
use crate::names::{self, quoted};
use value::{described, malformed, string};

pub(super) use text::without_mark;

/// A field of an object, a query or a form.
pub(super) struct Field {
    pub(super) name: &'static str,
    /// What it takes, with an example; to follow "expected".
    pub(super) takes: &'static str,
    /// Whether a problem may repeat what stands there in its place.
    open: bool,
}

impl Field {
    /// One whose values are nobody's secret.
    pub(super) const fn open(name: &'static str, takes: &'static str) -> Self {
        let open = true;
        Self { name, takes, open }
    }

    /// One that has a token, an alias, a tag or a payload: of a value that is none the kind is
    /// told.
    pub(super) const fn private(name: &'static str, takes: &'static str) -> Self {
        let open = false;
        Self { name, takes, open }
    }
}

/// What several calls take.
pub(super) mod takes {
    pub(in super::super) const TOKEN: &str =
        "a device token in hexadecimal digits, such as \"740f4707bebcf74f…\"";
    pub(in super::super) const TOPIC: &str = "a topic such as \"com.example.app\"";
    pub(in super::super) const ALIAS: &str = "a string such as \"anna\"";
    pub(in super::super) const TAG: &str = "a string such as \"news\"";
    pub(in super::super) const ENVIRONMENT: &str = "development, sandbox or production";
    pub(in super::super) const FLAG: &str = "true or false";
    pub(in super::super) const PRIORITY: &str = "the number 10, 5 or 1";
    pub(in super::super) const EXPIRATION: &str =
        "seconds since 1970 such as 1893456000, or ttl_s in its place";
    pub(in super::super) const TTL: &str = "a whole number of seconds such as 3600";
    pub(in super::super) const ID: &str =
        "a string such as \"123e4567-e89b-12d3-a456-426655440000\"";
    pub(in super::super) const CHANNEL: &str = "a string such as \"dHN0LXNyY2gtY2hubA==\"";
    pub(in super::super) const KEY: &str = "a string such as \"order:17\"";
    pub(in super::super) const REFERENCE: &str =
        "a number, or a string of at most 128 bytes with its quotes, such as \"row-17\"";
}

/// An element of an array of strings, or what it is instead.
pub(super) type Entry<'a> = Result<Cow<'a, str>, Problem>;

/// The members of an object that has been read.
pub(super) struct Members<'a> {
    fields: &'static [Field],
    /// What stands before the name of a member: nothing in the body itself, otherwise `to.` and the
    /// like.
    path: &'static str,
    /// In the order of `fields`.
    values: Vec<Option<&'a RawValue>>,
}

impl<'a> Members<'a> {
    /// Reads a body, which `takes` describes with an example.
    ///
    /// # Errors
    /// 400 `json-malformed`, `not-utf8`, `wrong-type` if it is no object, `unknown-field`,
    /// `field-twice`; 415 if it is compressed.
    pub(super) fn of_body(
        bytes: &'a [u8],
        fields: &'static [Field],
        takes: &'static str,
    ) -> Result<Self, Problem> {
        let text = text::of_body(bytes, takes)?;
        Self::read(text, fields, "")
    }

    /// Reads the text of an object that is part of a body, which `takes` describes. `path` is what
    /// leads there, with a dot at its end.
    ///
    /// # Errors
    /// As [`Self::of_body`].
    pub(super) fn of_text(
        text: &'a str,
        fields: &'static [Field],
        path: &'static str,
        takes: &'static str,
    ) -> Result<Self, Problem> {
        if !text.starts_with('{') {
            let place = path.strip_suffix('.').unwrap_or(path);
            let got = described(text, false);
            return Err(Problem::field("wrong-type", place, takes, got));
        }
        Self::read(text, fields, path)
    }

    /// These, and of the members that are not there those of `defaults`, which have the same table.
    /// Of a group of `either` one member stands for all: where one is there, no default is.
    #[must_use]
    pub(super) fn or(mut self, defaults: &Self, either: &[&[&str]]) -> Self {
        let names = self.names();
        let is_replaced = |name: &str| {
            let mut groups = either.iter().filter(|group| group.contains(&name));
            groups.any(|group| names.iter().any(|named| group.contains(named)))
        };
        let both = self.values.iter_mut().zip(&defaults.values);
        for ((value, default), field) in both.zip(self.fields) {
            if value.is_none() && !is_replaced(field.name) {
                *value = *default;
            }
        }
        self
    }

    /// The JSON of a member that says something.
    pub(super) fn find_text(&self, name: &str) -> Option<&'a str> {
        self.find_some(name).map(|(_, value)| value.get())
    }

    /// Reads the text of an object.
    fn read(text: &'a str, fields: &'static [Field], path: &'static str) -> Result<Self, Problem> {
        let mut json = serde_json::Deserializer::from_str(text);
        let read = json.deserialize_map(Reader { fields });
        let found = read.and_then(|found| json.end().map(|()| found));
        let Found { values, fault } = found.map_err(|error| malformed(text, &error))?;
        match fault {
            None => Ok(Self {
                fields,
                path,
                values,
            }),
            Some(BodyFault::Unknown(name)) => {
                let whole = path.strip_suffix('.').unwrap_or("body");
                Err(unknown(&name, fields, format!("{path}{name}"), whole))
            }
            Some(BodyFault::Twice(name)) => Err(twice(format!("{path}{name}"))),
        }
    }

    /// A field and the JSON that stands there, `null` too.
    fn find(&self, name: &str) -> Option<(&'static Field, &'a RawValue)> {
        let mut both = self.fields.iter().zip(&self.values);
        let (field, value) = both.find(|(field, _)| field.name == name)?;
        Some((field, (*value)?))
    }

    /// As [`Self::find`]; `null` says nothing.
    fn find_some(&self, name: &str) -> Option<(&'static Field, &'a RawValue)> {
        self.find(name).filter(|(_, value)| value.get() != "null")
    }

    /// The JSON of a field that has to be there.
    ///
    /// # Errors
    /// 400 `missing-field`.
    pub(super) fn required(&self, name: &str) -> Result<&'a RawValue, Problem> {
        self.find(name)
            .map_or_else(|| Err(self.missing(name)), |(_, value)| Ok(value))
    }

    /// 400: the field is not there.
    pub(super) fn missing(&self, name: &str) -> Problem {
        let field = self.fields.iter().find(|field| field.name == name);
        let takes = field.map_or("a value", |field| field.takes);
        Problem::field(
            "missing-field",
            format!("{}{name}", self.path),
            takes,
            "nothing",
        )
    }

    /// A string, unless the field is not there or `null`.
    ///
    /// # Errors
    /// 400 `wrong-type`; `json-malformed` if it has half of a surrogate pair.
    pub(super) fn text(&self, name: &str) -> Result<Option<Cow<'a, str>>, Problem> {
        let Some((field, value)) = self.find_some(name) else {
            return Ok(None);
        };
        let text = string(value.get(), || self.place(field))?;
        text.map_or_else(
            || Err(self.wrong(field, value.get())),
            |text| Ok(Some(text)),
        )
    }

    /// A string that has to be there.
    ///
    /// # Errors
    /// As [`Self::text`], and `missing-field`.
    pub(super) fn required_text(&self, name: &str) -> Result<Cow<'a, str>, Problem> {
        match (self.text(name)?, self.find(name)) {
            (Some(text), _) => Ok(text),
            (None, Some((field, value))) => Err(self.wrong(field, value.get())),
            (None, None) => Err(self.missing(name)),
        }
    }

    /// `true` or `false`; `default` if the field is not there.
    ///
    /// # Errors
    /// 400 `wrong-type`.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, Problem> {
        match self.find(name) {
            None => Ok(default),
            Some((field, value)) => match value.get() {
                "true" => Ok(true),
                "false" => Ok(false),
                other => Err(self.wrong(field, other)),
            },
        }
    }

    /// A whole number in the range of its type, written without fraction and exponent.
    ///
    /// # Errors
    /// 400 `wrong-type`.
    pub(super) fn integer<T: FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        let Some((field, value)) = self.find_some(name) else {
            return Ok(None);
        };
        let number = value.get().parse().ok();
        number.map_or_else(
            || Err(self.wrong(field, value.get())),
            |number| Ok(Some(number)),
        )
    }

    /// One of these words.
    ///
    /// # Errors
    /// 400 `wrong-type`, with the word that was meant.
    pub(super) fn word<T>(
        &self,
        name: &str,
        known: &[&'static str],
        parse: fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let wrong = || no_such_word(format!("{}{name}", self.path), known, &text);
        parse(&text).ok_or_else(wrong).map(Some)
    }

    /// The field `environment`.
    ///
    /// # Errors
    /// As [`Self::word`].
    pub(super) fn environment(&self) -> Result<Option<Environment>, Problem> {
        self.word("environment", &Environment::WORDS, Environment::parse)
    }

    /// An array of strings, at most `most` of them.
    ///
    /// # Errors
    /// 400 `wrong-type`; `rule` if they are more.
    pub(super) fn texts(
        &self,
        name: &str,
        most: usize,
        rule: &'static str,
    ) -> Result<Option<Vec<Cow<'a, str>>>, Problem> {
        let entries = self.entries(name, most, rule)?;
        let texts = entries.map(|entries| entries.into_iter().collect::<Result<_, _>>());
        texts.transpose()
    }

    /// The same, with the problem of each element that is no string in its place.
    ///
    /// # Errors
    /// 400 `wrong-type` if it is no array; `rule` if there are more.
    pub(super) fn entries(
        &self,
        name: &str,
        most: usize,
        rule: &'static str,
    ) -> Result<Option<Vec<Entry<'a>>>, Problem> {
        let Some((field, value)) = self.find_some(name) else {
            return Ok(None);
        };
        let text = value.get();
        if !text.starts_with('[') {
            return Err(self.wrong(field, text));
        }
        let mut json = serde_json::Deserializer::from_str(text);
        let read = json.deserialize_seq(Elements { most });
        let (elements, count) = read.map_err(|error| malformed(text, &error))?;
        if count > most {
            let (place, expected) = (self.place(field), format!("at most {most} of them"));
            return Err(Problem::field(rule, place, expected, count.to_string()));
        }
        let element = |(index, element): (usize, &'a RawValue)| {
            let place = || format!("{}[{index}]", self.place(field));
            let text = string(element.get(), place)?;
            text.ok_or_else(|| {
                let got = described(element.get(), field.open);
                Problem::field("wrong-type", place(), "a string", got)
            })
        };
        Ok(Some(
            elements.into_iter().enumerate().map(element).collect(),
        ))
    }

    /// An object in the field of this name, which has to be there; `path` is the name with a dot.
    ///
    /// # Errors
    /// 400 `missing-field`, `wrong-type`, `unknown-field`, `field-twice`.
    pub(super) fn object(
        &self,
        name: &str,
        fields: &'static [Field],
        path: &'static str,
    ) -> Result<Self, Problem> {
        let (field, value) = self.find(name).ok_or_else(|| self.missing(name))?;
        if !value.get().starts_with('{') {
            return Err(self.wrong(field, value.get()));
        }
        Self::read(value.get(), fields, path)
    }

    /// The names of the fields that say something, in the order of the table.
    pub(super) fn names(&self) -> Vec<&'static str> {
        let both = self.fields.iter().zip(&self.values);
        let there = both.filter(|(_, value)| value.is_some_and(|value| value.get() != "null"));
        there.map(|(field, _)| field.name).collect()
    }

    fn place(&self, field: &Field) -> String {
        format!("{}{}", self.path, field.name)
    }

    fn wrong(&self, field: &Field, json: &str) -> Problem {
        let got = described(json, field.open);
        Problem::field("wrong-type", self.place(field), field.takes, got)
    }
}

/// 400: there is no field of this name at this place, which is part of `whole`.
pub(super) fn unknown(name: &str, fields: &[Field], place: String, whole: &str) -> Problem {
    let known: Vec<_> = fields.iter().map(|field| field.name).collect();
    let place = if names::is_plain(name) {
        place
    } else {
        whole.to_owned()
    };
    let expected = names::expected_of(name, &known);
    Problem::field("unknown-field", place, expected, names::shown(name))
}

/// 400: the field stands there more than once, so that it would depend on the reader which one
/// counts.
pub(super) fn twice(place: String) -> Problem {
    Problem::field("field-twice", place, "it once", "it again")
}

/// 400: the field takes other words.
pub(super) fn no_such_word(place: String, known: &[&'static str], text: &str) -> Problem {
    let got = format!("{} (a string)", quoted(text));
    Problem::field("wrong-type", place, names::words(text, known), got)
}

/// What has been read of an object, and the first thing that is wrong with its names.
struct Found<'a> {
    values: Vec<Option<&'a RawValue>>,
    fault: Option<BodyFault>,
}

enum BodyFault {
    Unknown(String),
    Twice(&'static str),
}

struct Reader {
    fields: &'static [Field],
}

impl<'de> Visitor<'de> for Reader {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut values = vec![None; self.fields.len()];
        let mut fault = None;
        while let Some(name) = members.next_key_seed(Name(self.fields))? {
            let place = name.as_ref().ok().and_then(|index| values.get_mut(*index));
            let Some(place) = place else {
                members.next_value::<IgnoredAny>()?;
                fault = fault.or_else(|| name.err().map(BodyFault::Unknown));
                continue;
            };
            if place.replace(members.next_value()?).is_some() {
                let field = name.ok().and_then(|index| self.fields.get(index));
                fault = fault.or_else(|| field.map(|field| BodyFault::Twice(field.name)));
            }
        }
        Ok(Found { values, fault })
    }
}

/// The name of a member: its place in the table, or else itself.
struct Name(&'static [Field]);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Result<usize, String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Result<usize, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        let index = self.0.iter().position(|field| field.name == name);
        Ok(index.ok_or_else(|| name.to_owned()))
    }
}

/// The first elements of an array, and how many there are.
struct Elements {
    most: usize,
}

impl<'de> Visitor<'de> for Elements {
    type Value = (Vec<&'de RawValue>, usize);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let (mut elements, mut count) = (Vec::new(), 0);
        while let Some(element) = array.next_element()? {
            if count < self.most {
                elements.push(element);
            }
            count += 1;
        }
        Ok((elements, count))
    }
}
