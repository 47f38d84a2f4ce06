//! Method and path become one of the calls of the interface.

use super::{Problem, Task};
use crate::config::Scope;
use crate::notification::{ChannelId, DeviceToken};

/// A call, with what its path says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `GET /healthz`: that the function runs.
    Health,
    /// `GET /readyz`: that it can work as it is configured. On our host the host answers.
    Ready,
    /// `POST /v1/push`
    Push,
    /// `GET /v1/devices`
    ListDevices,
    /// `POST /v1/devices`
    PostDevice,
    /// `PUT /v1/devices/{token}`
    RegisterDevice(DeviceToken),
    /// `GET /v1/devices/{token}`
    GetDevice(DeviceToken),
    /// `DELETE /v1/devices/{token}`
    DeleteDevice(DeviceToken),
    /// `POST /v1/devices/{token}/logout`
    LogoutDevice(DeviceToken),
    /// `POST /v1/devices/{token}/restore`
    RestoreDevice(DeviceToken),
    /// `POST /v1/broadcasts`
    Broadcast,
    /// `GET /v1/channels`
    ListChannels,
    /// `POST /v1/channels`
    CreateChannel,
    /// `GET /v1/channels/{id}`
    GetChannel(ChannelId),
    /// `DELETE /v1/channels/{id}`
    DeleteChannel(ChannelId),
    /// `POST /v1/tasks/{task}`
    RunTask(Task),
    /// `GET /v1/receipts/{idempotency_key}`; whose key it is says the caller.
    GetReceipt(String),
}

impl Route {
    /// Reads the request's method and its path without the query.
    ///
    /// # Errors
    /// 404 for a path that is none of ours, 405 for a method that its path does not take, 400 for
    /// a device token or a channel that is none.
    pub fn parse(method: &str, path: &str) -> Result<Self, Problem> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let probe = match path {
            "healthz" => Some(Self::Health),
            "readyz" => Some(Self::Ready),
            _ => None,
        };
        if let Some(probe) = probe {
            return match method {
                "GET" | "HEAD" => Ok(probe),
                _ => Err(Problem::method_not_allowed("GET")),
            };
        }
        let call = path.strip_prefix("v1/").ok_or_else(Problem::not_found)?;
        if let Some(id) = call.strip_prefix("channels/") {
            return match method {
                "GET" => channel_in(id).map(Self::GetChannel),
                "DELETE" => channel_in(id).map(Self::DeleteChannel),
                _ => Err(Problem::method_not_allowed("GET, DELETE")),
            };
        }
        let mut parts = call.splitn(4, '/');
        let parts = [parts.next(), parts.next(), parts.next(), parts.next()];
        match parts {
            [Some("push"), None, ..] => only_post(method, || Ok(Self::Push)),
            [Some("broadcasts"), None, ..] => only_post(method, || Ok(Self::Broadcast)),
            [Some("channels"), None, ..] => match method {
                "GET" => Ok(Self::ListChannels),
                "POST" => Ok(Self::CreateChannel),
                _ => Err(Problem::method_not_allowed("GET, POST")),
            },
            [Some("devices"), None, ..] => match method {
                "GET" => Ok(Self::ListDevices),
                "POST" => Ok(Self::PostDevice),
                _ => Err(Problem::method_not_allowed("GET, POST")),
            },
            [Some("devices"), Some(token), None, _] => match method {
                "GET" => token_in(token).map(Self::GetDevice),
                "PUT" => token_in(token).map(Self::RegisterDevice),
                "DELETE" => token_in(token).map(Self::DeleteDevice),
                _ => Err(Problem::method_not_allowed("GET, PUT, DELETE")),
            },
            [Some("devices"), Some(token), Some("logout"), None] => {
                only_post(method, || token_in(token).map(Self::LogoutDevice))
            }
            [Some("devices"), Some(token), Some("restore"), None] => {
                only_post(method, || token_in(token).map(Self::RestoreDevice))
            }
            [Some("tasks"), Some(name), None, _] => {
                let task = Task::parse(name).ok_or_else(|| Problem::unknown_task(name))?;
                only_post(method, || Ok(Self::RunTask(task)))
            }
            [Some("receipts"), Some(key), None, _] => match method {
                "GET" => Ok(Self::GetReceipt(decoded(key))),
                _ => Err(Problem::method_not_allowed("GET")),
            },
            _ => Err(Problem::not_found()),
        }
    }

    /// Whether what the reply reports has to be on disk first. What was sent, or done at APNs, is
    /// reported whatever becomes of the records; what is only read needs no disk.
    pub const fn waits_for_disk(&self) -> bool {
        match self {
            Self::PostDevice
            | Self::RegisterDevice(_)
            | Self::DeleteDevice(_)
            | Self::LogoutDevice(_)
            | Self::RestoreDevice(_)
            | Self::RunTask(_) => true,
            Self::Health
            | Self::Ready
            | Self::Push
            | Self::ListDevices
            | Self::GetDevice(_)
            | Self::Broadcast
            | Self::ListChannels
            | Self::CreateChannel
            | Self::GetChannel(_)
            | Self::DeleteChannel(_)
            | Self::GetReceipt(_) => false,
        }
    }

    /// Whether it takes a body of lines, each of which has its result: such a body and its answer
    /// are streamed, however long they are.
    pub const fn takes_lines(&self) -> bool {
        matches!(self, Self::Push | Self::PostDevice)
    }

    /// Whether the reply to this read may be a long one.
    pub const fn may_answer_at_length(&self) -> bool {
        matches!(
            self,
            Self::ListDevices | Self::ListChannels | Self::GetChannel(_) | Self::GetReceipt(_)
        )
    }

    /// What an API key has to be good for to make this call; `None` if it needs no key.
    pub const fn scope(&self) -> Option<Scope> {
        match self {
            Self::Health | Self::Ready => None,
            Self::Push | Self::Broadcast | Self::GetReceipt(_) => Some(Scope::Send),
            Self::ListDevices
            | Self::PostDevice
            | Self::RegisterDevice(_)
            | Self::GetDevice(_)
            | Self::DeleteDevice(_)
            | Self::LogoutDevice(_)
            | Self::RestoreDevice(_) => Some(Scope::Devices),
            Self::ListChannels
            | Self::CreateChannel
            | Self::GetChannel(_)
            | Self::DeleteChannel(_)
            | Self::RunTask(_) => Some(Scope::Admin),
        }
    }
}

