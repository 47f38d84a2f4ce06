//! Decides whether a request to the control API comes from where it should.
//!
//! A web page anywhere can make a browser send requests to `127.0.0.1`. It can read the answers
//! only under the same origin, which it gets by pointing its own DNS name here: hence the check of
//! `Host`. It can send a POST without reading the answer: hence the check of `Origin`.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{HOST, ORIGIN};

/// Checks `Host` and `Origin`; the error says what was expected.
pub(super) fn check(headers: &HeaderMap) -> Result<(), String> {
    let text = |name| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    let host = text(HOST).unwrap_or_default();
    if !is_literal(host) {
        return Err(format!(
            "expected a Host of localhost or an IP address, got {host:?}"
        ));
    }
    match text(ORIGIN) {
        Some(origin) if origin.strip_prefix("http://") != Some(host) => Err(format!(
            "expected no Origin or http://{host}, got {origin:?}"
        )),
        _ => Ok(()),
    }
}

fn is_literal(host: &str) -> bool {
    let has_port = |name: &str| {
        host.strip_prefix(name).is_some_and(|rest| {
            rest.is_empty()
                || rest
                    .strip_prefix(':')
                    .is_some_and(|port| port.parse::<u16>().is_ok())
        })
    };
    if has_port("localhost") {
        return true;
    }
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(host: &str, origin: Option<&str>) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        check(&headers)
    }

    #[test]
    fn local_names_and_addresses_are_let_in() {
        for host in [
            "localhost",
            "localhost:80",
            "127.0.0.1:5000",
            "[::1]:5000",
            "10.0.0.7",
        ] {
            assert_eq!(asked(host, None), Ok(()), "{host}");
            assert_eq!(
                asked(host, Some(&format!("http://{host}"))),
                Ok(()),
                "{host}"
            );
        }
    }

    #[test]
    fn other_names_and_other_origins_are_not() {
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "localhost:x",
            "[::1",
            "127.0.0.1.e",
        ] {
            assert!(asked(host, None).is_err(), "{host}");
        }
        for origin in [
            "http://evil.example",
            "null",
            "https://localhost:80",
            "http://localhost:81",
        ] {
            assert!(asked("localhost:80", Some(origin)).is_err(), "{origin}");
        }
        assert!(check(&HeaderMap::new()).is_err());
    }
}
