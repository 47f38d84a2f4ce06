//! The calls one after the other, and all at once: one store call at a time, in any order, some of
//! them cut short.

mod calls;
mod crossing;
mod listing;

use calls::{delete, device, learn, logout, register, remove, restore, take_back};

use super::super::replay::{CallResult, Caller, Memory, Replay, device as nth, ready};
use super::*;
use crate::notification::Topic;
use crate::registry::{
    ALIAS_MAX_DEVICES, ALIAS_MAX_TOPICS, AliasIndex, AliasTopics, Cursor, Group, Index, PageLimit,
    RemovalReason, Selection, Tag, alias_key, alias_topics_key, candidates,
};

fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(secs)
}

fn alias(name: &str) -> Alias {
    Alias::parse(name).unwrap()
}

fn tag(name: &str) -> Tag {
    Tag::parse(name).unwrap()
}

fn topic() -> Topic {
    nth(0).topic
}

fn registration(n: u32, owner: Option<&str>) -> Registration {
    let DeviceRef { topic, token } = nth(n);
    Registration {
        topic,
        token,
        environment: None,
        alias: owner.map(alias),
        tags: None,
        replaces: None,
    }
}

fn replacing(n: u32, owner: Option<&str>, old: u32) -> Registration {
    Registration {
        replaces: Some(nth(old).token),
        ..registration(n, owner)
    }
}

fn invalidation(since: u64) -> Invalidation {
    Invalidation {
        reason: RemovalReason::Unregistered,
        since: at(since),
    }
}

fn record(memory: &Memory, n: u32) -> DeviceRecord {
    device(memory, &nth(n)).unwrap().unwrap()
}

fn all() -> Group {
    Group::Topic(topic())
}

fn news() -> Group {
    Group::Tag(topic(), tag("news"))
}

/// Every index that a test here uses.
fn indexes() -> Vec<Index> {
    let owners = ["anna", "ben"].map(|owner| Index::Alias(alias(owner), topic()));
    let groups = [all(), news()].map(Index::Group);
    [owners.as_slice(), &groups].concat()
}

fn assert_in_line(memory: &Memory, at: &dyn std::fmt::Debug) {
    memory.assert_whole(at);
    memory.assert_tidy(&indexes(), at);
}

/// Runs a call and sees that the indexes are in line after it.
fn done<T>(memory: &Memory, result: CallResult<T>) -> T {
    assert_in_line(memory, &"the end of a call");
    result.unwrap()
}

#[test]
fn the_life_of_a_token() {
    let memory = Memory::default();
    let launch = done(&memory, register(&memory, &registration(1, None), at(1)));
    assert!(launch.new);
    let mut login = registration(1, Some("anna"));
    login.tags = Some(vec![tag("news")]);
    assert!(!done(&memory, register(&memory, &login, at(2))).new);
    assert_eq!(memory.alias(&alias("anna")), [nth(1)]);
    let upgrade = done(&memory, register(&memory, &replacing(2, None, 1), at(3)));
    assert!(upgrade.new && upgrade.record.alias == Some(alias("anna")));
    assert!(record(&memory, 1).is_replaced());
    assert_eq!(memory.alias(&alias("anna")), [nth(2)]);
    assert_eq!(memory.group(&news()), [nth(2).token].into());
    for _ in 0..2 {
        assert!(done(&memory, logout(&memory, &nth(2))));
        assert_eq!(memory.alias(&alias("anna")), []);
    }
    done(
        &memory,
        register(&memory, &registration(2, Some("ben")), at(4)),
    );
    let told = done(&memory, remove(&memory, &nth(2), &invalidation(4), at(5)));
    assert_eq!(told, Some(Removal::Kept));
    let told = done(&memory, remove(&memory, &nth(2), &invalidation(5), at(6)));
    assert_eq!(told, Some(Removal::Removed(Box::new(record(&memory, 2)))));
    assert_eq!(record(&memory, 2).alias, Some(alias("ben")));
    assert!(memory.group(&all()).is_empty() && memory.alias(&alias("ben")).is_empty());
    let told = done(&memory, remove(&memory, &nth(2), &invalidation(9), at(9)));
    assert_eq!(told, Some(Removal::AlreadyRemoved));
    let back = done(&memory, register(&memory, &registration(2, None), at(10)));
    assert!(!back.new && back.record.removed.is_none());
    assert_eq!(memory.alias(&alias("ben")), [nth(2)]);
}

