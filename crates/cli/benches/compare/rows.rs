//! What is measured: the rows of the table, in the order in which a round runs them.

use crate::load::{Clients, Protocol};
use crate::senders::Library;
use crate::service::Setup;

/// What is asked of the service.
#[derive(Debug, Clone, Copy)]
pub enum Asked {
    /// A push to so many tokens.
    Push(usize),
    /// A push to an alias with one device.
    Alias,
    /// A new device, with an alias and two tags; the answer comes after it is on disk.
    Registration,
    /// So many pushes, one a line, in one request.
    Lines,
    /// A path that there is not: 404 by the function, which does nothing for it.
    Nothing,
    /// `/readyz`, which the host answers alone.
    Ready,
}

/// Who does it.
#[derive(Debug, Clone, Copy)]
pub enum Sender {
    H2load { with_tls: bool },
    Library(Library),
    Ours(Setup, Asked, Clients),
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// For `--only`.
    pub name: &'static str,
    pub what: &'static str,
    pub sender: Sender,
    /// Pushes, or calls, of a round.
    pub pushes: u64,
    pub aim: &'static str,
}

/// What the pushes of a round are divided by in a round that only warms up, and by `--quick`.
pub const QUICKLY: u64 = 20;

const H2C: fn(usize, usize) -> Clients = |connections, streams| Clients {
    protocol: Protocol::H2c(streams),
    connections,
};

const HTTP1: fn(usize) -> Clients = |connections| Clients {
    protocol: Protocol::Http1,
    connections,
};

fn peer(name: &'static str, what: &'static str, sender: Sender, pushes: u64) -> Row {
    Row {
        name,
        what,
        sender,
        pushes,
        aim: "",
    }
}

/// The service asked, and who asks it.
type How = (Setup, Clients);

/// A row of the service: what is asked, how often, of which setup and by whom.
fn ours(
    (name, what): (&'static str, &'static str),
    (asked, pushes): (Asked, u64),
    (setup, clients): How,
    aim: &'static str,
) -> Row {
    Row {
        name,
        what,
        sender: Sender::Ours(setup, asked, clients),
        pushes,
        aim,
    }
}

/// All rows, in the order in which a round runs them.
pub fn all() -> Vec<Row> {
    let mut rows = peers();
    rows.extend(thousands());
    rows.extend(batches());
    rows.extend(http1());
    rows.extend(h2c());
    rows.extend(others());
    rows
}

fn peers() -> Vec<Row> {
    let h2load = |with_tls| Sender::H2load { with_tls };
    vec![
        peer(
            "h2load",
            "`h2load`, which validates nothing",
            h2load(true),
            200_000,
        ),
        peer(
            "h2load-cleartext",
            "`h2load` without TLS",
            h2load(false),
            200_000,
        ),
        peer(
            "a2",
            "`a2` 0.10 (Rust), one task on one thread",
            Sender::Library(Library::A2),
            50_000,
        ),
        peer(
            "a2-tasks",
            "`a2` 0.10, a task for each push under way, on all cores",
            Sender::Library(Library::A2Tasks),
            50_000,
        ),
        peer(
            "node-apn",
            "`@parse/node-apn` 8.1 (Node)",
            Sender::Library(Library::NodeApn),
            20_000,
        ),
        peer(
            "aioapns",
            "`aioapns` 4.0 (Python)",
            Sender::Library(Library::Aioapns),
            10_000,
        ),
    ]
}

/// A thousand tokens a request, by clients and connections to APNs.
fn thousands() -> Vec<Row> {
    let over = |connections| Setup {
        connections,
        ..Setup::ONE
    };
    let aim = "0.25 of `h2load`, 0.05 of `a2`";
    let first = "1,000 tokens a request, one connection to APNs, 1 client";
    let rows = [
        ("tokens-1000", first, over(1), 1, aim),
        ("tokens-1000-by-8", "the same, 8 clients", over(1), 8, ""),
        (
            "tokens-1000-over-4",
            "up to 4 connections to APNs, 8 clients",
            over(4),
            8,
            "",
        ),
        (
            "tokens-1000-over-16",
            "up to 16, 8 clients",
            over(16),
            8,
            "as over one",
        ),
        (
            "tokens-1000-shipped",
            "as it is shipped, 2 instances",
            Setup::SHIPPED,
            8,
            "",
        ),
    ];
    let rows = rows.into_iter().map(|(name, what, setup, clients, aim)| {
        let asked = (Asked::Push(1_000), 100_000);
        ours((name, what), asked, (setup, HTTP1(clients)), aim)
    });
    rows.collect()
}

