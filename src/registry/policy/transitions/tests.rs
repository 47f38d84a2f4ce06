//! Each event alone, and the rule about invalidations over all orders of events.

use super::*;
use crate::notification::{DeviceToken, Topic};
use crate::registry::replay::Noise;
use crate::registry::{Group, Tag};

fn registration(alias: Option<&str>) -> Registration {
    Registration {
        topic: Topic::parse("com.example.app").unwrap(),
        token: DeviceToken::from_bytes(&[7; 32]).unwrap(),
        environment: None,
        alias: alias.map(|alias| Alias::parse(alias).unwrap()),
        tags: None,
        replaces: None,
    }
}

fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(secs)
}

fn registered(alias: Option<&str>, secs: u64) -> DeviceRecord {
    DeviceRecord::register(None, &registration(alias), at(secs)).record
}

fn invalidation(since: UnixTime) -> Invalidation {
    Invalidation {
        reason: RemovalReason::Feedback,
        since,
    }
}

fn removed(removal: Removal) -> DeviceRecord {
    let Removal::Removed(record) = removal else {
        panic!("{removal:?}")
    };
    *record
}

fn tags(names: &[&str]) -> Vec<Tag> {
    names.iter().map(|name| Tag::parse(name).unwrap()).collect()
}

#[test]
fn launch_login_and_launch_again() {
    let launch = DeviceRecord::register(None, &registration(None), at(1));
    assert!(launch.new && launch.record.alias.is_none());
    let login = DeviceRecord::register(Some(launch.record), &registration(Some("anna")), at(2));
    assert!(!login.new && login.left.is_none());
    let again = DeviceRecord::register(Some(login.record), &registration(None), at(3));
    assert_eq!(again.record.alias, Some(Alias::parse("anna").unwrap()));
    assert_eq!(again.record.first_registered_at, at(1));
    assert_eq!(again.record.registered_at, at(3));
}

#[test]
fn a_token_has_one_owner() {
    let anna = registered(Some("anna"), 1);
    let same = DeviceRecord::register(Some(anna.clone()), &registration(Some("anna")), at(2));
    assert_eq!(same.left, None);
    let ben = DeviceRecord::register(Some(anna), &registration(Some("ben")), at(2));
    assert_eq!(ben.record.alias, Some(Alias::parse("ben").unwrap()));
    assert_eq!(ben.left, Some(Alias::parse("anna").unwrap()));
}

#[test]
fn a_device_is_in_the_groups_of_its_own_app_while_it_is_alive() {
    let topic = |name: &str| Topic::parse(name).unwrap();
    let tag = |name: &str| Tag::parse(name).unwrap();
    let mut record = registered(None, 1);
    record.tags = tags(&["news"]);
    let own = || topic("com.example.app");
    let groups = |record: &DeviceRecord| {
        [
            Group::Topic(own()),
            Group::Tag(own(), tag("news")),
            Group::Tag(own(), tag("sport")),
            Group::Topic(topic("com.example.other")),
            Group::Tag(topic("com.example.other"), tag("news")),
        ]
        .map(|group| record.is_in(&group))
    };
    assert_eq!(groups(&record), [true, true, false, false, false]);
    let dead = removed(record.invalidated(&invalidation(at(2)), at(2)));
    assert_eq!(groups(&dead), [false; 5]);
}

#[test]
fn what_a_registration_does_not_say_stays() {
    let mut first = registration(None);
    first.environment = Some(Environment::Development);
    first.tags = Some(tags(&["b", "a", "b"]));
    let record = DeviceRecord::register(None, &first, at(1)).record;
    assert_eq!(record.tags, tags(&["a", "b"]));
    let kept = DeviceRecord::register(Some(record.clone()), &registration(None), at(2)).record;
    assert_eq!(
        (&kept.tags, kept.environment),
        (&record.tags, record.environment)
    );
}

#[test]
fn the_time_of_registration_never_goes_back() {
    let record = registered(None, 9);
    let later = DeviceRecord::register(Some(record), &registration(None), at(4)).record;
    assert_eq!(later.registered_at, at(9));
}

