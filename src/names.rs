//! Names and words that are not known: how an error repeats them, and which known one was meant.

/// Most characters of a name or a word that a problem repeats. The longest known name has 15.
const SHOWN_MAX: usize = 32;

/// Most characters of a text that is repeated. The longest that is expected anywhere has 36.
const QUOTED_MAX: usize = 40;

/// From how many hexadecimal digits on a text is taken for a device token.
const TOKEN_LIKE: usize = 16;

/// What others call a field, in lower case without hyphens and underscores, and where it stands
/// here: other services and their libraries.
static SYNONYMS: [(&str, &str); 36] = [
    ("token", "to.token"),
    ("tokens", "to.tokens"),
    ("alias", "to.alias"),
    ("aliases", "to.aliases"),
    ("devicetoken", "to.token"),
    ("devicetokens", "to.tokens"),
    ("registrationids", "to.tokens"),
    ("devicetoken", "token"),
    ("pushtoken", "token"),
    ("newtoken", "token"),
    ("oldtoken", "replaces"),
    ("user", "alias"),
    ("userid", "alias"),
    ("recipient", "to"),
    ("recipients", "to"),
    ("aps", "payload.aps"),
    ("alert", "payload.aps.alert"),
    ("badge", "payload.aps.badge"),
    ("sound", "payload.aps.sound"),
    ("body", "payload"),
    ("data", "payload"),
    ("message", "payload"),
    ("notification", "payload"),
    ("appid", "topic"),
    ("bundle", "topic"),
    ("bundleid", "topic"),
    ("bundleidentifier", "topic"),
    ("expires", "expiration"),
    ("expiry", "expiration"),
    ("timetolive", "ttl_s"),
    ("sandbox", "environment"),
    ("channelid", "channel"),
    ("requestid", "id"),
    ("messagestoragepolicy", "storage_policy"),
    ("policy", "storage_policy"),
    ("validateonly", "dry_run"),
];

/// A name as a problem repeats it: in quotes if it looks like a name of a field. What does not may
/// be a device token or a person's name; of that only the length is told.
pub(crate) fn shown(name: &str) -> String {
    if is_plain(name) {
        return format!("{name:?}");
    }
    match name.chars().count() {
        0 => "an empty name".to_owned(),
        length => format!("a name of {length} characters"),
    }
}

/// Whether a name can be repeated.
pub(crate) fn is_plain(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=SHOWN_MAX).contains(&name.len()) && name.bytes().all(fits) && !is_token_like(name)
}

/// A text that is no secret where it stands: in quotes, unless it is too long or looks like a
/// device token in the wrong place.
pub(crate) fn quoted(text: &str) -> String {
    let length = text.chars().count();
    match length <= QUOTED_MAX && !is_token_like(text) {
        true => format!("{text:?}"),
        false => format!("a text of {length} characters"),
    }
}

/// Whether a text may be a device token, whatever it was meant for.
fn is_token_like(text: &str) -> bool {
    text.len() >= TOKEN_LIKE && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The beginning of what a header or a number says, which is no secret.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default().escape_debug()),
        None => text.escape_debug().to_string(),
    }
}

