//! File descriptors: each connection takes one, to clients as well as to APNs, and so does the
//! store. The soft limit of the process is raised to the hard one at the start, and what clients
//! may take of it leaves the others theirs.

use rustix::process::{Resource, getrlimit, setrlimit};
use tracing::{info, warn};

use crate::Error;

/// Those of a process that serves nobody: standard streams, the store, the listener, the runtime's
/// own, the folder of each instance, a lookup or two.
const BASE: u64 = 24;

/// Kept for probes where every other place is taken; fewer where there are few descriptors.
const PROBES: u64 = 16;

/// Fewest descriptors to start with.
const FEWEST: u64 = 48;

/// What a limit is divided into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// Connections of clients.
    pub clients: usize,
    /// Connections beyond these, for probes.
    pub probes: usize,
    /// For everything else.
    pub reserved: u64,
}

/// Divides `limit` descriptors, of which `needed` are for connections that this process opens
/// itself and `wanted` for clients. Of few, half is for clients and half is not.
fn divide(limit: u64, needed: u64, wanted: usize) -> Descriptors {
    let reserved = BASE.saturating_add(needed).min(limit / 2);
    let probes = PROBES.min(limit / 16);
    let left = limit.saturating_sub(reserved).saturating_sub(probes);
    Descriptors {
        clients: usize::try_from(left).unwrap_or(usize::MAX).min(wanted),
        probes: usize::try_from(probes).unwrap_or_default(),
        reserved,
    }
}

/// Raises the soft limit to the hard one, and says how many connections there may be. `needed` is
/// the most that this process opens itself.
///
/// # Errors
/// If there are fewer than 48.
pub fn prepare(needed: u64, wanted: usize) -> Result<Descriptors, Error> {
    let found = getrlimit(Resource::Nofile);
    // No limit is as many as there may be.
    let soft = found.current.unwrap_or(u64::MAX);
    let hard = found.maximum.unwrap_or(u64::MAX);
    let raised = rustix::process::Rlimit {
        current: found.maximum,
        maximum: found.maximum,
    };
    let limit = match soft < hard && setrlimit(Resource::Nofile, raised).is_ok() {
        true => hard,
        false => soft,
    };
    if limit < FEWEST {
        let message = format!(
            "expected {FEWEST} file descriptors at least, got {limit}; raise the limit (ulimit -n, \
             or LimitNOFILE= of systemd)"
        );
        return Err(Error::new(message));
    }
    let divided = divide(limit, needed, wanted);
    let Descriptors {
        clients, reserved, ..
    } = divided;
    info!(limit, was = soft, clients, reserved, "file descriptors");
    if clients < wanted || reserved < BASE.saturating_add(needed) {
        warn!(
            limit,
            clients,
            wanted,
            "there are few file descriptors: fewer clients can be connected, and perhaps the \
             component has fewer connections; raise the hard limit (ulimit -Hn, or \
             LimitNOFILE= of systemd)"
        );
    }
    Ok(divided)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_have_what_the_limit_leaves() {
        let many = divide(1_048_576, 64, 1_024);
        assert_eq!((many.clients, many.probes), (1_024, 16));
        assert_eq!(many.reserved, 88);
        let usual = divide(1_024, 64, 1_024);
        assert_eq!((usual.clients, usual.reserved), (920, 88));
        let few = divide(64, 64, 1_024);
        assert_eq!((few.clients, few.probes, few.reserved), (28, 4, 32));
        let endless = divide(u64::MAX, u64::MAX, 1_024);
        assert_eq!(endless.clients, 1_024);
    }

    #[test]
    fn the_soft_limit_is_raised() {
        prepare(8, 16).unwrap();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
