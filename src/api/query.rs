//! What the query of a device call asks for.

use super::Problem;
use super::body::{Field, Members, takes, without_mark};
use super::form::{Fields, find_in_query};
use crate::names::quoted;
use crate::notification::Topic;
use crate::registry::{Alias, Cursor, Group, PAGE_MAX, PageLimit, Selection, Tag};

/// Devices of a page if the caller does not say.
const PAGE_DEFAULT: u16 = 100;

const TOPIC_FIELD: &str = "?topic=";

/// The query of a list.
static LIST: [Field; 5] = [
    Field::private("alias", takes::ALIAS),
    Field::open("topic", takes::TOPIC),
    Field::private("tag", takes::TAG),
    Field::open("cursor", "the cursor of the page before"),
    Field::open("limit", "a number such as 100"),
];

/// The body of the calls that also take the topic there.
static BODY: [Field; 1] = [Field::open("topic", takes::TOPIC)];

/// `GET /v1/devices`: which devices, and which page of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceQuery {
    /// Which devices.
    pub selection: Selection,
    /// Where the page before ended.
    pub after: Option<Cursor>,
    /// How many there may be on a page.
    pub limit: PageLimit,
}

/// The query of `GET /v1/devices`: `alias` or `topic` or both, `tag`, `cursor`, `limit`.
///
/// # Errors
/// 400 with the name of the field.
pub fn parse_device_query(query: Option<&str>) -> Result<DeviceQuery, Problem> {
    let fields = Fields::of_query(query, &LIST)?;
    let topic = parsed(&fields, "topic", Topic::parse)?;
    let tag = parsed(&fields, "tag", Tag::parse)?;
    let selection = match (parsed(&fields, "alias", Alias::parse)?, topic, tag) {
        (Some(alias), topic, tag) => Selection::Alias { alias, topic, tag },
        (None, Some(topic), Some(tag)) => Selection::Group(Group::Tag(topic, tag)),
        (None, Some(topic), None) => Selection::Group(Group::Topic(topic)),
        (None, None, _) => {
            let expected = "an alias or a topic, such as ?topic=com.example.app";
            return Err(Problem::field(
                "missing-field",
                TOPIC_FIELD,
                expected,
                "neither",
            ));
        }
    };
    Ok(DeviceQuery {
        selection,
        after: parsed(&fields, "cursor", Cursor::parse)?,
        limit: limit(&fields)?,
    })
}

fn parsed<T>(
    fields: &Fields<'_>,
    name: &'static str,
    parse: impl Fn(&str) -> Result<T, crate::notification::InvalidNotification>,
) -> Result<Option<T>, Problem> {
    let Some((text, field)) = fields.get(name) else {
        return Ok(None);
    };
    let value = parse(text).map_err(|error| Problem::invalid(&error.at(field)))?;
    Ok(Some(value))
}

fn limit(fields: &Fields<'_>) -> Result<PageLimit, Problem> {
    let default = PAGE_DEFAULT.to_string();
    let (text, field) = fields.get("limit").unwrap_or((&default, String::new()));
    let limit = text.parse().ok().and_then(PageLimit::new);
    limit.ok_or_else(|| {
        let expected = format!("a number from 1 to {PAGE_MAX}");
        Problem::field("limit-range", field, expected, quoted(text))
    })
}

/// The `topic` of a query.
///
/// # Errors
/// 400 if it is missing or no topic.
pub fn parse_topic_query(query: Option<&str>) -> Result<Topic, Problem> {
    topic_in_query(query)?.ok_or_else(missing_topic)
}

/// The topic of a call that takes it in the query, or as `{"topic"}` in the body.
///
/// # Errors
/// 400 if it is in neither, in both and not the same, or no topic.
pub fn parse_topic(query: Option<&str>, bytes: &[u8]) -> Result<Topic, Problem> {
    let in_query = topic_in_query(query)?;
    if without_mark(bytes).trim_ascii().is_empty() {
        return in_query.ok_or_else(missing_topic);
    }
    let body = Members::of_body(
        bytes,
        &BODY,
        "an object such as {\"topic\":\"com.example.app\"}",
    )?;
    let text = body.required_text("topic")?;
    let topic = Topic::parse(&text).map_err(|error| Problem::invalid(&error))?;
    if in_query.is_some_and(|other| other != topic) {
        let expected = "the same topic in the query and in the body";
        return Err(Problem::field(
            "topic-twice",
            TOPIC_FIELD,
            expected,
            "two topics",
        ));
    }
    Ok(topic)
}

