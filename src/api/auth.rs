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

/// Finds the caller by the value of `Authorization`.
///
/// # Errors
/// 401 if it is missing, is no bearer key, or is one nobody knows.
pub fn authenticate<'a>(
    settings: &'a Settings,
    authorization: Option<&[u8]>,
) -> Result<Caller<'a>, Problem> {
    let value = authorization.ok_or_else(|| Problem::unauthorized("none"))?;
    let key = bearer(value).ok_or_else(|| Problem::unauthorized("another form"))?;
    let hash: [u8; 32] = Sha256::digest(key).into();
    settings
        .api_key(&hash)
        .map(Caller)
        .ok_or_else(|| Problem::unauthorized("an unknown key"))
}

/// Whether a call is to be looked at further, by what stands in its head: the caller is known, and the
/// key is good for the call. It is asked before the body is read, by whoever reads it.
///
/// # Errors
/// 401 as [`authenticate`] has it, and 403 if the key has not the scope of the call.
pub fn admit<'a>(
    settings: &'a Settings,
    route: &Route,
    authorization: Option<&[u8]>,
) -> Result<Caller<'a>, Problem> {
    let caller = authenticate(settings, authorization)?;
    if let Some(scope) = route.scope() {
        caller.require(scope)?;
    }
    Ok(caller)
}

/// The scheme is case-insensitive (RFC 9110, section 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, key) = value.split_at_checked("Bearer ".len())?;
    let key = key.trim_ascii();
    let fits = (1..=KEY_MAX_BYTES).contains(&key.len());
    (scheme.eq_ignore_ascii_case(b"Bearer ") && fits).then_some(key)
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

    #[test]
    fn only_a_known_key_gets_in() {
        let settings = settings();
        assert!(authenticate(&settings, Some(b"Bearer secret")).is_ok());
        assert!(authenticate(&settings, Some(b"bearer  secret ")).is_ok());
        for wrong in [
            &b"Bearer secre"[..],
            b"Bearer ",
            b"Basic secret",
            b"secret",
            b"",
        ] {
            assert_eq!(
                authenticate(&settings, Some(wrong)).unwrap_err().status(),
                401
            );
        }
        assert_eq!(authenticate(&settings, None).unwrap_err().status(), 401);
        let long = [&b"Bearer "[..], &[b'x'; 513]].concat();
        assert_eq!(
            authenticate(&settings, Some(&long)).unwrap_err().status(),
            401
        );
    }

    #[test]
    fn a_key_is_looked_at_for_the_call_before_anything_else_of_it() {
        let settings = settings();
        let admitted = |method: &str, path: &str, key: Option<&[u8]>| {
            let route = Route::parse(method, path).unwrap();
            let admitted = admit(&settings, &route, key);
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
        let caller = authenticate(&settings, Some(b"Bearer secret")).unwrap();
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
