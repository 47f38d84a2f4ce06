//! `[proxy]`: how servers are reached that cannot be reached directly.
//!
//! ```toml
//! [proxy]
//! url = "http://user:password@proxy.example.com:3128"    # CONNECT, RFC 9110, section 9.3.6
//! password_env = "PROXY_PASSWORD"                        # in the place of the password above
//! except = ["127.0.0.1", ".internal"]                    # reached directly
//! ```
//!
//! An exception is a host as it stands, or with a dot in front all names that end so. What stands
//! in a URL for something else (`%40` for `@`) does so in the user and the password.
//!
//! Nothing of the URL is in an error: it may hold a password wherever it is wrong.
//!
//! Limits: 1,000 exceptions; those of [`Credentials`] and [`Authority`].

use core::fmt;
use core::net::IpAddr;

use percent_encoding::percent_decode_str;
use serde::Deserialize;

use super::endpoint::Endpoint;
use super::error::{ConfigError, invalid};
use super::host::host_name;
use crate::dial::{Authority, Credentials};

/// Most exceptions.
const MAX_EXCEPTIONS: usize = 1_000;

/// Names of the environment that are Dunlin's own.
const RESERVED: &str = "DUNLIN_";

/// A proxy, and what is reached without it.
#[derive(Clone, Debug)]
pub struct ProxySettings {
    /// Where it is.
    pub endpoint: Endpoint,
    login: Login,
    except: Vec<Exception>,
}

/// Who we are to the proxy.
#[derive(Clone)]
enum Login {
    Nobody,
    Known(Credentials),
    /// The password is in the environment.
    Variable {
        user: String,
        name: String,
    },
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("Nobody"),
            Self::Known(credentials) => credentials.fmt(f),
            Self::Variable { name, .. } => f.debug_tuple("Variable").field(name).finish(),
        }
    }
}

/// What is reached directly.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    Address(IpAddr),
    Host(String),
    /// With the dot.
    Suffix(String),
}

impl Exception {
    fn parse(text: &str) -> Option<Self> {
        let end = text.strip_prefix('.');
        let name = host_name(end.unwrap_or(text))?;
        match (name.parse(), end) {
            (Ok(address), None) => Some(Self::Address(address)),
            (Ok(_), Some(_)) => None,
            (Err(_), None) => Some(Self::Host(name)),
            (Err(_), Some(_)) => Some(Self::Suffix(text.to_owned())),
        }
    }

    fn covers(&self, host: &str) -> bool {
        match self {
            Self::Address(address) => host.parse() == Ok(*address),
            Self::Host(name) => host.eq_ignore_ascii_case(name),
            Self::Suffix(suffix) => host
                .len()
                .checked_sub(suffix.len())
                .and_then(|at| host.get(at..))
                .is_some_and(|end| end.eq_ignore_ascii_case(suffix)),
        }
    }
}

impl ProxySettings {
    /// Whether a host is reached through the proxy.
    pub(super) fn covers(&self, host: &str) -> bool {
        !self.except.iter().any(|exception| exception.covers(host))
    }

    /// The environment variable that has the password.
    pub fn password_env(&self) -> Option<&str> {
        match &self.login {
            Login::Variable { name, .. } => Some(name),
            Login::Nobody | Login::Known(_) => None,
        }
    }

