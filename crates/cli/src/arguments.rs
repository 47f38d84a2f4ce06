//! The options of the commands that send, list and run tasks, and the calls that they are.

mod place;
mod transfer;

use std::path::PathBuf;

use clap::Args;
use dunlin::terminal::{Content, Exit, PushCommand, PushOptions, parse_number};
use dunlin_cli::Error;
use dunlin_cli::commands::{Call, ServiceAccess};
pub use place::ServiceArguments;
pub use transfer::Transfer;

/// `dunlin push`
#[derive(Args)]
pub struct Push {
    /// To this device; may be repeated; wants --topic.
    #[arg(long = "token", value_name = "TOKEN", allow_hyphen_values = true)]
    tokens: Vec<String>,
    /// To the devices of this alias; may be repeated.
    #[arg(long = "alias", value_name = "ALIAS", allow_hyphen_values = true)]
    aliases: Vec<String>,
    /// To the devices of the app with this tag; may be repeated, for those with any of them.
    #[arg(long = "tag", value_name = "TAG", allow_hyphen_values = true)]
    any_tags: Vec<String>,
    /// Of these, or of all, to those that have this tag too; may be repeated.
    #[arg(long = "and-tag", value_name = "TAG", allow_hyphen_values = true)]
    all_tags: Vec<String>,
    /// Of these, or of all, to those that do not have this tag; may be repeated.
    #[arg(long = "not-tag", value_name = "TAG", allow_hyphen_values = true)]
    no_tags: Vec<String>,
    /// To all devices of the app.
    #[arg(long)]
    all: bool,
    /// To the tokens in this file, one a line or in the first column of CSV, 1,000 in each request;
    /// - reads the standard input. Blank lines, and those that begin with #, are left out.
    #[arg(long, value_name = "FILE")]
    pub tokens_from: Option<PathBuf>,
    /// The app; needed unless it is a push to aliases.
    #[arg(long, allow_hyphen_values = true)]
    topic: Option<String>,
    /// What the notification says.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    alert: Option<String>,
    /// Its title.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    title: Option<String>,
    /// The number at the app's icon; 0 removes it.
    #[arg(long, value_name = "N", value_parser = parse_number, allow_hyphen_values = true)]
    badge: Option<u64>,
    /// The sound, such as default.
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    sound: Option<String>,
    /// The payload instead of all these, JSON; - reads it from the standard input.
    #[arg(long, value_name = "FILE")]
    payload: Option<PathBuf>,
    /// The whole body of POST /v1/push, and nothing beside it; - likewise.
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// development or production.
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    environment: Option<String>,
    /// What kind of push it is, such as alert, background or voip.
    #[arg(long, value_name = "TYPE", allow_hyphen_values = true)]
    push_type: Option<String>,
    /// 10, 5 or 1.
    #[arg(long, value_name = "N", value_parser = parse_number, allow_hyphen_values = true)]
    priority: Option<u64>,
    /// How long APNs keeps it for a device that is away; 0 is one attempt.
    #[arg(long, value_name = "SECONDS", value_parser = parse_number, allow_hyphen_values = true)]
    ttl: Option<u64>,
    /// It replaces what had the same identifier.
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    collapse_id: Option<String>,
    /// A UUID for apns-id, with a single token.
    #[arg(long, value_name = "UUID", allow_hyphen_values = true)]
    id: Option<String>,
    /// http2 or binary.
    #[arg(long, value_name = "WAY", allow_hyphen_values = true)]
    via: Option<String>,
    /// By the binary gateway: do not find out what became of it.
    #[arg(long)]
    no_confirm: bool,
    /// Send what is against Apple's documents all the same.
    #[arg(long)]
    no_strict: bool,
    /// It is carried out once, however often it is asked for.
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    idempotency_key: Option<String>,
    /// Check everything and send nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print the reply as it is, JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub at: ServiceArguments,
}

impl Push {
    /// The push, where it is to be asked for, and whether the reply is shown as it is.
    ///
    /// # Errors
    /// [`Exit::Usage`], if the options do not go together.
    pub fn command(self) -> Result<(PushCommand, ServiceAccess, bool), Error> {
        let usage =
            |why: String| Error::with(Exit::Usage, format!("{why}; see dunlin push --help"));
        let content = match (self.payload, self.request) {
            (Some(_), Some(_)) => {
                return Err(usage("expected one of --payload and --request".to_owned()));
            }
            (Some(path), None) => Some(Content::Payload(path)),
            (None, Some(path)) => Some(Content::Request(path)),
            (None, None) => None,
        };
        let options = PushOptions {
            tokens: self.tokens,
            aliases: self.aliases,
            any_tags: self.any_tags,
            all_tags: self.all_tags,
            no_tags: self.no_tags,
            all: self.all,
            has_batches: self.tokens_from.is_some(),
            topic: self.topic,
            environment: self.environment,
            push_type: self.push_type,
            priority: self.priority,
            ttl_s: self.ttl,
            collapse_id: self.collapse_id,
            id: self.id,
            via: self.via,
            no_confirm: self.no_confirm,
            no_strict: self.no_strict,
            idempotency_key: self.idempotency_key,
            dry_run: self.dry_run,
            alert: self.alert,
            title: self.title,
            badge: self.badge,
            sound: self.sound,
            content,
        };
        let push = PushCommand::new(options).map_err(|why| usage(why.0))?;
        Ok((push, self.at.into(), self.json))
    }
}

/// `dunlin devices`
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Devices {
    #[command(subcommand)]
    pub transfer: Option<Transfer>,
    /// Those of an alias.
    #[arg(long, allow_hyphen_values = true)]
    alias: Option<String>,
    /// Those of an app.
    #[arg(long, allow_hyphen_values = true)]
    topic: Option<String>,
    /// Of these, those with the tag.
    #[arg(long, allow_hyphen_values = true)]
    tag: Option<String>,
    /// At most so many, 1 to 1000 [default: 100].
    #[arg(long, value_name = "N", value_parser = parse_number, allow_hyphen_values = true)]
    limit: Option<u64>,
    /// Those behind an earlier list, which has named it.
    #[arg(long, allow_hyphen_values = true)]
    cursor: Option<String>,
    /// Print the reply as it is, JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: ServiceArguments,
}

impl Devices {
    /// The call, and where it is to be made.
    pub fn call(self) -> (Call, ServiceAccess, bool) {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let limit = self.limit.map(|limit| limit.to_string());
        for (name, value) in [
            ("alias", self.alias),
            ("topic", self.topic),
            ("tag", self.tag),
            ("cursor", self.cursor),
            ("limit", limit),
        ] {
            if let Some(value) = value {
                query.append_pair(name, &value);
            }
        }
        let call = Call::devices(&query.finish());
        (call, self.at.into(), self.json)
    }
}
