//! A query or a form (`application/x-www-form-urlencoded`) becomes named values.

use std::borrow::Cow;

use super::Problem;
use super::body::{self, Field};
use crate::environment::Environment;

/// What a decoder of text puts where the octets are no UTF-8.
const REPLACEMENT: char = '\u{fffd}';

/// The values of a query or a form by their names, which are some of those expected, each once.
/// Those that were left empty are not among them.
pub(super) struct Fields<'a> {
    /// As many as there are known names at most.
    values: Vec<(&'static str, Cow<'a, str>)>,
    known: &'static [Field],
    shown: fn(&str) -> String,
}

impl<'a> Fields<'a> {
    /// Of a form: the body of a request.
    ///
    /// # Errors
    /// 400 `unknown-field`, `field-twice`, `not-utf8`.
    pub(super) fn of_form(bytes: &'a [u8], known: &'static [Field]) -> Result<Self, Problem> {
        Self::read(bytes, known, str::to_owned)
    }

    /// Of the query of a URL, without its question mark.
    ///
    /// # Errors
    /// As [`Self::of_form`].
    pub(super) fn of_query(
        query: Option<&'a str>,
        known: &'static [Field],
    ) -> Result<Self, Problem> {
        let bytes = query.unwrap_or_default().as_bytes();
        Self::read(bytes, known, shown_in_query)
    }

    fn read(
        bytes: &'a [u8],
        known: &'static [Field],
        shown: fn(&str) -> String,
    ) -> Result<Self, Problem> {
        let mut values: Vec<(&'static str, Cow<'a, str>)> = Vec::new();
        for part in bytes.split(|byte| *byte == b'&') {
            let Some((name, value)) = form_urlencoded::parse(part).next() else {
                continue;
            };
            let Some(field) = known.iter().find(|field| field.name == name) else {
                return Err(unknown(part, &name, known, shown));
            };
            check_utf8(&value, shown(field.name))?;
            if values.iter().any(|(name, _)| *name == field.name) {
                return Err(body::twice(shown(field.name)));
            }
            values.push((field.name, value));
        }
        values.retain(|(_, value)| !value.is_empty());
        Ok(Self {
            values,
            known,
            shown,
        })
    }

    /// A value, with the name by which a problem calls it.
    pub(super) fn get(&self, name: &'static str) -> Option<(&str, String)> {
        let (_, value) = self.values.iter().find(|(known, _)| *known == name)?;
        Some((value, (self.shown)(name)))
    }

    /// A value that has to be there.
    ///
    /// # Errors
    /// 400 `missing-field`.
    pub(super) fn require(&self, name: &'static str) -> Result<(&str, String), Problem> {
        self.get(name).ok_or_else(|| {
            let field = self.known.iter().find(|field| field.name == name);
            let takes = field.map_or("a value", |field| field.takes);
            Problem::field("missing-field", (self.shown)(name), takes, "nothing")
        })
    }

    /// The value of `environment`, in the words of JSON.
    ///
    /// # Errors
    /// 400 `wrong-type`.
    pub(super) fn environment(&self) -> Result<Option<Environment>, Problem> {
        let Some((text, place)) = self.get("environment") else {
            return Ok(None);
        };
        let wrong = || body::no_such_word(place, &Environment::WORDS, text);
        Environment::parse(text).ok_or_else(wrong).map(Some)
    }
}

/// A part of a query or a form whose name is none of the known ones.
fn unknown(part: &[u8], name: &str, known: &[Field], shown: fn(&str) -> String) -> Problem {
    let whole = if shown("").is_empty() { "body" } else { "?" };
    if part.contains(&b'=') {
        return body::unknown(name, known, shown(name), whole);
    }
    // Without `=` it is a value, perhaps a token, and not repeated.
    let names: Vec<_> = known.iter().map(|field| field.name).collect();
    let expected = format!("name=value with one of {}", names.join(", "));
    Problem::field("unknown-field", whole, expected, "a part without a name")
}

/// The value of a name in a query that may have others.
///
/// # Errors
/// 400 `not-utf8`; `field-twice`, because which of two counts would be a matter of taste.
pub(super) fn find_in_query<'a>(
    query: Option<&'a str>,
    name: &str,
) -> Result<Option<Cow<'a, str>>, Problem> {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut values = pairs.filter(|(found, _)| found == name);
    let Some((_, value)) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(body::twice(shown_in_query(name)));
    }
    check_utf8(&value, shown_in_query(name))?;
    Ok(Some(value))
}

fn shown_in_query(name: &str) -> String {
    format!("?{name}=")
}