#[test]
fn a_known_device_that_changes_nothing_costs_one_read_and_one_swap() {
    let memory = Memory::default();
    register(&memory, &registration(1, Some("anna")), at(1)).unwrap();
    let before = (memory.gets.get(), memory.swaps.get());
    register(&memory, &registration(1, Some("anna")), at(2)).unwrap();
    let after = (memory.gets.get(), memory.swaps.get());
    assert_eq!(after, (before.0 + 1, before.1 + 1));
    remove(&memory, &nth(1), &invalidation(1), at(3)).unwrap();
    learn(&memory, &nth(7), Environment::Production, at(3)).unwrap();
    assert_eq!(memory.gets.get(), after.0 + 2);
    assert_eq!(
        memory.swaps.get(),
        after.1,
        "what changes nothing writes nothing"
    );
}

#[test]
fn a_registration_asks_the_store_as_often_as_it_must_wait_for_an_answer() {
    let memory = Memory::default();
    let register = |n, tags: u32| {
        let before = (memory.calls.get(), memory.swaps.get());
        let mut said = registration(n, Some("anna"));
        said.tags = Some((0..tags).map(|n| tag(&format!("{n}"))).collect());
        register(&memory, &said, at(1)).unwrap();
        let after = (memory.calls.get(), memory.swaps.get());
        (after.0 - before.0, after.1 - before.1)
    };
    // The record; all indexes; the leaves and the list of apps; the alias's index; the record.
    assert_eq!(register(1, 2), (5, 6));
    // The app is on the list, so that the index is swapped with the leaves.
    assert_eq!(register(2, 2), (4, 5));
    assert_eq!(register(3, 64), (4, 67));
    assert_eq!(register(3, 64), (2, 1), "nothing is new");
    // Out of 62 indexes: the record twice, then what is to be left and their swaps.
    assert_eq!(register(3, 2), (4, 63));
}

#[test]
fn nobody_is_unknown_without_harm() {
    let memory = Memory::default();
    assert!(!logout(&memory, &nth(1)).unwrap());
    assert!(!delete(&memory, &nth(1)).unwrap());
    assert_eq!(restore(&memory, &nth(1), at(1)).unwrap(), None);
    assert_eq!(
        remove(&memory, &nth(1), &invalidation(1), at(1)).unwrap(),
        None
    );
    assert_eq!(device(&memory, &nth(1)).unwrap(), None);
    assert_eq!(memory.swaps.get(), 0);
}

#[test]
fn a_deleted_device_is_as_good_as_new() {
    let memory = Memory::default();
    register(&memory, &registration(1, Some("anna")), at(1)).unwrap();
    assert!(done(&memory, delete(&memory, &nth(1))));
    assert!(!done(&memory, delete(&memory, &nth(1))));
    assert_eq!(device(&memory, &nth(1)).unwrap(), None);
    assert_eq!(restore(&memory, &nth(1), at(2)).unwrap(), None);
    let again = done(&memory, register(&memory, &registration(1, None), at(3)));
    assert!(again.new && again.record.alias.is_none());
    assert_eq!(again.record.first_registered_at, at(3));
    assert_eq!(again.record.revision, 3, "revisions are never used twice");
}

#[test]
fn a_restored_device_is_its_aliass_again() {
    let memory = Memory::default();
    let mut login = registration(1, Some("anna"));
    login.tags = Some(vec![tag("news")]);
    register(&memory, &login, at(1)).unwrap();
    remove(&memory, &nth(1), &invalidation(2), at(2)).unwrap();
    let back = done(&memory, restore(&memory, &nth(1), at(3))).unwrap();
    assert_eq!((back.removed, back.registered_at), (None, at(3)));
    assert_eq!(memory.alias(&alias("anna")), [nth(1)]);
    let same = done(&memory, restore(&memory, &nth(1), at(4))).unwrap();
    assert_eq!(same, back, "it is alive already");
}

