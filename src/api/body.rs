//! A JSON body becomes a value of a type, or a problem that names the field.

use serde::Deserialize;

use super::Problem;

/// Deserialises `body`; the path of a wrong field ends up in the problem.
///
/// The message of the JSON library is passed on without the value it quotes: a value may be a
/// device token.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        problem(&path, error.inner())
    })?;
    json.end().map_err(|error| problem(".", &error))?;
    Ok(value)
}

fn problem(path: &str, error: &serde_json::Error) -> Problem {
    if !error.is_data() {
        let (line, column) = (error.line(), error.column());
        let got = format!("something else at line {line}, column {column}");
        return Problem::field("json-malformed", "body", "valid JSON", got);
    }
    let message = error.to_string();
    let path = if path == "." { "body" } else { path };
    if let Some(name) = quoted(&message, "unknown field `") {
        let expected = after(&message, "expected ").unwrap_or("no such field");
        let rule = "unknown-field";
        return Problem::field(rule, path, without_place(expected), format!("{name:?}"));
    }
    if let Some(name) = quoted(&message, "missing field `") {
        return Problem::field("missing-field", path, format!("the field {name:?}"), "none");
    }
    let expected = after(&message, "expected ").unwrap_or("another value");
    Problem::field("wrong-type", path, without_place(expected), "another value")
}

/// The name between backquotes after `lead`, cut to what is worth showing.
fn quoted(message: &str, lead: &str) -> Option<String> {
    let rest = message.strip_prefix(lead)?;
    Some(rest.split('`').next()?.chars().take(64).collect())
}

fn after<'a>(message: &'a str, word: &str) -> Option<&'a str> {
    Some(message.split_at(message.rfind(word)? + word.len()).1)
}

/// Without the ` at line 1 column 2` that serde_json adds.
fn without_place(message: &str) -> &str {
    message
        .rfind(" at line ")
        .map_or(message, |end| message.split_at(end).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only parsed")]
        number: u8,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only parsed")]
        list: Vec<Inner>,
    }

    fn detail(body: &str) -> String {
        let reply = parse::<Outer>(body.as_bytes()).unwrap_err().into_reply();
        let document: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        format!(
            "{} {}",
            document["type"].as_str().unwrap(),
            document["detail"].as_str().unwrap()
        )
    }

    #[test]
    fn problems_name_the_path() {
        assert!(parse::<Outer>(br#"{"list":[{"number":1}]}"#).is_ok());
        let wrong = detail(r#"{"list":[{"number":1},{"number":"a1b2c3"}]}"#);
        assert_eq!(
            wrong,
            "urn:dunlin:wrong-type list[1].number: expected u8, got another value"
        );
        let missing = detail(r#"{"list":[{}]}"#);
        assert!(missing.contains("missing-field list[0]: expected the field \"number\""));
        let unknown = detail(r#"{"liste":[]}"#);
        assert!(
            unknown.contains("unknown-field") && unknown.contains("\"liste\""),
            "{unknown}"
        );
    }

    #[test]
    fn what_is_not_json_is_said_so_with_its_place() {
        assert!(detail("{").contains("json-malformed body: expected valid JSON"));
        assert!(detail(r#"{"list":[]} x"#).contains("line 1, column 13"));
        assert!(detail("").contains("json-malformed"));
        assert!(parse::<Outer>(b"\xff").is_err());
    }
}