/// Two names in another encoding must not become one and the same alias.
fn check_utf8(value: &str, field: String) -> Result<(), Problem> {
    if value.contains(REPLACEMENT) {
        let got = "bytes that are no UTF-8";
        return Err(Problem::field(
            "not-utf8",
            field,
            "UTF-8, percent-encoded",
            got,
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    static KNOWN: [Field; 3] = [
        Field::private("alias", "a string such as \"anna\""),
        Field::private("tags", "tags"),
        Field::open("environment", "development, sandbox or production"),
    ];

    fn problem(read: Result<Fields<'_>, Problem>) -> (String, serde_json::Value) {
        let problem = read.err().unwrap();
        let rule = problem.rule().to_owned();
        (
            rule,
            serde_json::from_slice(&problem.into_reply().body).unwrap(),
        )
    }

    fn rule(query: &str) -> String {
        problem(Fields::of_query(Some(query), &KNOWN)).0
    }

    #[test]
    fn escapes_are_undone() {
        let fields = Fields::of_form(b"alias=M%C3%BCller+%26+S%2b&tags=", &KNOWN).unwrap();
        assert_eq!(fields.get("alias").unwrap().0, "Müller & S+");
        assert!(fields.get("tags").is_none(), "empty is not said");
        let none = Fields::of_query(None, &KNOWN).unwrap();
        let missing = none.require("alias").unwrap_err().into_reply();
        let missing: serde_json::Value = serde_json::from_slice(&missing.body).unwrap();
        assert_eq!(missing["field"], "?alias=");
        assert_eq!(missing["expected"], "a string such as \"anna\"");
    }

    #[test]
    fn another_encoding_is_refused() {
        assert_eq!(rule("alias=M%FCller"), "not-utf8");
        assert_eq!(
            find_in_query(Some("topic=%FF"), "topic")
                .unwrap_err()
                .rule(),
            "not-utf8"
        );
    }

    #[test]
    fn what_is_not_expected_is_named_with_what_is() {
        let query = |text| problem(Fields::of_query(Some(text), &KNOWN)).1;
        let form = |text: &'static str| problem(Fields::of_form(text.as_bytes(), &KNOWN)).1;
        for (problem, field, expected) in [
            (
                query("alais=a"),
                "?alais=",
                "a known name (did you mean `alias`?)",
            ),
            (form("tag=a"), "tag", "a known name (did you mean `tags`?)"),
            (query("x=a"), "?x=", "one of alias, tags, environment"),
            (form("=a"), "body", "one of alias, tags, environment"),
            (
                form("a1b2c3"),
                "body",
                "name=value with one of alias, tags, environment",
            ),
            (
                query("a1b2c3"),
                "?",
                "name=value with one of alias, tags, environment",
            ),
        ] {
            assert_eq!(
                (&problem["field"], &problem["expected"]),
                (&field.into(), &expected.into())
            );
            assert_eq!(problem["type"], "urn:dunlin:unknown-field");
            assert!(!problem.to_string().contains("a1b2"), "{problem}");
        }
    }

    #[test]
    fn an_environment_is_one_of_the_words_of_json() {
        let of = |text| Fields::of_form(text, &KNOWN).unwrap().environment();
        assert_eq!(
            of(b"environment=sandbox"),
            Ok(Some(Environment::Development))
        );
        assert_eq!(of(b"environment="), Ok(None));
        let reply = of(b"environment=prod").unwrap_err().into_reply();
        let problem: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(
            (&problem["field"], &problem["got"]),
            (&"environment".into(), &"\"prod\" (a string)".into())
        );
        assert!(
            problem["expected"]
                .as_str()
                .unwrap()
                .contains("did you mean `production`")
        );
    }

    #[test]
    fn a_name_that_stands_twice_is_refused_and_named() {
        for (problem, field) in [
            (
                problem(Fields::of_query(Some("alias=a&alias=b"), &KNOWN)),
                "?alias=",
            ),
            (
                problem(Fields::of_form(b"tags=a&alias=&tags=a", &KNOWN)),
                "tags",
            ),
        ] {
            assert_eq!(
                (problem.0.as_str(), &problem.1["field"]),
                ("field-twice", &field.into())
            );
        }
        let query = Some("x=1&topic=a.b&y&x=2");
        assert_eq!(
            find_in_query(query, "topic").unwrap().as_deref(),
            Some("a.b")
        );
        assert_eq!(find_in_query(query, "z").unwrap(), None);
        let reply = find_in_query(query, "x").unwrap_err().into_reply();
        let problem: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(problem["detail"], "?x=: expected it once, got it again");
        let escaped = find_in_query(Some("topic=a&top%69c=b"), "topic").unwrap_err();
        assert_eq!(escaped.rule(), "field-twice");
    }
}
