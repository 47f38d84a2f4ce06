//! A query or a form (`application/x-www-form-urlencoded`) becomes named values.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Problem;

/// What a decoder of text puts where the octets are no UTF-8.
const REPLACEMENT: char = '\u{fffd}';

/// The values of a query or a form by their names, which are some of those expected, each once.
/// Those that were left empty are not among them.
pub(super) struct Fields<'a> {
    values: BTreeMap<&'static str, Cow<'a, str>>,
    shown: fn(&str) -> String,
}

impl<'a> Fields<'a> {
    /// Of a form: the body of a request.
    ///
    /// # Errors
    /// 400 `unknown-field`, `field-twice`, `not-utf8`.
    pub(super) fn of_form(bytes: &'a [u8], known: &[&'static str]) -> Result<Self, Problem> {
        Self::read(bytes, known, str::to_owned)
    }

    /// Of the query of a URL, without its question mark.
    ///
    /// # Errors
    /// As [`Self::of_form`].
    pub(super) fn of_query(
        query: Option<&'a str>,
        known: &[&'static str],
    ) -> Result<Self, Problem> {
        let bytes = query.unwrap_or_default().as_bytes();
        Self::read(bytes, known, shown_in_query)
    }

    fn read(
        bytes: &'a [u8],
        known: &[&'static str],
        shown: fn(&str) -> String,
    ) -> Result<Self, Problem> {
        let mut values = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(bytes) {
            let Some(name) = known.iter().find(|known| **known == name) else {
                let names: Vec<_> = known.iter().map(|name| shown(name)).collect();
                let expected = format!("one of {}", names.join(", "));
                // The name is not repeated: in a form without `=` it is a value, perhaps a token.
                let field = shown("");
                return Err(Problem::field("unknown-field", field, expected, "another"));
            };
            check_utf8(&value, shown(name))?;
            if values.insert(*name, value).is_some() {
                let field = shown(name);
                return Err(Problem::field("field-twice", field, "one of it", "several"));
            }
        }
        values.retain(|_, value| !value.is_empty());
        Ok(Self { values, shown })
    }

    /// A value, with the name by which a problem calls it.
    pub(super) fn get(&self, name: &'static str) -> Option<(&str, String)> {
        let value = self.values.get(name)?;
        Some((value, (self.shown)(name)))
    }

    /// A value that has to be there.
    ///
    /// # Errors
    /// 400 `missing-field`.
    pub(super) fn require(&self, name: &'static str) -> Result<(&str, String), Problem> {
        let missing = || Problem::field("missing-field", (self.shown)(name), "a value", "none");
        self.get(name).ok_or_else(missing)
    }
}

/// The first value of a name in a query that may have others.
///
/// # Errors
/// 400 `not-utf8`.
pub(super) fn find_in_query<'a>(
    query: Option<&'a str>,
    name: &str,
) -> Result<Option<Cow<'a, str>>, Problem> {
    let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let Some((_, value)) = pairs.find(|(found, _)| found == name) else {
        return Ok(None);
    };
    check_utf8(&value, shown_in_query(name))?;
    Ok(Some(value))
}

fn shown_in_query(name: &str) -> String {
    format!("?{name}=")
}

/// Two names in another encoding must not become one and the same alias.
fn check_utf8(value: &str, field: String) -> Result<(), Problem> {
    if value.contains(REPLACEMENT) {
        return Err(Problem::field("not-utf8", field, "UTF-8", "something else"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["alias", "tags"];

    fn rule(query: &str) -> String {
        Fields::of_query(Some(query), KNOWN)
            .err()
            .unwrap()
            .rule()
            .to_owned()
    }

    #[test]
    fn escapes_are_undone() {
        let fields = Fields::of_form(b"alias=M%C3%BCller+%26+S%2b&tags=", KNOWN).unwrap();
        assert_eq!(fields.get("alias").unwrap().0, "Müller & S+");
        assert!(fields.get("tags").is_none(), "empty is not said");
        let none = Fields::of_query(None, KNOWN).unwrap();
        assert_eq!(none.require("alias").unwrap_err().rule(), "missing-field");
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
    fn what_is_not_expected_is_named_by_what_is() {
        assert_eq!(rule("alias=a&alias=b"), "field-twice");
        assert_eq!(rule("a1b2c3"), "unknown-field");
        let problem = Fields::of_form(b"a1b2c3", KNOWN).err().unwrap();
        let body = String::from_utf8(problem.into_reply().body).unwrap();
        assert!(
            body.contains("one of alias, tags") && !body.contains("a1b2"),
            "{body}"
        );
    }

    #[test]
    fn the_first_of_a_name_is_found() {
        let query = Some("x=1&topic=a.b&topic=c.d&y");
        assert_eq!(
            find_in_query(query, "topic").unwrap().as_deref(),
            Some("a.b")
        );
        assert_eq!(find_in_query(query, "z").unwrap(), None);
    }
}
