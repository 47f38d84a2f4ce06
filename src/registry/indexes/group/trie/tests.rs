//! Joining, leaving, splitting and listing, alone and by several at once.

use std::collections::BTreeSet;

use super::*;
use crate::registry::DeviceRef;
use crate::registry::indexes::together;
use crate::registry::replay::{CallResult, Caller, Memory, Noise, Replay, device, ready};

fn group() -> Group {
    Group::Topic(device(0).topic)
}

fn token(n: u32) -> DeviceToken {
    device(n).token
}

/// A store whose group has the devices of a range.
fn filled(range: core::ops::Range<u32>) -> Memory {
    let memory = Memory::default();
    let mut all = Leaf::default();
    for n in range {
        all.join(&token(n), 1);
    }
    ready(merge_under(&memory, &group_key(&group()), &[], &all)).unwrap();
    memory
}

fn leave_of(token: &DeviceToken, revision: u64) -> Leave<'_> {
    Leave {
        token,
        cursor: Cursor::of(token),
        revision,
    }
}

async fn join_by<V: Values>(
    values: &V,
    group: &Group,
    token: &DeviceToken,
    revision: u64,
) -> Result<(), Failure<V::Error>> {
    together(values, async |round| {
        let ahead = Ahead::read(round, group, Cursor::of(token)).await?;
        super::join(round, group, token, revision, ahead).await
    })
    .await
}

async fn leave_by<V: Values>(values: &V, n: u32, revision: u64) -> Result<(), Failure<V::Error>> {
    let (group, token) = (group(), token(n));
    let leaving = vec![leave_of(&token, revision)];
    together(values, async |round| leave(round, &group, leaving).await).await
}

fn join(memory: &Memory, group: &Group, token: &DeviceToken, revision: u64) -> CallResult<()> {
    ready(join_by(memory, group, token, revision))
}

fn leave_one(memory: &Memory, n: u32, revision: u64) -> CallResult<()> {
    ready(leave_by(memory, n, revision))
}

fn page_of(
    memory: &Memory,
    group: &Group,
    after: Option<Cursor>,
    limit: PageLimit,
) -> CallResult<GroupPage> {
    ready(group_page(memory, group, after, limit))
}

#[test]
fn a_group_grows_and_shrinks() {
    let memory = Memory::default();
    for n in 0..2_000 {
        join(&memory, &group(), &token(n), 1).unwrap();
    }
    assert_eq!(memory.group(&group()), (0..2_000).map(token).collect());
    for n in 0..1_999 {
        leave_one(&memory, n, 1).unwrap();
    }
    assert_eq!(memory.group(&group()), [token(1_999)].into());
    leave_one(&memory, 1_999, 0).unwrap();
    assert_eq!(memory.group(&group()).len(), 1, "it joined later");
    leave_one(&memory, 5_000, 1).unwrap();
}

#[test]
fn joining_again_writes_nothing() {
    let memory = filled(0..300);
    let before = memory.swaps.get();
    for n in 0..300 {
        join(&memory, &group(), &token(n), 1).unwrap();
    }
    assert_eq!(memory.swaps.get(), before);
}

#[test]
fn many_leave_a_leaf_with_one_swap() {
    let memory = filled(0..4_000);
    let tokens: Vec<_> = (0..4_000).map(token).collect();
    let leaving = tokens.iter().map(|token| leave_of(token, 1)).collect();
    let before = memory.swaps.get();
    let calls = memory.calls.get();
    let group = group();
    let left = together(&memory, async |round| leave(round, &group, leaving).await);
    ready(left).unwrap();
    let calls = memory.calls.get() - calls;
    assert!(
        calls <= 6,
        "for each level a read, for each kind of leaf a swap: {calls}"
    );
    assert!(memory.group(&group).is_empty());
    let swaps = memory.swaps.get() - before;
    assert!((16..=256).contains(&swaps), "{swaps}");
}

#[test]
fn a_hash_that_leads_nowhere_ends() {
    let memory = Memory::default();
    let mut key = group_key(&group());
    let cursor = Cursor::of(&token(1));
    for depth in 0..=MAX_DEPTH {
        memory.put(&key, &GroupNode::Branch.write());
        let _ = write!(key, "{:x}", cursor.digit(depth));
    }
    let joined = join(&memory, &group(), &token(1), 1);
    assert!(matches!(joined, Err(Failure::Corrupt(_))), "{joined:?}");
    let limit = PageLimit::new(1).unwrap();
    let mut after = None;
    // Each page passes over some of it, until one meets the end of it.
    let error = loop {
        match page_of(&memory, &group(), after, limit) {
            Ok(page) => after = Some(page.next.unwrap()),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Failure::Corrupt(_)));
    leave_one(&memory, 1, 1).unwrap();
}

