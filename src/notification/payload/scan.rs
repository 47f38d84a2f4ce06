//! The text of a payload read once from its beginning to its end: which keys are there, and what is
//! unusual about their values.
//!
//! Nothing is built. A value of a known key is looked at and forgotten; everything else is the
//! app's own, and looked through in a loop for what is read in different ways. The reader calls
//! itself only along the known objects, which are four deep.
//!
//! Of a key that stands twice in an object the last one counts, as in most parsers; both are sent,
//! and both are checked.

use super::finding::{Findings, Weight, shown_key};
use super::key::{AppliesTo, Key, Members, Object, ValueKind};
use super::keys::ROOT;
use super::own::{Doubts, doubts};
use super::seen;
use super::value::{Event, Scalar};
use crate::notification::PushType;
use crate::notification::error::{InvalidNotification, rule};
use core::fmt;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// What has been read of a payload so far.
pub(super) struct Scan {
    push_type: Option<PushType>,
    /// Bits of [`seen`].
    present: u32,
    event: Option<Event>,
    pub(super) findings: Findings,
}

impl Scan {
    /// Reads `text`. A push type that is not named is `alert` or `background`, which have the same
    /// keys.
    pub(super) fn of(text: &str, push_type: Option<PushType>) -> serde_json::Result<Self> {
        let mut scan = Self {
            push_type,
            present: 0,
            event: None,
            findings: Findings::default(),
        };
        let mut json = serde_json::Deserializer::from_str(text);
        let place = ValuePlace {
            key: &ROOT,
            path: "",
            index: None,
        };
        let root = Reader {
            place,
            scan: &mut scan,
        };
        root.deserialize(&mut json)?;
        json.end()?;
        Ok(scan)
    }

    /// Whether one of these bits of [`seen`] is set.
    pub(super) const fn has(&self, bits: u32) -> bool {
        self.present & bits != 0
    }

    fn is_live(&self) -> bool {
        self.push_type == Some(PushType::LiveActivity)
    }

    /// The last event, if it is one that Apple knows.
    pub(super) fn event(&self) -> Option<Event> {
        self.event.filter(|_| self.has(seen::EVENT))
    }

    pub(super) fn violation(
        &mut self,
        rule: &'static str,
        field: String,
        expected: &'static str,
        got: String,
    ) {
        let what = InvalidNotification::new("payload", rule, expected, got).at(field);
        self.findings.add(Weight::Violation, what);
    }

    pub(super) fn remark(
        &mut self,
        rule: &'static str,
        field: String,
        expected: &'static str,
        got: &str,
    ) {
        let what = InvalidNotification::new("payload", rule, expected, got).at(field);
        self.findings.remark(what);
    }

    /// Notes that a key of `object` stands here, and whether it has a meaning for this push.
    /// `again`: it stood there before.
    fn key(&mut self, object: &Object, key: &Key, again: bool) {
        let field = || format!("{}.{}", object.path, key.name);
        if again {
            self.remark(rule::PAYLOAD_DUPLICATE_KEY, field(), "it once", "it again");
        }
        let reloads = matches!(self.push_type, Some(PushType::Widgets | PushType::Controls));
        let expected = match key.applies_to {
            AppliesTo::Live | AppliesTo::LiveStart | AppliesTo::LiveEnd if !self.is_live() => {
                "push type liveactivity"
            }
            AppliesTo::NotLive if self.is_live() => "it inside alert for this push type",
            AppliesTo::Reload if !reloads => "push type widgets or controls",
            _ => return,
        };
        let got = self.push_type.map_or("another", PushType::as_str);
        self.remark(rule::APS_KEY_MISPLACED, field(), expected, got);
    }

    /// Takes back what an earlier value of the key may have said.
    fn forget(&mut self, key: &Key) {
        self.present &= !key.seen;
        if matches!(key.kind, ValueKind::Event) {
            self.event = None;
        }
    }

    /// Whether a key at the top of the payload is Apple's for this push type.
    fn concerns(&self, key: &Key) -> bool {
        match key.applies_to {
            AppliesTo::Mdm => self.push_type == Some(PushType::Mdm),
            AppliesTo::FileProvider => self.push_type == Some(PushType::FileProvider),
            _ => true,
        }
    }

    /// Remarks on a value of the app's own. Among them Apple lists no `null`, but where the app
    /// says itself what is read, as of a Live Activity.
    fn own_value(&mut self, field: impl Fn() -> String, json: &str, nulls: bool) {
        let Doubts { null, text, number } = doubts(json);
        if null && !nulls {
            let expected = "an object, array, string, number or boolean";
            let got = if json == "null" { "null" } else { "null in it" };
            self.remark(rule::OWN_NULL, field(), expected, got);
        }
        if text {
            let (expected, got) = ("whole characters", "half a surrogate pair");
            self.remark(rule::OWN_TEXT, field(), expected, got);
        }
        if number {
            let (expected, got) = ("numbers that a double holds", "a larger one");
            self.remark(rule::OWN_NUMBER, field(), expected, got);
        }
    }

    fn unknown_key(&mut self, object: &Object, name: &str) {
        if object.closed {
            self.remark(
                rule::APS_UNKNOWN_KEY,
                format!("{}.{}", object.path, shown_key(name)),
                "a key that Apple documents",
                "an unknown one",
            );
        } else {
            self.present |= seen::CUSTOM;
        }
    }
}