#[test]
fn it_is_removed_only_if_it_died_after_it_was_registered() {
    let record = registered(Some("anna"), 5);
    assert_eq!(
        record.invalidated(&invalidation(at(4)), at(9)),
        Removal::Kept
    );
    assert_eq!(
        record.invalidated(&invalidation(at(5)), at(9)),
        Removal::Kept
    );
    let gone = removed(record.invalidated(&invalidation(UnixTime::from_millis(5_001)), at(9)));
    assert_eq!(
        gone.removed,
        Some(Tombstone {
            reason: RemovalReason::Feedback,
            since: UnixTime::from_millis(5_001),
            removed_at: at(9),
        })
    );
    assert_eq!(gone.alias, record.alias, "kept for a restore");
    assert!(gone.indexes().is_empty() && !record.indexes().is_empty());
    assert_eq!(
        gone.invalidated(&invalidation(at(99)), at(99)),
        Removal::AlreadyRemoved
    );
}

#[test]
fn a_second_of_feedback_says_nothing_of_its_milliseconds() {
    let mut record = registered(None, 5);
    record.registered_at = UnixTime::from_millis(5_300);
    let told = |secs| {
        record.invalidated(
            &Invalidation::of_feedback(at(secs), at(99)).unwrap(),
            at(99),
        )
    };
    assert_eq!(told(5), Removal::Kept);
    assert!(matches!(told(6), Removal::Removed(_)));
    let early = Invalidation::of_feedback(at(300), at(5)).unwrap();
    assert_eq!(
        record.invalidated(&early, at(99)),
        Removal::Kept,
        "it was read before"
    );
}

#[test]
fn feedback_from_the_future_is_no_evidence() {
    let read_at = UnixTime::from_millis(1_700_000_000_999);
    let ahead = |secs: u64| Invalidation::of_feedback(at(1_700_000_000 + secs), read_at);
    for secs in [301, 3_600, 86_400, 2_594_967_295] {
        assert_eq!(ahead(secs), None, "{secs}");
    }
    // Within five minutes it is taken for a clock that differs, and counts as the time of reading.
    for secs in [1, 60, 300] {
        assert_eq!(
            ahead(secs).map(|invalidation| invalidation.since),
            Some(read_at),
            "{secs}"
        );
    }
    assert_eq!(
        ahead(0).map(|invalidation| invalidation.since),
        Some(at(1_700_000_000))
    );
}

/// Every word there may be on one device, in every order of telling: it is removed at the end only
/// if it died after each registration.
#[test]
fn no_order_of_events_removes_a_device_that_was_registered_after_it_died() {
    for seed in 0..20_000 {
        let mut noise = Noise(seed);
        let mut record: Option<DeviceRecord> = None;
        let mut registrations = Vec::new();
        let mut invalidations = Vec::new();
        for _ in 0..=noise.below(8) {
            // Clocks differ, so times come in any order.
            let told_at = at(100 + noise.below(10));
            let when = at(100 + noise.below(10));
            record = match (noise.below(4), record) {
                (0 | 1, record) => {
                    registrations.push(when);
                    Some(DeviceRecord::register(record, &registration(None), when).record)
                }
                (2, Some(record)) => {
                    invalidations.push(when);
                    match record.invalidated(&invalidation(when), told_at) {
                        Removal::Removed(gone) => {
                            assert!(registrations.iter().all(|time| *time < when), "{seed}");
                            Some(*gone)
                        }
                        Removal::Kept | Removal::AlreadyRemoved => Some(record),
                    }
                }
                (3, Some(record)) => {
                    let restored = record.restored(when);
                    registrations.extend(restored.as_ref().map(|_| when));
                    Some(restored.unwrap_or(record))
                }
                (_, record) => record,
            };
        }
        let Some(record) = record else { continue };
        let last = registrations.iter().max();
        assert_eq!(Some(&record.registered_at), last, "{seed}");
        if invalidations
            .iter()
            .all(|invalidation| Some(invalidation) <= last)
        {
            assert_eq!(record.removed, None, "{seed}");
        }
    }
}

