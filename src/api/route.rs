//! Method and path become one of the calls of the interface.

use super::Problem;
use crate::notification::DeviceToken;

/// A call, with what its path says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `GET /healthz`
    Health,
    /// `POST /v1/push`
    Push,
    /// `PUT /v1/devices/{token}`
    RegisterDevice(DeviceToken),
    /// `GET /v1/devices/{token}`
    GetDevice(DeviceToken),
}

impl Route {
    /// Reads the request's method and its path without the query.
    ///
    /// # Errors
    /// 404 for a path that is none of ours, 405 for a method that its path does not take, 400 for
    /// a device token that is none.
    pub fn parse(method: &str, path: &str) -> Result<Self, Problem> {
        let mut parts = path.strip_prefix('/').unwrap_or(path).split('/');
        let parts = [parts.next(), parts.next(), parts.next(), parts.next()];
        match (method, parts) {
            ("GET" | "HEAD", [Some("healthz"), None, ..]) => Ok(Self::Health),
            (_, [Some("healthz"), None, ..]) => Err(Problem::method_not_allowed("GET")),
            ("POST", [Some("v1"), Some("push"), None, _]) => Ok(Self::Push),
            (_, [Some("v1"), Some("push"), None, _]) => Err(Problem::method_not_allowed("POST")),
            ("PUT", [Some("v1"), Some("devices"), Some(token), None]) => {
                token_in(token).map(Self::RegisterDevice)
            }
            ("GET", [Some("v1"), Some("devices"), Some(token), None]) => {
                token_in(token).map(Self::GetDevice)
            }
            (_, [Some("v1"), Some("devices"), Some(_), None]) => {
                Err(Problem::method_not_allowed("GET, PUT"))
            }
            _ => Err(Problem::not_found()),
        }
    }
}

/// The token in a path: hexadecimal, perhaps with an encoded form of the old `<…>` notation, which
/// is refused there.
fn token_in(segment: &str) -> Result<DeviceToken, Problem> {
    DeviceToken::parse_hex(segment).map_err(|error| Problem::invalid(&error.at("path")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_apart() {
        assert_eq!(Route::parse("GET", "/healthz"), Ok(Route::Health));
        assert_eq!(Route::parse("POST", "/v1/push"), Ok(Route::Push));
        let token = DeviceToken::parse_hex("a1b2").unwrap();
        assert_eq!(
            Route::parse("PUT", "/v1/devices/A1B2"),
            Ok(Route::RegisterDevice(token.clone()))
        );
        assert_eq!(
            Route::parse("GET", "/v1/devices/a1b2"),
            Ok(Route::GetDevice(token))
        );
    }

    #[test]
    fn the_rest_is_a_problem() {
        let status = |method, path| Route::parse(method, path).unwrap_err().status();
        assert_eq!(status("GET", "/"), 404);
        assert_eq!(status("GET", "/v2/push"), 404);
        assert_eq!(status("GET", "/v1/devices"), 404);
        assert_eq!(status("GET", "/v1/devices/a1/b2/c3"), 404);
        assert_eq!(status("GET", "/v1/push"), 405);
        assert_eq!(status("PATCH", "/v1/devices/a1"), 405);
        assert_eq!(status("PUT", "/v1/devices/xyz"), 400);
        assert_eq!(status("GET", "/metrics"), 404);
    }
}
