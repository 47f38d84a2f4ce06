//! The three ends of a notification: [`Outcome`].
//!
//! Source: Apple, *Handling notification responses from APNs*; RFC 9113, sections 6.8 and 8.7
//! (which requests a server has certainly not acted on).

use super::channel::Answer;
use super::reason::{Reason, Treatment};
use super::retry_after::RetryAfter;
use crate::notification::ApnsId;
use crate::time::UnixTime;
use core::fmt;

/// What became of one notification, or of one request about channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// APNs took it. Whether it reached the device is not known.
    Accepted {
        /// The identifier sent, or the one that APNs made up; of a broadcast that of the request.
        apns_id: Option<ApnsId>,
        /// Key of the delivery log; development environment only. At most 64 bytes.
        unique_id: Option<Box<str>>,
        /// What was asked for, of a request about channels.
        answer: Option<Box<Answer>>,
    },
    /// APNs refused it, and said why.
    Rejected {
        /// The HTTP status, of any value.
        status: u16,
        /// The reason given, if any.
        reason: Reason,
        /// Since when the token has been dead: only with status 410, if APNs says so.
        invalid_since: Option<UnixTime>,
        /// The wait that APNs asks for in `retry-after`.
        retry_after: Option<RetryAfter>,
        /// The identifier of the notification, if APNs repeats it.
        apns_id: Option<ApnsId>,
    },
    /// No answer: it may or may not have been accepted.
    Unanswered {
        /// Whether sending it again cannot make it arrive twice.
        may_resend: bool,
        /// How the answer was lost.
        why: Why,
    },
}

impl Outcome {
    /// The outcome of a notification whose answer was lost; the way it was lost says whether it
    /// may be sent again.
    pub const fn unanswered(why: Why) -> Self {
        Self::Unanswered {
            may_resend: why.may_resend(),
            why,
        }
    }

    /// What to do about a rejection, from the table of reasons; `None` for the other two.
    pub fn treatment(&self) -> Option<Treatment> {
        match self {
            Self::Rejected { status, reason, .. } => Some(reason.treatment(*status)),
            Self::Accepted { .. } | Self::Unanswered { .. } => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { .. } => f.write_str("accepted"),
            Self::Rejected { status, reason, .. } => write!(f, "rejected: {status} {reason}"),
            Self::Unanswered {
                may_resend: true,
                why,
            } => write!(f, "unanswered: {why}"),
            Self::Unanswered {
                may_resend: false,
                why,
            } => {
                write!(f, "unanswered: {why}; it may have been accepted")
            }
        }
    }
}

/// How an answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// Nothing of it left this process.
    NotSent,
    /// Nothing of it left this process: APNs has had too many for whom it is for, a device, a
    /// channel or an app, and wants a longer pause than there was time.
    Paused,
    /// The peer said it has not looked at it: a stream above the last one of a GOAWAY, or, of the
    /// binary gateway, whatever followed the notification named in an error response.
    NotProcessed,
    /// The peer refused its stream before it had begun to answer: `REFUSED_STREAM` of HTTP/2.
    Refused,
    /// The peer reset the stream with this error code of HTTP/2, and may have acted on it before.
    /// That can be `REFUSED_STREAM`, where the answer had begun.
    StreamReset(u32),
    /// The connection ended without a word on this notification.
    ConnectionLost,
    /// The deadline passed.
    TimedOut,
    /// It was sent to the binary gateway, which never says that it took something, and it did not
    /// object in time. Nobody asked it to.
    Unconfirmed,
    /// The connection broke the rules of the protocol, or the answer had no usable status.
    Unreadable,
}

impl Why {
    /// All that [`Self::name`] gives.
    pub const NAMES: [&'static str; 9] = [
        "not-sent",
        "paused",
        "not-processed",
        "refused",
        "stream-reset",
        "connection-lost",
        "timed-out",
        "unconfirmed",
        "unreadable",
    ];

    /// One word for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotSent => "not-sent",
            Self::Paused => "paused",
            Self::NotProcessed => "not-processed",
            Self::Refused => "refused",
            Self::StreamReset(_) => "stream-reset",
            Self::ConnectionLost => "connection-lost",
            Self::TimedOut => "timed-out",
            Self::Unconfirmed => "unconfirmed",
            Self::Unreadable => "unreadable",
        }
    }

    /// Whether the peer certainly has not acted on the notification.
    pub const fn may_resend(self) -> bool {
        match self {
            Self::NotSent | Self::Paused | Self::NotProcessed | Self::Refused => true,
            Self::StreamReset(_)
            | Self::ConnectionLost
            | Self::TimedOut
            | Self::Unconfirmed
            | Self::Unreadable => false,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent => f.write_str("not sent"),
            Self::Paused => f.write_str("not sent: APNs wants a pause for its recipient"),
            Self::NotProcessed => f.write_str("not processed by the peer"),
            Self::Refused => f.write_str("refused by the peer, which had not looked at it"),
            Self::StreamReset(code) => write!(f, "stream reset by the peer with code {code:#x}"),
            Self::ConnectionLost => f.write_str("connection lost"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Unconfirmed => f.write_str("the gateway never says that it took something"),
            Self::Unreadable => f.write_str("answer not readable"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_certainly_not_processed_may_be_sent_again() {
        let safe = [Why::NotSent, Why::Paused, Why::NotProcessed, Why::Refused];
        let unsafe_ = [
            Why::StreamReset(0),
            // `REFUSED_STREAM` after the answer has begun.
            Why::StreamReset(7),
            Why::StreamReset(8),
            Why::ConnectionLost,
            Why::TimedOut,
            Why::Unconfirmed,
            Why::Unreadable,
        ];
        for (whys, expected) in [(safe.as_slice(), true), (unsafe_.as_slice(), false)] {
            for why in whys {
                assert_eq!(
                    Outcome::unanswered(*why),
                    Outcome::Unanswered {
                        may_resend: expected,
                        why: *why
                    }
                );
            }
        }
    }

    #[test]
    fn outcomes_read_as_sentences() {
        let lost = Outcome::unanswered(Why::ConnectionLost).to_string();
        assert_eq!(
            lost,
            "unanswered: connection lost; it may have been accepted"
        );
        assert_eq!(
            Outcome::unanswered(Why::NotSent).to_string(),
            "unanswered: not sent"
        );
        assert_eq!(
            Outcome::Accepted {
                apns_id: None,
                unique_id: None,
                answer: None,
            }
            .treatment(),
            None
        );
    }
}