fn topic_in_query(query: Option<&str>) -> Result<Option<Topic>, Problem> {
    let Some(text) = find_in_query(query, "topic")? else {
        return Ok(None);
    };
    let topic = Topic::parse(&text).map_err(|error| Problem::invalid(&error.at(TOPIC_FIELD)))?;
    Ok(Some(topic))
}

fn missing_topic() -> Problem {
    Problem::field("missing-field", TOPIC_FIELD, takes::TOPIC, "nothing")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::DeviceToken;

    fn topic(text: &str) -> Topic {
        Topic::parse(text).unwrap()
    }

    #[test]
    fn the_topic_of_a_query() {
        let parsed = parse_topic_query(Some("x=1&topic=a.b")).unwrap();
        assert_eq!(parsed, topic("a.b"));
        let escaped = parse_topic_query(Some("topic=com%2Eexample.app")).unwrap();
        assert_eq!(escaped, topic("com.example.app"));
        assert_eq!(parse_topic_query(None).unwrap_err().rule(), "missing-field");
        let empty = parse_topic_query(Some("topic=")).unwrap_err();
        assert_eq!(empty.rule(), "topic-empty");
    }

    #[test]
    fn the_topic_of_a_query_or_a_body() {
        let body = br#"{"topic":"a.b"}"#;
        for (query, bytes) in [
            (Some("topic=a.b"), &b""[..]),
            (Some("topic=a.b"), b" \n"),
            (None, body),
            (Some("topic=a.b"), body),
        ] {
            assert_eq!(parse_topic(query, bytes), Ok(topic("a.b")));
        }
        let rule = |query, bytes: &[u8]| parse_topic(query, bytes).unwrap_err().rule().to_owned();
        assert_eq!(rule(None, b""), "missing-field");
        assert_eq!(rule(None, b"{}"), "missing-field");
        assert_eq!(rule(Some("topic=a.c"), body), "topic-twice");
        assert_eq!(rule(Some("topic=a.b"), b"{"), "json-malformed");
        assert_eq!(rule(None, br#"{"topic":"a b"}"#), "topic-character");
    }

    #[test]
    fn what_is_to_be_listed() {
        let parse = |query| parse_device_query(Some(query)).unwrap();
        let all = parse("topic=a.b");
        assert_eq!(all.selection, Selection::Group(Group::Topic(topic("a.b"))));
        assert_eq!((all.after, all.limit.get()), (None, 100));
        let tagged = parse("topic=a.b&tag=a+%26+b&limit=1000").selection;
        let tag = Tag::parse("a & b").unwrap();
        assert_eq!(
            tagged,
            Selection::Group(Group::Tag(topic("a.b"), tag.clone()))
        );
        let cursor = Cursor::of(&DeviceToken::from_bytes(&[7]).unwrap());
        let page = parse(&format!(
            "alias=anna%40example.com&tag=a%20%26%20b&cursor={cursor}"
        ));
        let selection = Selection::Alias {
            alias: Alias::parse("anna@example.com").unwrap(),
            topic: None,
            tag: Some(tag),
        };
        assert_eq!((page.selection, page.after), (selection, Some(cursor)));
    }

    #[test]
    fn what_cannot_be_listed() {
        let problem = |query| {
            let problem = parse_device_query(query).unwrap_err();
            let rule = problem.rule().to_owned();
            let reply: serde_json::Value =
                serde_json::from_slice(&problem.into_reply().body).unwrap();
            format!("{} {rule}", reply["field"].as_str().unwrap())
        };
        assert_eq!(problem(None), "?topic= missing-field");
        assert_eq!(problem(Some("tag=x")), "?topic= missing-field");
        assert_eq!(problem(Some("topic=a.b&limit=0")), "?limit= limit-range");
        assert_eq!(problem(Some("topic=a.b&limit=1001")), "?limit= limit-range");
        assert_eq!(problem(Some("topic=a.b&limit=-1")), "?limit= limit-range");
        assert_eq!(
            problem(Some("topic=a.b&cursor=x")),
            "?cursor= cursor-malformed"
        );
        assert_eq!(problem(Some("topic=a.b&tags=x")), "?tags= unknown-field");
        assert_eq!(problem(Some("topic=a%20b")), "?topic= topic-character");
        assert_eq!(problem(Some("alias=%01")), "?alias= alias-character");
    }
}