/// Batches of other sizes.
fn batches() -> Vec<Row> {
    vec![
        ours(
            (
                "tokens-100",
                "100 tokens a request, one connection, 4 clients",
            ),
            (Asked::Push(100), 50_000),
            (Setup::ONE, HTTP1(4)),
            "",
        ),
        ours(
            (
                "tokens-10",
                "10 tokens a request, one connection, 4 clients",
            ),
            (Asked::Push(10), 20_000),
            (Setup::ONE, HTTP1(4)),
            "",
        ),
        ours(
            ("lines", "NDJSON, 1,000,000 lines, one connection to APNs"),
            (Asked::Lines, 1_000_000),
            (Setup::ONE, HTTP1(1)),
            "4.8 us; 30 MB above idle",
        ),
    ]
}

/// A row of one push a request.
fn single(names: (&'static str, &'static str), pushes: u64, how: How, aim: &'static str) -> Row {
    ours(names, (Asked::Push(1), pushes), how, aim)
}

/// One push a request over HTTP/1.1, and one by alias.
fn http1() -> Vec<Row> {
    let (shipped, one) = (Setup::SHIPPED, Setup::ONE);
    let first = "one push a request, HTTP/1.1, 64 clients";
    let alone = "64 clients, `instances = 1`, one connection to APNs";
    let by_32 = "the same, 32 clients";
    let alias = "one push by alias, HTTP/1.1, 64 clients";
    vec![
        single(
            ("http1-64", first),
            20_000,
            (shipped, HTTP1(64)),
            "25 us; p99 5 ms",
        ),
        single(("http1-32", by_32), 20_000, (shipped, HTTP1(32)), ""),
        single(("http1-4", "4 clients"), 10_000, (shipped, HTTP1(4)), ""),
        single(("http1-1", "1 client"), 5_000, (shipped, HTTP1(1)), ""),
        single(("http1-64-instance", alone), 20_000, (one, HTTP1(64)), ""),
        single(("http1-32-instance", by_32), 20_000, (one, HTTP1(32)), ""),
        ours(
            ("alias", alias),
            (Asked::Alias, 20_000),
            (shipped, HTTP1(64)),
            "35 us",
        ),
    ]
}

/// One push a request over HTTP/2 without TLS.
fn h2c() -> Vec<Row> {
    let how = |clients, streams| (Setup::SHIPPED, H2C(clients, streams));
    let first = "one push a request, h2c, 64 clients";
    let by_4x16 = "4 clients with 16 streams";
    let aim = "as HTTP/1.1";
    vec![
        single(("h2c-64", first), 20_000, how(64, 1), aim),
        single(("h2c-32", "the same, 32 clients"), 20_000, how(32, 1), ""),
        single(("h2c-4x16", by_4x16), 20_000, how(4, 16), aim),
        single(("h2c-4", "4 clients"), 10_000, how(4, 1), ""),
        single(("h2c-1", "1 client"), 5_000, how(1, 1), ""),
    ]
}

/// Calls that push nothing.
fn others() -> Vec<Row> {
    let (shipped, single) = (Setup::SHIPPED, Setup::ONE);
    vec![
        ours(
            (
                "registration",
                "a registration (alias, two tags), durable, 64 clients",
            ),
            (Asked::Registration, 5_000),
            (shipped, HTTP1(64)),
            "40 us; 20,000 a second",
        ),
        ours(
            (
                "trivial",
                "a trivial call through the function (404), 64 clients",
            ),
            (Asked::Nothing, 20_000),
            (shipped, HTTP1(64)),
            "12 us",
        ),
        ours(
            ("trivial-instance", "the same, `instances = 1`"),
            (Asked::Nothing, 20_000),
            (single, HTTP1(64)),
            "",
        ),
        ours(
            (
                "readyz",
                "`/readyz`, which the host answers alone, 64 clients",
            ),
            (Asked::Ready, 50_000),
            (shipped, HTTP1(64)),
            "",
        ),
    ]
}
