//! Whom a push is for, with a store that counts.

use super::super::support::{Counting, ready};
use super::*;
use crate::registry::{self, ALIAS_MAX_DEVICES, Registration, Tag};
use crate::time::UnixTime;

const APP: &str = "com.example.app";
const OTHER: &str = "com.other.app";

fn topic(name: &str) -> Topic {
    Topic::parse(name).unwrap()
}

fn alias(name: &str) -> Alias {
    Alias::parse(name).unwrap()
}

fn token(n: usize) -> DeviceToken {
    DeviceToken::from_bytes(&u32::try_from(n).unwrap().to_be_bytes()).unwrap()
}

fn registration(n: usize, app: &str, owner: &str) -> Registration {
    Registration {
        topic: topic(app),
        token: token(n),
        environment: None,
        alias: Some(alias(owner)),
        tags: None,
        replaces: None,
    }
}

fn register(store: &Counting, registration: &Registration) {
    let now = UnixTime::from_secs(1);
    registry::register(&store.memory, registration, now).unwrap();
}

/// Many devices of an alias, written as they are stored: registering each takes its time.
fn put_many(store: &Counting, owner: &str, devices: core::ops::Range<usize>) {
    register(store, &registration(devices.start, APP, owner));
    let mut index = AliasIndex::default();
    for n in devices {
        let device = DeviceRef {
            topic: topic(APP),
            token: token(n),
        };
        index.join(&device, 1).unwrap();
        let record =
            DeviceRecord::register(None, &registration(n, APP, owner), UnixTime::from_secs(1));
        let key = device_key(&device.topic, &device.token);
        store.memory.put(&key, &record.record.write());
    }
    let key = alias_key(&alias(owner), &topic(APP));
    store.memory.put(&key, &index.write());
}

fn to(names: &[&str]) -> Recipients {
    Recipients::Aliases(names.iter().map(|name| alias(name)).collect())
}

fn anybody(store: &Counting, names: &[&str]) -> Result<Resolved, Problem> {
    ready(resolve(store, &to(names), None, |_| true, false))
}

fn tokens(resolved: &Resolved) -> Vec<DeviceToken> {
    let targets = resolved.targets.iter();
    targets.map(|target| target.device.token.clone()).collect()
}

#[test]
fn whoever_is_named_many_times_is_looked_up_once() {
    let store = Counting::default();
    for n in 0..100 {
        let mut heavy = registration(n, APP, "bulk");
        let tag = |tag| Tag::parse(&format!("{tag:064}")).unwrap();
        heavy.tags = (n == 0).then(|| (0..64).map(tag).collect());
        register(&store, &heavy);
    }
    store.forget();
    let once = anybody(&store, &["bulk"]).unwrap();
    let reads = store.reads.take();
    assert_eq!(once.targets.len(), 100);
    assert!(reads.values().all(|count| *count == 1), "{reads:?}");
    let often = anybody(&store, &["bulk"; 1_000]).unwrap();
    assert_eq!(often, once);
    assert_eq!(store.reads.take(), reads);

    let token_twice = Recipients::Tokens(vec![token(5), token(3), token(5), token(3), token(1)]);
    let app = topic(APP);
    let by_token = ready(resolve(&store, &token_twice, Some(&app), |_| true, false)).unwrap();
    assert_eq!(tokens(&by_token), [token(5), token(3), token(1)]);
    assert!(store.reads.take().values().all(|count| *count == 1));
}

#[test]
fn recipients_keep_the_order_in_which_they_are_first_named() {
    let store = Counting::default();
    for (n, owner) in [(1, "anna"), (2, "ben"), (3, "anna"), (4, "eve")] {
        register(&store, &registration(n, APP, owner));
    }
    let found = anybody(&store, &["ben", "anna", "ben", "eve", "anna"]).unwrap();
    assert_eq!(tokens(&found), [token(2), token(1), token(3), token(4)]);
    assert_eq!(found.unmatched, []);
}