/// Where a value stands.
#[derive(Clone, Copy)]
struct ValuePlace {
    key: &'static Key,
    /// The path of the object that has the key.
    path: &'static str,
    /// The place in the key's array, if the value is an element of it.
    index: Option<usize>,
}

impl ValuePlace {
    fn field(self) -> String {
        match self.index {
            Some(index) => format!("{}.{}[{index}]", self.path, self.key.name),
            None => format!("{}.{}", self.path, self.key.name),
        }
    }

    /// What may stand here: an element is a string, in every array that Apple documents.
    fn kind(self) -> ValueKind {
        match self.index {
            Some(_) => ValueKind::Text,
            None => self.key.kind,
        }
    }
}

/// The value of a known key, about to be read.
struct Reader<'p> {
    place: ValuePlace,
    scan: &'p mut Scan,
}

impl Reader<'_> {
    fn scalar(self, scalar: Scalar<'_>) {
        let Self { place, scan } = self;
        let kind = place.kind();
        if let Err((expected, got)) = kind.check(scalar, scan.is_live()) {
            scan.violation(place.key.rule, place.field(), expected, got);
        } else if let Some(got) = kind.doubt(scalar) {
            let expected = "seconds since 1970 such as 1770000000";
            scan.remark(rule::DATE_UNUSUAL, place.field(), expected, &got);
        }
        let off = matches!(kind, ValueKind::Switch) && scalar.is_off();
        if place.index.is_some() || off || matches!(scalar, Scalar::Null) {
            return;
        }
        scan.present |= place.key.seen;
        if let (ValueKind::Event, Scalar::Text(text)) = (kind, scalar) {
            scan.event = Event::parse(text);
        }
    }

    /// An array or object where none may stand.
    fn wrong(self, got: &'static str) {
        let expected = self.place.kind().in_words(self.scan.is_live());
        self.scan.violation(
            self.place.key.rule,
            self.place.field(),
            expected,
            got.to_owned(),
        );
    }

    fn note(&mut self) {
        if self.place.index.is_none() {
            self.scan.present |= self.place.key.seen;
        }
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.scalar(Scalar::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.scalar(Scalar::Boolean(value));
        Ok(())
    }

    // Every comparison made is with a small number, so what is lost beyond 2^53 does not matter.
    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.scalar(Scalar::Number(value as f64));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.scalar(Scalar::Number(value as f64));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.scalar(Scalar::Number(value));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.scalar(Scalar::Text(text));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        self.note();
        if !self.place.kind().takes_array() {
            self.wrong("an array");
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        for index in 0.. {
            let element = Reader {
                place: ValuePlace {
                    index: Some(index),
                    ..self.place
                },
                scan: self.scan,
            };
            if seq.next_element_seed(element)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.note();
        let kind = self.place.kind();
        match kind.members(self.scan.is_live()) {
            Members::Known(object) => {
                members(map, object, self.scan)?;
                if matches!(kind, ValueKind::Sound(_)) && !self.scan.has(seen::CRITICAL) {
                    let (field, expected) = (self.place.field(), "critical 1 in it, or a string");
                    self.scan
                        .remark(rule::SOUND_NOT_CRITICAL, field, expected, "neither");
                }
                return Ok(());
            }
            Members::Own => {
                while map.next_key::<IgnoredAny>()?.is_some() {
                    let value = map.next_value::<&RawValue>()?.get();
                    self.scan.own_value(|| self.place.field(), value, true);
                }
                return Ok(());
            }
            Members::NoObject => self.wrong("an object"),
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// Reads the members of an object whose keys are known.
fn members<'de, A: MapAccess<'de>>(
    mut map: A,
    object: &'static Object,
    scan: &mut Scan,
) -> Result<(), A::Error> {
    scan.present &= !object.clears;
    let mut earlier = 0_u32;
    while let Some(name) = map.next_key_seed(Name(object))? {
        scan.present |= object.member;
        match name {
            Known::Key(index, key) if scan.concerns(key) => {
                // No object has more than 32 keys.
                let bit = 1_u32 << index;
                scan.key(object, key, earlier & bit != 0);
                earlier |= bit;
                scan.forget(key);
                let place = ValuePlace {
                    key,
                    path: object.path,
                    index: None,
                };
                map.next_value_seed(Reader { place, scan })?;
            }
            Known::Key(_, key) => {
                scan.unknown_key(object, key.name);
                own(&mut map, object, key.name, scan)?;
            }
            Known::Not(name) => {
                scan.unknown_key(object, &name);
                own(&mut map, object, &name, scan)?;
            }
        }
    }
    Ok(())
}

/// Reads the value of a key that is not Apple's. In `aps` it is ignored, so what matters is whether
/// it can be read.
fn own<'de, A: MapAccess<'de>>(
    map: &mut A,
    object: &Object,
    name: &str,
    scan: &mut Scan,
) -> Result<(), A::Error> {
    let value = map.next_value::<&RawValue>()?.get();
    let field = || format!("{}.{}", object.path, shown_key(name));
    scan.own_value(field, value, object.closed);
    Ok(())
}

/// The name of a key, looked up in an object.
enum Known {
    /// Its place among the object's keys, and itself.
    Key(usize, &'static Key),
    /// Its name.
    Not(String),
}

struct Name(&'static Object);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Known;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Known, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Known;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, name: &str) -> Result<Known, E> {
        let mut keys = self.0.keys.iter().enumerate();
        Ok(match keys.find(|(_, key)| key.name == name) {
            Some((index, key)) => Known::Key(index, key),
            None => Known::Not(name.to_owned()),
        })
    }
}