/// What was expected where a name is unknown: the one that was meant, or else all of them.
pub(crate) fn expected_of(given: &str, known: &[&'static str]) -> String {
    match meant(given, known) {
        Some(name) => format!("a known name (did you mean `{name}`?)"),
        None => format!("one of {}", known.join(", ")),
    }
}

/// The words that a field takes, and which was meant, to follow "expected".
pub(crate) fn words(given: &str, known: &[&'static str]) -> String {
    let all = match known {
        [before @ .., last] if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        known => known.concat(),
    };
    match meant(given, known) {
        Some(word) => format!("{all} (did you mean `{word}`?)"),
        None => all,
    }
}

/// Which of the known names was probably meant.
pub(crate) fn meant(given: &str, known: &[&'static str]) -> Option<&'static str> {
    if given.len() > SHOWN_MAX {
        return None;
    }
    let bare = bare(given);
    let same = known.iter().find(|name| self::bare(name) == bare);
    let is_here = |place: &str| {
        let first = place.split('.').next();
        known.iter().any(|name| Some(*name) == first)
    };
    let synonym = || {
        let mut synonyms = SYNONYMS.iter();
        let found = synonyms.find(|(name, place)| *name == bare && is_here(place));
        found.map(|(_, place)| *place)
    };
    same.copied()
        .or_else(synonym)
        .or_else(|| beginning(&bare, known))
        .or_else(|| nearest(&bare, known))
}

/// A name in lower case, without what divides its words and without the beginning of APNs's
/// headers.
fn bare(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    let bare: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
    match bare.strip_prefix("apns") {
        Some(rest) if !rest.is_empty() => rest.to_owned(),
        _ => bare,
    }
}

/// The only name that begins as the one given, or the other way round.
fn beginning(given: &str, known: &[&'static str]) -> Option<&'static str> {
    let begins = |name: &&&str| {
        let name = bare(name);
        (given.len() >= 3 && name.starts_with(given))
            || (name.len() >= 4 && given.starts_with(&name))
    };
    let mut found = known.iter().filter(begins);
    match (found.next(), found.next()) {
        (Some(name), None) => Some(*name),
        _ => None,
    }
}

/// The name with the fewest letters changed: one of a short name, two of a longer one.
fn nearest(given: &str, known: &[&'static str]) -> Option<&'static str> {
    let limit = if given.len() <= 4 { 1 } else { 2 };
    let distances = known
        .iter()
        .map(|name| (distance(given, &bare(name)), *name));
    let nearest = distances.min_by_key(|(distance, _)| *distance);
    nearest
        .filter(|(distance, _)| *distance <= limit)
        .map(|(_, name)| name)
}

/// How many letters have to be put in, left out or changed to make one of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.bytes().enumerate() {
        let (mut diagonal, mut left) = (index, index + 1);
        for (cell, other) in row.iter_mut().skip(1).zip(other.bytes()) {
            let changed = diagonal + usize::from(letter != other);
            (diagonal, left) = (*cell, changed.min(*cell + 1).min(left + 1));
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUSH: [&str; 9] = [
        "to",
        "topic",
        "environment",
        "push_type",
        "ttl_s",
        "expiration",
        "collapse_id",
        "id",
        "payload",
    ];

    #[test]
    fn what_was_meant_is_found() {
        for (given, name) in [
            ("collapse-id", "collapse_id"),
            ("collapseId", "collapse_id"),
            ("CollapseID", "collapse_id"),
            ("apns-collapse-id", "collapse_id"),
            ("apns-id", "id"),
            ("apns_push_type", "push_type"),
            ("pushType", "push_type"),
            ("apns-topic", "topic"),
            ("topik", "topic"),
            ("tpoic", "topic"),
            ("enviroment", "environment"),
            ("env", "environment"),
            ("ttl", "ttl_s"),
            ("expirationDate", "expiration"),
            ("expiry", "expiration"),
            ("paylaod", "payload"),
            ("deviceToken", "to.token"),
            ("token", "to.token"),
            ("aps", "payload.aps"),
            ("bundle_id", "topic"),
        ] {
            assert_eq!(meant(given, &PUSH), Some(name), "{given}");
        }
        for given in ["", "x", "colour", "apns", "é", &"collapse_id".repeat(9)] {
            assert_eq!(meant(given, &PUSH), None, "{given}");
        }
        let device = ["token", "topic", "alias", "tags", "replaces"];
        assert_eq!(meant("deviceToken", &device), Some("token"));
        assert_eq!(meant("oldToken", &device), Some("replaces"));
        assert_eq!(meant("tag", &device), Some("tags"));
    }

    #[test]
    fn words_are_listed_with_the_one_that_was_meant() {
        let words = |given| words(given, &["development", "sandbox", "production"]);
        let all = "development, sandbox or production";
        assert_eq!(words("prod"), format!("{all} (did you mean `production`?)"));
        assert_eq!(words("Sandbox"), format!("{all} (did you mean `sandbox`?)"));
        assert_eq!(words("staging"), all);
        assert_eq!(super::words("x", &["one"]), "one");
    }

    #[test]
    fn what_looks_like_no_name_is_not_repeated() {
        assert_eq!(shown("collapse-id"), "\"collapse-id\"");
        assert_eq!(shown(""), "an empty name");
        assert_eq!(shown("anna@example.com"), "a name of 16 characters");
        assert_eq!(shown(&"a1".repeat(8)), "a name of 16 characters");
        assert_eq!(shown(&"Zz".repeat(20)), "a name of 40 characters");
        assert_eq!(quoted("prod"), "\"prod\"");
        assert_eq!(quoted("a\u{202e}\n"), "\"a\\u{202e}\\n\"");
        assert_eq!(quoted(&"é".repeat(40)), format!("{:?}", "é".repeat(40)));
        assert_eq!(quoted(&"é".repeat(41)), "a text of 41 characters");
        assert_eq!(quoted(&"a1".repeat(8)), "a text of 16 characters");
        assert_eq!(cut("a\u{202e}\n"), "a\\u{202e}\\n");
        assert_eq!(cut(&"é".repeat(33)), format!("{}…", "é".repeat(32)));
    }

    #[test]
    fn letters_are_counted() {
        for (one, other, letters) in [
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("abc", "abd", 1),
            ("abc", "ab", 1),
            ("kitten", "sitting", 3),
            ("ab", "ba", 2),
        ] {
            assert_eq!(distance(one, other), letters, "{one} {other}");
        }
    }
}
