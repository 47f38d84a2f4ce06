//! The record about who goes first on a connection that the platform has for all instances: where
//! it is read and written. What is in it is decided in `delivery::turn`.

use super::{App, Platform, Runtime};
use crate::config::Endpoint;
use crate::delivery::turn::{self, Turn, TurnNews};
use crate::registry::change;

impl<R: Runtime> App<R> {
    /// Asks for a turn at a server. Where the store fails nobody waits for anybody.
    pub async fn ask_turn(&self, server: &Endpoint, who: u64) -> Turn {
        let now = self.platform.unix_time();
        let key = turn::turn_key(&server.to_string());
        let taken = change(&self.store, &key, |stored| turn::ask(stored, who, now));
        taken.await.unwrap_or(Turn::Go)
    }

    /// Tells what became of a request. If the store fails the others wait for the end of a lease.
    pub async fn tell_turn(&self, server: &Endpoint, who: u64, news: TurnNews) {
        let now = self.platform.unix_time();
        let key = turn::turn_key(&server.to_string());
        let told = change(&self.store, &key, |stored| {
            (turn::tell(stored, who, now, news), ())
        });
        let _ = told.await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::support::Desk;
    use super::*;

    fn server(host: &str) -> Endpoint {
        let (host, port) = (host.to_owned(), 443);
        Endpoint { host, port }
    }

    #[test]
    fn instances_agree_about_who_goes_first_at_each_server() {
        let (one, apns) = (Desk::new(), server("api.push.apple.com"));
        let other = one.another("second", false);
        let ask = |desk: &Desk, who| desk.run(desk.app.ask_turn(&apns, who));
        // The first to ask finds no record, and makes one.
        assert_eq!(ask(&one, 1), Turn::Wait);
        assert_eq!(ask(&one, 1), Turn::First);
        assert_eq!(ask(&other, 2), Turn::Wait);
        let elsewhere = server("api.sandbox.push.apple.com");
        let ask_elsewhere = || other.run(other.app.ask_turn(&elsewhere, 2));
        ask_elsewhere();
        assert_eq!(ask_elsewhere(), Turn::First);
        one.run(one.app.tell_turn(&apns, 1, TurnNews::Answered));
        assert_eq!(ask(&other, 2), Turn::Go);
    }

    #[test]
    fn where_the_store_fails_nobody_waits() {
        let (desk, apns) = (Desk::new(), server("api.push.apple.com"));
        desk.store.refuse(|_| Some("broken"));
        assert_eq!(desk.run(desk.app.ask_turn(&apns, 1)), Turn::Go);
        desk.run(desk.app.tell_turn(&apns, 1, TurnNews::Failed));
        assert_eq!(desk.run(desk.app.ask_turn(&apns, 2)), Turn::Go);
    }
}
