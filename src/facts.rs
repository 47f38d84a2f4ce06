//! Holds `tests/rules.md`, the list of Apple's rules and of what users of other libraries complain
//! of, against the tests that it names; and tests the rules that belong to no module.
//!
//! A row is `| section | rule | path::test, path::test |`, or `none: why` in place of the tests.

use std::collections::BTreeSet;
use std::path::Path;

use crate::config::{ApnsService, Settings};
use crate::environment::Environment;
use crate::limits;

/// The sections of `docs/protocols.md` that have rules for the provider API and for payloads.
const SECTIONS: [&str; 10] = [
    "3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "3.7", "4.1", "4.2", "4.3",
];

/// How many complaints there are.
const COMPLAINTS: usize = 30;

/// The rows of the list: section, rule, tests.
fn rows() -> Vec<[&'static str; 3]> {
    let text = include_str!("../tests/rules.md");
    let row = |line: &'static str| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        <[&str; 3]>::try_from(cells).unwrap_or_else(|_| panic!("three cells: {line}"))
    };
    let lines = text.lines().filter(|line| line.starts_with('|'));
    let rows: Vec<_> = lines.map(row).collect();
    let is_head = |row: &&[&str; 3]| row[0] == "section" || row[0].starts_with("--");
    rows.iter().filter(|row| !is_head(row)).copied().collect()
}

/// The text of the file in which a test is that is named `path::test`.
pub(crate) fn file_of(test: &str) -> String {
    let (path, name) = test.rsplit_once("::").expect("path::test");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path.trim_matches('`'));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{test}: {error}"));
    let name = name.trim_matches('`');
    assert!(text.contains(&format!("fn {name}(")), "no test {test}");
    text
}

fn tests(cell: &'static str) -> impl Iterator<Item = &'static str> {
    cell.split(',').map(|test| test.trim().trim_matches('`'))
}

#[test]
fn every_test_that_the_list_of_rules_names_is_there() {
    let mut count = 0;
    for [section, rule, cell] in rows() {
        assert!(!rule.is_empty() && !cell.is_empty(), "{section} {rule}");
        if let Some(why) = cell.strip_prefix("none:") {
            assert!(why.len() > 10, "{section} {rule}: why?");
            continue;
        }
        for test in tests(cell) {
            file_of(test);
            count += 1;
        }
    }
    assert!(count > 200, "{count}");
}

#[test]
fn the_list_of_rules_has_every_section_and_every_complaint() {
    let sections: BTreeSet<_> = rows().iter().map(|row| row[0].to_owned()).collect();
    let complaints = (1..=COMPLAINTS).map(|number| format!("peers {number}"));
    for wanted in SECTIONS.map(str::to_owned).into_iter().chain(complaints) {
        assert!(sections.contains(&wanted), "{wanted}");
    }
}

/// Every key of `aps` and of `alert`, and every push type, has a row.
#[test]
fn the_list_of_rules_has_every_key_and_every_push_type() {
    let rows = rows();
    let has = |section: &str, name: &str| {
        let name = format!("`{name}`");
        rows.iter()
            .any(|row| row[0] == section && row[1].split([' ', ',', ':']).any(|word| word == name))
    };
    for push_type in crate::notification::PushType::ALL {
        assert!(has("3.3", push_type.as_str()), "{push_type}");
        assert!(has("4.3", push_type.as_str()), "{push_type}");
    }
    for (rule, _) in crate::notification::rule::ALL {
        let is_of_a_key = |prefix: &str| {
            let name = rule.strip_prefix(prefix)?;
            let section = if prefix == "aps-" { "4.1" } else { "4.2" };
            Some((section, name))
        };
        let found = is_of_a_key("aps-").or_else(|| is_of_a_key("alert-"));
        let exempt = [
            "not-object",
            "unknown-key",
            "key-misplaced",
            "without-effect",
            "shows-nothing",
        ];
        if let Some((section, name)) = found.filter(|(_, name)| !exempt.contains(name)) {
            assert!(has(section, name), "{section} {name}");
        }
    }
}

/// Every kind of the vectors is walked by the test that the list names for it.
#[test]
fn the_list_of_rules_has_every_kind_of_vectors() {
    let text = include_str!("../tests/vectors/apns-vectors.json");
    let vectors: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
    let kinds: BTreeSet<_> = vectors
        .iter()
        .map(|row| row["kind"].as_str().unwrap())
        .collect();
    let mut listed = BTreeSet::new();
    for [section, kind, cell] in rows() {
        if section != "vectors" {
            continue;
        }
        let kind = kind.trim_matches('`');
        assert!(listed.insert(kind), "{kind} is there twice");
        for test in tests(cell) {
            let is_walked = file_of(test).contains(&format!("\"{kind}\""));
            assert!(is_walked, "{test} does not walk {kind}");
        }
    }
    assert_eq!(listed, kinds);
}

/// `docs/protocols.md` 3.1: the two hosts, and port 443 unless 2197 is asked for.
#[test]
fn the_provider_api_is_at_apples_addresses() {
    let address = |text: &str, environment| {
        let settings = Settings::parse(text).unwrap();
        let endpoint = settings.service(environment, ApnsService::Push).clone();
        (endpoint.host, endpoint.port)
    };
    for (environment, host) in [
        (Environment::Development, "api.sandbox.push.apple.com"),
        (Environment::Production, "api.push.apple.com"),
    ] {
        assert_eq!(address("", environment), (host.to_owned(), 443));
        let other = format!("[apns.{environment}]\nport = 2197");
        assert_eq!(address(&other, environment), (host.to_owned(), 2197));
    }
    assert_eq!(limits::PROVIDER_ALTERNATE_PORT, 2197);
}

/// `docs/protocols.md` 3.1 to 3.7: Apple's numbers, written out once more.
#[test]
fn the_limits_are_apples_numbers() {
    let secs = |duration: core::time::Duration| duration.as_secs();
    assert_eq!(limits::PAYLOAD_MAX_BYTES, 4_096);
    assert_eq!(limits::VOIP_PAYLOAD_MAX_BYTES, 5_120);
    assert_eq!(limits::BROADCAST_PAYLOAD_MAX_BYTES, 5_120);
    assert_eq!(limits::COLLAPSE_ID_MAX_BYTES, 64);
    assert_eq!(limits::CHANNELS_MAX, 10_000);
    assert_eq!(secs(limits::STORAGE_MAX), 30 * 86_400);
    assert_eq!((limits::KEY_ID_CHARS, limits::TEAM_ID_CHARS), (10, 10));
    assert_eq!(secs(limits::PROVIDER_TOKEN_MIN_AGE), 20 * 60);
    assert_eq!(secs(limits::PROVIDER_TOKEN_MAX_AGE), 60 * 60);
    assert_eq!(secs(limits::SERVER_ERROR_RETRY_AFTER), 15 * 60);
    assert_eq!(secs(limits::IDLE_BEFORE_PING), 60 * 60);
}