#[test]
fn only_doubtful_removals_are_taken_back() {
    let memory = Memory::default();
    for (reason, back) in [
        (RemovalReason::BadDeviceToken, true),
        (RemovalReason::DeviceTokenNotForTopic, true),
        (RemovalReason::Unregistered, false),
        (RemovalReason::Feedback, false),
    ] {
        register(&memory, &registration(1, Some("anna")), at(1)).unwrap();
        let since = at(2);
        remove(&memory, &nth(1), &Invalidation { reason, since }, at(2)).unwrap();
        let record = done(&memory, take_back(&memory, &nth(1), at(2))).unwrap();
        assert_eq!(record.removed.is_none(), back, "{reason}");
        delete(&memory, &nth(1)).unwrap();
    }
}

#[test]
fn old_and_new_token_together() {
    // old token's owner, new token's owner, owner named -> owner of the new one, old one removed
    let (anna, ben) = (Some("anna"), Some("ben"));
    for (old, new, named, owner, removed) in [
        (Some(anna), None, None, anna, true),
        (Some(anna), None, anna, anna, true),
        (Some(anna), None, ben, ben, false),
        (Some(None), None, ben, ben, true),
        (Some(anna), Some(None), None, anna, true),
        (Some(anna), Some(ben), None, ben, false),
        (Some(anna), Some(ben), anna, anna, true),
        (None, None, anna, anna, false),
        (None, Some(anna), None, anna, false),
    ] {
        let memory = Memory::default();
        if let Some(owner) = old {
            register(&memory, &registration(1, owner), at(1)).unwrap();
        }
        if let Some(owner) = new {
            register(&memory, &registration(2, owner), at(2)).unwrap();
        }
        let said = replacing(2, named, 1);
        // Twice, since a client that got no answer asks again.
        for time in [3, 4] {
            let case = (old, new, named, time);
            let registered = done(&memory, register(&memory, &said, at(time)));
            assert_eq!(registered.record.alias, owner.map(alias), "{case:?}");
            assert_eq!(registered.record, record(&memory, 2), "{case:?}");
            let before = device(&memory, &nth(1)).unwrap();
            assert_eq!(before.is_some(), old.is_some(), "{case:?}");
            assert_eq!(
                before.is_some_and(|old| old.is_replaced()),
                removed,
                "{case:?}"
            );
        }
    }
}

#[test]
fn a_token_that_replaces_itself_is_only_registered() {
    let memory = Memory::default();
    register(&memory, &registration(1, Some("anna")), at(1)).unwrap();
    let registered = done(&memory, register(&memory, &replacing(1, None, 1), at(2)));
    assert_eq!(registered.record.removed, None);
    assert_eq!(registered.record.alias, Some(alias("anna")));
}

#[test]
fn who_logs_out_while_the_token_is_replaced_is_logged_out() {
    let memory = Memory::default();
    register(&memory, &registration(1, Some("anna")), at(1)).unwrap();
    let mut upgrade = Caller::new(async |values: Replay| {
        super::register(&values, &replacing(2, None, 1), at(2)).await
    });
    while device(&memory, &nth(2)).unwrap().is_none() {
        assert!(upgrade.step(&memory).is_none());
    }
    assert_eq!(record(&memory, 2).alias, Some(alias("anna")));
    logout(&memory, &nth(1)).unwrap();
    let upgraded = upgrade.finish(&memory).unwrap();
    assert_eq!(upgraded.record.alias, None);
    assert_eq!(upgraded.record, record(&memory, 2));
    assert!(memory.alias(&alias("anna")).is_empty());
    assert_in_line(&memory, &"the end");
}

