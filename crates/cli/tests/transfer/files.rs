//! Files that are no files of devices, and places that cannot be written.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Place, TOPIC, has, line, lines};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_of_devices_is_told_before_anything_is_done() {
    let place = Place::new();
    let folder = place.path("config");
    let folder = folder.to_str().unwrap();
    for (name, content, words, said) in [
        (
            "a.csv",
            &b"id,name\n1,x\n"[..],
            &[][..],
            "expected a column \"token\", got \"id, name\"",
        ),
        ("a.csv", b"", &[], "got an empty file"),
        ("a.csv", b"token,token\na1,b2\n", &[], "got several"),
        ("a.csv", b"\xff\xfet\x00o\x00", &[], "got UTF-16"),
        ("a.csv", b"\x1f\x8b\x08\x00", &[], "compressed"),
        (
            "a.csv",
            b"token\n",
            &["--column", "alias=user"],
            "expected a column \"user\"",
        ),
        ("a.csv", b"token\n", &["--column", "user"], "FIELD=NAME"),
        (
            "a.csv",
            b"token\n",
            &["--column", "user=x"],
            "one of token, topic",
        ),
        ("a.csv", b"token\n", &["--topic", "a b"], "--topic: "),
        (
            "a.csv",
            b"token\n",
            &["--environment", "x"],
            "--environment: ",
        ),
        (
            "a.ndjson",
            b"{}\n",
            &["--column", "token=x"],
            "--column is for CSV",
        ),
        (
            "a.ndjson",
            b"{\"defaults\":{\"x\":1}}\n",
            &[],
            "line 1: defaults.x",
        ),
        ("a.txt", b"token\n", &[], "--format ndjson or csv"),
        ("\u{1b}[31m.txt", b"token\n", &[], r"\u{1b}[31m"),
    ] {
        let file = place.file(name, content);
        let ran = place.run(&[&["import", &file], words].concat()).await;
        assert_eq!(ran.code, Some(2), "{name} {words:?}: {ran:?}");
        assert!(
            ran.err.contains(said) && ran.out.is_empty(),
            "{said}: {ran:?}"
        );
        assert!(!ran.err.contains('\u{1b}'), "{ran:?}");
        assert!(!has(&place, &format!("{name}.journal")), "{name}");
    }
    for (words, said) in [
        (&["import", folder, "--format", "csv"][..], "got a folder"),
        (
            &["import", "/nowhere/at/all.csv"],
            "/nowhere/at/all.csv: No such file",
        ),
        (&["import"], "<FILE>"),
    ] {
        let ran = place.run(words).await;
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains(said), "{ran:?}");
    }
    assert!(!has(&place, "store.redb"), "nothing was opened");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_none_are_refused_and_the_others_go_on() {
    let place = Place::new();
    let mut text = b"\xef\xbb\xbf".to_vec();
    text.extend_from_slice(line(1).as_bytes());
    text.extend_from_slice(b"\r\n{\"token\":\"M\xfcller\"}\r\nnothing\r\n");
    text.extend_from_slice(format!("{{\"token\":\"{}\"}}\n", "a".repeat(70_000)).as_bytes());
    text.extend_from_slice(b"{\"token\":\"\x1b[31m\",\"topic\":\"a.b\"}\n");
    text.extend_from_slice(line(2).trim_end().as_bytes());
    let file = place.file("a.ndjson", text);
    let ran = place.run(&["import", &file]).await;
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(
        ran.err.contains("6 lines: 2 new, 0 known, 4 refused"),
        "{ran:?}"
    );
    assert!(!ran.err.contains('\u{1b}'), "{ran:?}");
    let refused = place.refused("a.ndjson");
    let codes: Vec<_> = refused
        .iter()
        .map(|line| {
            (
                line["line"].as_u64().unwrap(),
                line["code"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        (3, "not-utf8"),
        (4, "json-malformed"),
        (5, "line-too-long"),
        (6, "json-malformed"),
    ];
    assert_eq!(codes, expected);
    assert_eq!(
        refused[0]["input_hex"],
        hex::encode(b"{\"token\":\"M\xfcller\"}")
    );
    assert_eq!(refused[1]["input"], "nothing");
    assert_eq!(place.devices(TOPIC).await.len(), 2);

    let nothing = place.file("b.ndjson", "\n \n");
    let ran = place.run(&["import", &nothing]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.starts_with("0 lines: "), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_that_is_not_closed_ends_it_after_what_was_before_it() {
    let place = Place::new();
    let rest = format!("b2,{TOPIC},x\n").repeat(5_000);
    let text = format!("token,topic,alias\na1,{TOPIC},x\na2,{TOPIC},\"y\n{rest}");
    let file = place.file("a.csv", text);
    let ran = place.run(&["import", &file]).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.err.contains("line 3: expected a record of at most"),
        "{ran:?}"
    );
    assert!(ran.err.contains("1 lines: 1 new"), "{ran:?}");
    assert_eq!(place.devices(TOPIC).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_ends_it_and_what_was_written_holds() {
    let place = Place::new();
    let service = place.serve().await;
    let file = place.file("a.ndjson", lines(3_000));
    let ran = place
        .run(&["import", &file, "--refused", "/dev/full"])
        .await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("/dev/full: No space left"), "{ran:?}");
    for option in ["--refused", "--journal"] {
        let ran = place
            .run(&["import", &file, option, "/nowhere/at/all"])
            .await;
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains("/nowhere/at/all: No such file"), "{ran:?}");
        let ran = place.run(&["import", &file, option, &file]).await;
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains("three different files"), "{ran:?}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), lines(3_000));
    let ran = place.run(&["import", &file, "--api-key", "guess"]).await;
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("401 unauthorized"), "{ran:?}");
    let ran = place.run(&["import", &file]).await;
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let refused = place.path("a.ndjson.refused.ndjson");
    let mode = refused.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "what is in it is personal");
    assert_eq!(place.devices(TOPIC).await.len(), 2_997);
    service.stop().await;
}
