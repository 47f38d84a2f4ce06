//! How a command ended, as the exit code that scripts go by.

/// How a command ended. The worst comes last: where results are mixed, the greatest is the
/// command's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exit {
    /// Everything that was asked for was done.
    Done = 0,
    /// It failed in a way that has no code of its own: the configuration, the store, the output, an
    /// app's feedback service.
    Failed = 1,
    /// The command line, or a file that it names, is not what the command takes. Nothing was done.
    Usage = 2,
    /// The service refused the request. Nothing was sent.
    Refused = 3,
    /// APNs rejected a push.
    Rejected = 4,
    /// A push is unanswered, and APNs has certainly not acted on it: it may be sent again.
    MayResend = 5,
    /// A push, or the request, is unanswered, and APNs may have acted on it.
    Unanswered = 6,
    /// The service was not reached. Nothing was sent.
    NotReached = 7,
}

impl Exit {
    /// The code.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// The codes, for people.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  everything was done; for a push: every device's was accepted
  1  failed otherwise: configuration, store, output, a feedback service
  2  the command line, or a file that it names, is wrong
  3  refused by the service; nothing was sent
  4  rejected by APNs
  5  unanswered, and may be sent again: APNs has not acted on it
  6  unanswered otherwise: APNs may have acted on it
  7  the service was not reached
Of mixed results the greatest code counts.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_documented_and_the_worst_is_the_greatest() {
        let all = [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::Refused,
            Exit::Rejected,
            Exit::MayResend,
            Exit::Unanswered,
            Exit::NotReached,
        ];
        assert!(all.is_sorted());
        for (code, exit) in (0..).zip(all) {
            assert_eq!(exit.code(), code);
            assert!(EXIT_CODES.contains(&format!("\n  {code}  ")), "{code}");
        }
    }
}
