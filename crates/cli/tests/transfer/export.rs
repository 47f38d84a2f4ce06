//! What was exported is imported, and is what it was.

use serde_json::json;

use crate::support::{Place, TOPIC, has, token};

/// Devices with everything that is hard to write down.
fn hard() -> String {
    let aliases = [
        "anna",
        "=1+1",
        "+49 170 12",
        "-x",
        "@x",
        "'quoted",
        "a,b;c\td",
        "\"x\"",
        " spaces ",
        "Zoë 👩‍👩‍👧",
        "\u{202e}bidi",
        "[a]",
        "\\N",
        "NULL",
        "a\\u0041",
    ];
    let aliases: Vec<_> = aliases
        .iter()
        .filter(|alias| !alias.contains('\t'))
        .collect();
    let mut text = String::new();
    for (n, alias) in (0..).zip(&aliases) {
        let device = json!({"token": token(n), "topic": TOPIC, "alias": alias});
        text.push_str(&format!("{device}\n"));
    }
    let tags = [
        json!(["news", "sport"]),
        json!(["a,b"]),
        json!([" a"]),
        json!(["[x]"]),
        json!(["=x", "é"]),
        json!([]),
        json!(["\"", "'"]),
    ];
    for (n, tags) in (100..).zip(&tags) {
        let environment = ["production", "development"][n as usize % 2];
        let device = json!({"token": token(n), "topic": TOPIC, "tags": tags,
            "environment": environment});
        text.push_str(&format!("{device}\n"));
    }
    for n in 1_000..4_000 {
        text.push_str(&format!("{}\n", json!({"token": token(n), "topic": TOPIC})));
    }
    text.push_str(&format!(
        "{}\n",
        json!({"token": "a1", "topic": "com.example.other"})
    ));
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_exported_and_imported_is_what_it_was() {
    let place = Place::new();
    let service = place.serve().await;
    let file = place.file("hard.ndjson", hard());
    let ran = place.run(&["import", &file]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let devices = place.devices(TOPIC).await;
    assert_eq!(devices.len(), 14 + 7 + 3_000);

    for name in ["out.ndjson", "out.csv"] {
        let out = place.path(name);
        let out = out.to_str().unwrap();
        std::fs::write(out, "of an export before").unwrap();
        let ran = place.run(&["export", "--topic", TOPIC, "-o", out]).await;
        assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{ran:?}");
        assert!(ran.err.starts_with("3,021 devices; "), "{ran:?}");
        assert!(!has(&place, &format!("{name}.part")));

        let other = Place::new();
        let elsewhere = other.serve().await;
        let ran = other.run(&["import", out]).await;
        assert_eq!(ran.code, Some(0), "{name}: {ran:?}");
        assert!(ran.err.contains("3,021 new, 0 known, 0 refused"), "{ran:?}");
        assert_eq!(other.devices(TOPIC).await, devices, "{name}");
        assert!(other.devices("com.example.other").await.is_empty());
        elsewhere.stop().await;
        // The same without a service.
        assert_eq!(other.devices(TOPIC).await, devices, "{name}");
    }
    let csv = std::fs::read_to_string(place.path("out.csv")).unwrap();
    assert!(csv.starts_with("token,topic,environment,alias,tags\r\n"));
    let is_formula = |field: &str| field.starts_with(['=', '+', '-', '@']);
    let fields = csv.lines().flat_map(|line| line.split(','));
    assert!(!fields.map(|field| field.trim_matches('"')).any(is_formula));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_has_one_environment_if_that_is_asked_for() {
    let place = Place::new();
    let file = place.file("hard.ndjson", hard());
    assert_eq!(place.run(&["import", &file]).await.code, Some(0));
    for (environment, count) in [("production", 4), ("sandbox", 3)] {
        let words = [
            "export",
            "--topic",
            TOPIC,
            "--environment",
            environment,
            "--format",
            "csv",
        ];
        let ran = place.run(&words).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(ran.out.lines().count(), 1 + count, "{ran:?}");
    }
    let nothing = place
        .run(&["export", "--topic", "com.example.nobody"])
        .await;
    assert_eq!(
        (nothing.code, nothing.out.as_str()),
        (Some(0), ""),
        "{nothing:?}"
    );
    assert!(nothing.err.starts_with("0 devices; "), "{nothing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_cannot_be_made_leaves_nothing() {
    let place = Place::new();
    let service = place.serve().await;
    let file = place.file("hard.ndjson", hard());
    assert_eq!(place.run(&["import", &file]).await.code, Some(0));
    let out = place.path("out.csv");
    let out = out.to_str().unwrap();
    let folder = place.path("config");
    let folder = folder.to_str().unwrap();
    let app = ["export", "--topic", TOPIC];
    for (words, code, said) in [
        (&["-o", folder, "--format", "csv"][..], 2, "got a folder"),
        (&["-o", "/nowhere/at/all.csv"], 2, "/nowhere/at/all.csv"),
        (&["-o", "out.txt"], 2, "--format ndjson or csv"),
        (
            &["--environment", "staging"],
            2,
            "expected one of development",
        ),
        (&["-o", out, "--api-key", "guess"], 3, "401 unauthorized"),
        (
            &["-o", "/dev/full", "--format", "csv"],
            1,
            "/dev/full: No space left",
        ),
    ] {
        let ran = place.run(&[&app[..], words].concat()).await;
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(ran.err.contains(said) && ran.out.is_empty(), "{ran:?}");
    }
    let wrong = place.run(&["export", "--topic", "a b", "-o", out]).await;
    assert_eq!(wrong.code, Some(3), "{wrong:?}");
    assert!(!has(&place, "out.csv") && !has(&place, "out.csv.part"));

    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut command = place.command(&app);
    command.stdout(full);
    let ran = crate::support::ended(command).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.err.contains("standard output: No space left"),
        "{ran:?}"
    );
    service.stop().await;
}
