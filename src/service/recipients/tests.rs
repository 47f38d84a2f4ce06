//! Whom a push is for, with a store that counts.

use super::super::tests::support::{APP, Desk, OTHER, registration, token, topic};
use super::aliases::LISTS_AT_ONCE;
use super::target::MAX_TARGETS;
use super::*;
use crate::api::{Skipped, SkippedEntry};
use crate::registry::{
    self, ALIAS_MAX_DEVICES, Alias, AliasIndex, DeviceRecord, Registration, Tag, alias_key,
    device_key,
};
use crate::time::UnixTime;

fn alias(name: &str) -> Alias {
    Alias::parse(name).unwrap()
}

fn register(desk: &Desk, registration: &Registration) {
    let now = UnixTime::from_secs(1);
    desk.run(registry::register(&desk.store, registration, now))
        .unwrap();
}

/// Many devices of an alias, written as they are stored: registering each takes its time.
fn put_many(desk: &Desk, owner: &str, devices: core::ops::Range<usize>) {
    register(desk, &registration(devices.start, APP, owner));
    let mut index = AliasIndex::default();
    for n in devices {
        let device = DeviceRef {
            topic: topic(APP),
            token: token(n),
        };
        index.join(&device.token, 1).unwrap();
        let record =
            DeviceRecord::register(None, &registration(n, APP, owner), UnixTime::from_secs(1));
        let key = device_key(&device.topic, &device.token);
        desk.store.put(&key, &record.record.write());
    }
    let key = alias_key(&alias(owner), &topic(APP));
    desk.store.put(&key, &index.write());
}

fn to(names: &[&str]) -> Recipients {
    Recipients::Aliases(names.iter().map(|name| alias(name)).collect())
}

fn anybody(desk: &Desk, names: &[&str]) -> Result<Resolved, Problem> {
    desk.run(resolve(&desk.app, &to(names), None, |_| true, false))
}

fn tokens(resolved: &Resolved) -> Vec<DeviceToken> {
    let targets = resolved.targets.iter();
    targets.map(|target| target.device.token.clone()).collect()
}

/// The places of what they are there for.
fn entries(resolved: &Resolved) -> Vec<usize> {
    let targets = resolved.targets.iter();
    targets.map(|target| target.entry).collect()
}

#[test]
fn whoever_is_named_many_times_is_looked_up_once() {
    let desk = Desk::new();
    for n in 0..100 {
        let mut heavy = registration(n, APP, "bulk");
        let tag = |tag| Tag::parse(&format!("{tag:064}")).unwrap();
        heavy.tags = (n == 0).then(|| (0..64).map(tag).collect());
        register(&desk, &heavy);
    }
    desk.store.forget();
    let once = anybody(&desk, &["bulk"]).unwrap();
    let reads = desk.store.take_reads();
    assert_eq!(once.targets.len(), 100);
    assert!(reads.values().all(|count| *count == 1), "{reads:?}");
    let often = anybody(&desk, &["bulk"; 1_000]).unwrap();
    assert_eq!(often.targets, once.targets);
    assert_eq!(desk.store.take_reads(), reads);
    let duplicates = often.skipped.iter().map(|entry| (entry.index, &entry.why));
    assert!(duplicates.eq((1..1_000).map(|index| (index, &Skipped::Duplicate(0)))));

    let token_twice = Recipients::Tokens(vec![token(5), token(3), token(5), token(3), token(1)]);
    let app = topic(APP);
    let by_token = desk
        .run(resolve(
            &desk.app,
            &token_twice,
            Some(&app),
            |_| true,
            false,
        ))
        .unwrap();
    assert_eq!(tokens(&by_token), [token(5), token(3), token(1)]);
    assert_eq!(entries(&by_token), [0, 1, 4]);
    let again = |index, of| SkippedEntry {
        index,
        why: Skipped::Duplicate(of),
    };
    assert_eq!(by_token.skipped, [again(2, 0), again(3, 1)]);
    assert!(desk.store.take_reads().values().all(|count| *count == 1));
}

#[test]
fn recipients_keep_the_order_in_which_they_are_first_named() {
    let desk = Desk::new();
    for (n, owner) in [(1, "anna"), (2, "ben"), (3, "anna"), (4, "eve")] {
        register(&desk, &registration(n, APP, owner));
    }
    let found = anybody(&desk, &["ben", "anna", "ben", "eve", "anna"]).unwrap();
    assert_eq!(tokens(&found), [token(2), token(1), token(3), token(4)]);
    assert_eq!(entries(&found), [0, 1, 1, 3]);
    assert_eq!(found.unmatched, []);
}

