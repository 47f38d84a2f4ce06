//! An address, a task and an API key become one HTTP request; its answer becomes a report or an
//! error.
//!
//! ```text
//!   POST /v1/tasks/feedback HTTP/1.0          HTTP/1.0 200 OK
//!   Host, Authorization, Content-Length: 0    … headers, an empty line, and the body up to the end
//! ```
//!
//! RFC 1945: with version 1.0 a server may not answer in chunks, and the end of the connection is
//! the end of the body. Limits: [`ANSWER_MAX_BYTES`], 15 minutes of silence. The API key is in no
//! error and no report.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest answer that is read, headers included. Ours: a report has some hundred bytes. What is
/// beyond is left out.
pub const ANSWER_MAX_BYTES: u64 = 64 * 1024;

/// Longest silence. Ours: a poll of many apps takes minutes, and answers at its end.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// What to do about an address that nobody listens at.
const LISTEN: &str = "; set the variable service to where the service listens, \
                      as in SPIN_VARIABLE_SERVICE=127.0.0.1:3000";

/// What can be asked for.
const TASKS: [&str; 2] = ["feedback", "sweep"];

/// One request.
pub struct TaskCall {
    service: SocketAddr,
    task: &'static str,
    api_key: String,
}

impl fmt::Debug for TaskCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskCall")
            .field("service", &self.service)
            .field("task", &self.task)
            .finish_non_exhaustive()
    }
}

/// Why a task was not run, or is not known to have been.
#[derive(Debug)]
pub enum CallError {
    /// The manifest names something that is no address.
    Service(String),
    /// The manifest names a task that there is not.
    Task(String),
    /// The API key is empty, or has characters that no key has.
    ApiKey,
    /// The connection to the service at this address.
    Io(SocketAddr, io::Error),
    /// The service at this address answered with another status than 200, or without one.
    Refused(SocketAddr, Option<u16>),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(got) => write!(
                f,
                "service: expected an IP address and a port, like 127.0.0.1:3000, got {got:?}"
            ),
            Self::Task(got) => write!(f, "task: expected one of {TASKS:?}, got {got:?}"),
            Self::ApiKey => f.write_str(
                "api_key: expected visible ASCII without blanks; is SPIN_VARIABLE_TASKS_API_KEY \
                set?",
            ),
            Self::Io(service, error) => {
                write!(f, "the service at {service}: {error}")?;
                match error.kind() {
                    io::ErrorKind::ConnectionRefused => f.write_str(LISTEN),
                    _ => Ok(()),
                }
            }
            Self::Refused(service, Some(status)) => {
                write!(
                    f,
                    "the service at {service}: expected status 200, got {status}"
                )
            }
            Self::Refused(service, None) => {
                write!(
                    f,
                    "the service at {service}: expected an HTTP answer, got none"
                )
            }
        }
    }
}

impl std::error::Error for CallError {}

impl TaskCall {
    /// # Errors
    /// If one of the three is not what it should be.
    pub fn new(service: &str, task: &str, api_key: &str) -> Result<Self, CallError> {
        let wrong = |_| CallError::Service(service.to_owned());
        let known = TASKS.into_iter().find(|known| *known == task);
        let is_visible = |byte: u8| byte.is_ascii_graphic();
        if api_key.is_empty() || !api_key.bytes().all(is_visible) {
            return Err(CallError::ApiKey);
        }
        Ok(Self {
            service: service.parse().map_err(wrong)?,
            task: known.ok_or_else(|| CallError::Task(task.to_owned()))?,
            api_key: api_key.to_owned(),
        })
    }

    /// Sends the request and waits for the end of the answer, whose body is the report.
    ///
    /// # Errors
    /// If the connection fails, or the answer is not a 200.
    pub fn run(&self) -> Result<String, CallError> {
        let answer = self.exchange();
        let answer = answer.map_err(|error| CallError::Io(self.service, error))?;
        report(&answer).map_err(|status| CallError::Refused(self.service, status))
    }

