//! What the operator of a lane would want to hear of: [`News`].
//!
//! Bound: [`News::MAX`], of which the oldest is dropped.

use crate::delivery::action::News;
use crate::delivery::ids::ConnectionId;
use crate::delivery::provider::lane::ProviderLane;

impl ProviderLane {
    /// What the operator would want to hear of. The driver asks until there is nothing.
    pub fn poll_news(&mut self) -> Option<News> {
        let Self {
            bulletin, breaker, ..
        } = self;
        if let Some(news) = bulletin.news.pop_front() {
            return Some(news);
        }
        if breaker.opened() > bulletin.openings {
            bulletin.openings += 1;
            bulletin.is_breaker_open = true;
            return Some(News::BreakerOpened);
        }
        let closed = breaker.is_closed() && core::mem::take(&mut bulletin.is_breaker_open);
        closed.then_some(News::BreakerClosed)
    }

    /// A connection is gone on which nothing was ever answered. It says something of the way only
    /// if no other is any better.
    pub(super) fn ended_unanswered(&mut self, connection: ConnectionId, is_mute: bool) {
        if self.others_answer(connection) {
            return;
        }
        let why = match &self.trouble {
            Some(trouble) if !is_mute => trouble.as_str(),
            _ => MUTE,
        };
        self.bulletin.add(News::ConnectFailed(why.to_owned()));
    }
}

/// This side has given up.
const MUTE: &str = "the peer takes requests and answers none";
