//! Turns `apns-push-type` and `apns-topic` into what they mean together: a push type has a suffix,
//! and what is left of the topic is the bundle id.
//!
//! Source: Apple, *Sending notification requests to APNs* (`docs/protocols.md` 3.3; for two
//! suffixes, 6). Which reason a wrong pair gets is not documented. Seen in the field: `alert` to a
//! `.voip` topic gives InvalidPushType (PyAPNs2 issue 87, AndrewBarba/apns2 issue 23); `voip` to a
//! plain bundle id gives DeviceTokenNotForTopic (laravel-notification-channels/apn issue 88).

use crate::reason::Reason;

/// The values of `apns-push-type`, lowercase only, and the suffix their topics have.
const PUSH_TYPES: [(&str, &str); 11] = [
    ("alert", ""),
    ("background", ""),
    ("complication", ".complication"),
    ("controls", ".push-type.controls"),
    ("fileprovider", ".pushkit.fileprovider"),
    ("liveactivity", ".push-type.liveactivity"),
    ("location", ".location-query"),
    ("mdm", ""),
    ("pushtotalk", ".voip-ptt"),
    ("voip", ".voip"),
    ("widgets", ".push-type.widgets"),
];

/// Checks that the push type exists and that the topic has its suffix and no other type's.
pub(super) fn check(push_type: &str, topic: &str) -> Result<(), Reason> {
    let (_, suffix) = PUSH_TYPES
        .into_iter()
        .find(|(name, _)| *name == push_type)
        .ok_or(Reason::InvalidPushType)?;
    match suffix_of(topic) {
        found if found == suffix => Ok(()),
        "" => Err(Reason::DeviceTokenNotForTopic),
        _ => Err(Reason::InvalidPushType),
    }
}

/// The topic without the suffix of a push type.
pub(super) fn bundle_id(topic: &str) -> &str {
    topic.strip_suffix(suffix_of(topic)).unwrap_or(topic)
}

fn suffix_of(topic: &str) -> &'static str {
    let suffixes = PUSH_TYPES.into_iter().map(|(_, suffix)| suffix);
    suffixes
        .filter(|suffix| topic.ends_with(suffix))
        .max_by_key(|suffix| suffix.len())
        .unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_takes_its_own_suffix_only() {
        for (name, suffix) in PUSH_TYPES {
            for (_, other) in PUSH_TYPES {
                let topic = format!("com.example.app{other}");
                assert_eq!(
                    check(name, &topic).is_ok(),
                    suffix == other,
                    "{name} {topic}"
                );
            }
        }
    }

    #[test]
    fn a_wrong_pair_gets_the_reason_seen_in_the_field() {
        assert_eq!(
            check("alert", "com.example.app.voip"),
            Err(Reason::InvalidPushType)
        );
        assert_eq!(
            check("voip", "com.example.app"),
            Err(Reason::DeviceTokenNotForTopic)
        );
    }

    #[test]
    fn push_types_are_lowercase_and_closed() {
        for bad in ["", "Alert", "alerts", "voice"] {
            assert_eq!(
                check(bad, "com.example.app"),
                Err(Reason::InvalidPushType),
                "{bad}"
            );
        }
    }

    #[test]
    fn the_bundle_id_is_what_the_suffix_leaves() {
        assert_eq!(
            bundle_id("com.example.app.push-type.widgets"),
            "com.example.app"
        );
        assert_eq!(bundle_id("com.example.app"), "com.example.app");
    }
}