    /// What to say to the proxy of ourselves; `variable` reads a variable of the environment.
    ///
    /// # Errors
    /// If the password is to be in the environment and is not, or cannot be one.
    pub fn credentials(
        &self,
        variable: impl FnOnce(&str) -> Option<String>,
    ) -> Result<Option<Credentials>, ConfigError> {
        let (user, name) = match &self.login {
            Login::Nobody => return Ok(None),
            Login::Known(credentials) => return Ok(Some(credentials.clone())),
            Login::Variable { user, name } => (user, name),
        };
        let path = "proxy.password_env";
        let password = variable(name).ok_or_else(|| {
            let why = format!("expected the environment variable {name}, got none");
            invalid(path, why)
        })?;
        let credentials = Credentials::new(user, &password);
        let credentials = credentials.map_err(|error| invalid(path, error))?;
        Ok(Some(credentials))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProxy {
    url: String,
    password_env: Option<String>,
    #[serde(default)]
    except: Vec<String>,
}

impl RawProxy {
    pub(super) fn check(self) -> Result<ProxySettings, ConfigError> {
        let (endpoint, user) = parse_url(&self.url)?;
        let at = "proxy.password_env";
        let login = match (user, self.password_env) {
            (None, None) => Login::Nobody,
            (None, Some(_)) => {
                return Err(invalid(at, "expected a user in proxy.url, got none"));
            }
            (Some((_, Some(_))), Some(_)) => {
                let why = "expected no password in proxy.url beside it, got one";
                return Err(invalid(at, why));
            }
            (Some((user, None)), Some(name)) => {
                check_variable(&name)?;
                known(&user, "")?;
                Login::Variable { user, name }
            }
            (Some((user, password)), None) => {
                Login::Known(known(&user, password.as_deref().unwrap_or_default())?)
            }
        };
        if self.except.len() > MAX_EXCEPTIONS {
            return Err(invalid("proxy.except", "expected at most 1000, got more"));
        }
        let except = self.except.iter().enumerate().map(|(index, text)| {
            let why = "expected a host, an IP address, or the end of names as in \".internal\"";
            Exception::parse(text)
                .ok_or_else(|| invalid(format_args!("proxy.except[{index}]"), why))
        });
        Ok(ProxySettings {
            endpoint,
            login,
            except: except.collect::<Result<_, _>>()?,
        })
    }
}

fn known(user: &str, password: &str) -> Result<Credentials, ConfigError> {
    Credentials::new(user, password).map_err(|error| invalid("proxy.url", error))
}

fn check_variable(name: &str) -> Result<(), ConfigError> {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_name = (1..=128).contains(&name.len()) && name.bytes().all(is_of_name);
    if is_name && !name.starts_with(RESERVED) {
        return Ok(());
    }
    let why = "expected up to 128 letters, digits and '_', without DUNLIN_ in front";
    Err(invalid("proxy.password_env", why))
}

/// A user, and perhaps a password.
type User = (String, Option<String>);

/// `http://[user[:password]@]host:port[/]`: RFC 3986, section 3.2. A crate for URLs brings tables
/// of all scripts, which would be half as large again as the function.
fn parse_url(url: &str) -> Result<(Endpoint, Option<User>), ConfigError> {
    let wrong = || {
        let why = "expected http://host:port or http://user:password@host:port, got something else";
        invalid("proxy.url", why)
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    if !scheme.eq_ignore_ascii_case("http") {
        let why = "expected http://, got another protocol; TLS to the proxy itself is not spoken";
        return Err(invalid("proxy.url", why));
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (user, address) = match rest.rsplit_once('@') {
        None => (None, rest),
        Some((user, address)) => (Some(parse_user(user).ok_or_else(wrong)?), address),
    };
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host = bracketed.unwrap_or(host);
    let is_valid = Authority::new(host, port).is_ok();
    // An IPv6 address is in brackets, and nothing else is.
    if !is_valid || bracketed.is_some() != host.contains(':') {
        return Err(wrong());
    }
    let host = host.to_owned();
    Ok((Endpoint { host, port }, user))
}

fn parse_user(text: &str) -> Option<User> {
    let decode = |text: &str| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned());
    if text.contains(['@', '/', '?', '#']) {
        return None;
    }
    Some(match text.split_once(':') {
        None => (decode(text)?, None),
        Some((user, password)) => (decode(user)?, Some(decode(password)?)),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;
    use crate::dial::Tunnel;

    fn parse(section: &str) -> Result<Settings, ConfigError> {
        Settings::parse(&format!("[proxy]\n{section}"))
    }

    fn proxy(section: &str) -> ProxySettings {
        parse(section).unwrap().proxy().unwrap().clone()
    }

    fn message(section: &str) -> String {
        parse(section).unwrap_err().to_string()
    }

    fn url(text: &str) -> ProxySettings {
        proxy(&format!("url = \"{text}\""))
    }

    /// What a proxy hears of us, if we say anything.
    fn said(proxy: &ProxySettings, password: Option<&str>) -> String {
        let credentials = proxy.credentials(|_| password.map(str::to_owned)).unwrap();
        let mut out = Vec::new();
        let server = Authority::new("a", 1).unwrap();
        let _ = Tunnel::request(&server, credentials.as_ref(), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn same(proxy: &ProxySettings, user: &str, password: &str) -> bool {
        let credentials = Credentials::new(user, password).unwrap();
        proxy.credentials(|_| None) == Ok(Some(credentials))
    }

    #[test]
    fn there_is_none_by_default() {
        let settings = Settings::parse("").unwrap();
        assert!(settings.proxy().is_none());
        assert!(settings.proxy_for("api.push.apple.com").is_none());
    }

    #[test]
    fn an_address_is_read() {
        for (text, host, port) in [
            ("http://proxy.example.com:3128", "proxy.example.com", 3128),
            ("HTTP://127.0.0.1:80/", "127.0.0.1", 80),
            ("http://[::1]:8080", "::1", 8080),
            ("http://a:b@[::1]:8080", "::1", 8080),
        ] {
            let Endpoint {
                host: got,
                port: at,
            } = url(text).endpoint;
            assert_eq!((got.as_str(), at), (host, port), "{text}");
        }
        assert!(!said(&url("http://p:1"), None).contains("Authorization"));
    }

    #[test]
    fn user_and_password_are_read_as_urls_have_them() {
        assert!(same(&url("http://anna:secret@p:1"), "anna", "secret"));
        assert!(same(&url("http://anna@p:1"), "anna", ""));
        assert!(same(&url("http://anna:a:b@p:1"), "anna", "a:b"));
        assert!(same(
            &url("http://an%20na:%40%2F%C3%BC@p:1"),
            "an na",
            "@/ü"
        ));
    }

    #[test]
    fn the_password_may_be_in_the_environment() {
        let proxy = proxy("url = \"http://test@p:1\"\npassword_env = \"PROXY_PASSWORD\"");
        assert_eq!(proxy.password_env(), Some("PROXY_PASSWORD"));
        assert!(said(&proxy, Some("123£")).contains("Basic dGVzdDoxMjPCow==\r\n"));
        for (password, expected) in [
            (
                None,
                "expected the environment variable PROXY_PASSWORD, got none",
            ),
            (Some("s3cret\n"), "without control characters"),
        ] {
            let error = proxy.credentials(|_| password.map(str::to_owned));
            let error = error.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn exceptions_are_hosts_and_the_ends_of_names() {
        let text = "[proxy]\nurl = \"http://p:1\"\n\
                    except = [\"127.0.0.1\", \"[0:0::1]\", \".Internal\", \"exact.example\"]";
        let settings = Settings::parse(text).unwrap();
        for (host, is_direct) in [
            ("127.0.0.1", true),
            ("127.0.0.2", false),
            ("::1", true),
            ("apns.internal", true),
            ("APNS.INTERNAL", true),
            ("internal", false),
            ("notinternal", false),
            ("exact.example", true),
            ("Exact.Example", true),
            ("not.exact.example", false),
            ("api.push.apple.com", false),
            ("ü", false),
            ("üüüüü", false),
        ] {
            assert_eq!(settings.proxy_for(host).is_none(), is_direct, "{host}");
        }
    }

    #[test]
    fn mistakes_are_named_and_passwords_are_not() {
        for url in [
            "p:1",
            "http://p",
            "http://p:",
            "http://p:0",
            "http://p:65536",
            "http://:1",
            "http://::1:1",
            "http://[p]:1",
            "http://p:1/path",
            "http://p:1?x",
            "http://s3cret p:1",
            "http://a:s3c/ret@p:1",
            "http://a:s3cret@b@p:1",
            "http://a:s3cret%ff@p:1",
            "http://a%3Ab:s3cret@p:1",
            "http://a:s3cret%0d%0a@p:1",
            "https://a:s3cret@p:1",
            "socks5://a:s3cret@p:1",
        ] {
            let message = message(&format!("url = \"{url}\""));
            assert!(message.starts_with("proxy.url: expected "), "{message}");
            assert!(!message.contains("s3c"), "{url}: {message}");
        }
        let user = "url = \"http://a@p:1\"\n";
        for (section, path) in [
            (
                "url = \"http://p:1\"\npassword_env = \"X\"",
                "proxy.password_env",
            ),
            (
                "url = \"http://a:b@p:1\"\npassword_env = \"X\"",
                "proxy.password_env",
            ),
            (
                &format!("{user}password_env = \"\"")[..],
                "proxy.password_env",
            ),
            (
                &format!("{user}password_env = \"A=B\""),
                "proxy.password_env",
            ),
            (
                &format!("{user}password_env = \"DUNLIN_BOOT\""),
                "proxy.password_env",
            ),
            (
                &format!("{user}except = [\"a\", \"*.b\"]"),
                "proxy.except[1]",
            ),
            (&format!("{user}except = [\"\"]"), "proxy.except[0]"),
            (&format!("{user}except = [\".\"]"), "proxy.except[0]"),
            (&format!("{user}except = [\".1.2.3.4\"]"), "proxy.except[0]"),
            (&format!("{user}nonsense = 1"), "nonsense"),
            ("except = []", "url"),
        ] {
            let message = message(section);
            assert!(message.contains(path), "{section}: {message}");
        }
        let many = format!("{user}except = {:?}", vec!["a"; MAX_EXCEPTIONS + 1]);
        assert!(message(&many).contains("at most 1000"));
    }

    /// The excerpt of an error in the text, and the value of a wrong type, would show it.
    #[test]
    fn no_mistake_in_the_file_shows_a_password() {
        for text in [
            "proxy = \"http://anna:s3cret@p:1\"",
            "[proxy]\nurl = \"http://anna:s3cret@p:1",
            "[proxy]\nurl = \"http://anna:s3cret@p:1\" except = []",
            "[proxy]\naddress = \"http://anna:s3cret@p:1\"",
            "[proxy]\nexcept = \"http://anna:s3cret@p:1\"",
            "[proxy]\nurl = [\"http://anna:s3cret@p:1\"]",
            "proxy = { url = \"http://anna:s3cret@p:1\", excepted = [] }",
            "[proxy]\nurl = \"http://anna@p:1\"\npassword = \"s3cret\"",
            "[proxy]\nurl = \"http://anna:s3cret\n@p:1\"",
        ] {
            let message = Settings::parse(text).unwrap_err().to_string();
            assert!(!message.contains("s3cret"), "{message}");
            assert!(message.contains("line "), "{message}");
        }
    }

    #[test]
    fn nothing_of_it_is_shown() {
        let settings = parse("url = \"http://anna:s3cret@p:1\"").unwrap();
        let shown = format!("{settings:?}");
        assert!(
            !shown.contains("s3cret") && !shown.contains("anna"),
            "{shown}"
        );
    }
}
