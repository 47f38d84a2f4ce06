//! What the commands are, and what was wrong with one.

use core::fmt;

/// What the commands and their options are, for people.
pub const USAGE: &str = "\
push      Send a push.
  --token TOKEN      to this device; may be repeated; wants --topic
  --alias ALIAS      to the devices of this alias; may be repeated
  --topic TOPIC      the app
  --alert TEXT       what it says; with --title, --badge N, --sound NAME
  --payload FILE     the payload instead, JSON; - reads it from the standard input
  --request FILE     the whole body of POST /v1/push instead; - likewise
  --environment development|production
  --push-type TYPE   --priority N   --ttl SECONDS   --collapse-id ID   --id UUID
  --via http2|binary --no-confirm   --no-strict     --idempotency-key KEY
  --dry-run          check everything and send nothing
devices   List devices: --alias, --topic, --tag, --cursor, --limit.
feedback  Poll the feedback services once.
sweep     Mark devices that have not been seen for long, forget what is over.

With every command:
  --json             show the reply as it is
  --config FILE      the configuration
  --api-key KEY      let a running service do it";

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
