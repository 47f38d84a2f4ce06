//! What is decided by the head of a request alone: whether it says whom it is for, and whether it
//! shows a key that is good for it. Without one its body is not read, and the function is not
//! asked.

use std::sync::Arc;

use dunlin::api::{self, Route, admit, authenticate};
use dunlin::config::Settings;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Request, Uri, Version};

use super::problem::Problem;

/// Whether a request names its host as it has to: once, and as a host (RFC 9112, section 3.2). In
/// HTTP/2 `:authority` does, and a Host beside it says the same (RFC 9113, section 8.3.1).
pub(super) fn check_host<B>(request: &Request<B>) -> Result<(), Problem> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Problem::host("more than one"));
    }
    let host = host.map(|value| name(value).ok_or_else(|| Problem::host("something else")));
    let host = host.transpose()?;
    match request.version() {
        Version::HTTP_2 => check_authority(request.uri().authority(), host),
        Version::HTTP_11 if host.is_none() => Err(Problem::host("none")),
        _ => Ok(()),
    }
}

fn check_authority(authority: Option<&Authority>, host: Option<&str>) -> Result<(), Problem> {
    match (authority.map(Authority::as_str), host) {
        (None, None | Some("")) => Err(Problem::host("none")),
        (Some(authority), _) if authority.contains('@') => Err(Problem::host("a user name in it")),
        (Some(authority), Some(host)) if !is_same(authority, host) => {
            Err(Problem::host("an :authority and another Host"))
        }
        _ => Ok(()),
    }
}

/// The value of Host, if it is a host with perhaps a port. An empty one is allowed in HTTP/1.1.
fn name(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok()?;
    let is_host = text.is_empty()
        || (!text.contains(['@', ',', ' ', '\t']) && text.parse::<Authority>().is_ok());
    is_host.then_some(text)
}

fn is_same(one: &str, other: &str) -> bool {
    let plain = |text: &str| {
        text.strip_suffix(":80")
            .unwrap_or(text)
            .to_ascii_lowercase()
    };
    one.eq_ignore_ascii_case(other) || plain(one) == plain(other)
}

/// Who has a key for what, by the configuration.
#[derive(Clone, Debug)]
pub(crate) struct Keys(Arc<Settings>);

impl Keys {
    /// The keys of a configuration.
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(settings))
    }

    /// Whether a call is to be looked at further. What is no call is said by the function to those
    /// who have a key.
    ///
    /// # Errors
    /// What the function would say.
    pub fn admit(&self, method: &str, uri: &Uri, headers: &HeaderMap) -> Result<(), api::Problem> {
        let said = headers.get_all(AUTHORIZATION).iter();
        let authorization: Vec<_> = said.map(HeaderValue::as_bytes).collect();
        match Route::parse(method, uri.path()) {
            Ok(route) => admit(&self.0, &route, &authorization).map(drop),
            Err(problem) => match authenticate(&self.0, &authorization) {
                Ok(_) => Ok(()),
                Err(_) => Err(problem),
            },
        }
    }
}

/// Whether a request has a body of lines that its call takes as they come.
pub(super) fn has_lines<B>(request: &Request<B>) -> bool {
    let route = Route::parse(request.method().as_str(), request.uri().path());
    let types = request.headers().get_all(CONTENT_TYPE).iter();
    let types: Vec<_> = types.map(HeaderValue::as_bytes).collect();
    route.is_ok_and(|route| route.takes_lines()) && api::are_lines(&types)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(version: Version, uri: &str, hosts: &[&str]) -> bool {
        let mut request = Request::builder().version(version).uri(uri);
        for host in hosts {
            request = request.header("host", *host);
        }
        check_host(&request.body(()).unwrap()).is_ok()
    }

    #[test]
    fn a_request_names_its_host_once() {
        let (old, one) = (Version::HTTP_10, Version::HTTP_11);
        for (version, uri, hosts, expected) in [
            (one, "/", &["a"][..], true),
            (one, "/", &["127.0.0.1:8080"], true),
            (one, "/", &["[::1]:8080"], true),
            (one, "/", &[""], true),
            (one, "/", &[], false),
            (one, "/", &["a", "a"], false),
            (one, "/", &["a", "b"], false),
            (one, "/", &["a b"], false),
            (one, "/", &["a,b"], false),
            (one, "/", &["u@a"], false),
            (one, "/", &["a/b"], false),
            (one, "http://a/", &[], false),
            (one, "http://a/", &["b"], true),
            (old, "/", &[], true),
            (old, "/", &["a", "b"], false),
        ] {
            assert_eq!(checked(version, uri, hosts), expected, "{uri} {hosts:?}");
        }
    }

    #[test]
    fn only_calls_that_take_lines_have_them() {
        for (method, path, kind, expected) in [
            ("POST", "/v1/push", "application/x-ndjson", true),
            ("POST", "/v1/devices?x=1", "application/jsonl", true),
            ("POST", "/v1/push", "application/json", false),
            ("POST", "/v1/broadcasts", "application/x-ndjson", false),
            ("PUT", "/v1/push", "application/x-ndjson", false),
        ] {
            let request = Request::builder().method(method).uri(path);
            let request = request.header("content-type", kind).body(());
            assert_eq!(has_lines(&request.unwrap()), expected, "{path} {kind}");
        }
    }

    #[test]
    fn in_http2_the_authority_is_the_host() {
        for (uri, hosts, expected) in [
            ("http://a/", &[][..], true),
            ("http://a/", &["a"], true),
            ("http://a/", &["A:80"], true),
            ("/", &["a"], true),
            ("/", &[], false),
            ("/", &[""], false),
            ("http://a/", &["b"], false),
            ("http://a/", &["a", "a"], false),
            ("http://a/", &["a:81"], false),
            ("http://u@a/", &[], false),
        ] {
            let got = checked(Version::HTTP_2, uri, hosts);
            assert_eq!(got, expected, "{uri} {hosts:?}");
        }
    }

    fn keys() -> Keys {
        // SHA-256 of `send-only`.
        let hash = "e3175375aca59a85de2ecdbc356e1b89d751e70162fadaec9952819e33874ddf";
        let text =
            format!("[[api_keys]]\nname = \"a\"\nsha256 = \"{hash}\"\nscopes = [\"send\"]\n");
        Keys::new(Settings::parse(&text).unwrap())
    }

    #[test]
    fn without_a_key_that_is_good_for_it_a_call_goes_no_further() {
        let keys = keys();
        let status = |method: &str, path: &str, said: &[&str]| {
            let mut headers = HeaderMap::new();
            for key in said {
                headers.append("authorization", format!("Bearer {key}").parse().unwrap());
            }
            let uri = path.parse().unwrap();
            let admitted = keys.admit(method, &uri, &headers);
            admitted.err().map(|problem| problem.status())
        };
        let good = &["send-only"][..];
        assert_eq!(status("POST", "/v1/push", good), None);
        assert_eq!(status("POST", "/v1/push?x=1", good), None);
        assert_eq!(status("POST", "/v1/push", &[]), Some(401));
        assert_eq!(status("POST", "/v1/push", &["x"]), Some(401));
        let twice = &["send-only", "send-only"];
        assert_eq!(status("POST", "/v1/push", twice), Some(401));
        assert_eq!(status("POST", "/v1/devices", good), Some(403));
        // Without a key, what is no call is said here; with one, by the function.
        assert_eq!(status("POST", "/nonsense", &[]), Some(404));
        assert_eq!(status("PATCH", "/v1/push", &[]), Some(405));
        assert_eq!(status("POST", "/nonsense", good), None);
    }
}
