//! Bytes that may be held at once: a budget of all, a share of it for each connection, and the room
//! that one request or answer has taken.
//!
//! Room is counted in KiB. A semaphore each: taking room and giving it back costs some dozens of
//! ns.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

const KIB: usize = 1024;

/// How many may wait at once; who comes after them is told at once that there is no room.
const MOST_WAITING: usize = 32;

/// What all connections together may hold.
#[derive(Clone, Debug)]
pub struct Budget {
    free: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    kib: usize,
}

impl Budget {
    /// A budget of so many bytes, rounded up to KiB.
    pub fn new(bytes: usize) -> Self {
        let kib = bytes.div_ceil(KIB).min(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(kib)),
            waiting: Arc::new(Semaphore::new(MOST_WAITING)),
            kib,
        }
    }

    /// Bytes that are not taken.
    pub fn free(&self) -> usize {
        self.free.available_permits() * KIB
    }

    /// No room yet, for something of the connection that has this share.
    pub fn room(&self, share: &Arc<Share>) -> Room {
        Room {
            budget: self.clone(),
            share: Arc::clone(share),
            kib: 0,
        }
    }
}

/// What one connection may hold of a budget.
#[derive(Debug)]
pub struct Share {
    free: Semaphore,
    kib: usize,
}

impl Share {
    /// A share of so many bytes at most.
    pub fn new(most: usize) -> Arc<Self> {
        let kib = most.div_ceil(KIB).clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            free: Semaphore::new(kib),
            kib,
        })
    }
}

/// Room that is given back when it is dropped.
#[derive(Debug)]
pub struct Room {
    budget: Budget,
    share: Arc<Share>,
    kib: usize,
}

impl Room {
    /// Becomes as large as this, unless that is more than there is. What is larger than the whole
    /// budget, or the whole share, takes all of it.
    pub fn try_fit(&mut self, bytes: usize) -> bool {
        let Some(more) = self.more_for(bytes) else {
            return true;
        };
        let Ok(of_share) = self.share.free.try_acquire_many(more.of_share) else {
            return false;
        };
        let Ok(of_budget) = self.budget.free.try_acquire_many(more.of_budget) else {
            return false;
        };
        of_share.forget();
        of_budget.forget();
        self.kib = more.kib;
        true
    }

    /// The same for what may wait, so long at most.
    pub async fn fit_within(&mut self, bytes: usize, wait: Duration) -> bool {
        if self.try_fit(bytes) {
            return true;
        }
        let Some(more) = self.more_for(bytes) else {
            return true;
        };
        // What was acquired goes back if this is given up.
        let both = async {
            let of_share = self.share.free.acquire_many(more.of_share).await.ok()?;
            let of_budget = self.budget.free.acquire_many(more.of_budget).await.ok()?;
            of_share.forget();
            of_budget.forget();
            Some(())
        };
        let fits = matches!(tokio::time::timeout(wait, both).await, Ok(Some(())));
        if fits {
            self.kib = more.kib;
        }
        fits
    }

    /// The same for what holds memory while it waits: 32 of them at once, and the others are told
    /// at once that there is no room.
    pub async fn fit_or_wait(&mut self, bytes: usize, wait: Duration) -> bool {
        if self.try_fit(bytes) {
            return true;
        }
        let waiting = Arc::clone(&self.budget.waiting);
        let Ok(_waits) = waiting.try_acquire() else {
            return false;
        };
        self.fit_within(bytes, wait).await
    }

    /// What is missing, having given back what is too much.
    fn more_for(&mut self, bytes: usize) -> Option<More> {
        let kib = bytes.div_ceil(KIB).min(self.budget.kib);
        if kib <= self.kib {
            self.shrink_to(kib);
            return None;
        }
        // Both are below the most that a semaphore has.
        let permits = |kib: usize| u32::try_from(kib).unwrap_or(u32::MAX);
        Some(More {
            kib,
            of_budget: permits(kib - self.kib),
            of_share: permits(self.of_share(kib) - self.of_share(self.kib)),
        })
    }

    fn of_share(&self, kib: usize) -> usize {
        kib.min(self.share.kib)
    }

    fn shrink_to(&mut self, kib: usize) {
        let of_share = self.of_share(self.kib) - self.of_share(kib);
        self.share.free.add_permits(of_share);
        self.budget.free.add_permits(self.kib - kib);
        self.kib = kib;
    }
}

/// What a room needs to grow.
struct More {
    /// What it has then.
    kib: usize,
    of_budget: u32,
    of_share: u32,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_and_given_back() {
        let budget = Budget::new(10 * KIB);
        let share = Share::new(10 * KIB);
        let mut one = budget.room(&share);
        assert!(one.try_fit(6 * KIB));
        let mut other = budget.room(&share);
        assert!(!other.try_fit(5 * KIB), "beyond the budget");
        assert!(other.try_fit(4 * KIB));
        assert_eq!(budget.free(), 0);
        assert!(one.try_fit(1), "smaller");
        assert_eq!(budget.free(), 5 * KIB);
        drop((one, other));
        assert_eq!(budget.free(), 10 * KIB);
    }

    #[test]
    fn one_connection_has_its_share_and_no_more() {
        let budget = Budget::new(100 * KIB);
        let share = Share::new(10 * KIB);
        let mut one = budget.room(&share);
        assert!(one.try_fit(8 * KIB));
        let mut more = budget.room(&share);
        assert!(!more.try_fit(3 * KIB));
        let mut of_another = budget.room(&Share::new(10 * KIB));
        assert!(of_another.try_fit(3 * KIB));
        drop(one);
        assert!(more.try_fit(10 * KIB));
    }

    #[test]
    fn what_is_larger_than_the_budget_takes_all_of_it() {
        let budget = Budget::new(4 * KIB);
        let mut large = budget.room(&Share::new(KIB));
        assert!(large.try_fit(100 * KIB));
        assert_eq!(budget.free(), 0);
    }

    #[tokio::test]
    async fn waiting_for_room_has_an_end_and_a_bound() {
        let (short, long) = (Duration::from_millis(1), Duration::from_secs(60));
        let budget = Budget::new(4 * KIB);
        let share = Share::new(100 * KIB);
        let mut all = budget.room(&share);
        assert!(all.try_fit(4 * KIB));
        let waits = |wait: Duration| {
            let mut room = budget.room(&share);
            tokio::spawn(async move { room.fit_or_wait(KIB, wait).await })
        };
        assert!(!waits(short).await.unwrap(), "nobody gave any back");
        let mut waiting: Vec<_> = (0..MOST_WAITING).map(|_| waits(long)).collect();
        while budget.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let mut late = budget.room(&share);
        assert!(!late.fit_or_wait(KIB, long).await, "one too many");
        drop(all);
        assert!(waiting.remove(0).await.unwrap());
        // Those that gave up hold nothing.
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
        drop(waiting);
        while budget.free() < 4 * KIB {
            tokio::task::yield_now().await;
        }
    }
}