#[test]
fn aliases_that_resolve_to_nothing_are_named_once_each_and_in_order() {
    let desk = Desk::new();
    register(&desk, &registration(1, APP, "anna"));
    register(&desk, &registration(2, APP, "gone"));
    let device = DeviceRef {
        topic: topic(APP),
        token: token(2),
    };
    desk.run(registry::delete(&desk.store, &device)).unwrap();
    register(&desk, &registration(3, OTHER, "elsewhere"));
    let names = ["zoe", "gone", "anna", "zoe", "elsewhere"];
    let of_app = |app: &Topic| *app == topic(APP);
    let bound = desk
        .run(resolve(&desk.app, &to(&names), None, of_app, false))
        .unwrap();
    let unmatched = ["zoe", "gone", "elsewhere"].map(alias);
    assert_eq!(bound.unmatched, unmatched, "of other apps nothing is known");
    assert_eq!(tokens(&bound), [token(1)]);
    let app = topic(APP);
    let narrowed = desk.run(resolve(&desk.app, &to(&names), Some(&app), |_| true, false));
    assert_eq!(narrowed.unwrap(), bound);
    let all = anybody(&desk, &names).unwrap();
    assert_eq!(all.unmatched, ["zoe", "gone"].map(alias));

    assert_eq!(anybody(&desk, &["zoe", "gone"]).unwrap().targets, []);
}

#[test]
fn others_have_their_turn_while_records_are_read() {
    let desk = Desk::new();
    for owner in 0..4 {
        let devices = owner * 500..(owner + 1) * 500;
        put_many(&desk, &format!("bulk{owner}"), devices);
    }
    desk.store.forget();
    let all = anybody(&desk, &["bulk0", "bulk1", "bulk2", "bulk3"]).unwrap();
    assert_eq!(all.targets.len(), 2_000);
    assert!(desk.platform.turns() >= 2_000 / 256);
    // A batch of lists may come in between two turns, and part of one of records.
    let most = LISTS_AT_ONCE * ALIAS_MAX_DEVICES * 80;
    assert!(desk.store.longest() < most, "{}", desk.store.longest());
}

#[test]
fn too_many_devices_are_refused_before_the_first_record_is_read() {
    let desk = Desk::new();
    let names: Vec<_> = (0..21).map(|owner| format!("bulk{owner}")).collect();
    for (owner, name) in names.iter().enumerate() {
        put_many(&desk, name, owner * 500..(owner + 1) * 500);
    }
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let most = anybody(&desk, &names[..20]).unwrap();
    assert_eq!(most.targets.len(), MAX_TARGETS);
    desk.store.forget();
    let problem = anybody(&desk, &names).unwrap_err();
    assert_eq!(
        (problem.status(), problem.rule()),
        (422, "too-many-devices")
    );
    let text = String::from_utf8(problem.into_reply().body).unwrap();
    assert!(text.contains("at most 10000 devices of one push"), "{text}");
    let reads = desk.store.take_reads();
    assert!(reads.keys().all(|key| !key.starts_with("d/")));

    // One that has to be kept as a receipt is bounded lower.
    let keyed = desk.run(resolve(&desk.app, &to(&names[..5]), None, |_| true, true));
    let text = String::from_utf8(keyed.unwrap_err().into_reply().body).unwrap();
    assert!(text.contains("at most 2000 devices"), "{text}");
    assert!(
        desk.store
            .take_reads()
            .keys()
            .all(|key| !key.starts_with("d/"))
    );
}

#[test]
fn a_token_that_is_not_registered_is_pushed_to_and_needs_a_topic() {
    let desk = Desk::new();
    let recipients = Recipients::Tokens(vec![token(9)]);
    let app = topic(APP);
    let found = desk
        .run(resolve(&desk.app, &recipients, Some(&app), |_| true, false))
        .unwrap();
    let [target] = &found.targets[..] else {
        panic!("there is one")
    };
    assert!(!target.registered && target.known.is_none());
    let problem = desk
        .run(resolve(&desk.app, &recipients, None, |_| true, false))
        .unwrap_err();
    assert_eq!(problem.rule(), "missing-field");
}
