//! The record about who goes first on a connection that the platform has for all instances: where
//! it is read and written. What is in it is decided in `delivery::turn`.

use core::convert::Infallible;

use super::app::App;
use super::platform;
use crate::config::Endpoint;
use crate::delivery::turn::{self, Turn, TurnNews};

/// Asks for a turn at a server. Where the store fails nobody waits for anybody.
pub(super) fn take(server: &Endpoint, who: u64) -> Turn {
    let now = platform::unix_time();
    let Ok(app) = App::get() else { return Turn::Go };
    let key = turn::turn_key(&server.to_string());
    let taken = app.store.change(&key, |stored| {
        Ok::<_, Infallible>(turn::ask(stored, who, now))
    });
    taken.unwrap_or(Turn::Go)
}

/// Tells what became of a request. If the store fails the others wait for the end of a lease.
pub(super) fn tell(server: &Endpoint, who: u64, news: TurnNews) {
    let now = platform::unix_time();
    let Ok(app) = App::get() else { return };
    let key = turn::turn_key(&server.to_string());
    let _ = app.store.change(&key, |stored| {
        Ok::<_, Infallible>((turn::tell(stored, who, now, news), ()))
    });
}
