//! TOML into whatever says to serde what it is made of.
//!
//! The library's own way from a parsed text to a type lets each type be read from an array and from
//! a date as well, and with its place in the text. No file is written so, and the code for it would
//! be made anew for each type: 120 kB of the component.

use core::fmt;
use core::slice;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Error as _, Expected, MapAccess,
    SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use toml::de::{DeInteger, DeString, DeTable, DeValue};
use toml::{Spanned, map};

use super::error::{ConfigError, invalid};
use super::sections::SECTIONS;

/// Reads TOML. An error says where and what, and shows nothing of the text but names of keys: a
/// value may be a secret, also one under a wrong key.
///
/// # Errors
/// If the text is not TOML, or not what is expected.
pub fn from_toml<T: DeserializeOwned>(text: &str) -> Result<T, ConfigError> {
    read(text).map_err(|mistake| placed(text, &mistake))
}

/// Reads the half of the file that `T` has fields for, each of them a section, and passes over the
/// sections of the other half.
///
/// # Errors
/// As [`from_toml`], and if there is a section that neither half has.
pub fn read_half<T: DeserializeOwned>(text: &str) -> Result<T, ConfigError> {
    let half = parse(text).and_then(|table| T::deserialize(Half(table)));
    half.map_err(|mistake| placed(text, &mistake))
}

/// A mistake, with its line, its column and its key.
fn placed(text: &str, mistake: &Mistake) -> ConfigError {
    let before = mistake.start.and_then(|start| text.get(..start));
    let before = before.unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let start = before.rsplit('\n').next().unwrap_or_default();
    let column = start.chars().count() + 1;
    let key = key_before(start).map_or_else(String::new, |key| format!(", {key}"));
    let why = match mistake.what.as_str() {
        what if what.contains('@') => "expected something else",
        what => what,
    };
    invalid(format_args!("line {line}, column {column}{key}"), why)
}

/// The key whose value begins where the start of a line ends.
fn key_before(start: &str) -> Option<&str> {
    let key = start.trim_end().strip_suffix('=')?.trim();
    let is_bare = |char: char| char.is_ascii_alphanumeric() || "_-.".contains(char);
    (!key.is_empty() && key.chars().all(is_bare)).then_some(key)
}

/// What is wrong with a text.
#[derive(Debug)]
struct Mistake {
    /// For people. It may repeat a value.
    what: String,
    /// The byte that it begins at, if it is known.
    start: Option<usize>,
}

impl Mistake {
    /// The same, at this place if it has none yet.
    fn at<T>(mut self, place: &Spanned<T>) -> Self {
        self.start.get_or_insert(place.span().start);
        self
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl de::StdError for Mistake {}

impl de::Error for Mistake {
    fn custom<T: fmt::Display>(what: T) -> Self {
        let (what, start) = (what.to_string(), None);
        Self { what, start }
    }
}

/// Reads a text.
fn read<T: DeserializeOwned>(text: &str) -> Result<T, Mistake> {
    T::deserialize(Value(&root(parse(text)?)))
}

fn parse(text: &str) -> Result<Spanned<DeTable<'_>>, Mistake> {
    DeTable::parse(text).map_err(|error| Mistake {
        what: error.message().to_owned(),
        start: error.span().map(|span| span.start),
    })
}

fn root(table: Spanned<DeTable<'_>>) -> Spanned<DeValue<'_>> {
    Spanned::new(table.span(), DeValue::Table(table.into_inner()))
}

/// The file, of which one of its two readers is about to take its sections.
struct Half<'a>(Spanned<DeTable<'a>>);

impl<'de> Deserializer<'de> for Half<'_> {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        Value(&root(self.0)).deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        sections: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        let table = self.0.get_mut();
        let is_known = |name: &str| SECTIONS.contains(&name);
        if let Some(name) = table.keys().find(|name| !is_known(name.get_ref())) {
            return Err(Mistake::unknown_field(name.get_ref(), &SECTIONS).at(name));
        }
        for other in SECTIONS {
            if !sections.contains(&other) {
                table.remove(other);
            }
        }
        Value(&root(self.0)).deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[derive(Clone, Copy)]
struct Value<'a>(&'a Spanned<DeValue<'a>>);

impl Value<'_> {
    /// What was read of it, or else what is wrong, which is here if nowhere else.
    fn placed<T>(self, read: Result<T, Mistake>) -> Result<T, Mistake> {
        read.map_err(|mistake| mistake.at(self.0))
    }

