//! Who is calling: a bearer key against the hashes in the configuration (RFC 6750, section 2.1).

use sha2::{Digest, Sha256};

use super::{Problem, Route};
use crate::config::{ApiKey, Scope, Settings};
use crate::notification::Topic;

/// Longest API key that is looked at, in bytes.
const KEY_MAX_BYTES: usize = 512;

/// A caller who has shown a known key.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a>(&'a ApiKey);

/// Other schemes that a problem names when it finds them. Any other word may be part of a key.
const SCHEMES: [&str; 8] = [
    "Basic",
    "Digest",
    "Token",
    "ApiKey",
    "Key",
    "JWT",
    "OAuth",
    "Negotiate",
];

/// Finds the caller by the values of `Authorization`, one for each time that the header is there.
///
/// # Errors
/// 401 if it is missing or there twice, is no bearer key, or is one nobody knows.
pub fn authenticate<'a>(
    settings: &'a Settings,
    authorization: &[impl AsRef<[u8]>],
) -> Result<Caller<'a>, Problem> {
    let value = match authorization {
        [value] => value.as_ref(),
        [] => return Err(Problem::unauthorized("nothing")),
        // Which of them counts would depend on who reads them.
        several => return Err(Problem::unauthorized(format!("{} of it", several.len()))),
    };
    let hash: [u8; 32] = Sha256::digest(bearer(value)?).into();
    settings
        .api_key(&hash)
        .map(Caller)
        .ok_or_else(|| Problem::unauthorized("an unknown key"))
}

/// Whether a call is to be looked at further, by what stands in its head: the caller is known, and
/// the key is good for the call. It is asked before the body is read, by whoever reads it.
///
/// # Errors
/// 401 as [`authenticate`] has it, and 403 if the key has not the scope of the call.
pub fn admit<'a>(
    settings: &'a Settings,
    route: &Route,
    authorization: &[impl AsRef<[u8]>],
) -> Result<Caller<'a>, Problem> {
    let caller = authenticate(settings, authorization)?;
    if let Some(scope) = route.scope() {
        caller.require(scope)?;
    }
    Ok(caller)
}

/// The key in a value, or the problem that says what is there in its place, without repeating it.
fn bearer(value: &[u8]) -> Result<&[u8], Problem> {
    let value = value.trim_ascii();
    let end = value.iter().position(u8::is_ascii_whitespace);
    let (scheme, key) = value
        .split_at_checked(end.unwrap_or(value.len()))
        .unwrap_or_default();
    let (key, is) = (key.trim_ascii(), |name: &str| {
        scheme.eq_ignore_ascii_case(name.as_bytes())
    });
    // The scheme is case-insensitive (RFC 9110, section 11.1).
    if is("Bearer") {
        return match key.len() {
            1..=KEY_MAX_BYTES => Ok(key),
            0 => Err(Problem::unauthorized("Bearer without a key")),
            length => Err(Problem::unauthorized(format!("a key of {length} bytes"))),
        };
    }
    let other = SCHEMES.iter().find(|name| is(name));
    Err(match (other, key) {
        _ if value.is_empty() => Problem::unauthorized("an empty value"),
        (Some(name), _) => Problem::unauthorized(format!("the scheme {name}")),
        (None, []) => Problem::unauthorized("a value without Bearer before it"),
        (None, _) => Problem::unauthorized("another scheme"),
    })
}

impl<'a> Caller<'a> {
    /// Whoever started the function, who may do everything.
    pub fn operator(settings: &'a Settings) -> Self {
        Self(settings.operator())
    }
}