#[test]
fn an_alias_that_is_full_refuses_and_is_tidied() {
    let limit = u32::try_from(ALIAS_MAX_DEVICES).unwrap();
    let key = alias_key(&alias("anna"), &topic());
    {
        let memory = Memory::default();
        register(&memory, &registration(1, Some("anna")), at(1)).unwrap();
        // One device of which there is no record, as after a crash, and 499 that there are.
        let mut index = AliasIndex::read(memory.get(&key).as_deref()).unwrap();
        index.join(&nth(9_999).token, 0).unwrap();
        memory.put(&key, &index.write());
        for n in 2..limit {
            register(&memory, &registration(n, Some("anna")), at(1)).unwrap();
        }
        register(&memory, &registration(limit, Some("anna")), at(1)).unwrap();
        let full = register(&memory, &registration(limit + 1, Some("anna")), at(1));
        assert_eq!(full, Err(Failure::AliasFull));
        assert_eq!(device(&memory, &nth(limit + 1)).unwrap(), None);
        assert_in_line(&memory, &"a full alias");
        delete(&memory, &nth(7)).unwrap();
        let again = register(&memory, &registration(limit + 1, Some("anna")), at(1));
        done(&memory, again);
    }
}

/// The same device in another app.
fn in_other_app(n: u32, owner: Option<&str>) -> Registration {
    Registration {
        topic: Topic::parse("com.other.app").unwrap(),
        ..registration(n, owner)
    }
}

#[test]
fn an_alias_that_one_app_has_filled_has_room_for_another() {
    let memory = Memory::default();
    for n in 0..u32::try_from(ALIAS_MAX_DEVICES).unwrap() {
        register(&memory, &registration(n, Some("anna")), at(1)).unwrap();
    }
    let full = register(&memory, &registration(9_999, Some("anna")), at(1));
    assert_eq!(full, Err(Failure::AliasFull));
    let other = register(&memory, &in_other_app(1, Some("anna")), at(1));
    assert!(done(&memory, other).new);
    let found = memory.alias(&alias("anna"));
    assert_eq!(found.len(), ALIAS_MAX_DEVICES + 1);
    done(&memory, logout(&memory, &in_other_app(1, None).device()));
    assert_eq!(memory.alias(&alias("anna")).len(), ALIAS_MAX_DEVICES);
}

#[test]
fn an_alias_has_so_many_apps_and_no_more() {
    let memory = Memory::default();
    let app = |n: usize| Registration {
        topic: Topic::parse(&format!("com.example.app{n}")).unwrap(),
        ..registration(1, Some("anna"))
    };
    let mut topics = AliasTopics::default();
    for n in 0..ALIAS_MAX_TOPICS {
        topics.add(&app(n).topic).unwrap();
    }
    memory.put(&alias_topics_key(&alias("anna")), &topics.write());
    done(&memory, register(&memory, &app(7), at(1)));
    let full = register(&memory, &app(ALIAS_MAX_TOPICS), at(1));
    assert_eq!(full, Err(Failure::AliasFull));
    let device = app(ALIAS_MAX_TOPICS).device();
    assert_eq!(self::device(&memory, &device).unwrap(), None);
}

/// A record of anna's as an earlier version wrote it.
fn registered(n: u32) -> DeviceRecord {
    DeviceRecord::register(None, &registration(n, Some("anna")), at(1)).record
}

async fn remove_all<V: Values>(
    values: &V,
    invalidations: &[(DeviceRef, Invalidation)],
    now: UnixTime,
) -> Result<Vec<Option<Removal>>, Failure<V::Error>> {
    let located = invalidations
        .iter()
        .map(|(device, invalidation)| (Located::new(device.clone()), *invalidation));
    let located: Vec<_> = located.collect();
    let mut removals = Removals::default();
    let told = removals.remove_many(values, &located, now).await;
    let told = told.into_iter().collect::<Result<_, _>>()?;
    while !removals.settle_some(values).await? {}
    Ok(told)
}

