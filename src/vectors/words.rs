//! What other libraries call a thing, and what it is called here.

/// Another library's word, and the product's. Equal words need no entry. A text of an error that is
/// not among them stands for any error.
pub(super) const WORDS: &[(&str, &str)] = &[
    // Errors.
    ("convert token to hex error", "token-not-hex"),
    ("APNSDataOverflow", "payload-too-large"),
    ("PayloadTooLarge", "payload-too-large"),
    (
        "Key aps is reserved and can't be used for custom property.",
        "aps-not-object",
    ),
    ("rejected locally", "push-type-unknown"),
    (
        "The collapse-id is too big. Maximum 64 bytes.",
        "collapse-id-too-long",
    ),
    ("InvalidFormatError", "truncated"),
    (
        "APNs disconnected without returning an error.",
        "closed without a word",
    ),
    // Answers of a simulator, and the rule by which such a request is refused before it is sent.
    ("BadMessageId", "id-malformed"),
    ("BadCollapseId", "collapse-id-too-long"),
    ("BadPriority", "priority-unknown"),
    ("MissingDeviceToken", "token-empty"),
    ("MISSING_TOKEN", "token-empty"),
    ("MISSING_PAYLOAD", "payload-empty"),
    // Statuses of the binary gateway.
    ("INVALID_TOKEN", "Invalid token"),
    ("None unknown", "None (unknown)"),
    ("ErrUnknown", "not in Apple's table (status 44)"),
    // What becomes of a token.
    ("unsubscribe", "remove"),
    ("drop token", "remove"),
];

/// Whether `theirs` is another word for `ours`.
pub(super) fn means(theirs: &str, ours: &str) -> bool {
    WORDS.contains(&(theirs, ours))
}

pub(super) fn is_unknown(theirs: &str) -> bool {
    WORDS.iter().all(|(known, _)| *known != theirs)
}

/// Seconds since 1970 of a time such as `2013-03-24T12:34:56Z`, with or without the letters.
pub(super) fn parse_utc(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = text.split_once(['T', ' '])?;
    let numbers = |text: &str, sign| -> Option<[u64; 3]> {
        let parts: Result<Vec<u64>, _> = text.split(sign).map(str::parse).collect();
        parts.ok()?.try_into().ok()
    };
    let ([year, month, day], [hour, minute, second]) = (numbers(date, '-')?, numbers(time, ':')?);
    // Years begin in March, so that the day that some have comes last; 719468 days to 1970.
    let (year, month) = if month < 3 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[test]
fn times_are_those_of_the_calendar() {
    for (text, secs) in [
        ("1970-01-01T00:00:00Z", 0),
        ("2000-02-29 23:59:59", 951_868_799),
        ("2013-03-24T12:34:56Z", 0x514e_f2f0),
    ] {
        assert_eq!(parse_utc(text), Some(secs), "{text}");
    }
}
