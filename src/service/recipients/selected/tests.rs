//! Devices by their tags, held against what the test itself says of each device; and how much is
//! read for them.

use std::collections::{BTreeMap, BTreeSet};

use super::super::resolve;
use super::*;
use crate::api::Recipients;
use crate::registry::replay::Noise;
use crate::registry::{
    self, DeviceRecord, GroupNode, Invalidation, Leaf, Registration, RemovalReason, Tag,
    device_key, group_key,
};
use crate::service::Platform as _;
use crate::service::tests::support::{
    APP, Desk, OTHER, both, device_ref, registration, token, topic,
};
use crate::time::UnixTime;

const TAGS: [&str; 3] = ["a", "b", "c"];

/// Which of three tags a device has, as bits; `None` while there is no such device.
type State = Option<u8>;

fn tag(n: usize) -> Tag {
    Tag::parse(TAGS[n]).unwrap()
}

fn tags(bits: u8) -> Vec<Tag> {
    (0..3).filter(|n| bits & (1 << n) != 0).map(tag).collect()
}

/// Each of the sets that one list of a selector can have of three tags.
fn selectors() -> impl Iterator<Item = [u8; 3]> {
    (0..512_u16).map(|bits| [bits & 7, bits >> 3 & 7, bits >> 6].map(|bits| bits as u8))
}

/// What the words mean, in bits.
fn is_selected(state: State, [any, all, none]: [u8; 3]) -> bool {
    state.is_some_and(|has| (any == 0 || has & any != 0) && has & all == all && has & none == 0)
}

fn recipients([any, all, none]: [u8; 3]) -> Recipients {
    Recipients::Selected(Selector {
        any: tags(any),
        all: tags(all),
        none: tags(none),
    })
}

fn register(desk: &Desk, n: usize, app: &str, bits: u8) {
    let named = registration(n, app, "anna");
    let registration = Registration {
        tags: Some(tags(bits)),
        // Nobody is logged in on most of them.
        alias: named.alias.clone().filter(|_| n.is_multiple_of(3)),
        ..named
    };
    // Registered in the past, so that what happens now is later.
    let at = UnixTime::from_secs(1);
    desk.run(registry::register(&desk.store, &registration, at))
        .unwrap();
}

fn remove(desk: &Desk, n: usize) {
    let now = desk.platform.unix_time();
    let dead = Invalidation {
        reason: RemovalReason::Unregistered,
        since: now,
    };
    let device = device_ref(n);
    desk.run(registry::remove(&desk.store, &device, &dead, now))
        .unwrap();
}

fn delete(desk: &Desk, n: usize) {
    desk.run(registry::delete(&desk.store, &device_ref(n)))
        .unwrap();
}

fn logout(desk: &Desk, n: usize) {
    desk.run(registry::logout(&desk.store, &device_ref(n)))
        .unwrap();
}

/// Something happens to a device; what it is after that.
fn change(desk: &Desk, noise: &mut Noise, n: usize, before: State) -> State {
    match noise.below(6) {
        0 => {
            remove(desk, n);
            None
        }
        1 => {
            delete(desk, n);
            None
        }
        2 => {
            // Whoever logs out takes no tag along.
            logout(desk, n);
            before
        }
        _ => {
            let bits = u8::try_from(noise.below(8)).unwrap();
            register(desk, n, APP, bits);
            Some(bits)
        }
    }
}

async fn found(desk: &Desk, selector: [u8; 3]) -> Vec<DeviceToken> {
    let app = topic(APP);
    let to = recipients(selector);
    let resolved = resolve(&desk.app, &to, Some(&app), |_| true, false).await;
    let targets = resolved.unwrap().targets;
    assert!(
        targets
            .iter()
            .all(|target| target.device.topic == app && target.registered)
    );
    targets
        .into_iter()
        .map(|target| target.device.token)
        .collect()
}