    fn exchange(&self) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.service)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(self.request().as_bytes())?;
        let mut answer = Vec::new();
        stream.take(ANSWER_MAX_BYTES).read_to_end(&mut answer)?;
        Ok(answer)
    }

    fn request(&self) -> String {
        let Self {
            service,
            task,
            api_key,
        } = self;
        format!(
            "POST /v1/tasks/{task} HTTP/1.0\r\nHost: {service}\r\n\
             Authorization: Bearer {api_key}\r\nContent-Length: 0\r\n\r\n"
        )
    }
}

/// The body of an answer whose status is 200; else the status, if there is one.
fn report(answer: &[u8]) -> Result<String, Option<u16>> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or(None)?;
    let mut words = head.split([' ', '\r']);
    let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
    let status = words.next().and_then(|word| word.parse().ok());
    match status.filter(|_| is_http) {
        Some(200) => Ok(body.to_owned()),
        status => Err(status),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_three_are_checked_and_the_key_is_not_told() {
        let new = TaskCall::new;
        assert!(matches!(
            new("localhost:3000", "sweep", "k"),
            Err(CallError::Service(_))
        ));
        assert!(matches!(
            new("127.0.0.1:3000", "reap", "k"),
            Err(CallError::Task(_))
        ));
        for key in ["", "two words", "one\r\nX-Other: header", "grüße"] {
            let error = new("127.0.0.1:3000", "sweep", key).unwrap_err();
            assert!(matches!(error, CallError::ApiKey));
        }
        let call = new("127.0.0.1:3000", "sweep", "secret-key").unwrap();
        assert!(!format!("{call:?}").contains("secret-key"));
    }

    #[test]
    fn the_answer_is_a_report_only_with_status_200() {
        assert_eq!(report(b"HTTP/1.0 200 OK\r\nx: y\r\n\r\n{}").unwrap(), "{}");
        assert_eq!(report(b"HTTP/1.1 200 \r\n\r\n").unwrap(), "");
        let status = |answer: &[u8]| report(answer).unwrap_err();
        assert_eq!(status(b"HTTP/1.1 401 Unauthorized\r\n\r\n"), Some(401));
        assert_eq!(status(b"ICY 200 OK\r\n\r\n"), None);
        // Cut off in its headers: it may have been anything.
        for cut in 0..b"HTTP/1.0 200 OK\r\n\r".len() {
            assert_eq!(status(&b"HTTP/1.0 200 OK\r\n\r"[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn an_error_names_the_address_that_was_called() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let service = listener.local_addr().unwrap().to_string();
        let call = TaskCall::new(&service, "sweep", "secret-key").unwrap();
        // What is not read would cut the answer off.
        let mut asked = vec![0; call.request().len()];
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut asked).unwrap();
            stream.write_all(b"HTTP/1.0 403 Forbidden\r\n\r\n").unwrap();
        });
        let refused = call.run().unwrap_err().to_string();
        assert_eq!(
            refused,
            format!("the service at {service}: expected status 200, got 403")
        );
        serving.join().unwrap();
        // Nobody listens there any more.
        let refused = call.run().unwrap_err().to_string();
        let beginning = format!("the service at {service}: ");
        assert!(refused.starts_with(&beginning), "{refused}");
        assert!(refused.contains("SPIN_VARIABLE_SERVICE"), "{refused}");
        assert!(!refused.contains("secret-key"));
    }

    #[test]
    fn a_call_asks_for_the_task_with_the_key() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let service = listener.local_addr().unwrap().to_string();
        let call = TaskCall::new(&service, "feedback", "secret-key").unwrap();
        let request = call.request();
        assert!(request.starts_with("POST /v1/tasks/feedback HTTP/1.0\r\n"));
        assert!(request.contains("\r\nAuthorization: Bearer secret-key\r\n"));
        let serving = std::thread::Builder::new().spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = vec![0; request.len()];
            stream.read_exact(&mut asked).unwrap();
            assert_eq!(asked, request.as_bytes());
            stream
                .write_all(b"HTTP/1.0 200 OK\r\n\r\n{\"tuples\":0}")
                .unwrap();
        });
        assert_eq!(call.run().unwrap(), "{\"tuples\":0}");
        serving.unwrap().join().unwrap();
    }
}