#[test]
fn many_are_removed_together() {
    let memory = Memory::default();
    for n in 0..1_500 {
        let owner = ["anna", "ben"][usize::try_from(n % 2).unwrap()];
        let owner = (n < 400).then_some(owner);
        let mut said = registration(n, owner);
        said.tags = (n % 3 == 0).then(|| vec![tag("news")]);
        register(&memory, &said, at(10 + u64::from(n % 2))).unwrap();
    }
    let invalidations: Vec<_> = (0..1_501)
        .chain([7])
        .map(|n| (nth(n), invalidation(11)))
        .collect();
    let before = memory.swaps.get();
    let calls = memory.calls.get();
    let told = ready(remove_all(&memory, &invalidations, at(20)));
    let told = done(&memory, told);
    let calls = memory.calls.get() - calls;
    // All records in one call, their swaps in another, and some for 200 entries of indexes each.
    assert!(calls < 2 + 10 * 8, "{calls}");
    let swaps = memory.swaps.get() - before;
    assert!(swaps < 750 + 300, "{swaps}");
    for (n, told) in (0..).zip(&told) {
        match n {
            1_500 => assert_eq!(*told, None),
            _ if n % 2 == 0 => assert!(matches!(told, Some(Removal::Removed(_)))),
            _ => assert_eq!(*told, Some(Removal::Kept)),
        }
    }
    assert_eq!(memory.group(&all()).len(), 750);
    let again = ready(remove_all(&memory, &invalidations[..1], at(20))).unwrap();
    assert_eq!(again, [Some(Removal::AlreadyRemoved)]);
}

#[test]
fn removals_with_many_tags_are_settled_before_they_are_too_many() {
    let memory = Memory::default();
    let tags: Vec<_> = (0..64).map(|n| tag(&format!("{n}"))).collect();
    let mut removals = Removals::default();
    let (mut told, mut settled) = (0, 0);
    for n in 0..4_000 {
        // Written as they are stored: nobody has to find them.
        let mut record = registered(n);
        record.tags.clone_from(&tags);
        record.revision = 1;
        let device = nth(n);
        memory.put(&device_key(&device.topic, &device.token), &record.write());
        let invalidation = invalidation(5);
        let dead = [(Located::new(device), invalidation)];
        let removed = ready(removals.remove_many(&memory, &dead, at(9)));
        assert!(removed.iter().all(Result::is_ok));
        told += 1;
        if removals.are_many() {
            assert!(told * 66 < 200_000 + 66, "{told}");
            while !ready(removals.settle_some(&memory)).unwrap() {}
            assert!(!removals.are_many());
            (told, settled) = (0, settled + 1);
        }
    }
    assert_eq!(settled, 1);
}

#[test]
fn the_sweep_marks_and_forgets() {
    let memory = Memory::default();
    let wait = Wait {
        stale: Duration::from_secs(100),
        expired: Duration::from_secs(50),
    };
    for n in 1..=3 {
        register(
            &memory,
            &registration(n, Some("anna")),
            at(u64::from(n) * 100),
        )
        .unwrap();
    }
    remove(&memory, &nth(3), &invalidation(301), at(301)).unwrap();
    let sweep_all = |now| {
        let key = |n| device_key(&nth(n).topic, &nth(n).token);
        let stored = [1, 2, 3, 4].map(|n| (key(n), memory.get(&key(n))));
        let stored = stored.each_ref();
        let stored = stored.map(|(key, value)| (key.as_str(), value.as_deref()));
        let swept = ready(sweep(&memory, &stored, wait, at(now)));
        let swept: Vec<_> = swept.into_iter().map(|one| one.unwrap().unwrap()).collect();
        swept
    };
    let nothing = Swept::Nothing;
    assert_eq!(sweep_all(300), [Swept::Stale, nothing, nothing, nothing]);
    assert_eq!(sweep_all(301), [nothing, Swept::Stale, nothing, nothing]);
    assert_eq!(sweep_all(351), [nothing, nothing, nothing, nothing]);
    assert_eq!(sweep_all(352), [nothing, nothing, Swept::Expired, nothing]);
    assert!(record(&memory, 1).stale);
    assert_eq!(device(&memory, &nth(3)).unwrap(), None);
    let other = ready(sweep(&memory, &[("a/x", None)], wait, at(9)));
    assert_eq!(other, [Ok(None)]);
    assert_in_line(&memory, &"after the sweep");
}

#[test]
fn an_environment_is_learned() {
    let memory = Memory::default();
    register(&memory, &registration(1, None), at(1)).unwrap();
    assert!(learn(&memory, &nth(1), Environment::Development, at(2)).unwrap());
    assert!(!learn(&memory, &nth(1), Environment::Development, at(3)).unwrap());
    assert_eq!(
        record(&memory, 1).environment,
        Some(Environment::Development)
    );
    assert!(!learn(&memory, &nth(2), Environment::Development, at(3)).unwrap());
}