#[test]
fn aliases_that_resolve_to_nothing_are_named_once_each_and_in_order() {
    let store = Counting::default();
    register(&store, &registration(1, APP, "anna"));
    register(&store, &registration(2, APP, "gone"));
    let device = DeviceRef {
        topic: topic(APP),
        token: token(2),
    };
    registry::delete(&store.memory, &device).unwrap();
    register(&store, &registration(3, OTHER, "elsewhere"));
    let names = ["zoe", "gone", "anna", "zoe", "elsewhere"];
    let of_app = |app: &Topic| *app == topic(APP);
    let bound = ready(resolve(&store, &to(&names), None, of_app, false)).unwrap();
    let unmatched = ["zoe", "gone", "elsewhere"].map(alias);
    assert_eq!(bound.unmatched, unmatched, "of other apps nothing is known");
    assert_eq!(tokens(&bound), [token(1)]);
    let app = topic(APP);
    let narrowed = ready(resolve(&store, &to(&names), Some(&app), |_| true, false));
    assert_eq!(narrowed.unwrap(), bound);
    let all = anybody(&store, &names).unwrap();
    assert_eq!(all.unmatched, ["zoe", "gone"].map(alias));

    let nobody = anybody(&store, &["zoe", "gone"]).unwrap_err();
    assert_eq!((nobody.status(), nobody.rule()), (404, "unknown-alias"));
}

#[test]
fn others_have_their_turn_while_records_are_read() {
    let store = Counting::default();
    for owner in 0..4 {
        let devices = owner * 500..(owner + 1) * 500;
        put_many(&store, &format!("bulk{owner}"), devices);
    }
    store.forget();
    let all = anybody(&store, &["bulk0", "bulk1", "bulk2", "bulk3"]).unwrap();
    assert_eq!(all.targets.len(), 2_000);
    assert!(store.turns.get() >= 2_000 / 256, "{}", store.turns.get());
    // A batch of lists may come in between two turns, and part of one of records.
    let most = LISTS_AT_ONCE * ALIAS_MAX_DEVICES * 80;
    assert!(store.longest.get() < most, "{}", store.longest.get());
}

#[test]
fn too_many_devices_are_refused_before_the_first_record_is_read() {
    let store = Counting::default();
    let names: Vec<_> = (0..21).map(|owner| format!("bulk{owner}")).collect();
    for (owner, name) in names.iter().enumerate() {
        put_many(&store, name, owner * 500..(owner + 1) * 500);
    }
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let most = anybody(&store, &names[..20]).unwrap();
    assert_eq!(most.targets.len(), MAX_TARGETS);
    store.forget();
    let problem = anybody(&store, &names).unwrap_err();
    assert_eq!(
        (problem.status(), problem.rule()),
        (422, "too-many-devices")
    );
    let text = String::from_utf8(problem.into_reply().body).unwrap();
    assert!(text.contains("at most 10000 devices of one push"), "{text}");
    let reads = store.reads.take();
    assert!(reads.keys().all(|key| !key.starts_with("d/")));

    // One that has to be kept as a receipt is bounded lower.
    let keyed = ready(resolve(&store, &to(&names[..5]), None, |_| true, true));
    let text = String::from_utf8(keyed.unwrap_err().into_reply().body).unwrap();
    assert!(text.contains("at most 2000 devices"), "{text}");
    assert!(store.reads.take().keys().all(|key| !key.starts_with("d/")));
}

#[test]
fn devices_that_an_older_version_has_listed_are_found() {
    let store = Counting::default();
    register(&store, &registration(1, APP, "anna"));
    for (n, app) in [(2, APP), (3, OTHER)] {
        let record =
            DeviceRecord::register(None, &registration(n, app, "anna"), UnixTime::from_secs(1));
        let device = record.record.device();
        let key = device_key(&device.topic, &device.token);
        store.memory.put(&key, &record.record.write());
    }
    let mut older = AliasIndex::default();
    for (n, app) in [(1, APP), (2, APP), (3, OTHER)] {
        let device = DeviceRef {
            topic: topic(app),
            token: token(n),
        };
        older.join(&device, 1).unwrap();
    }
    store
        .memory
        .put(&older_alias_key(&alias("anna")), &older.write());
    let found = anybody(&store, &["anna"]).unwrap();
    assert_eq!(tokens(&found), [token(1), token(2), token(3)]);
    let app = topic(OTHER);
    let narrowed = ready(resolve(&store, &to(&["anna"]), Some(&app), |_| true, false));
    assert_eq!(tokens(&narrowed.unwrap()), [token(3)]);
}

#[test]
fn a_token_that_is_not_registered_is_pushed_to_and_needs_a_topic() {
    let store = Counting::default();
    let recipients = Recipients::Tokens(vec![token(9)]);
    let app = topic(APP);
    let found = ready(resolve(&store, &recipients, Some(&app), |_| true, false)).unwrap();
    let [target] = &found.targets[..] else {
        panic!("there is one")
    };
    assert!(!target.registered && target.known.is_none());
    let problem = ready(resolve(&store, &recipients, None, |_| true, false)).unwrap_err();
    assert_eq!(problem.rule(), "missing-field");
}
