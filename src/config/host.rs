//! Hosts as a configuration names them: a DNS name, or a literal address with or without brackets.
//!
//! ```text
//!   api.push.apple.com      as it stands
//!   127.0.0.1, ::1, [::1]   an address; an IPv6 one is kept without brackets, in its shortest form
//! ```
//!
//! A port has a key of its own everywhere but in a URL.

use core::net::IpAddr;

use crate::dial::Authority;

/// The host that a text names, in the form in which hosts are compared; `None` if it names none.
pub fn host_name(text: &str) -> Option<String> {
    let bracketed = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match (bracketed, bracketed.unwrap_or(text).parse::<IpAddr>()) {
        (Some(_), Ok(IpAddr::V4(_)) | Err(_)) => None,
        (_, Ok(address)) => Some(address.to_string()),
        // The port is only there because an authority has one.
        (None, Err(_)) => Authority::new(text, 1).is_ok().then(|| text.to_owned()),
    }
}

/// Why a text is not a host, in words for the operator. What may hold a password is not shown.
pub fn not_a_host(text: &str) -> String {
    let expected = "expected a host name or an IP address, such as \"api.push.apple.com\" or \
                    \"::1\", without a port";
    match text {
        "" => format!("{expected}; got none"),
        text if text.contains('@') => format!("{expected}; got something else"),
        text => {
            let got: String = text.chars().take(SHOWN_CHARS).collect();
            format!("{expected}; got {got:?}")
        }
    }
}

/// Most of a wrong host that is shown.
const SHOWN_CHARS: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;
    use crate::config::ApnsService;
    use crate::environment::Environment;

    #[test]
    fn an_ipv6_address_is_taken_with_brackets_and_without() {
        for text in ["::1", "[::1]", "0:0::1", "[0:0:0:0:0:0:0:1]"] {
            assert_eq!(host_name(text).as_deref(), Some("::1"), "{text}");
        }
        for text in ["127.0.0.1", "localhost", "api.push.apple.com", "a_b-c.d"] {
            assert_eq!(host_name(text).as_deref(), Some(text));
        }
        for text in [
            "",
            "[]",
            "[::1",
            "::1]",
            "[localhost]",
            "[127.0.0.1]",
            "localhost:443",
            "[::1]:443",
            "https://a.b",
            "a b",
            "a/b",
            "fe80::1%eth0",
            "ü.example",
        ] {
            assert_eq!(host_name(text), None, "{text}");
        }
    }

    /// Where the configuration can name a host.
    const PLACES: [(&str, &str); 6] = [
        ("apns.production", "[apns.production]\nhost = \"@\""),
        (
            "apns.development.channels",
            "[apns.development]\nchannels = { host = \"@\" }",
        ),
        (
            "apns.production.broadcast",
            "[apns.production]\nbroadcast = { host = \"@\" }",
        ),
        (
            "binary[0].gateway",
            "[[binary]]\ntopic = \"a.b\"\ngateway = { host = \"@\" }",
        ),
        (
            "binary[0].feedback",
            "[[binary]]\ntopic = \"a.b\"\nfeedback = { host = \"@\" }",
        ),
        ("proxy", "[proxy]\nurl = \"http://p:1\"\nexcept = [\"@\"]"),
    ];

    #[test]
    fn every_host_of_the_configuration_takes_a_bracketed_address_or_says_what_it_expects() {
        for (place, text) in PLACES {
            for good in ["[::1]", "::1", "127.0.0.1", "localhost"] {
                let parsed = Settings::parse(&text.replace('@', good));
                assert!(parsed.is_ok(), "{place} {good}: {parsed:?}");
            }
            for wrong in [
                "",
                "[::1",
                "[localhost]",
                "https://a.b",
                "a.b:443",
                "[::1]:443",
            ] {
                let error = Settings::parse(&text.replace('@', wrong)).unwrap_err();
                let error = error.to_string();
                assert!(error.starts_with(place), "{place} {wrong}: {error}");
                assert!(
                    error.contains("expected a host"),
                    "{place} {wrong}: {error}"
                );
            }
        }
        let settings = Settings::parse("[apns.production]\nhost = \"[::1]\"\nport = 2197").unwrap();
        let at = settings.service(Environment::Production, ApnsService::Push);
        assert_eq!(
            (at.host.as_str(), at.to_string().as_str()),
            ("::1", "[::1]:2197")
        );
    }

    #[test]
    fn no_server_has_port_0() {
        let message = |text: &str| Settings::parse(text).unwrap_err().to_string();
        let apns = message("[apns.production]\nport = 0");
        assert_eq!(apns, "apns.production.port: expected 1 to 65535, got 0");
        let gateway = "[[binary]]\ntopic = \"a.b\"\ngateway = { host = \"a\", port = 0 }";
        assert!(
            message(gateway).starts_with("binary[0].gateway.port: "),
            "{}",
            message(gateway)
        );
    }

    #[test]
    fn a_host_that_may_hold_a_password_is_not_shown() {
        let text = "[apns.production]\nhost = \"anna:s3cret@a.b\"";
        let error = Settings::parse(text).unwrap_err().to_string();
        assert!(
            error.contains("expected a host name") && !error.contains("s3cret"),
            "{error}"
        );
    }
}
