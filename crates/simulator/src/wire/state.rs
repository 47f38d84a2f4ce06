//! Turns the frames that pass into what the pump has to know: which streams are open, which limit
//! is in force, which acknowledgements are not the server's business.
//!
//! Source: RFC 9113 5.1.2 and 6.5.3. A stream counts from its HEADERS to the END_STREAM or
//! RST_STREAM that closes it.
//!
//! Limit: the sets hold open streams only, and the HTTP/2 server behind resets those above its own
//! limit.

use std::collections::{HashSet, VecDeque};

use super::frames::{self, Frame};

/// What is known of one connection.
pub(super) struct WireState {
    /// In force for new streams.
    limit: u32,
    /// To be put into the server's first SETTINGS.
    first_limit: Option<u32>,
    open: HashSet<u32>,
    over_limit: HashSet<u32>,
    last_stream: u32,
    /// SETTINGS sent and not acknowledged yet, in order: the server's own, or ours with its limit.
    unacknowledged: VecDeque<Option<u32>>,
    /// After a GOAWAY: its last-stream-id.
    last_answered: Option<u32>,
}

impl WireState {
    pub(super) fn new(limit: u32) -> Self {
        Self {
            limit,
            first_limit: Some(limit),
            open: HashSet::new(),
            over_limit: HashSet::new(),
            last_stream: 0,
            unacknowledged: VecDeque::new(),
            last_answered: None,
        }
    }

    pub(super) fn is_over_limit(&self, stream: u32) -> bool {
        self.over_limit.contains(&stream)
    }

    /// Looks at a frame of the client; whether to forward it.
    pub(super) fn client_sent(&mut self, frame: &Frame) -> bool {
        let Some(head) = frame.head else { return true };
        if head.kind == frames::HEADERS && head.stream > self.last_stream {
            self.last_stream = head.stream;
            if self.open.len() >= usize::try_from(self.limit).unwrap_or(usize::MAX) {
                self.over_limit.insert(head.stream);
            }
            self.open.insert(head.stream);
        } else if head.kind == frames::RST_STREAM {
            self.closed(head.stream);
        } else if head.is_settings_ack()
            && let Some(Some(limit)) = self.unacknowledged.pop_front()
        {
            self.limit = limit;
            return false;
        }
        true
    }

    /// Looks at a frame of the server, and changes it; whether to forward it.
    pub(super) fn server_sent(&mut self, frame: &mut Frame) -> bool {
        let Some(head) = frame.head else { return true };
        if head.is_settings() {
            self.unacknowledged.push_back(None);
            if let Some(limit) = self.first_limit.take() {
                frames::rewrite_stream_limit(&mut frame.bytes, limit);
            }
        } else if head.ends_stream() || head.kind == frames::RST_STREAM {
            self.closed(head.stream);
        }
        head.stream <= self.last_answered.unwrap_or(u32::MAX)
    }

    /// Whether the server's first SETTINGS have passed: nothing may come before them (RFC
    /// 9113 3.4).
    pub(super) fn has_begun(&self) -> bool {
        self.first_limit.is_none()
    }

    /// Notes that we send SETTINGS of our own.
    pub(super) fn stream_limit_sent(&mut self, limit: u32) {
        self.limit = self.limit.max(limit);
        self.unacknowledged.push_back(Some(limit));
    }

    /// Notes that we send GOAWAY.
    pub(super) fn goaway_sent(&mut self, last_stream: u32) {
        let earlier = self.last_answered.unwrap_or(u32::MAX);
        self.last_answered = Some(earlier.min(last_stream));
    }

    /// Whether a GOAWAY was sent and everything it left to be answered is.
    pub(super) fn is_drained(&self) -> bool {
        self.last_answered
            .is_some_and(|last| self.open.iter().all(|stream| *stream > last))
    }

    fn closed(&mut self, stream: u32) {
        self.open.remove(&stream);
        self.over_limit.remove(&stream);
    }
}