    fn mismatch(self, expected: &dyn Expected) -> Mistake {
        let got = match self.0.get_ref() {
            DeValue::String(text) => Unexpected::Str(text),
            DeValue::Integer(digits) => match (signed(digits), unsigned(digits)) {
                (Some(number), _) => Unexpected::Signed(number),
                (None, Some(number)) => Unexpected::Unsigned(number),
                (None, None) => Unexpected::Other("integer of more than 64 bits"),
            },
            DeValue::Float(digits) => {
                Unexpected::Float(digits.as_str().parse().unwrap_or(f64::NAN))
            }
            DeValue::Boolean(value) => Unexpected::Bool(*value),
            DeValue::Array(_) => Unexpected::Seq,
            DeValue::Datetime(_) | DeValue::Table(_) => Unexpected::Map,
        };
        Mistake::invalid_type(got, expected).at(self.0)
    }
}

fn signed(digits: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(digits.as_str(), digits.radix()).ok()
}

fn unsigned(digits: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(digits.as_str(), digits.radix()).ok()
}

impl<'de> Deserializer<'de> for Value<'_> {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.0.get_ref() {
            DeValue::String(_) => self.deserialize_str(visitor),
            DeValue::Integer(_) => self.deserialize_i64(visitor),
            DeValue::Boolean(_) => self.deserialize_bool(visitor),
            DeValue::Array(_) => self.deserialize_seq(visitor),
            DeValue::Table(_) => self.deserialize_map(visitor),
            DeValue::Float(_) | DeValue::Datetime(_) => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.0.get_ref() {
            DeValue::String(text) => self.placed(visitor.visit_str(text)),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_str(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        let DeValue::Integer(digits) = self.0.get_ref() else {
            return Err(self.mismatch(&visitor));
        };
        self.placed(match (signed(digits), unsigned(digits)) {
            (Some(number), _) => visitor.visit_i64(number),
            (None, Some(number)) => visitor.visit_u64(number),
            (None, None) => Err(self.mismatch(&visitor)),
        })
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.0.get_ref() {
            DeValue::Boolean(value) => visitor.visit_bool(*value),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        let DeValue::Array(values) = self.0.get_ref() else {
            return Err(self.mismatch(&visitor));
        };
        self.placed(visitor.visit_seq(Elements(values.iter())))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        let DeValue::Table(table) = self.0.get_ref() else {
            return Err(self.mismatch(&visitor));
        };
        let entries = table.iter();
        let value = None;
        self.placed(visitor.visit_map(Entries { entries, value }))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        match self.0.get_ref() {
            DeValue::String(text) => self.placed(visitor.visit_enum(StrDeserializer::new(text))),
            _ => Err(self.mismatch(&"a string")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
        identifier
    }
}

struct Elements<'a>(slice::Iter<'a, Spanned<DeValue<'a>>>);

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Mistake;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Mistake> {
        let element = self.0.next().map(Value);
        element.map(|element| seed.deserialize(element)).transpose()
    }
}

struct Entries<'a> {
    entries: map::Iter<'a, Spanned<DeString<'a>>, Spanned<DeValue<'a>>>,
    /// Of the key that was read last.
    value: Option<Value<'a>>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Mistake;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Mistake> {
        let Some((key, value)) = self.entries.next() else {
            return Ok(None);
        };
        self.value = Some(Value(value));
        let read = seed.deserialize(StrDeserializer::new(key.get_ref()));
        read.map(Some).map_err(|mistake: Mistake| mistake.at(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mistake> {
        let Some(value) = self.value.take() else {
            return Err(Mistake::custom("expected a key before its value"));
        };
        value.placed(seed.deserialize(value))
    }
}

#[cfg(test)]
mod tests;
