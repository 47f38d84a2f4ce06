//! What runs for the rows, and how one round of a row is run.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use crate::load::{self, Call, Clients, Done, Lines, Load};
use crate::rows::{Asked, Row, Sender};
use crate::senders::{Driver, H2load, PAYLOAD, Sample, TOKENS, TOPIC, token};
use crate::server::Server;
use crate::service::{self, ALIASES, API_KEY, Service, Setup};
use crate::usage::{Processor, Watch};

/// Everything that runs, and stays for the rounds that follow.
pub struct Bench<'a> {
    pub folder: &'a Path,
    pub server: &'a Server,
    /// What the pushes of a round are divided by.
    pub divisor: u64,
    services: HashMap<Setup, Service>,
    drivers: HashMap<&'static str, Driver>,
    /// Devices registered by the row of that.
    registered: Cell<u64>,
    /// Bytes that they have added to the store.
    pub stored: u64,
}

impl<'a> Bench<'a> {
    pub fn new(folder: &'a Path, server: &'a Server) -> Self {
        Self {
            folder,
            server,
            divisor: 1,
            services: HashMap::new(),
            drivers: HashMap::new(),
            registered: Cell::new(ALIASES),
            stored: 0,
        }
    }

    pub fn pushes(&self, row: &Row) -> u64 {
        let batch = match row.sender {
            Sender::Ours(_, Asked::Push(tokens), _) => tokens as u64,
            Sender::Ours(_, Asked::Lines, _) => TOKENS as u64,
            _ => 1,
        };
        (row.pushes / self.divisor / batch).max(1) * batch
    }

    /// The service with this setup, if a row has asked it.
    pub fn service(&self, setup: Setup) -> Option<&Service> {
        self.services.get(&setup)
    }

    /// Devices that rounds have registered.
    pub fn devices(&self) -> u64 {
        self.registered.get() - ALIASES
    }

    /// One round of a row; why there is none, if it cannot be run here.
    pub fn round(&mut self, row: &Row) -> Result<Sample, String> {
        let pushes = self.pushes(row);
        match row.sender {
            Sender::H2load { with_tls } => {
                H2load::find(self.folder)?.run(self.server, with_tls, pushes)
            }
            Sender::Library(library) => {
                if !self.drivers.contains_key(row.name) {
                    let driver = Driver::start(library, self.folder, self.server)?;
                    self.drivers.insert(row.name, driver);
                }
                let driver = self.drivers.get_mut(row.name);
                driver
                    .ok_or("it was never started")?
                    .run(self.server, pushes)
            }
            Sender::Ours(setup, asked, clients) => self.ours(setup, (asked, clients), pushes),
        }
    }

    fn ours(
        &mut self,
        setup: Setup,
        (asked, clients): (Asked, Clients),
        pushes: u64,
    ) -> Result<Sample, String> {
        if !self.services.contains_key(&setup) {
            let service = Service::start(self.folder, setup, self.server)?;
            self.services.insert(setup, service);
        }
        let service = self.services.get(&setup).ok_or("it was never started")?;
        let (before, received) = (Processor::of(service.process), self.server.received());
        let stored = service.stored();
        let watch = Watch::begin(service.process);
        let done = self.ask(service, (asked, clients), pushes);
        let resident = watch.end();
        let used = Processor::of(service.process).since(before);
        let done = done.map_err(|why| format!("{why}\n{}", service.complaints()))?;
        let grown = service.stored().saturating_sub(stored);
        let is_push = matches!(asked, Asked::Push(_) | Asked::Alias | Asked::Lines);
        let sent = if is_push { pushes } else { 0 };
        self.server.received().check(received, sent, PAYLOAD)?;
        if matches!(asked, Asked::Registration) {
            self.stored += grown;
        }
        let part = |of: usize| done.times.get(done.times.len() * of / 100).copied();
        let waits = part(50).zip(part(99));
        Ok(Sample::new(pushes, (used, done.elapsed), waits, resident))
    }

    fn ask(
        &self,
        service: &Service,
        (asked, clients): (Asked, Clients),
        pushes: u64,
    ) -> Result<Done, String> {
        let is_found = !matches!(asked, Asked::Nothing);
        let run = |requests, make: &load::Make<'_>, expects: &str| {
            let load = Load {
                address: service.address,
                clients,
                requests,
                make,
                statuses: if is_found { 200..300 } else { 404..405 },
                expects,
            };
            load.run()
        };
        match asked {
            Asked::Push(tokens) => {
                let calls = (0..TOKENS).step_by(tokens);
                let calls = calls.map(|at| (at..at + tokens).map(token).collect::<Vec<_>>());
                let calls = calls.map(|tokens| Rc::new(service::push(&tokens)));
                let make = in_turn(calls.collect());
                let expects = format!("\"accepted\":{tokens}");
                run(pushes / tokens as u64, &make, &expects)
            }
            Asked::Alias => {
                let calls = (0..ALIASES).map(|n| Rc::new(service::push_to_alias(n)));
                run(pushes, &in_turn(calls.collect()), "\"accepted\":1")
            }
            Asked::Registration => {
                let first = self.registered.get();
                self.registered.set(first + pushes);
                let make = |n: u64| Rc::new(service::registration(first + n, "new"));
                run(pushes, &make, "\"first_registered_at\"")
            }
            Asked::Nothing | Asked::Ready => {
                let path = if is_found { "/readyz" } else { "/v1/nothing" };
                let call = Rc::new(Call::new(path, API_KEY, Vec::new()));
                run(pushes, &in_turn(vec![call]), "")
            }
            Asked::Lines => {
                let first =
                    format!(r#"{{"defaults":{{"topic":"{TOPIC}","payload":{PAYLOAD}}}}}"#) + "\n";
                let lines = (0..TOKENS).map(|n| format!(r#"{{"to":{{"token":"{}"}}}}"#, token(n)));
                let thousand: String = lines.map(|line| line + "\n").collect();
                let thousands = pushes / TOKENS as u64;
                match load::lines(service.address, API_KEY, &first, (&thousand, thousands))? {
                    Lines::Done(done) => Ok(done),
                    Lines::NotTaken => {
                        Err("the service takes no NDJSON: it answers 413 or 415".to_owned())
                    }
                }
            }
        }
    }
}

/// The same calls again and again.
fn in_turn(calls: Vec<Rc<Call>>) -> impl Fn(u64) -> Rc<Call> {
    move |number| {
        let at = number as usize % calls.len();
        calls.get(at).map(Rc::clone).expect("there is a call")
    }
}
