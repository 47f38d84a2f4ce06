//! Calls of the HTTP interface, from their bodies to their replies.

use std::fmt::Write as _;
use std::rc::Rc;

use dunlin::auth::SigningKey;
use dunlin::config::Settings;
use dunlin::service::{App, Configured, Process, RequestHead, answer};
use sha2::{Digest as _, Sha256};

use crate::service::{InMemory, Lines, OfCounts, Still, run};
use crate::wire::device;
use crate::{PAYLOAD, TIMES, TOPIC, measured};

const SECRET: &str = "an-api-key";

/// An instance with a key for every app.
fn app() -> Rc<App<OfCounts>> {
    let hash = hex::encode(Sha256::digest(SECRET));
    let config = format!(
        "[[api_keys]]\nname = \"backend\"\nsha256 = \"{hash}\"\nscopes = [\"admin\"]\n\
         [[credentials]]\nkey_id = \"1QBCDJ9RST\"\nteam_id = \"3Z24IP123A\"\n\
         key_file = \"key.p8\"\n"
    );
    let configured = Configured {
        settings: Settings::parse(&config).unwrap(),
        keys: vec![Some(SigningKey::from_scalar(&[7; 32]).unwrap())],
        proxy: None,
        process: Process::default(),
    };
    let platform = Still::default();
    let sender = Lines(platform.clone());
    Rc::new(App::new(configured, platform, InMemory::default(), sender))
}

/// Makes a call, which has to end with this status; the body of its reply.
fn call(app: &Rc<App<OfCounts>>, line: &str, body: &[u8], status: u16) -> Vec<u8> {
    let (method, target) = line.split_once(' ').unwrap();
    let header = |name: &str| match name {
        "authorization" => vec![format!("Bearer {SECRET}").into_bytes()],
        "content-type" => vec![b"application/json".to_vec()],
        _ => Vec::new(),
    };
    let head = RequestHead {
        method,
        target,
        header: &header,
        is_unwritable: &|| false,
    };
    let body = body.to_vec();
    let answered = run(answer(head, || Ok(Rc::clone(app)), async { Ok(body) }));
    let reply = answered.reply;
    assert_eq!(reply.status, status, "{}", reply.body.escape_ascii());
    reply.body
}

/// The body of a push to a thousand tokens.
fn push() -> String {
    let mut body = format!(r#"{{"topic":"{TOPIC}","payload":{PAYLOAD},"to":{{"tokens":["#);
    for n in 0..TIMES {
        let comma = if n == 0 { "" } else { "," };
        write!(body, r#"{comma}"{}""#, device(n).to_hex()).unwrap();
    }
    body.push_str("]}}");
    body
}

/// A push to a thousand tokens, on a lane that has carried as many.
pub fn push_1000() {
    let (app, body) = (app(), push());
    let reply = call(&app, "POST /v1/push", body.as_bytes(), 200);
    let accepted = format!(r#"{{"accepted":{TIMES},"#);
    assert!(reply.starts_with(accepted.as_bytes()));
    let mut reply = Vec::new();
    measured(&mut || reply = call(&app, "POST /v1/push", body.as_bytes(), 200));
    assert!(reply.starts_with(accepted.as_bytes()));
}

/// Registrations of devices that are new, each of an alias of its own and with two tags, where as
/// many are registered.
pub fn registration() {
    let app = app();
    let of = |n: usize| {
        let line = format!("PUT /v1/devices/{}", device(n).to_hex());
        let body = format!(r#"{{"topic":"{TOPIC}","alias":"user-{n}","tags":["news","de"]}}"#);
        (line, body)
    };
    let all: Vec<_> = (0..2 * TIMES).map(of).collect();
    let (before, counted) = all.split_at(TIMES);
    let register = |(line, body): &(String, String)| {
        call(&app, line, body.as_bytes(), 201);
    };
    before.iter().for_each(register);
    measured(&mut || counted.iter().for_each(register));
}