/// Devices of which some were removed, and as many of another app.
fn filled(devices: usize, noise: &mut Noise) -> (Desk, Vec<State>) {
    let desk = Desk::new();
    desk.pass(1_000);
    let mut states = Vec::new();
    for n in 0..devices {
        let bits = u8::try_from(noise.below(8)).unwrap();
        register(&desk, n, APP, bits);
        if n < 20 {
            register(&desk, n, OTHER, 7);
        }
        states.push(Some(bits));
    }
    for _ in 0..devices / 4 {
        let n = usize::try_from(noise.below(devices as u64)).unwrap();
        states[n] = change(&desk, noise, n, states[n]);
    }
    (desk, states)
}

#[test]
fn any_all_and_none_of_three_tags_select_what_they_say() {
    let mut noise = Noise(1);
    // More than a leaf has, so that the way through the app has branches.
    let (desk, states) = filled(300, &mut noise);
    for selector in selectors() {
        let mut found = desk.run(found(&desk, selector));
        found.sort();
        let devices = states.iter().enumerate();
        let selected = devices.filter(|(_, state)| is_selected(**state, selector));
        let selected: Vec<_> = selected.map(|(n, _)| token(n)).collect();
        assert_eq!(found, selected, "{selector:?}");
    }
}

#[test]
fn whoever_is_selected_all_along_is_found_once_while_others_come_and_go() {
    let mut noise = Noise(2);
    let devices = 300;
    let (desk, mut states) = filled(devices, &mut noise);
    for selector in selectors().step_by(3) {
        // What each device was, from the first page to the last.
        let mut histories: BTreeMap<usize, Vec<State>> = BTreeMap::new();
        let changes = async {
            for _ in 0..12 {
                let n = usize::try_from(noise.below(devices as u64 + 60)).unwrap();
                let before = states.get(n).copied().flatten();
                let after = change(&desk, &mut noise, n, before);
                if n >= states.len() {
                    states.resize(n + 1, None);
                }
                states[n] = after;
                histories
                    .entry(n)
                    .or_insert_with(|| vec![before])
                    .push(after);
                desk.platform.turn().await;
            }
        };
        let (found, ()) = desk.run(both(found(&desk, selector), changes));
        let all = found.len();
        let found: BTreeSet<_> = found.into_iter().collect();
        assert_eq!(found.len(), all, "{selector:?}: each once");
        for (n, state) in states.iter().enumerate() {
            let history = histories.get(&n).cloned().unwrap_or_else(|| vec![*state]);
            let selected = history.iter().map(|state| is_selected(*state, selector));
            let (always, ever) = (selected.clone().all(|is| is), selected.clone().any(|is| is));
            let is_found = found.contains(&token(n));
            assert!(
                is_found || !always,
                "{selector:?}: {n} was {history:?} all along"
            );
            assert!(
                !is_found || ever,
                "{selector:?}: {n} never was, but {history:?}"
            );
        }
    }
}

/// Devices of the app with these tags, written as they are stored.
fn put_many(desk: &Desk, devices: core::ops::Range<usize>, bits: u8) {
    let mut leaf = Leaf::default();
    for n in devices {
        leaf.join(&token(n), 1);
        let registration = Registration {
            tags: Some(tags(bits)),
            alias: None,
            ..registration(n, APP, "anna")
        };
        let record = DeviceRecord::register(None, &registration, UnixTime::from_secs(1)).record;
        desk.store
            .put(&device_key(&record.topic, &record.token), &record.write());
    }
    put_leaf(desk, &Group::Topic(topic(APP)), leaf.clone());
    for tag in tags(bits) {
        put_leaf(desk, &Group::Tag(topic(APP), tag), leaf.clone());
    }
}

fn put_leaf(desk: &Desk, group: &Group, leaf: Leaf) {
    let node = GroupNode::Leaf(leaf).write();
    desk.store.put(&group_key(group), &node);
}

