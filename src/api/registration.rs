//! Bodies of the calls that register a device: JSON, and the form that existing iOS code posts.

mod line;

use std::borrow::Cow;

use super::body::{Field, Members, takes, without_mark};
use super::form::Fields;
use super::lines::REFERENCE;
use super::{BodyKind, Problem};
use crate::notification::{DeviceToken, InvalidNotification, Topic};
use crate::registry::{Alias, MAX_TAGS, Registration, Tag};

pub use line::{RegistrationCounts, read_registration_line, registration_defaults};

/// What `stringWithFormat:` makes of a token that the app does not have.
const NIL: &str = "(null)";

/// The body of `PUT`, and of `POST`.
const BODY: &str = "an object such as {\"topic\":\"com.example.app\",\"alias\":\"anna\"}";
const POSTED: &str =
    "an object such as {\"token\":\"740f4707bebcf74f…\",\"topic\":\"com.example.app\"}";

const TAGS: &str = "an array of strings such as [\"news\",\"sport\"]";

/// The last one is of lines alone.
static LINE_FIELDS: [Field; 7] = [
    Field::private("token", takes::TOKEN),
    Field::open("topic", takes::TOPIC),
    Field::open("environment", takes::ENVIRONMENT),
    Field::private("alias", takes::ALIAS),
    Field::private("tags", TAGS),
    Field::private("replaces", takes::TOKEN),
    REFERENCE,
];

static FORM: [Field; 6] = [
    Field::private("oldToken", takes::TOKEN),
    Field::private("newToken", takes::TOKEN),
    Field::open("topic", takes::TOPIC),
    Field::private("alias", takes::ALIAS),
    Field::open("environment", takes::ENVIRONMENT),
    Field::private("tags", "tags such as news,sport"),
];

/// Those of a body.
fn fields() -> &'static [Field] {
    LINE_FIELDS.split_last().map_or(&[], |(_, fields)| fields)
}

/// The body of `PUT /v1/devices/{token}`.
///
/// # Errors
/// 400 with the path of the field.
pub fn parse_registration(token: DeviceToken, bytes: &[u8]) -> Result<Registration, Problem> {
    let body = Members::of_body(bytes, fields(), BODY)?;
    if body.text("token")?.is_some() {
        let expected = "the token in the path alone";
        return Err(Problem::field(
            "unknown-field",
            "token",
            expected,
            "another",
        ));
    }
    registration(&body, token)
}

/// The body of `POST /v1/devices`: JSON with a `token`, or a form with `newToken`, perhaps
/// `oldToken`, `topic`, `alias`, `environment` and `tags`, which are separated by commas. What a
/// form leaves empty it does not say.
///
/// A body that begins with a bracket is JSON whatever it is called: curl calls everything a form.
///
/// # Errors
/// 400 with the path of the field.
pub fn parse_posted_registration(kind: BodyKind, bytes: &[u8]) -> Result<Registration, Problem> {
    let content = without_mark(bytes);
    let is_json = matches!(content.trim_ascii_start(), [b'{' | b'[', ..]);
    if kind == BodyKind::Form && !is_json {
        return parse_form(content);
    }
    posted(&Members::of_body(bytes, fields(), POSTED)?)
}

/// What a body says that has the token, too.
fn posted(body: &Members<'_>) -> Result<Registration, Problem> {
    let token = parse_token(&body.required_text("token")?, "token")?;
    registration(body, token)
}

fn parse_form(bytes: &[u8]) -> Result<Registration, Problem> {
    let fields = Fields::of_form(bytes, &FORM)?;
    let (token, field) = fields.require("newToken")?;
    let token = parse_token(token, field)?;
    let old = fields.get("oldToken").filter(|(text, _)| *text != NIL);
    let replaces = old
        .map(|(text, field)| parse_token(text, field))
        .transpose()?;
    let (topic, _) = fields.require("topic")?;
    let alias = fields.get("alias").map(|(text, _)| Alias::parse(text));
    let tags = fields.get("tags").map(|(text, _)| {
        let texts: Vec<_> = text
            .split(',')
            .map(|tag| Cow::Borrowed(tag.trim()))
            .collect();
        parse_tags(&texts)
    });
    Ok(Registration {
        topic: Topic::parse(topic).map_err(invalid)?,
        token,
        environment: fields.environment()?,
        alias: alias.transpose().map_err(invalid)?,
        tags: tags.transpose()?,
        replaces,
    })
}

