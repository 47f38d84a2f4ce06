//! Files as they should be, and files of others.

use std::io::Write as _;

use serde_json::json;

use crate::support::{Place, TOPIC, has, line, lines, ran, token};

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_lines_are_registered_and_those_refused_are_in_a_file() {
    let place = Place::new();
    let service = place.serve().await;
    let file = place.file("devices.ndjson", lines(12_000));
    let ran = place.run(&["import", &file]).await;
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.out.is_empty() && !ran.err.contains('\r'), "{ran:?}");
    let sum = "12,000 lines: 11,988 new, 0 known, 12 refused; ";
    assert!(ran.err.contains(sum), "{ran:?}");
    let warned = "no push can be sent to this device (11,988 lines)\n";
    assert!(ran.err.contains(warned), "{ran:?}");
    assert!(
        ran.err.contains("line 1000: missing-field: token: "),
        "{ran:?}"
    );

    let refused = place.refused("devices.ndjson");
    let numbers: Vec<_> = refused.iter().map(|line| line["line"].clone()).collect();
    let expected: Vec<_> = (1..=12).map(|n| json!(1_000 * n)).collect();
    assert_eq!(numbers, expected);
    assert_eq!(refused[0]["code"], "missing-field");
    assert_eq!(refused[0]["field"], "token");
    assert!(refused[0]["expected"].as_str().unwrap().contains("hex"));
    assert_eq!(refused[0]["input"], format!("{{\"topic\":\"{TOPIC}\"}}"));
    assert!(
        !has(&place, "devices.ndjson.journal"),
        "it is of no more use"
    );

    let devices = place.devices(TOPIC).await;
    assert_eq!(devices.len(), 11_988);
    assert_eq!(devices[&token(7)]["alias"], "user 7");

    // The same again, without a refused line, in JSON.
    let file = place.file("devices.ndjson", lines(500));
    let ran = place.run(&["import", &file, "--json"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let sum: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let expected = json!({"lines": 500, "new": 0, "known": 500, "refused": 0, "line": 500});
    assert_eq!(sum, expected);
    assert!(
        !has(&place, "devices.ndjson.refused.ndjson"),
        "that of before"
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_service_the_store_of_the_configuration_is_filled() {
    let place = Place::new();
    let file = place.file("devices.ndjson", lines(6_000));
    let ran = place.run(&["import", &file]).await;
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("5,994 new, 0 known, 6 refused"), "{ran:?}");
    assert_eq!(place.refused("devices.ndjson").len(), 6);
    let service = place.serve().await;
    assert_eq!(place.devices(TOPIC).await.len(), 5_994);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_others_is_taken_by_the_names_of_its_columns() {
    let place = Place::new();
    let service = place.serve().await;
    let dump = "\u{feff}id,name,active,user_id,registration_id\r\n\
                1,\"Anna's, \"\"old\"\" phone\",1,anna@example.com,A1B2C3D4E5F60718\r\n\
                2,,1,Zoë,<a1b2c3d4 e5f60719>\r\n\
                3,,1,bob,A1 B2 C3 D4 E5 F6 07 20\r\n\
                \r\n\
                4,,0,carl,not a token\r\n\
                5,x\r\n";
    let file = place.file("dump.csv", dump);
    let columns = [
        "--column",
        "token=registration_id",
        "--column",
        "alias=user_id",
    ];
    let words = [
        &[
            "import",
            &file,
            "--topic",
            TOPIC,
            "--environment",
            "production",
        ],
        &columns[..],
    ];
    let ran = place.run(&words.concat()).await;
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(
        ran.err.starts_with("columns left out: id, name, active\n"),
        "{ran:?}"
    );
    assert!(
        ran.err.contains("5 lines: 3 new, 0 known, 2 refused"),
        "{ran:?}"
    );
    let devices = place.devices(TOPIC).await;
    let expected = json!({"token": "a1b2c3d4e5f60719", "topic": TOPIC,
        "environment": "production", "alias": "Zoë", "tags": []});
    assert_eq!(devices["a1b2c3d4e5f60719"], expected);
    assert_eq!(devices["a1b2c3d4e5f60718"]["alias"], "anna@example.com");
    assert_eq!(devices["a1b2c3d4e5f60720"]["alias"], "bob");
    let refused = place.refused("dump.csv");
    assert_eq!(refused[0]["line"], 6);
    assert_eq!(refused[0]["code"], "token-not-hex");
    assert_eq!(refused[0]["input"], "4,,0,carl,not a token");
    assert_eq!(refused[1]["line"], 7);
    assert_eq!(refused[1]["code"], "column-count");
    assert_eq!(refused[1]["expected"], "5 columns, as the head has");

    let own = "token;topic;tags\na1b2c3d4e5f60718;com.example.other;news,sport\n";
    let file = place.file("own.csv", own);
    let ran = place.run(&["import", &file, "--topic", TOPIC]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let devices = place.devices("com.example.other").await;
    assert_eq!(
        devices["a1b2c3d4e5f60718"]["tags"],
        json!(["news", "sport"])
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_later_of_two_lines_about_a_device_counts() {
    let place = Place::new();
    let service = place.serve().await;
    let mut text = format!("{{\"defaults\":{{\"topic\":\"{TOPIC}\"}}}}\n");
    for round in 0..3 {
        for n in 0..4_000 {
            let token = token(n);
            text.push_str(&format!(
                "{{\"token\":\"{token}\",\"alias\":\"round {round} {n}\"}}\n"
            ));
        }
    }
    let file = place.file("rounds.jsonl", text);
    let ran = place.run(&["import", &file]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.err.contains("12,000 lines: 4,000 new, 8,000 known"),
        "{ran:?}"
    );
    let devices = place.devices(TOPIC).await;
    assert_eq!(devices.len(), 4_000);
    let is_last = |device: &serde_json::Value| device["alias"].as_str().unwrap().contains("d 2 ");
    assert!(devices.values().all(is_last));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_standard_input_is_read_and_nothing_is_kept_beside_it() {
    let place = Place::new();
    let service = place.serve().await;
    let refused = place.path("refused.ndjson");
    for (words, input, code) in [
        (vec!["import", "-"], format!("{}{}", line(1), line(2)), 0),
        (vec!["import", "-"], format!("{}{{}}\n", line(3)), 3),
        (
            vec![
                "import",
                "-",
                "--refused",
                refused.to_str().unwrap(),
                "--format",
                "csv",
            ],
            format!("token,topic\n{},{TOPIC}\nx,{TOPIC}\n", token(4)),
            3,
        ),
    ] {
        let mut command = place.command(&words);
        command.stdin(std::process::Stdio::piped());
        command.current_dir(place.path("config"));
        let run = move || {
            let mut child = command.spawn().unwrap();
            child
                .stdin
                .take()
                .unwrap()
                .write_all(input.as_bytes())
                .unwrap();
            ran(&child.wait_with_output().unwrap())
        };
        let ran = tokio::task::spawn_blocking(run).await.unwrap();
        assert_eq!(ran.code, Some(code), "{ran:?}");
    }
    assert_eq!(place.devices(TOPIC).await.len(), 4);
    let refused = std::fs::read_to_string(refused).unwrap();
    assert_eq!(refused.lines().count(), 1);
    let names = std::fs::read_dir(place.path("config")).unwrap().count();
    assert_eq!(names, 1, "the configuration alone");
    service.stop().await;
}
