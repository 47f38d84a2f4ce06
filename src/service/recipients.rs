//! Whom a push is for: the devices behind tokens, aliases and tags.
//!
//! ```text
//!   tokens, aliases, each once ─► lists of devices ─► are they too many? ─► records, 64 at a time
//!                                                          └─ refused         └─ those of the app
//!   tags, all ─► an index of the app, a few nodes at a time ─► records ─► those that are selected
//! ```
//!
//! Bounds: 10,000 devices of a push, of tokens and aliases counted before the first record is read.

mod aliases;
mod reading;
mod selected;
mod target;

use super::{App, Runtime, Turns};
use crate::api::{Problem, Recipients};
use crate::notification::{DeviceToken, Topic};
use crate::registry::DeviceRef;

use aliases::of_aliases;
use reading::RECORDS_AT_ONCE;
pub(super) use reading::{keys_of, records};
use selected::of_selected;
use target::{FirstPlaces, Wanted};
pub use target::{Resolved, Target};

/// Finds the devices of a push: of `topic`, or of those that the caller `covers`. A push that is
/// `keyed` has an idempotency key, whose receipt names 2,000 devices at most. Perhaps there are
/// none.
///
/// # Errors
/// 400 if others than aliases are without a topic; 422 if they are too many; 503.
pub async fn resolve<R: Runtime>(
    app: &App<R>,
    to: &Recipients,
    topic: Option<&Topic>,
    covers: impl Fn(&Topic) -> bool,
    keyed: bool,
) -> Result<Resolved, Problem> {
    let wanted = Wanted {
        topic,
        covers: &covers,
        keyed,
    };
    let mut turns = Turns::new(&app.platform);
    let needed =
        || topic.ok_or_else(|| Problem::field("missing-field", "topic", "a topic", "none"));
    match to {
        Recipients::Tokens(tokens) => of_tokens(app, &mut turns, tokens, needed()?).await,
        Recipients::Aliases(aliases) => of_aliases(app, &mut turns, aliases, &wanted).await,
        Recipients::Selected(selector) => of_selected(app, selector, needed()?, &wanted).await,
    }
}

async fn of_tokens<R: Runtime>(
    app: &App<R>,
    turns: &mut Turns<'_, R::Platform>,
    tokens: &[DeviceToken],
    topic: &Topic,
) -> Result<Resolved, Problem> {
    let first = FirstPlaces::of(tokens);
    let device = |(entry, token): (usize, &DeviceToken)| {
        let device = DeviceRef {
            topic: topic.clone(),
            token: token.clone(),
        };
        (entry, device)
    };
    let mut devices = first.each_once().map(device);
    let mut targets = Vec::with_capacity(tokens.len());
    loop {
        let batch: Vec<_> = devices.by_ref().take(RECORDS_AT_ONCE).collect();
        if batch.is_empty() {
            break;
        }
        let keys = keys_of(batch.iter().map(|(_, device)| device));
        let records = records(app, turns, keys).await?;
        for ((entry, device), record) in batch.into_iter().zip(records) {
            // One that was removed is tried all the same: the caller asked for it by name.
            targets.push(Target {
                entry,
                device,
                known: record.as_ref().and_then(|record| record.environment),
                registered: record.is_some(),
            });
        }
    }
    Ok(Resolved {
        targets,
        skipped: first.skipped(|_| None),
        unmatched: Vec::new(),
    })
}

#[cfg(test)]
mod tests;
