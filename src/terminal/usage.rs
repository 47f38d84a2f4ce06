//! What the commands are, and what was wrong with one.

use core::fmt;

/// What the commands are, for people.
pub const USAGE: &str = "\
push      Send a push.
devices   List devices.
feedback  Poll the feedback services once.
sweep     Mark devices that have not been seen for long, forget what is over.

COMMAND --help says more of each.";

/// The options of `push`.
pub const PUSH_USAGE: &str = "\
push: send a push. A line for each device says what became of it.
  --token TOKEN      to this device; may be repeated; wants --topic
  --alias ALIAS      to the devices of this alias; may be repeated
  --tag TAG          to the devices of the app with this tag, or with another that is named so
  --and-tag TAG      of these, or of all, to those with this tag too; may be repeated
  --not-tag TAG      of these, or of all, to those without this tag; may be repeated
  --all              to all devices of the app
  --topic TOPIC      the app; needed but with --alias
  --alert TEXT       what it says; with --title, --badge N, --sound NAME
  --payload FILE     the payload instead, JSON; - reads it from the standard input
  --request FILE     the whole body of POST /v1/push instead; - likewise
  --environment development|production
  --push-type TYPE   --priority N   --ttl SECONDS   --collapse-id ID   --id UUID
  --via http2|binary --no-confirm   --no-strict     --idempotency-key KEY
  --dry-run          check everything and send nothing
  --json             show the reply as it is";

/// The options of `devices`.
pub const DEVICES_USAGE: &str = "\
devices: list devices, a line for each.
  --alias ALIAS      those of an alias
  --topic TOPIC      those of an app
  --tag TAG          of these, those with the tag
  --limit N          at most so many, 1 to 1000; 100 by default
  --cursor CURSOR    those behind an earlier list
  --json             show the reply as it is";

/// The options of `feedback`.
pub const FEEDBACK_USAGE: &str = "\
feedback: poll the feedback services of all apps once, and say what became of the tokens.
  --once             once; there is no other way
  --json             show the report as it is";

/// The options of `sweep`.
pub const SWEEP_USAGE: &str = "\
sweep: mark devices that have not been seen for long, and forget what is over.
  --json             show the report as it is";

/// A command line that is none. The caller is at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Usage {}

impl From<lexopt::Error> for Usage {
    fn from(error: lexopt::Error) -> Self {
        Self(error.to_string())
    }
}
