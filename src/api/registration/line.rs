//! A registration that is a line among others, and its result.

use serde::Serialize;

use super::{LINE_FIELDS, POSTED, posted};
use crate::api::lines::{Defaults, LineKind, LineRead, LineResult};
use crate::api::{Problem, Reply};
use crate::registry::Registration;

static KIND: LineKind = LineKind {
    fields: &LINE_FIELDS,
    takes: POSTED,
    own: &["token", "replaces", "ref"],
    either: &[],
};

/// The status of a registration that is new.
const CREATED: u16 = 201;

/// Reads a first line that has defaults; `None` if it has not.
///
/// # Errors
/// 400 if there is something beside them or among them that cannot be one.
pub fn registration_defaults(line: &[u8]) -> Result<Option<Defaults>, Problem> {
    KIND.defaults(line)
}

/// Reads a line.
pub fn read_registration_line(line: &[u8], defaults: Option<&Defaults>) -> LineRead<Registration> {
    KIND.read(line, defaults, posted)
}

/// What became of all lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RegistrationCounts {
    /// Lines with a registration, each of which has a result.
    pub lines: u64,
    /// Devices that were not known.
    pub new: u64,
    /// Devices that were.
    pub known: u64,
    /// Lines that were not carried out.
    pub failed: u64,
}

impl RegistrationCounts {
    /// Writes and counts the result of a line by the reply that the same call has.
    pub fn reply(&mut self, line: LineResult<'_>, reply: &Reply) {
        let is_new = reply.status == CREATED;
        let (count, outcome) = match is_new {
            true => (&mut self.new, "new"),
            false => (&mut self.known, "known"),
        };
        *count += 1;
        self.lines += 1;
        line.member("outcome", &outcome).object(&reply.body).end();
    }

    /// Writes and counts the result of a line that was not carried out.
    pub fn failed(&mut self, line: LineResult<'_>, problem: Problem) {
        self.lines += 1;
        self.failed += 1;
        line.failed(problem);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_line_has_what_the_body_has_and_defaults_below_it() {
        let defaults = br#"{"defaults":{"topic":"a.b","tags":["news"]}}"#;
        let defaults = registration_defaults(defaults).unwrap().unwrap();
        let line = br#"{"token":"a1","alias":"anna","ref":7}"#;
        let read = read_registration_line(line, Some(&defaults));
        let registration = read.read.unwrap();
        assert_eq!(registration.topic.as_str(), "a.b");
        assert_eq!(registration.tags.unwrap().len(), 1);
        assert!(read.reference.is_some());
        let without = read_registration_line(line, None).read.unwrap_err();
        assert_eq!(without.rule(), "missing-field");
    }

    #[test]
    fn a_token_is_no_default() {
        for name in ["token", "replaces", "ref"] {
            let line = format!(r#"{{"defaults":{{"{name}":"a1"}}}}"#);
            let problem = registration_defaults(line.as_bytes()).unwrap_err();
            assert_eq!(problem.rule(), "not-a-default");
        }
        assert!(matches!(
            registration_defaults(br#"{"token":"a1"}"#),
            Ok(None)
        ));
    }

    #[test]
    fn a_result_says_whether_the_device_is_new() {
        let (mut counts, mut out) = (RegistrationCounts::default(), Vec::new());
        for status in [201, 200] {
            let reply = Reply::json(status, &serde_json::json!({"token": "a1"}));
            counts.reply(LineResult::begin(&mut out, 1, None), &reply);
        }
        let problem = Problem::unknown_device();
        counts.failed(LineResult::begin(&mut out, 3, None), problem);
        let text = String::from_utf8(out).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let lines: Vec<Value> = lines.collect();
        let outcomes: Vec<_> = lines.iter().map(|line| &line["outcome"]).collect();
        assert_eq!(outcomes, ["new", "known", "failed"]);
        assert_eq!(
            (counts.lines, counts.new, counts.known, counts.failed),
            (3, 1, 1, 1)
        );
    }
}
