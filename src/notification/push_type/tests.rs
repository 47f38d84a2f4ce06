//! The table of push types, and what each of them takes.

use super::*;

fn topic(text: &str) -> Topic {
    Topic::parse(text).unwrap()
}

#[test]
fn the_table_is_in_the_order_of_the_list() {
    for (push_type, row) in PushType::ALL.into_iter().zip(&TABLE) {
        assert_eq!(row.push_type, push_type);
        assert_eq!(push_type.spec().push_type, push_type);
        assert_eq!(PushType::parse(push_type.as_str()).unwrap(), push_type);
    }
}

#[test]
fn the_default_priority_is_never_forbidden() {
    for push_type in PushType::ALL {
        assert!(!push_type.forbids(push_type.default_priority()));
    }
    assert!(PushType::Background.forbids(Priority::Immediate));
    assert_eq!(
        PushType::Background.default_priority(),
        Priority::PowerSaving
    );
}

#[test]
fn every_type_accepts_the_topic_it_derives() {
    for push_type in PushType::ALL {
        let derived = push_type.topic_of(&topic("com.example.app")).unwrap();
        assert!(push_type.check_topic(&derived).is_ok());
        assert_eq!(push_type.topic_of(&derived).unwrap(), derived);
    }
}

#[test]
fn a_missing_suffix_is_named() {
    let error = PushType::Voip
        .check_topic(&topic("com.example.app"))
        .unwrap_err();
    assert_eq!(error.rule(), rule::TOPIC_SUFFIX);
    assert!(error.expected().contains(".voip"), "{error}");
    assert!(PushType::Voip.check_topic(&topic(".voip")).is_err());
    assert!(
        PushType::LiveActivity
            .check_topic(&topic("com.example.app.voip"))
            .is_err()
    );
}

#[test]
fn a_suffix_of_another_type_is_refused_where_no_bundle_identifier_has_it() {
    for other in [
        "push-type.liveactivity",
        "pushkit.fileprovider",
        "location-query",
        "voip-ptt",
    ] {
        let error = PushType::Alert
            .check_topic(&topic(&format!("com.example.app.{other}")))
            .unwrap_err();
        assert!(error.expected().contains(other), "{error}");
    }
    assert!(
        PushType::Alert
            .check_topic(&topic("com.example.voip"))
            .is_ok()
    );
    assert!(
        PushType::Mdm
            .check_topic(&topic("com.apple.mgmt.External.5"))
            .is_ok()
    );
}

/// `docs/protocols.md` 3.3, row by row: suffix, default priority, default expiration, payload.
#[test]
fn the_table_is_apples() {
    use Expiration::{Once, StoragePolicy};
    use Priority::{Immediate, PowerSaving};
    for (name, suffix, priority, expiration, bytes) in [
        ("alert", "", Immediate, StoragePolicy, 4_096),
        ("background", "", PowerSaving, StoragePolicy, 4_096),
        (
            "complication",
            ".complication",
            Immediate,
            StoragePolicy,
            4_096,
        ),
        (
            "controls",
            ".push-type.controls",
            Immediate,
            StoragePolicy,
            4_096,
        ),
        (
            "fileprovider",
            ".pushkit.fileprovider",
            Immediate,
            StoragePolicy,
            4_096,
        ),
        (
            "liveactivity",
            ".push-type.liveactivity",
            Immediate,
            StoragePolicy,
            4_096,
        ),
        (
            "location",
            ".location-query",
            Immediate,
            StoragePolicy,
            4_096,
        ),
        ("mdm", "", Immediate, StoragePolicy, 4_096),
        ("pushtotalk", ".voip-ptt", Immediate, Once, 4_096),
        ("voip", ".voip", Immediate, Once, 5_120),
        (
            "widgets",
            ".push-type.widgets",
            Immediate,
            StoragePolicy,
            4_096,
        ),
    ] {
        let push_type = PushType::parse(name).unwrap();
        assert_eq!(push_type.topic_suffix(), suffix, "{name}");
        assert_eq!(push_type.default_priority(), priority, "{name}");
        assert_eq!(push_type.default_expiration(), expiration, "{name}");
        assert_eq!(push_type.payload_limit(), bytes, "{name}");
    }
}

#[test]
fn an_unusual_priority_is_remarked_on() {
    let remark = PushType::PushToTalk
        .remark_on(Priority::PowerSaving)
        .unwrap();
    assert_eq!(
        remark.to_string(),
        "priority: expected 10 for push type pushtotalk, got 5 (priority-unusual)"
    );
    for push_type in PushType::ALL {
        assert_eq!(push_type.remark_on(push_type.default_priority()), None);
    }
    let never_wake: Vec<_> = PushType::ALL
        .into_iter()
        .filter(|push_type| push_type.remark_on(Priority::NeverWake).is_some())
        .collect();
    let documented = [
        PushType::Background,
        PushType::LiveActivity,
        PushType::Location,
        PushType::PushToTalk,
    ];
    assert_eq!(never_wake, documented);
}

/// `docs/protocols.md` 3.3: pushtotalk 0, voip 0 or a few seconds; 3.2: 30 days at most.
#[test]
fn an_unusual_expiration_is_remarked_on() {
    let now = UnixTime::from_secs(1_000);
    let after = |push_type: PushType, secs: u64| {
        let expiration = Expiration::from_unix_secs(1_000 + secs).unwrap();
        push_type.remark_on_expiration(expiration, now)
    };
    let remark = after(PushType::PushToTalk, 1).unwrap();
    assert_eq!(
        remark.to_string(),
        "expiration: expected 0 for push type pushtotalk, got 1 seconds from now \
         (expiration-unusual)"
    );
    for push_type in PushType::ALL {
        let past = Expiration::from_unix_secs(940).unwrap();
        let remark = push_type.remark_on_expiration(past, now).unwrap();
        assert_eq!(
            remark.to_string(),
            "expiration: expected a time to come, or 0, got 60 seconds ago (expiration-unusual)"
        );
    }
    assert!(after(PushType::Voip, 60).is_none() && after(PushType::Voip, 61).is_some());
    let month = 30 * 24 * 60 * 60;
    for push_type in PushType::ALL {
        assert!(after(push_type, month + 1).is_some(), "{push_type}");
        let brief = matches!(push_type, PushType::PushToTalk | PushType::Voip);
        assert_eq!(after(push_type, month).is_some(), brief, "{push_type}");
        let default = push_type.default_expiration();
        assert_eq!(push_type.remark_on_expiration(default, now), None);
    }
}

#[test]
fn only_voip_has_the_larger_payload() {
    for push_type in PushType::ALL {
        let limit = if push_type == PushType::Voip {
            5_120
        } else {
            4_096
        };
        assert_eq!(push_type.payload_limit(), limit);
    }
}