fn resolved(desk: &Desk, selector: [u8; 3], keyed: bool) -> Result<usize, Problem> {
    let to = recipients(selector);
    let app = topic(APP);
    let resolved = desk.run(resolve(&desk.app, &to, Some(&app), |_| true, keyed));
    resolved.map(|resolved| resolved.targets.len())
}

fn refusal(resolved: Result<usize, Problem>) -> String {
    let problem = resolved.unwrap_err();
    assert_eq!(
        (problem.status(), problem.rule()),
        (422, "too-many-devices")
    );
    String::from_utf8(problem.into_reply().body).unwrap()
}

#[test]
fn ten_thousand_are_found_and_more_are_refused_with_the_number() {
    let desk = Desk::new();
    put_many(&desk, 0..10_001, 1);
    for selector in [[0, 0, 0], [1, 0, 0], [3, 0, 4], [0, 1, 0]] {
        let text = refusal(resolved(&desk, selector, false));
        assert!(text.contains("at most 10000 devices of one push"), "{text}");
        assert!(text.contains("jobs"), "{text}");
        let text = refusal(resolved(&desk, selector, true));
        assert!(text.contains("at most 2000 devices"), "{text}");
    }
    // One of them that is gone, and in the index still.
    let gone = device_key(&topic(APP), &token(5));
    desk.store.put(&gone, b"");
    assert_eq!(resolved(&desk, [1, 0, 0], false).unwrap(), 10_000);
}

#[test]
fn others_have_their_turn_and_no_record_is_read_twice() {
    let desk = Desk::new();
    put_many(&desk, 0..2_000, 1);
    desk.store.forget();
    let before = desk.platform.turns();
    assert_eq!(resolved(&desk, [1, 0, 0], true).unwrap(), 2_000);
    assert!(desk.platform.turns() - before >= 2_000 / 256);
    assert!(desk.store.take_reads().values().all(|count| *count == 1));
    // And where two groups have the same device.
    let twice = [
        Group::Tag(topic(APP), tag(0)),
        Group::Tag(topic(APP), tag(1)),
    ];
    let mut leaf = Leaf::default();
    for n in 0..100 {
        register(&desk, n, APP, 3);
        leaf.join(&token(n), 1);
    }
    for group in &twice {
        put_leaf(&desk, group, leaf.clone());
    }
    desk.store.forget();
    assert_eq!(resolved(&desk, [3, 0, 0], false).unwrap(), 100);
    let reads = desk.store.take_reads();
    let records = reads.iter().filter(|(key, _)| key.starts_with("d/"));
    assert!(records.clone().count() == 100 && records.into_iter().all(|(_, count)| *count == 1));
}

#[test]
fn the_tag_that_the_fewest_have_leads_to_those_that_have_others_too() {
    let desk = Desk::new();
    put_many(&desk, 0..1_000, 1);
    for n in 0..10 {
        register(&desk, n, APP, 3);
    }
    desk.store.forget();
    for selector in [[0, 3, 0], [1, 2, 0], [2, 1, 4]] {
        assert_eq!(resolved(&desk, selector, false).unwrap(), 10);
        let reads = desk.store.take_reads();
        let records = reads.keys().filter(|key| key.starts_with("d/"));
        assert_eq!(records.count(), 10, "{selector:?}");
    }
}

#[test]
fn an_index_of_too_many_that_are_gone_is_given_up() {
    let desk = Desk::new();
    let mut leaf = Leaf::default();
    for n in 0..MAX_LOOKED_AT {
        leaf.join(&token(n), 1);
    }
    let group = Group::Tag(topic(APP), tag(0));
    put_leaf(&desk, &group, leaf.clone());
    let text = refusal(resolved(&desk, [1, 0, 0], false));
    assert!(text.contains("100000"), "{text}");
    leaf.leave(&mut [(&token(7), 1)]);
    put_leaf(&desk, &group, leaf);
    assert_eq!(resolved(&desk, [1, 0, 0], false).unwrap(), 0);
}