#[test]
fn a_registration_brings_it_back_as_it_was() {
    let gone = removed(registered(Some("anna"), 1).invalidated(&invalidation(at(2)), at(3)));
    let back = DeviceRecord::register(Some(gone.clone()), &registration(None), at(4));
    assert!(!back.new && back.record.removed.is_none());
    assert_eq!(back.record.alias, Some(Alias::parse("anna").unwrap()));
    assert_eq!(back.record.first_registered_at, at(1));
    let ben = DeviceRecord::register(Some(gone), &registration(Some("ben")), at(4));
    assert_eq!(ben.left, Some(Alias::parse("anna").unwrap()));
}

#[test]
fn a_restore_counts_as_a_registration() {
    let record = registered(Some("anna"), 1);
    assert_eq!(record.restored(at(9)), None);
    let gone = removed(record.invalidated(&invalidation(at(2)), at(3)));
    let back = gone.restored(at(9)).unwrap();
    assert_eq!((back.removed, back.registered_at), (None, at(9)));
    assert_eq!(back.indexes(), record.indexes());
    assert_eq!(
        back.invalidated(&invalidation(at(9)), at(10)),
        Removal::Kept
    );
    assert_eq!(gone.restored(at(0)).unwrap().registered_at, at(1));
}

#[test]
fn logging_out_detaches_the_living_and_the_dead() {
    let record = registered(Some("anna"), 1);
    let (out, left) = record.logged_out().unwrap();
    assert_eq!((&out.alias, left.as_str()), (&None, "anna"));
    assert_eq!(out.registered_at, at(1), "it is not a registration");
    assert_eq!(out.logged_out(), None);
    let gone = removed(record.invalidated(&invalidation(at(2)), at(3)));
    let (gone, _) = gone.logged_out().unwrap();
    assert!(gone.removed.is_some() && gone.restored(at(4)).unwrap().alias.is_none());
}

#[test]
fn the_last_word_on_the_environment_stands() {
    let mut record = registered(None, 5);
    record = record.learned(Environment::Production, at(1)).unwrap();
    assert_eq!(record.environment, Some(Environment::Production));
    assert_eq!(record.learned(Environment::Production, at(9)), None);
    let other = record.learned(Environment::Development, at(9)).unwrap();
    assert_eq!(other.environment, Some(Environment::Development));
    let late = record.learned(Environment::Development, at(4));
    assert_eq!(late, None, "the push was of the build before");
    let at_once = record.learned(Environment::Development, at(5));
    assert!(
        at_once.is_some(),
        "it was sent no sooner than the build was registered"
    );
    let mut changed_build = registration(None);
    changed_build.environment = Some(Environment::Development);
    let changed = DeviceRecord::register(Some(record), &changed_build, at(9)).record;
    assert_eq!(changed.environment, Some(Environment::Development));
}

#[test]
fn stale_is_who_has_not_been_heard_of() {
    let (day, record) = (Duration::from_secs(86_400), registered(None, 100));
    assert_eq!(record.gone_stale(at(100 + 86_400), day), None);
    assert_eq!(record.gone_stale(at(1), day), None, "a clock set back");
    let stale = record.gone_stale(at(101 + 86_400), day).unwrap();
    assert!(stale.stale && stale.indexes() == record.indexes());
    assert_eq!(stale.gone_stale(at(999_999), day), None);
    let seen = DeviceRecord::register(Some(stale), &registration(None), at(9)).record;
    assert!(!seen.stale);
    let gone = removed(record.invalidated(&invalidation(at(101)), at(102)));
    assert_eq!(gone.gone_stale(at(999_999), day), None);
}

#[test]
fn a_tombstone_is_kept_for_a_while() {
    let (day, record) = (Duration::from_secs(86_400), registered(None, 1));
    assert!(!record.is_expired(at(999_999), day), "it is alive");
    let gone = removed(record.invalidated(&invalidation(at(2)), at(100)));
    assert!(!gone.is_expired(at(100 + 86_400), day));
    assert!(gone.is_expired(at(101 + 86_400), day));
}

fn other_token(mut registration: Registration) -> Registration {
    registration.token = DeviceToken::from_bytes(&[8; 32]).unwrap();
    registration
}

