//! Callers that cross: any may stop between two calls of the store, or for ever.

use std::cell::Cell;

use super::*;
use crate::registry::replay::Noise;
use crate::registry::{Swap, Swapped, Tombstone};

/// What a caller of the random test does.
#[derive(Clone, Debug)]
enum Act {
    Register(Box<Registration>, u64),
    Remove(u32, u64),
    RemoveMany(u64),
    Logout(u32),
    Delete(u32),
    Restore(u32, u64),
    Learn(u32),
}

impl Act {
    fn random(noise: &mut Noise) -> Self {
        let n = u32::try_from(noise.below(3)).unwrap();
        let time = 100 + noise.below(6);
        match noise.below(12) {
            0..6 => {
                let owner = *noise.pick(&[None, Some("anna"), Some("ben")]);
                let mut said = registration(n, owner);
                if noise.below(3) == 0 {
                    said.replaces = Some(nth(u32::try_from(noise.below(3)).unwrap()).token);
                }
                said.tags = noise
                    .pick(&[None, Some(vec![]), Some(vec![tag("news")])])
                    .clone();
                Self::Register(Box::new(said), time)
            }
            6 | 7 => Self::Remove(n, time),
            8 => Self::RemoveMany(time),
            9 => Self::Logout(n),
            10 => Self::Delete(n),
            _ => Self::Restore(n, time),
        }
    }

    async fn run(&self, values: &Replay) -> CallResult<()> {
        use crate::registry::operations::{delete, logout, register, remove, restore};
        match self {
            Self::Register(said, time) => register(values, said, at(*time)).await.map(drop),
            Self::Remove(n, since) => remove(values, &nth(*n), &invalidation(*since), at(200))
                .await
                .map(drop),
            Self::RemoveMany(since) => {
                let invalidations = [0, 1, 2].map(|n| (nth(n), invalidation(*since)));
                remove_all(values, &invalidations, at(200)).await.map(drop)
            }
            Self::Logout(n) => logout(values, &nth(*n)).await.map(drop),
            Self::Delete(n) => delete(values, &nth(*n)).await.map(drop),
            Self::Restore(n, time) => restore(values, &nth(*n), at(*time)).await.map(drop),
            Self::Learn(n) => {
                let accepted = [(nth(*n), Environment::Production)];
                let mut learned = learn_many(values, &accepted, at(150)).await;
                learned.pop().unwrap().map(drop)
            }
        }
    }
}

/// Lets callers take turns in a random order. One in `crash` store calls is a caller's last.
fn interleave(memory: &Memory, noise: &mut Noise, acts: &[Act], crash: Option<u64>) -> Vec<Act> {
    let mut callers: Vec<_> = acts
        .iter()
        .map(|act| {
            let run = act.clone();
            let run = async move |values: Replay| run.run(&values).await;
            (act.clone(), Caller::new(run))
        })
        .collect();
    let mut finished = Vec::new();
    while !callers.is_empty() {
        let turn = usize::try_from(noise.below(callers.len() as u64)).unwrap();
        let ended = callers[turn].1.step(memory);
        memory.assert_whole(&acts);
        let crashed = crash.is_some_and(|one_in| noise.below(one_in) == 0);
        if let Some(result) = ended {
            result.unwrap();
            finished.push(callers.swap_remove(turn).0);
        } else if crashed {
            callers.swap_remove(turn);
        }
    }
    finished
}

#[test]
fn whatever_is_done_at_once_the_indexes_lack_nobody() {
    let total = Cell::new(0);
    for seed in 0..1_500 {
        let mut noise = Noise(seed);
        let memory = Memory::default();
        for _ in 0..2 {
            let acts: Vec<_> = (0..4).map(|_| Act::random(&mut noise)).collect();
            interleave(&memory, &mut noise, &acts, None);
            // Nobody crashed, so there is nobody too many either.
            memory.assert_tidy(&indexes(), &(seed, &acts));
        }
        total.set(total.get() + memory.records().len());
    }
    assert!(total.get() > 1_500, "there was something to look at");
}

#[test]
fn whoever_crashes_the_indexes_lack_nobody() {
    let mut surplus = 0;
    for seed in 0..1_500 {
        let mut noise = Noise(seed);
        let memory = Memory::default();
        for _ in 0..3 {
            let acts: Vec<_> = (0..4).map(|_| Act::random(&mut noise)).collect();
            interleave(&memory, &mut noise, &acts, Some(12));
        }
        let found = memory.group(&all()).len();
        let alive = memory
            .records()
            .iter()
            .filter(|record| record.removed.is_none())
            .count();
        surplus += found - alive;
    }
    assert!(surplus > 20, "crashes left something behind: {surplus}");
}

#[test]
fn no_registration_is_lost_to_a_removal_at_the_same_time() {
    let (mut removed, mut kept) = (0, 0);
    for seed in 0..2_000 {
        let mut noise = Noise(seed);
        let memory = Memory::default();
        let acts: Vec<_> = (0..5)
            .map(|turn| {
                let time = 100 + noise.below(6);
                match turn {
                    0 | 1 => Act::Register(Box::new(registration(1, Some("anna"))), time),
                    2 | 3 => Act::Remove(1, time + 3),
                    _ => Act::Learn(1),
                }
            })
            .collect();
        register(&memory, &registration(1, Some("anna")), at(99)).unwrap();
        interleave(&memory, &mut noise, &acts, None);
        let times = acts.iter().filter_map(|act| match act {
            Act::Register(_, time) => Some(*time),
            _ => None,
        });
        let last = times.max().unwrap();
        let record = record(&memory, 1);
        assert_eq!(record.registered_at, at(last), "{acts:?}");
        match record.removed {
            Some(Tombstone { since, .. }) => {
                assert!(since > at(last), "{acts:?}");
                removed += 1;
            }
            None => kept += 1,
        }
    }
    assert!(removed > 20 && kept > 20, "{removed} {kept}");
}

#[test]
fn a_key_that_everybody_wants_is_given_up_after_a_while() {
    struct Busy(Cell<usize>);
    impl Values for Busy {
        type Error = ();
        async fn get_many(&self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, ()> {
            Ok(vec![None; keys.len()])
        }
        async fn swap_many(&self, swaps: Vec<Swap>) -> Result<Vec<Swapped>, ()> {
            self.0.set(self.0.get() + swaps.len());
            Ok(vec![Swapped::Lost(None); swaps.len()])
        }
    }
    let busy = Busy(Cell::new(0));
    let gave_up = ready(super::super::register(&busy, &registration(1, None), at(1)));
    assert_eq!(gave_up, Err(Failure::Contended));
    assert_eq!(busy.0.get(), 64);
}
