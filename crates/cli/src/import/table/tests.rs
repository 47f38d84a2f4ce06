use super::*;

fn reader(text: &[u8], piece: usize) -> RecordReader<io::BufReader<&[u8]>> {
    RecordReader::new(io::BufReader::with_capacity(piece, text), text, 0)
}

fn records(text: &[u8], piece: usize) -> Vec<(u64, Vec<String>, String)> {
    let mut reader = reader(text, piece);
    let mut records = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let fields = record.fields().map(text).collect();
        records.push((record.number, fields, text(&record.raw)));
    }
    assert_eq!(reader.bytes(), text.len() as u64);
    records
}

fn all(text: &str) -> Vec<(u64, Vec<String>, String)> {
    let whole = records(text.as_bytes(), 4_096);
    for piece in 1..20 {
        assert_eq!(records(text.as_bytes(), piece), whole, "pieces of {piece}");
    }
    whole
}

fn columns(head: &str, named: &[(&str, &str)]) -> Result<Columns, String> {
    let own = |(field, column): &(&str, &str)| ((*field).to_owned(), (*column).to_owned());
    let named: Vec<_> = named.iter().map(own).collect();
    let head = reader(head.as_bytes(), 64).next().unwrap().unwrap();
    Columns::of_head(&head, &named)
}

fn line(head: &str, record: &[u8]) -> Result<String, LineRefusal> {
    let record = reader(record, 64).next().unwrap().unwrap();
    columns(head, &[]).unwrap().line(&record)
}

#[test]
fn records_have_their_line_and_are_kept_as_they_came() {
    let text = "token,alias\r\na1,\"anna, b\"\r\n\r\n\nb2,\"two\r\nlines \"\"x\"\"\"\nc3,5\" wide";
    let found = all(text);
    let numbers: Vec<_> = found.iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers, [1, 2, 5, 7]);
    let fields: Vec<_> = found.iter().map(|(_, fields, _)| fields.clone()).collect();
    assert_eq!(fields[1], ["a1", "anna, b"]);
    assert_eq!(fields[2], ["b2", "two\r\nlines \"x\""]);
    assert_eq!(fields[3], ["c3", "5\" wide"]);
    assert_eq!(found[1].2, "a1,\"anna, b\"");
    assert_eq!(found[2].2, "b2,\"two\r\nlines \"\"x\"\"\"");
    assert_eq!(all("a\r\nb\r\n").len(), 2);
    assert_eq!(all("\n\r\n"), []);
    assert_eq!(all(""), []);
}

#[test]
fn a_quote_that_is_not_closed_ends_the_reading_with_its_line() {
    let rest = "b2,x\n".repeat(100_000);
    let text = format!("token,alias\na1,\"anna\n{rest}");
    for piece in [100, 8_192, 1 << 20] {
        let mut reader = reader(text.as_bytes(), piece);
        reader.next().unwrap().unwrap();
        let error = reader.next().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let error = error.to_string();
        assert!(
            error.starts_with("line 2: ") && error.contains("quote"),
            "{error}"
        );
    }
    let wide = "a,".repeat(MAX_COLUMNS + 1);
    let error = reader(wide.as_bytes(), 100).next().unwrap_err();
    assert!(error.to_string().contains("columns"), "{error}");
    let blank = "\n".repeat(1 << 20);
    let text = format!("{blank}a1\n");
    let (number, ..) = &records(text.as_bytes(), 100)[0];
    assert_eq!(*number, 1 + (1 << 20), "what is blank is not held");
}

#[test]
fn columns_go_by_their_names_in_any_order_and_by_those_that_are_given() {
    let found = columns("Alias;id; TOKEN ;name", &[]).unwrap();
    assert_eq!(found.left_out, ["id", "name"]);
    assert_eq!((found.places[0], found.places[3]), (Some(2), Some(0)));
    let found = columns(
        "id\ttoken\tregistration_id",
        &[("token", "registration_id")],
    )
    .unwrap();
    assert_eq!(found.places[0], Some(2));
    assert_eq!(found.left_out, ["id", "token"]);
    for (head, named, said) in [
        ("id,registration_id", &[][..], "--column token=NAME"),
        ("token,Token", &[], "got several"),
        ("token", &[("alias", "user")], "expected a column \"user\""),
    ] {
        let why = columns(head, named).unwrap_err();
        assert!(why.contains(said), "{why}");
    }
}

#[test]
fn a_record_becomes_a_registration() {
    let head = "token,topic,environment,alias,tags,replaces,id";
    let full = line(head, b"<A1 b2>,a.b,sandbox,anna,\"news, sport\",c3,9");
    let full: serde_json::Value = serde_json::from_str(&full.unwrap()).unwrap();
    let expected = serde_json::json!({"token": "<A1 b2>", "topic": "a.b", "alias": "anna",
        "environment": "sandbox", "tags": ["news", "sport"], "replaces": "c3"});
    assert_eq!(full, expected);
    let empty = line(head, b"a1,,,,,,").unwrap();
    assert_eq!(empty, r#"{"token":"a1"}"#);
    let array = line("token,tags", b"a1,\"[\"\"a,b\"\",\"\"c\"\"]\"").unwrap();
    assert_eq!(array, r#"{"token":"a1","tags":["a,b","c"]}"#);
    let none = line("token,tags", b"a1,[]").unwrap();
    assert_eq!(none, r#"{"token":"a1","tags":[]}"#);
}

#[test]
fn what_was_guarded_from_spreadsheets_is_what_it_was() {
    for (field, expected) in [
        ("'=1+1", "=1+1"),
        ("'+49", "+49"),
        ("''x", "'x"),
        ("''=x", "'=x"),
        ("'x", "'x"),
        ("=x", "=x"),
    ] {
        let found = line("token,alias", format!("a1,{field}").as_bytes()).unwrap();
        let found: serde_json::Value = serde_json::from_str(&found).unwrap();
        assert_eq!(found["alias"], expected, "{field}");
    }
}

#[test]
fn a_record_that_is_none_is_refused_by_itself() {
    let code = |record: &[u8]| line("token,alias,tags", record).unwrap_err().code;
    assert_eq!(code(b"a1,anna"), "column-count");
    assert_eq!(code(b"a1,anna,x,y"), "column-count");
    assert_eq!(code(b"a1,M\xfcller,"), "not-utf8");
    assert_eq!(code(b"a1,anna,[1]"), "wrong-type");
    assert_eq!(code(b"a1,anna,[\"a\""), "wrong-type");
}