#[cfg(test)]
mod tests {
    use super::super::frames::Framer;
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32) -> Frame {
        let mut framer = Framer::of_server();
        framer.space().extend_from_slice(&[0, 0, 0, kind, flags]);
        framer.space().extend_from_slice(&stream.to_be_bytes());
        framer.next().unwrap()
    }

    #[test]
    fn a_stream_above_the_limit_is_marked_until_it_is_reset() {
        let mut state = WireState::new(1);
        assert!(state.client_sent(&frame(frames::HEADERS, 0, 1)));
        assert!(state.client_sent(&frame(frames::HEADERS, 0, 3)));
        assert!(!state.is_over_limit(1) && state.is_over_limit(3));
        assert!(state.server_sent(&mut frame(frames::RST_STREAM, 0, 3)));
        assert!(!state.is_over_limit(3));
    }

    #[test]
    fn a_place_is_free_again_when_the_answer_or_a_reset_passes() {
        let mut state = WireState::new(1);
        state.client_sent(&frame(frames::HEADERS, 0, 1));
        state.server_sent(&mut frame(frames::HEADERS, 1, 1));
        state.client_sent(&frame(frames::HEADERS, 0, 3));
        state.client_sent(&frame(frames::RST_STREAM, 0, 3));
        state.client_sent(&frame(frames::HEADERS, 0, 5));
        assert!(!state.is_over_limit(3) && !state.is_over_limit(5));
    }

    #[test]
    fn trailers_do_not_open_a_stream() {
        let mut state = WireState::new(2);
        state.client_sent(&frame(frames::HEADERS, 0, 1));
        state.client_sent(&frame(frames::HEADERS, 1, 1));
        state.client_sent(&frame(frames::HEADERS, 0, 3));
        assert!(!state.is_over_limit(3));
    }

    #[test]
    fn only_acknowledgements_of_our_settings_are_kept_from_the_server() {
        let mut state = WireState::new(1);
        state.server_sent(&mut frame(frames::SETTINGS, 0, 0));
        state.stream_limit_sent(5);
        assert!(state.client_sent(&frame(frames::SETTINGS, 1, 0)));
        assert!(!state.client_sent(&frame(frames::SETTINGS, 1, 0)));
        assert!(
            state.client_sent(&frame(frames::SETTINGS, 1, 0)),
            "a stray one is the server's"
        );
        assert!(state.client_sent(&frame(frames::SETTINGS, 0, 0)));
    }

    #[test]
    fn a_higher_limit_holds_at_once_and_a_lower_one_when_acknowledged() {
        let mut state = WireState::new(1);
        state.stream_limit_sent(2);
        state.client_sent(&frame(frames::HEADERS, 0, 1));
        state.client_sent(&frame(frames::HEADERS, 0, 3));
        assert!(!state.is_over_limit(3));
        state.client_sent(&frame(frames::SETTINGS, 1, 0));
        state.server_sent(&mut frame(frames::HEADERS, 1, 1));
        state.stream_limit_sent(1);
        state.client_sent(&frame(frames::HEADERS, 0, 5));
        assert!(!state.is_over_limit(5));
        state.server_sent(&mut frame(frames::HEADERS, 1, 5));
        state.client_sent(&frame(frames::SETTINGS, 1, 0));
        state.client_sent(&frame(frames::HEADERS, 0, 7));
        assert!(state.is_over_limit(7));
    }

    #[test]
    fn a_goaway_is_drained_when_nothing_below_it_is_open() {
        let mut state = WireState::new(9);
        for stream in [1, 3, 5] {
            state.client_sent(&frame(frames::HEADERS, 0, stream));
        }
        assert!(!state.is_drained());
        state.goaway_sent(3);
        assert!(!state.server_sent(&mut frame(frames::HEADERS, 1, 5)));
        assert!(state.server_sent(&mut frame(frames::HEADERS, 1, 1)));
        assert!(!state.is_drained());
        assert!(state.server_sent(&mut frame(frames::HEADERS, 1, 3)));
        assert!(state.is_drained());
    }
}