/// What both bodies say of the device with this token.
fn registration(body: &Members<'_>, token: DeviceToken) -> Result<Registration, Problem> {
    let alias = body.text("alias")?.as_deref().map(Alias::parse).transpose();
    let tags = body.texts("tags", MAX_TAGS, TOO_MANY_TAGS)?;
    let replaces = body.text("replaces")?;
    let replaces = replaces.map(|text| parse_token(&text, "replaces"));
    Ok(Registration {
        topic: Topic::parse(&body.required_text("topic")?).map_err(invalid)?,
        token,
        environment: body.environment()?,
        alias: alias.map_err(invalid)?,
        tags: tags.as_deref().map(parse_tags).transpose()?,
        replaces: replaces.transpose()?,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err wants")]
fn invalid(error: InvalidNotification) -> Problem {
    Problem::invalid(&error)
}

fn parse_token(text: &str, field: impl Into<Cow<'static, str>>) -> Result<DeviceToken, Problem> {
    DeviceToken::parse(text).map_err(|error| Problem::invalid(&error.at(field)))
}

const TOO_MANY_TAGS: &str = "too-many-tags";

fn parse_tags(texts: &[Cow<'_, str>]) -> Result<Vec<Tag>, Problem> {
    if texts.len() > MAX_TAGS {
        let (expected, got) = (
            format!("at most {MAX_TAGS} of them"),
            texts.len().to_string(),
        );
        return Err(Problem::field(TOO_MANY_TAGS, "tags", expected, got));
    }
    let parse = |(index, text): (usize, &Cow<'_, str>)| {
        Tag::parse(text).map_err(|error| Problem::invalid(&error.at(format!("tags[{index}]"))))
    };
    texts.iter().enumerate().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;

    fn token(hex: &str) -> DeviceToken {
        DeviceToken::parse_hex(hex).unwrap()
    }

    fn post(body: &str) -> Result<Registration, Problem> {
        parse_posted_registration(BodyKind::Form, body.as_bytes())
    }

    fn rule(result: Result<Registration, Problem>) -> String {
        result.unwrap_err().rule().to_owned()
    }

    #[test]
    fn json_says_everything() {
        let body = r#"{"topic":"com.example.app","environment":"sandbox","alias":"anna",
                       "tags":["news"],"replaces":"<0011 22>""#;
        let put = parse_registration(token("a1"), format!("{body}}}").as_bytes()).unwrap();
        assert_eq!(put.environment, Some(Environment::Development));
        assert_eq!(put.alias, Some(Alias::parse("anna").unwrap()));
        assert_eq!(put.replaces, Some(token("001122")));
        let posted = format!(r#" {body},"token":"A1"}}"#);
        for kind in [BodyKind::Form, BodyKind::Json] {
            let posted = parse_posted_registration(kind, posted.as_bytes());
            assert_eq!(posted.unwrap(), put);
        }
    }

    #[test]
    fn wrong_fields_are_named() {
        let put = |body: &str| rule(parse_registration(token("a1"), body.as_bytes()));
        assert_eq!(put(r#"{}"#), "missing-field");
        assert_eq!(put(r#"{"topic":""}"#), "topic-empty");
        assert_eq!(put(r#"{"topic":"a.b","alias":""}"#), "alias-empty");
        assert_eq!(put(r#"{"topic":"a.b","tags":[""]}"#), "tag-length");
        assert_eq!(
            put(r#"{"topic":"a.b","environment":"staging"}"#),
            "wrong-type"
        );
        assert_eq!(put(r#"{"topic":"a.b","token":"a1"}"#), "unknown-field");
        assert_eq!(put(r#"{"topic":"a.b","replaces":"x"}"#), "token-not-hex");
        let many = format!(r#"{{"topic":"a.b","tags":{:?}}}"#, vec!["t"; 65]);
        assert_eq!(put(&many), "too-many-tags");
        assert_eq!(rule(post(r#"{"topic":"a.b"}"#)), "missing-field");
        assert_eq!(
            rule(parse_posted_registration(
                BodyKind::Json,
                b"newToken=a1&topic=a.b"
            )),
            "json-malformed"
        );
    }

    #[test]
    fn the_form_of_existing_apps_is_read() {
        let registration = post(
            "oldToken=%3C0011%2022%3E&newToken=<0011+33>&topic=com.example.app\
             &alias=Anna+M%C3%BCller&environment=production&tags=news,+sport",
        )
        .unwrap();
        assert_eq!(registration.token, token("001133"));
        assert_eq!(registration.replaces, Some(token("001122")));
        let alias = Alias::parse("Anna Müller").unwrap();
        assert_eq!(registration.alias, Some(alias));
        assert_eq!(registration.environment, Some(Environment::Production));
        let tags = ["news", "sport"].map(|tag| Tag::parse(tag).unwrap());
        assert_eq!(registration.tags, Some(tags.to_vec()));
    }

    #[test]
    fn what_a_form_leaves_empty_it_does_not_say() {
        for old in [
            "",
            "oldToken=&alias=&tags=&",
            "oldToken=(null)&",
            "oldToken=%28null%29&",
        ] {
            let registration = post(&format!("{old}newToken=a1&topic=a.b")).unwrap();
            let expected = Registration {
                topic: Topic::parse("a.b").unwrap(),
                token: token("a1"),
                environment: None,
                alias: None,
                tags: None,
                replaces: None,
            };
            assert_eq!(registration, expected);
        }
    }

    #[test]
    fn what_is_wrong_in_a_form_is_named() {
        assert_eq!(rule(post("newToken=a1&topic=a.b&topic=a.b")), "field-twice");
        assert_eq!(rule(post("")), "missing-field");
        assert_eq!(rule(post("newToken=a1")), "missing-field");
        assert_eq!(rule(post("newToken=(null)&topic=a.b")), "token-not-hex");
        assert_eq!(
            rule(post("newToken=a1&topic=a.b&token=a1")),
            "unknown-field"
        );
        assert_eq!(
            rule(post("newToken=a1&newToken=a2&topic=a.b")),
            "field-twice"
        );
        assert_eq!(
            rule(post("newToken=a1&topic=a.b&environment=x")),
            "wrong-type"
        );
        assert_eq!(rule(post("newToken=a1&topic=a.b&tags=a,,b")), "tag-length");
        assert_eq!(rule(post("newToken=a1&topic=a.b&alias=%FC")), "not-utf8");
        let problem = post("newToken=a1&oldToken=a1b2c3x&topic=a.b").unwrap_err();
        let body = String::from_utf8(problem.into_reply().body).unwrap();
        assert!(
            body.contains("oldToken") && !body.contains("a1b2"),
            "{body}"
        );
    }
}
