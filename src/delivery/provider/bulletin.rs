//! What the operator is still to hear of a lane.
//!
//! Bound: [`News::MAX`], of which the oldest is dropped.

use std::collections::VecDeque;

use crate::delivery::action::News;

/// Nothing was said before the end.
pub(super) const CLOSED: &str = "the connection was closed by the peer";

/// What is still to be heard, and what was heard of the breaker.
#[derive(Debug, Default)]
pub(super) struct Bulletin {
    pub(super) news: VecDeque<News>,
    /// How often the breaker had opened then.
    pub(super) openings: u64,
    pub(super) is_breaker_open: bool,
}

impl Bulletin {
    pub(super) fn add(&mut self, news: News) {
        if self.news.len() >= News::MAX {
            self.news.pop_front();
        }
        self.news.push_back(news);
    }
}