impl Caller<'_> {
    /// Checks that the caller may do this kind of thing.
    ///
    /// # Errors
    /// 403.
    pub fn require(self, scope: Scope) -> Result<(), Problem> {
        if self.0.allows(scope) {
            return Ok(());
        }
        Err(Problem::scope_missing(match scope {
            Scope::Send => "send",
            Scope::Devices => "devices",
            Scope::Admin => "admin",
        }))
    }

    /// Checks that the caller may do it for this topic.
    ///
    /// # Errors
    /// 403.
    pub fn require_topic(self, topic: &Topic) -> Result<(), Problem> {
        if self.0.covers(topic) {
            Ok(())
        } else {
            Err(Problem::topic_not_allowed())
        }
    }

    /// What the configuration calls them.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether the caller is bound to topics.
    pub fn is_bound(self) -> bool {
        self.0.is_bound()
    }

    /// Whether the caller may do it for this topic.
    pub fn covers(self, topic: &Topic) -> bool {
        self.0.covers(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let hash = hex::encode(Sha256::digest(b"secret"));
        let text = format!(
            "[[api_keys]]\nname = \"a\"\nsha256 = \"{hash}\"\nscopes = [\"send\"]\n\
             topics = [\"com.example.app\"]"
        );
        Settings::parse(&text).unwrap()
    }

    fn asked<'a>(settings: &'a Settings, values: &[&str]) -> Result<Caller<'a>, Problem> {
        let values: Vec<_> = values
            .iter()
            .map(|value| value.as_bytes().to_vec())
            .collect();
        authenticate(settings, &values)
    }

    #[test]
    fn only_a_known_key_gets_in() {
        let settings = settings();
        for right in [
            "Bearer secret",
            "bearer  secret ",
            "BEARER\tsecret",
            " Bearer secret",
        ] {
            assert!(asked(&settings, &[right]).is_ok(), "{right}");
        }
        let long = format!("Bearer {}", "x".repeat(513));
        for (wrong, got) in [
            (&["Bearer secre"][..], "an unknown key"),
            (&["Bearer secret x"], "an unknown key"),
            (&["Bearer "], "Bearer without a key"),
            (&["Bearer"], "Bearer without a key"),
            (&["basic c2VjcmV0"], "the scheme Basic"),
            (&["Token secret"], "the scheme Token"),
            (&["secret"], "a value without Bearer before it"),
            (&["my secret"], "another scheme"),
            (&["Bearer: secret"], "another scheme"),
            (&[""], "an empty value"),
            (&["  "], "an empty value"),
            (&[&long], "a key of 513 bytes"),
            (&["Bearer secret", "Bearer secret"], "2 of it"),
            (&["Basic x", "Bearer secret"], "2 of it"),
            (&[], "nothing"),
        ] {
            let reply = asked(&settings, wrong).unwrap_err().into_reply();
            assert_eq!(reply.status, 401, "{wrong:?}");
            assert_eq!(reply.headers.first().unwrap().0, "www-authenticate");
            let problem: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
            assert_eq!(
                (&problem["got"], &problem["field"]),
                (&got.into(), &"authorization".into())
            );
            let text = problem.to_string();
            assert!(!text.contains("secret") && !text.contains("c2Vj"), "{text}");
            assert!(text.contains("expected Bearer and an API key"), "{text}");
        }
    }

    #[test]
    fn a_key_is_looked_at_for_the_call_before_anything_else_of_it() {
        let settings = settings();
        let admitted = |method: &str, path: &str, key: Option<&[u8]>| {
            let key: Vec<_> = key.into_iter().collect();
            let route = Route::parse(method, path).unwrap();
            let admitted = admit(&settings, &route, &key);
            admitted.map(|_| ()).map_err(|problem| problem.status())
        };
        let key = Some(&b"Bearer secret"[..]);
        assert_eq!(admitted("POST", "/v1/push", key), Ok(()));
        assert_eq!(admitted("GET", "/v1/receipts/a", key), Ok(()));
        for (method, path) in [
            ("PUT", "/v1/devices/a1"),
            ("GET", "/v1/devices"),
            ("POST", "/v1/tasks/sweep"),
            ("GET", "/v1/channels"),
        ] {
            assert_eq!(admitted(method, path, key), Err(403), "{method} {path}");
            assert_eq!(admitted(method, path, None), Err(401), "{method} {path}");
        }
        assert_eq!(admitted("POST", "/v1/push", Some(b"Bearer x")), Err(401));
    }

    #[test]
    fn scope_and_topic_are_required() {
        let settings = settings();
        let caller = asked(&settings, &["Bearer secret"]).unwrap();
        assert!(caller.require(Scope::Send).is_ok());
        assert_eq!(
            caller.require(Scope::Devices).unwrap_err().rule(),
            "scope-missing"
        );
        assert!(
            caller
                .require_topic(&Topic::parse("com.example.app.voip").unwrap())
                .is_ok()
        );
        let other = Topic::parse("org.other").unwrap();
        assert_eq!(
            caller.require_topic(&other).unwrap_err().rule(),
            "topic-not-allowed"
        );
    }
}
