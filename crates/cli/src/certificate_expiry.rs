//! The ends of client certificates, told to `GET /metrics` once and to the log every day.
//!
//! ```text
//!   30 days before the end ─► WARN    after it ─► ERROR    a new certificate: at the next start
//! ```
//!
//! A certificate that has expired does not keep the service from starting: everything else goes on.
//! Bound: the identities of the configuration.

use std::time::Duration;

use dunlin::time::UnixTime;
use dunlin_certificates::{CertificateInfo, Finding, Level, expiry};
use dunlin_host::clock::now;
use dunlin_host::metrics::Status;
use tokio::task::JoinSet;
use tracing::{error, warn};

/// How often the log is told.
const EVERY: Duration = Duration::from_hours(24);

/// Watches until it is dropped.
#[derive(Debug)]
pub struct ExpiryWatch {
    _running: JoinSet<()>,
}

impl ExpiryWatch {
    /// Tells both now, and the log every day from then on, on the current runtime. Each certificate
    /// comes with the name of its identity.
    pub fn start(certificates: Vec<(String, CertificateInfo)>, status: &Status) -> Self {
        for (name, info) in &certificates {
            status.certificate(name, info.not_after);
        }
        let mut running = JoinSet::new();
        if !certificates.is_empty() {
            running.spawn(watch(certificates));
        }
        Self { _running: running }
    }
}

async fn watch(certificates: Vec<(String, CertificateInfo)>) {
    loop {
        for (
            identity,
            Finding {
                level,
                what,
                advice,
            },
        ) in due(&certificates, now())
        {
            match level {
                Level::Error => error!(identity, what, advice, "certificate cannot be used"),
                _ => warn!(identity, what, advice, "certificate expires soon"),
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// What there is to tell at a time.
fn due(certificates: &[(String, CertificateInfo)], now: UnixTime) -> Vec<(&str, Finding)> {
    certificates
        .iter()
        .filter_map(|(name, info)| Some((name.as_str(), expiry(info, now)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    const DAY: Duration = EVERY;

    #[test]
    fn an_end_is_told_of_from_thirty_days_before_it() {
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2027, 1, 1);
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let info = CertificateInfo::of(made.der()).unwrap();
        let (begin, end) = (info.not_before, info.not_after);
        let certificates = [("shop".to_owned(), info)];
        let told = |now| {
            let told = due(&certificates, now);
            assert!(told.iter().all(|(name, _)| *name == "shop"));
            told.first().map(|(_, found)| found.level)
        };
        assert_eq!(told(begin), None);
        assert_eq!(told(begin + DAY * (365 - 30)), None);
        assert_eq!(told(begin + DAY * (365 - 29)), Some(Level::Warning));
        assert_eq!(told(end), Some(Level::Warning));
        assert_eq!(told(end + Duration::from_secs(1)), Some(Level::Error));
        assert_eq!(told(end + DAY * 1_000), Some(Level::Error));
    }
}