/// Writers that join and leave while the leaf they are in is split, one store call at a time in any
/// order, some of whom crash. Nobody who has joined is missing, at any moment.
#[test]
fn nobody_is_lost_while_a_leaf_is_split() {
    let mut splits = 0;
    for seed in 0..80 {
        let mut noise = Noise(seed);
        let start = 253 + u32::try_from(noise.below(4)).unwrap();
        let memory = filled(0..start);
        let mut members: BTreeSet<_> = (0..start).map(token).collect();
        let mut callers: Vec<_> = (0..6)
            .map(|n| {
                let joins = noise.below(3) > 0;
                let n = if joins { 1_000 + n } else { n };
                let run = async move |values: Replay| match joins {
                    true => join_by(&values, &group(), &token(n), 1).await,
                    false => leave_by(&values, n, 1).await,
                };
                (joins, token(n), Caller::new(run))
            })
            .collect();
        for (joins, token, _) in &callers {
            if !joins {
                members.remove(token);
            }
        }
        while !callers.is_empty() {
            let turn = usize::try_from(noise.below(callers.len() as u64)).unwrap();
            let (joins, token, caller) = &mut callers[turn];
            let done = caller.step(&memory);
            if done.is_some() && *joins {
                members.insert(token.clone());
            }
            let crashed = noise.below(80) == 0;
            if done.is_some() || crashed {
                done.map_or(Ok(()), |done| done).unwrap();
                callers.swap_remove(turn);
            }
            let found = memory.group(&group());
            assert!(members.is_subset(&found), "seed {seed}");
        }
        let root = memory.get(&group_key(&group()));
        splits += u32::from(GroupNode::read(root.as_deref()) == Ok(GroupNode::Branch));
    }
    assert!(splits > 20, "{splits}");
}

/// All of a group, page by page.
fn pages(memory: &Memory, limit: u16) -> Vec<Vec<DeviceToken>> {
    let limit = PageLimit::new(limit).unwrap();
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = page_of(memory, &group(), after, limit).unwrap();
        assert!(page.tokens.len() <= limit.get());
        pages.push(page.tokens);
        match page.next {
            Some(next) => {
                assert!(after < Some(next), "it goes on");
                after = Some(next);
            }
            None => return pages,
        }
    }
}

#[test]
fn pages_list_everybody_once_in_order() {
    for count in [0, 1, 99, 100, 101, 256, 257, 3_000] {
        let memory = filled(0..count);
        let mut expected: Vec<_> = (0..count).map(token).collect();
        expected.sort_by_key(Cursor::of);
        for limit in [1, 100, 1_000] {
            if limit == 1 && count > 300 {
                continue;
            }
            let pages = pages(&memory, limit);
            assert_eq!(pages.concat(), expected, "{count} by {limit}");
            let full = u32::from(limit);
            let expected_pages = count.div_ceil(full).max(1);
            assert_eq!(pages.len(), usize::try_from(expected_pages).unwrap());
        }
    }
}

#[test]
fn a_listing_survives_a_split() {
    let memory = filled(0..200);
    let limit = PageLimit::new(90).unwrap();
    let first = page_of(&memory, &group(), None, limit).unwrap();
    for n in 200..600 {
        join(&memory, &group(), &token(n), 1).unwrap();
    }
    let (mut listed, mut after) = (first.tokens, first.next);
    while after.is_some() {
        let page = page_of(&memory, &group(), after, limit).unwrap();
        listed.extend(page.tokens);
        after = page.next;
    }
    let distinct: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(distinct.len(), listed.len());
    assert!((0..200).all(|n| distinct.contains(&token(n))));
}

#[test]
fn a_page_of_a_group_that_nearly_all_have_left_is_bounded() {
    let memory = Memory::default();
    let root = group_key(&group());
    memory.put(&root, &GroupNode::Branch.write());
    for node in 0..0x110 {
        let key = match node {
            0..0x10 => format!("{root}{node:x}"),
            _ => format!("{root}{:02x}", node - 0x10),
        };
        memory.put(&key, &GroupNode::Branch.write());
    }
    // 4096 empty leaves, and one device somewhere.
    join(&memory, &group(), &token(3), 1).unwrap();
    memory.gets.set(0);
    let pages = pages(&memory, 1_000);
    assert_eq!(pages.concat(), [token(3)]);
    assert!((4..=6).contains(&pages.len()), "{}", pages.len());
    assert!(memory.gets.get() <= pages.len() * PAGE_NODES);
}

#[test]
fn limits_are_from_one_to_a_thousand() {
    assert_eq!(PageLimit::new(0), None);
    assert_eq!(PageLimit::new(1).unwrap().get(), 1);
    assert_eq!(PageLimit::new(1_000).unwrap().get(), 1_000);
    assert_eq!(PageLimit::new(1_001), None);
}

#[test]
fn groups_do_not_mix() {
    let memory = filled(0..10);
    let DeviceRef { topic, token } = device(77);
    let tag = crate::registry::Tag::parse("news").unwrap();
    let news = Group::Tag(topic, tag);
    join(&memory, &news, &token, 1).unwrap();
    assert_eq!(memory.group(&news), [token].into());
    assert_eq!(memory.group(&group()).len(), 10);
}
