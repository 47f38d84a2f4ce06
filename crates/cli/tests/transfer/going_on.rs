//! Imports that end before their end, and go on.

use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{Place, Ran, TOPIC, door, has, lines, ran};

const FILE: &str = "devices.ndjson";

/// Lines of it, some batches, and those that are devices.
const LINES: u64 = 24_000;
const DEVICES: usize = 23_976;

fn spawn(place: &Place, words: &[&str]) -> Child {
    place.command(words).spawn().unwrap()
}

async fn ended(child: Child) -> Ran {
    let wait = move || ran(&child.wait_with_output().unwrap());
    tokio::task::spawn_blocking(wait).await.unwrap()
}

/// Every line is answered once, and every device there once.
async fn check_whole(place: &Place, last: &Ran) {
    assert_eq!(last.code, Some(3), "{last:?}");
    assert!(last.err.contains("24,000 lines: "), "{last:?}");
    assert!(last.err.contains(" 24 refused"), "{last:?}");
    let refused = place.refused(FILE);
    let numbers: Vec<_> = refused
        .iter()
        .map(|line| line["line"].as_u64().unwrap())
        .collect();
    let expected: Vec<_> = (1..=24).map(|n| 1_000 * n).collect();
    assert_eq!(numbers, expected, "each once");
    assert_eq!(place.devices(TOPIC).await.len(), DEVICES, "none is missing");
    assert!(!has(place, "devices.ndjson.journal"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_goes_on_and_does_nothing_twice() {
    let place = Place::new();
    let service = place.serve().await;
    let file = place.file(FILE, lines(LINES));
    let mut kills = 0;
    let last = loop {
        let before = place.line(FILE);
        let mut child = spawn(&place, &["import", &file]);
        let begun = async {
            while place.line(FILE) <= before && child.try_wait().unwrap().is_none() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let begun = tokio::time::timeout(Duration::from_secs(120), begun).await;
        begun.expect("it gets on");
        if kills < 3 && child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
            assert!(place.line(FILE) > before);
            continue;
        }
        break ended(child).await;
    };
    assert!(kills > 0, "it was cut off in the middle");
    assert!(last.err.contains("going on after line "), "{last:?}");
    check_whole(&place, &last).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_interrupted_writes_down_how_far_it_is() {
    let place = Place::new();
    let service = place.serve().await;
    let file = place.file(FILE, lines(LINES));
    let child = spawn(&place, &["import", &file]);
    place.until_begun(FILE).await;
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let cut = ended(child).await;
    assert_eq!(cut.code, Some(130), "{cut:?}");
    let line = place.line(FILE);
    assert!(line > 0 && line < LINES, "{line}");
    assert!(
        cut.err
            .contains("dunlin: interrupted; everything up to line "),
        "{cut:?}"
    );
    let last = place.run(&["import", &file]).await;
    assert!(last.err.contains("going on after line "), "{last:?}");
    check_whole(&place, &last).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_restarted_is_waited_for() {
    let place = Place::new();
    let service = place.serve().await;
    let file = place.file(FILE, lines(LINES));
    let child = spawn(&place, &["import", &file]);
    place.until_begun(FILE).await;
    service.stop().await;
    let before = place.line(FILE);
    assert!(before < LINES, "it was stopped in the middle");
    let service = place.serve().await;
    // Whether it has found nobody in between is a matter of luck.
    let last = ended(child).await;
    check_whole(&place, &last).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_cut_off_is_asked_for_again() {
    let place = Place::new();
    let service = place.serve().await;
    let file = place.file(FILE, lines(LINES));
    let url = format!("http://{}", door(place.address(), 3, 300_000).await);
    let last = place.run(&["import", &file, "--url", &url]).await;
    assert_eq!(last.err.matches("trying again").count(), 3, "{last:?}");
    check_whole(&place, &last).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_stays_away_ends_it_with_what_to_do() {
    let place = Place::new();
    let service = place.serve().await;
    let file = place.file(FILE, lines(LINES));
    let child = spawn(&place, &["import", &file, "--retry-for", "1"]);
    place.until_begun(FILE).await;
    service.stop().await;
    let cut = ended(child).await;
    // The store is free now, and another service could be where it was.
    assert_eq!(cut.code, Some(7), "{cut:?}");
    assert!(
        cut.err.contains("the same command goes on after it"),
        "{cut:?}"
    );
    assert!(place.line(FILE) > 0 && place.line(FILE) < LINES);
    // It goes on, now on the store itself.
    let last = place.run(&["import", &file]).await;
    check_whole(&place, &last).await;

    let nobody = place.file("more.ndjson", lines(10));
    let address = format!("http://{}", place.address());
    let words = ["import", &nobody, "--url", &address, "--retry-for", "0"];
    let ran = place.run(&words).await;
    assert_eq!(ran.code, Some(7), "{ran:?}");
    assert!(!has(&place, "more.ndjson.journal"), "nothing was answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_file_or_another_service_is_not_gone_on_with() {
    let place = Place::new();
    let service = place.serve().await;
    let text = lines(LINES);
    let file = place.file(FILE, &text);
    let mut child = spawn(&place, &["import", &file]);
    place.until_begun(FILE).await;
    let busy = place.run(&["import", &file]).await;
    assert_eq!(busy.code, Some(2), "{busy:?}");
    assert!(
        busy.err
            .contains("another import of this file is under way"),
        "{busy:?}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    let line = place.line(FILE);
    assert!(line < LINES);

    let url = format!("http://{}", place.address());
    let changed = text.replacen("user 5\"", "user 6\"", 1);
    for (text, words, said) in [
        (&changed, &[][..], "the file has changed"),
        (&format!("{text}\n"), &[], "bytes, which now has"),
        (&text, &["--url", &url], "and this one to http://127.0.0.1:"),
        (&text, &["--topic", "a.b"], "by other options"),
    ] {
        place.file(FILE, text);
        let words = [&["import", &file], words].concat();
        let ran = place.run(&words).await;
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(
            ran.err.contains(said) && ran.err.contains("--restart"),
            "{ran:?}"
        );
        assert_eq!(place.line(FILE), line, "nothing was done");
    }
    let journal = place.path("devices.ndjson.journal");
    let kept = std::fs::read(&journal).unwrap();
    std::fs::write(&journal, "something else").unwrap();
    let ran = place.run(&["import", &file, "--restart"]).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.err.contains("expected the journal of an import"),
        "{ran:?}"
    );
    std::fs::write(&journal, kept).unwrap();
    let last = place.run(&["import", &file, "--restart"]).await;
    assert!(!last.err.contains("going on"), "{last:?}");
    check_whole(&place, &last).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_memory_is_asked_for_where_it_is() {
    let place = Place::new();
    let config = std::fs::read_to_string(place.config()).unwrap();
    let (before, rest) = config.split_once("[store]").unwrap();
    let (_, host) = rest.split_once("[host]").unwrap();
    let config = format!("{before}[store]\nkind = \"memory\"\n[host]{host}");
    std::fs::write(place.config(), config).unwrap();
    let service = place.serve().await;
    let file = place.file(FILE, lines(10));
    for words in [&["import", &file][..], &["export", "--topic", TOPIC]] {
        let ran = place.run(words).await;
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains("in the memory of the service"), "{ran:?}");
    }
    let url = format!("http://{}", place.address());
    let ran = place.run(&["import", &file, "--url", &url]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = place
        .run(&["export", "--topic", TOPIC, "--url", &url])
        .await;
    assert_eq!(ran.out.lines().count(), 10, "{ran:?}");
    let tokens = ran
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert!(tokens.into_iter().all(|device| device["topic"] == TOPIC));
    service.stop().await;
}