fn inherited(succession: Succession) -> (Registration, Option<Alias>) {
    let Succession::Inherits {
        registration,
        alias,
    } = succession
    else {
        panic!("{succession:?}")
    };
    (*registration, alias)
}

/// The record of token 7 with everything in it.
fn full() -> DeviceRecord {
    let mut said = registration(Some("anna"));
    said.environment = Some(Environment::Development);
    said.tags = Some(tags(&["news"]));
    DeviceRecord::register(None, &said, at(1)).record
}

#[test]
fn a_new_token_inherits_what_its_registration_does_not_say() {
    let new = other_token(registration(None));
    let (all, alias) = inherited(new.succeeding(Some(&full()), None));
    assert_eq!((&all.alias, &alias), (&full().alias, &full().alias));
    assert_eq!(all.environment, Some(Environment::Development));
    assert_eq!(all.tags, Some(tags(&["news"])));
    assert_eq!(all.token, new.token);

    let mut said = other_token(registration(Some("anna")));
    said.environment = Some(Environment::Production);
    said.tags = Some(Vec::new());
    let (own, alias) = inherited(said.succeeding(Some(&full()), None));
    assert_eq!((own, alias), (said, None));
}

#[test]
fn there_is_nothing_to_inherit_from_nobody_oneself_or_somebody_else() {
    let new = other_token(registration(None));
    assert_eq!(new.succeeding(None, None), Succession::None);
    let same = registration(None);
    assert_eq!(
        same.succeeding(Some(&full()), Some(&full())),
        Succession::None
    );
    let ben = other_token(registration(Some("ben")));
    assert_eq!(ben.succeeding(Some(&full()), None), Succession::None);
    // The new token is ben's already, and this launch does not name him again.
    let bens = DeviceRecord::register(None, &ben, at(1)).record;
    assert_eq!(new.succeeding(Some(&full()), Some(&bens)), Succession::None);
}

#[test]
fn what_the_new_token_has_already_stays() {
    let mut said = other_token(registration(None));
    said.environment = Some(Environment::Production);
    said.tags = Some(tags(&["sport"]));
    let known = DeviceRecord::register(None, &said, at(1)).record;
    let new = other_token(registration(None));
    let (all, _) = inherited(new.succeeding(Some(&full()), Some(&known)));
    let record = DeviceRecord::register(Some(known), &all, at(2)).record;
    assert_eq!(record.environment, Some(Environment::Production));
    assert_eq!(record.tags, tags(&["sport"]));
    assert_eq!(record.alias, full().alias);
}

#[test]
fn a_dead_token_leaves_its_alias_to_one_successor_only() {
    let gone = removed(full().invalidated(&invalidation(at(2)), at(3)));
    let new = other_token(registration(None));
    let (all, alias) = inherited(new.succeeding(Some(&gone), None));
    assert_eq!((&all.alias, &alias), (&full().alias, &full().alias));
    let heir = DeviceRecord::register(None, &all, at(4)).record;
    let replaced = removed(gone.replaced(&heir, at(4)));
    assert!(replaced.is_replaced());
    assert_eq!(new.succeeding(Some(&replaced), None), Succession::None);
}

#[test]
fn the_replaced_one_goes_unless_it_is_somebody_elses_by_now() {
    let heir = registered(Some("anna"), 4);
    let gone = removed(full().replaced(&heir, at(4)));
    let tombstone = gone.removed.unwrap();
    assert_eq!(
        (tombstone.reason, tombstone.since, tombstone.removed_at),
        (RemovalReason::Replaced, at(4), at(4))
    );
    assert_eq!(gone.replaced(&heir, at(5)), Removal::AlreadyRemoved);
    assert!(gone.restored(at(5)).unwrap().indexes().len() > 1);
    assert_eq!(
        registered(Some("ben"), 1).replaced(&heir, at(4)),
        Removal::Kept
    );
    assert_eq!(
        registered(Some("anna"), 5).replaced(&heir, at(4)),
        Removal::Kept
    );
    let same_moment = registered(Some("anna"), 4).replaced(&heir, at(4));
    assert!(matches!(same_moment, Removal::Removed(_)));
}
