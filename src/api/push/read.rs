//! The JSON of a push becomes its raw values, each of the right kind.

use super::recipients::{KINDS, MAX_RECIPIENTS, MAX_SELECTOR_TAGS, OnInvalid, To, WrittenTags};
use super::{PushBody, Via};
use crate::api::Problem;
use crate::api::body::{Field, Members, takes};
use crate::api::lines::REFERENCE;

pub(super) const BODY: &str =
    "an object such as {\"to\":{\"alias\":\"anna\"},\"payload\":{\"aps\":{\"alert\":\"Hello\"}}}";

/// The last one is of lines alone.
pub(super) static LINE_FIELDS: [Field; 18] = [
    Field::private(
        "to",
        "an object with one of token, tokens, alias, aliases, tag, tags, all, such as \
         {\"alias\":\"anna\"}",
    ),
    Field::open("topic", takes::TOPIC),
    Field::open("environment", takes::ENVIRONMENT),
    Field::open("push_type", "a push type such as \"alert\""),
    Field::open("priority", takes::PRIORITY),
    Field::open("expiration", takes::EXPIRATION),
    Field::open("ttl_s", takes::TTL),
    Field::open("strict", takes::FLAG),
    Field::open("collapse_id", "a string such as \"score\""),
    Field::open("id", takes::ID),
    Field::private(
        "payload",
        "an object such as {\"aps\":{\"alert\":\"Hello\"}}",
    ),
    Field::open("dry_run", takes::FLAG),
    Field::open("via", "http2 or binary"),
    Field::open("confirm", takes::FLAG),
    Field::open("idempotency_key", takes::KEY),
    Field::open("collapse_by_key", takes::FLAG),
    Field::open("on_invalid", "refuse or skip"),
    REFERENCE,
];

static TO_FIELDS: [Field; 7] = [
    Field::private("token", takes::TOKEN),
    Field::private(
        "tokens",
        "an array of strings such as [\"740f4707bebcf74f…\"]",
    ),
    Field::private("alias", takes::ALIAS),
    Field::private("aliases", "an array of strings such as [\"anna\",\"ben\"]"),
    Field::private("tag", takes::TAG),
    Field::private(
        "tags",
        "an object with any, all or none, such as {\"any\":[\"news\",\"sport\"]}",
    ),
    Field::open("all", "true"),
];

static TAG_FIELDS: [Field; 3] = [
    Field::private("any", TAGS),
    Field::private("all", TAGS),
    Field::private("none", TAGS),
];

const TAGS: &str = "an array of strings such as [\"news\",\"sport\"]";

impl<'a> PushBody<'a> {
    /// Whom it is for, and everything else.
    pub(super) fn read(bytes: &'a [u8]) -> Result<(To<'a>, Self), Problem> {
        let fields = LINE_FIELDS.split_last();
        let fields = fields.map_or(&[][..], |(_, fields)| fields);
        Self::of(&Members::of_body(bytes, fields, BODY)?)
    }

    /// The same of members that have been read.
    pub(super) fn of(body: &Members<'a>) -> Result<(To<'a>, Self), Problem> {
        let to = To::read(&body.object("to", &TO_FIELDS, "to.")?)?;
        Ok((to, Self::rest(body)?))
    }

    /// Everything else.
    pub(super) fn rest(body: &Members<'a>) -> Result<Self, Problem> {
        Ok(Self {
            topic: body.text("topic")?,
            environment: body.environment()?,
            push_type: body.text("push_type")?,
            priority: body.integer("priority")?,
            expiration: body.integer("expiration")?,
            ttl_s: body.integer("ttl_s")?,
            strict: body.flag("strict", true)?,
            collapse_id: body.text("collapse_id")?,
            id: body.text("id")?,
            payload: body.required("payload")?,
            dry_run: body.flag("dry_run", false)?,
            via: body.word("via", &["http2", "binary"], Via::parse)?,
            confirm: body.flag("confirm", true)?,
            idempotency_key: body.text("idempotency_key")?,
            collapse_by_key: body.flag("collapse_by_key", false)?,
            on_invalid: body
                .word("on_invalid", &OnInvalid::WORDS, OnInvalid::parse)?
                .unwrap_or_default(),
        })
    }
}

impl Via {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "http2" => Some(Self::Http2),
            "binary" => Some(Self::Binary),
            _ => None,
        }
    }
}

impl<'a> To<'a> {
    fn read(to: &Members<'a>) -> Result<Self, Problem> {
        let names = to.names();
        let [name] = names.as_slice() else {
            let got = match names.as_slice() {
                [] => "none of them".to_owned(),
                names => names.join(" and "),
            };
            return Err(Problem::field("recipients", "to", KINDS, got));
        };
        let list = |name| to.entries(name, MAX_RECIPIENTS, "recipients");
        Ok(match *name {
            "token" => Self::Token(to.required_text("token")?),
            "tokens" => Self::Tokens(list("tokens")?.unwrap_or_default()),
            "alias" => Self::Alias(to.required_text("alias")?),
            "aliases" => Self::Aliases(list("aliases")?.unwrap_or_default()),
            "tag" => Self::Tag(to.required_text("tag")?),
            "tags" => Self::Tags(WrittenTags::read(&to.object(
                "tags",
                &TAG_FIELDS,
                "to.tags.",
            )?)?),
            _ if to.flag("all", true)? => Self::All,
            _ => return Err(Problem::field("wrong-type", "to.all", "true", "false")),
        })
    }
}

impl<'a> WrittenTags<'a> {
    fn read(tags: &Members<'a>) -> Result<Self, Problem> {
        if tags.names().is_empty() {
            let expected = "one of any, all, none, or {\"all\":true} for every device";
            return Err(Problem::field(
                "recipients",
                "to.tags",
                expected,
                "none of them",
            ));
        }
        let list = |name| tags.entries(name, MAX_SELECTOR_TAGS, "recipients");
        Ok(Self {
            any: list("any")?,
            all: list("all")?,
            none: list("none")?,
        })
    }
}
