//! What is told, how often, and when it is over.

use super::*;

const KEY: (&str, &str) = ("credential-refused", "key A, production: Bad");

fn at(secs: u64) -> Now {
    Now::ZERO + Duration::from_secs(secs)
}

/// Notes once; how often the line says that it was, if there is one.
fn noted(alarms: &mut Alarms, secs: u64) -> Option<u64> {
    let line = alarms.note(at(secs), KEY, 1, || "mend it".to_owned());
    line.map(|line| {
        assert_eq!((line.level, line.text.as_str()), (Level::Error, "mend it"));
        line.times
    })
}

#[test]
fn a_trouble_is_told_at_once_then_once_a_minute_with_a_count_and_once_when_it_is_over() {
    let mut alarms = Alarms::default();
    let told: Vec<_> = (0..150)
        .filter_map(|secs| noted(&mut alarms, secs))
        .collect();
    assert_eq!(told, [1, 60, 60]);
    assert!(!alarms.is_quiet());
    let over = alarms.good(at(150), KEY);
    let [
        AlarmLine {
            level, times, text, ..
        },
    ] = over.as_slice()
    else {
        panic!("{over:?}");
    };
    assert_eq!((*level, *times), (Level::Info, 29));
    assert_eq!(text, "over after 2 min, 150 in all");
    assert_eq!(
        AlarmLine::parse(&over[0].to_string()).as_ref(),
        Some(&over[0])
    );
    assert!(alarms.is_quiet());
    assert_eq!(alarms.good(at(151), KEY), []);
}

#[test]
fn what_is_not_noted_again_is_told_when_its_minute_has_passed() {
    let mut alarms = Alarms::default();
    for secs in 0..5 {
        noted(&mut alarms, secs);
    }
    assert_eq!(alarms.poll_timeout(), Some(at(60)));
    assert_eq!(alarms.handle_timeout(at(59)), []);
    let told = alarms.handle_timeout(at(60));
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].times, 4);
    assert_eq!(alarms.poll_timeout(), None, "nothing happens any more");
    assert_eq!(alarms.standing(at(61)).len(), 1, "it is not over for that");
}

#[test]
fn what_comes_and_goes_is_two_lines_a_minute() {
    let mut alarms = Alarms::default();
    let (mut errors, mut infos) = (0, 0);
    for secs in 0..120 {
        errors += noted(&mut alarms, secs).iter().count();
        infos += alarms.good(at(secs), KEY).len();
    }
    assert_eq!((errors, infos), (2, 2));
}

#[test]
fn what_began_within_the_minute_and_stays_is_told_at_its_end() {
    let mut alarms = Alarms::default();
    assert_eq!(noted(&mut alarms, 0), Some(1));
    assert_eq!(alarms.good(at(1), KEY).len(), 1);
    assert_eq!(noted(&mut alarms, 2), None);
    assert_eq!(alarms.handle_timeout(at(60)).len(), 1);
    assert_eq!(alarms.good(at(61), KEY).len(), 1);
}

#[test]
fn good_is_for_all_reasons_of_a_subject_and_no_other() {
    let mut alarms = Alarms::default();
    for subject in ["key A", "key A: Bad", "key A: Worse", "key AB: Bad"] {
        alarms.note(at(0), ("x", subject), 1, String::new);
    }
    alarms.note(at(0), ("y", "key A"), 1, String::new);
    let over = alarms.good(at(1), ("x", "key A"));
    assert_eq!(over.len(), 3, "{over:?}");
    let left: Vec<_> = alarms
        .standing(at(1))
        .into_iter()
        .map(|it| it.subject)
        .collect();
    assert_eq!(left, ["key AB: Bad", "key A"]);
}

#[test]
fn subjects_are_bounded_and_so_are_lines() {
    let mut alarms = Alarms::default();
    let mut lines = 0;
    for n in 0..10_000 {
        let subject = format!("topic {n}");
        let line = alarms.note(at(n / 1_000), ("x", &subject), 1, String::new);
        lines += line.iter().count();
    }
    assert_eq!(lines, MAX_SUBJECTS + 1, "the others share one");
    assert_eq!(alarms.entries.len(), MAX_SUBJECTS + 1);
    for n in 0..100 {
        let alarm = format!("alarm-{}", "x".repeat(n));
        alarms.note(at(11), (&alarm, "s"), 1, String::new);
    }
    assert_eq!(alarms.entries.len(), MAX_SUBJECTS + MAX_KINDS);
    assert_eq!(
        alarms.good(at(12), ("x", "topic 9999")).len(),
        1,
        "of the others"
    );
    // An hour later there is room again.
    let line = alarms.note(at(4_000), ("x", "new"), 1, String::new);
    assert_eq!(line.unwrap().subject, "new");
}

#[test]
fn lines_are_read_as_they_were_written() {
    let mut alarms = Alarms::default();
    let line = alarms.note(at(0), ("guard-tripped", "a [b]\nc"), 3, || {
        "x: y [z]\u{1b}[2J\u{202e}".to_owned()
    });
    let line = line.unwrap();
    assert_eq!(line.subject, "a (b)\u{fffd}c");
    let written = line.to_string();
    assert!(!written.contains(char::is_control), "{written}");
    assert_eq!(AlarmLine::parse(&written), Some(line));
    for other in [
        "",
        "dunlin: the registry did not take it",
        "dunlin: ERROR",
        "dunlin: ERROR x [y] z times: t",
        "dunlin: ERROR X [y] 1 times: t",
        "dunlin: WARN x [y] 1 times: t",
        "dunlin: ERROR x [y 1 times: t",
    ] {
        assert_eq!(AlarmLine::parse(other), None, "{other}");
    }
}

#[test]
fn what_was_not_seen_for_a_day_is_not_listed() {
    let mut alarms = Alarms::default();
    noted(&mut alarms, 0);
    let [standing] = alarms.standing(at(86_399)).try_into().unwrap();
    assert_eq!((standing.lasts.as_secs(), standing.times), (86_399, 1));
    assert_eq!(alarms.standing(at(86_400)), []);
}
