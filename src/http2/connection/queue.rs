//! Events that wait to be polled, first in first out.
//!
//! Bound: [`Config::max_event_bytes`](crate::http2::Config::max_event_bytes). The queue itself
//! refuses nothing, since an event that ends a stream may not get lost; the connection asks
//! [`check`](EventQueue::check) after every frame and fails above the bound. Failing adds one
//! event for each open stream, whose number is bounded.

use std::collections::VecDeque;

use crate::http2::error::ConnectionError;
use crate::http2::event::Event;

#[derive(Debug)]
pub struct EventQueue {
    events: VecDeque<Event>,
    bytes: usize,
    limit: usize,
}

impl EventQueue {
    /// `limit` in octets.
    pub fn new(limit: usize) -> Self {
        Self {
            events: VecDeque::new(),
            bytes: 0,
            limit,
        }
    }

    #[inline]
    pub fn push(&mut self, event: Event) {
        self.bytes += event.cost();
        self.events.push_back(event);
    }

    pub fn pop(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        self.bytes -= event.cost();
        Some(event)
    }

    /// An error if more than the limit is waiting.
    pub fn check(&self) -> Result<(), ConnectionError> {
        if self.bytes > self.limit {
            return Err(ConnectionError::EventsNotPolled { limit: self.limit });
        }
        Ok(())
    }
}