fn only_post(
    method: &str,
    call: impl FnOnce() -> Result<Route, Problem>,
) -> Result<Route, Problem> {
    if method == "POST" {
        call()
    } else {
        Err(Problem::method_not_allowed("POST"))
    }
}

/// The token in a path: hexadecimal, perhaps with an encoded form of the old `<…>` notation, which
/// is refused there.
fn token_in(segment: &str) -> Result<DeviceToken, Problem> {
    DeviceToken::parse_hex(segment).map_err(|error| Problem::invalid(&error.at("path")))
}

/// The channel in a path. Base64 has `/`, `+` and `=`: all may stand as they are or be
/// percent-encoded, so whatever follows is the identifier.
fn channel_in(rest: &str) -> Result<ChannelId, Problem> {
    ChannelId::parse(&decoded(rest)).map_err(|error| Problem::invalid(&error.at("path")))
}

/// Part of a path without its percent-encoding.
fn decoded(part: &str) -> String {
    let bytes = percent_encoding::percent_decode_str(part);
    bytes.decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_apart() {
        let token = || DeviceToken::parse_hex("a1b2").unwrap();
        let channel = || ChannelId::parse("a+/b==").unwrap();
        for (method, path, route) in [
            ("GET", "/healthz", Route::Health),
            ("HEAD", "/healthz", Route::Health),
            ("GET", "/readyz", Route::Ready),
            ("HEAD", "/readyz", Route::Ready),
            ("POST", "/v1/push", Route::Push),
            ("GET", "/v1/devices", Route::ListDevices),
            ("POST", "/v1/devices", Route::PostDevice),
            ("PUT", "/v1/devices/A1B2", Route::RegisterDevice(token())),
            ("GET", "/v1/devices/a1b2", Route::GetDevice(token())),
            ("DELETE", "/v1/devices/a1b2", Route::DeleteDevice(token())),
            (
                "POST",
                "/v1/devices/a1b2/logout",
                Route::LogoutDevice(token()),
            ),
            (
                "POST",
                "/v1/devices/a1b2/restore",
                Route::RestoreDevice(token()),
            ),
            ("POST", "/v1/broadcasts", Route::Broadcast),
            ("GET", "/v1/channels", Route::ListChannels),
            ("POST", "/v1/channels", Route::CreateChannel),
            ("GET", "/v1/channels/a+/b==", Route::GetChannel(channel())),
            (
                "DELETE",
                "/v1/channels/a%2B%2fb%3D%3D",
                Route::DeleteChannel(channel()),
            ),
            ("POST", "/v1/tasks/feedback", Route::RunTask(Task::Feedback)),
            ("POST", "/v1/tasks/sweep", Route::RunTask(Task::Sweep)),
            ("GET", "/v1/receipts/a:1", Route::GetReceipt("a:1".into())),
            ("GET", "/v1/receipts/a%3A1", Route::GetReceipt("a:1".into())),
        ] {
            assert_eq!(Route::parse(method, path), Ok(route), "{method} {path}");
        }
    }

    #[test]
    fn what_is_done_at_apns_does_not_wait_for_the_disk() {
        for (method, path, expected) in [
            ("POST", "/v1/push", false),
            ("POST", "/v1/broadcasts", false),
            ("POST", "/v1/channels", false),
            ("DELETE", "/v1/channels/YQ==", false),
            ("GET", "/v1/devices", false),
            ("POST", "/v1/devices", true),
            ("PUT", "/v1/devices/a1", true),
            ("DELETE", "/v1/devices/a1", true),
            ("POST", "/v1/devices/a1/logout", true),
            ("POST", "/v1/devices/a1/restore", true),
            ("POST", "/v1/tasks/feedback", true),
        ] {
            let route = Route::parse(method, path).unwrap();
            assert_eq!(route.waits_for_disk(), expected, "{method} {path}");
        }
    }

    #[test]
    fn pushes_and_registrations_come_as_lines_too() {
        let taken = [("POST", "/v1/push"), ("POST", "/v1/devices")];
        let other = [("GET", "/v1/devices"), ("POST", "/v1/broadcasts")];
        let takes = |(method, path)| Route::parse(method, path).unwrap().takes_lines();
        assert!(taken.into_iter().all(takes));
        assert!(!other.into_iter().any(takes));
    }

    #[test]
    fn reads_of_many_are_told_from_those_of_one() {
        for (method, path, expected) in [
            ("GET", "/v1/devices", true),
            ("GET", "/v1/receipts/a", true),
            ("GET", "/v1/channels", true),
            ("GET", "/v1/devices/a1", false),
            ("POST", "/v1/push", false),
        ] {
            let route = Route::parse(method, path).unwrap();
            assert_eq!(route.may_answer_at_length(), expected, "{method} {path}");
        }
    }

    #[test]
    fn the_rest_is_a_problem() {
        for (method, path, status) in [
            ("GET", "/", 404),
            ("GET", "/v1", 404),
            ("GET", "/v1/", 404),
            ("GET", "/v2/push", 404),
            ("GET", "/healthz/", 404),
            ("GET", "/readyz/", 404),
            ("POST", "/v1/push/", 404),
            ("GET", "/v1/devices/a1/b2/c3", 404),
            ("POST", "/v1/devices/a1/logout/", 404),
            ("POST", "/v1/devices/a1/login", 404),
            ("POST", "/v1/tasks", 404),
            ("POST", "/v1/tasks/feedback/x", 404),
            ("GET", "/metrics", 404),
            ("GET", "/v1/receipts", 404),
            ("GET", "/v1/receipts/a/b", 404),
            ("DELETE", "/v1/receipts/a", 405),
            ("POST", "/healthz", 405),
            ("POST", "/readyz", 405),
            ("GET", "/v1/push", 405),
            ("DELETE", "/v1/devices", 405),
            ("PATCH", "/v1/devices/a1", 405),
            ("GET", "/v1/devices/a1/logout", 405),
            ("GET", "/v1/tasks/sweep", 405),
            ("GET", "/v1/broadcasts", 405),
            ("POST", "/v1/broadcasts/", 404),
            ("DELETE", "/v1/channels", 405),
            ("PUT", "/v1/channels/a", 405),
            ("GET", "/v1/channels/", 400),
            ("GET", "/v1/channels/%20", 400),
            ("GET", "/v1/channels/%ff", 400),
            ("PUT", "/v1/devices/xyz", 400),
            ("GET", "/v1/devices/", 400),
            ("POST", "/v1/devices/xyz/logout", 400),
        ] {
            let problem = Route::parse(method, path).unwrap_err();
            assert_eq!(problem.status(), status, "{method} {path}");
        }
    }

    #[test]
    fn an_unknown_task_is_told_the_known_ones() {
        let problem = Route::parse("POST", "/v1/tasks/receipts").unwrap_err();
        assert_eq!((problem.status(), problem.rule()), (404, "unknown-task"));
        let body = String::from_utf8(problem.into_reply().body).unwrap();
        assert!(
            body.contains("path: expected one of feedback, sweep"),
            "{body}"
        );
        let close = Route::parse("POST", "/v1/tasks/Feed").unwrap_err();
        let body = String::from_utf8(close.into_reply().body).unwrap();
        assert!(body.contains("did you mean `feedback`"), "{body}");
    }
}
