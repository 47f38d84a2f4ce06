//! The host's half of the file, as an operator writes it.

use dunlin::config::{SECTIONS, from_toml};

use super::*;

#[test]
fn a_store_is_a_file_unless_it_is_said_to_be_none() {
    let store = |text: &str| from_toml::<StoreSettings>(text);
    let path = |text: &str| match store(text).unwrap() {
        StoreSettings::File { path } => Some(path),
        StoreSettings::Memory => None,
    };
    assert_eq!(path("path = 'a.redb'"), Some("a.redb".into()));
    assert_eq!(path("kind = 'file'"), Some("dunlin.redb".into()));
    assert_eq!(path("kind = 'memory'"), None);
    for wrong in ["kind = 'memory'\npath = 'a'", "kind = 'disk'", "file = 'a'"] {
        assert!(store(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn each_section_is_read_by_one_of_the_halves() {
    for section in SECTIONS {
        // Each is a table or an array, so that whoever reads it finds a mistake.
        let text = format!("{section} = 7");
        let by_host = read_half::<HostHalf>(&text).is_err();
        let by_component = Settings::parse(&text).is_err();
        assert!(by_host != by_component, "{section}: {by_host}");
    }
    let told = |error: dunlin::config::ConfigError| error.to_string();
    let of_the_host = read_half::<HostHalf>("[credential]").err().map(told);
    let of_the_component = Settings::parse("[credential]").err().map(told);
    assert_eq!(of_the_host, of_the_component);
    assert!(of_the_host.unwrap().contains("unknown field `credential`"));
}

#[test]
fn where_to_listen_may_be_a_name_or_a_port_alone() {
    for text in ["127.0.0.1:8080", "[::1]:8080", "localhost:8080", ":8080"] {
        let file = read_half::<HostHalf>(&format!("[host]\nlisten = {text:?}")).unwrap();
        assert_eq!(file.host.listen.to_string(), text);
    }
    let error = read_half::<HostHalf>("[host]\nlisten = \"nowhere\"")
        .err()
        .unwrap();
    let error = error.to_string();
    let start = "line 2, column 10, listen: expected an address and a port, such as";
    assert!(error.starts_with(start), "{error}");
}

#[test]
fn given_addresses_are_of_hosts_as_they_are_written_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dunlin.toml");
    let read = |name: &str| {
        let text = format!("[host.addresses]\n{name:?} = [\"127.0.0.1\"]");
        std::fs::write(&file, text).unwrap();
        Config::read(&file)
    };
    for (written, kept) in [("[::1]", "::1"), ("Localhost", "localhost")] {
        let config = read(written).unwrap();
        assert!(config.addresses().contains_key(kept), "{written}");
    }
    let error = read("localhost:2197").unwrap_err().to_string();
    assert!(
        error.contains("host.addresses: expected a host name"),
        "{error}"
    );
}

#[test]
fn no_mistake_of_the_hosts_half_shows_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dunlin.toml");
    let text = "proxy = { url = \"http://anna:s3cret@p:1\" }\nhost = { lisen = 1 } # a@b";
    std::fs::write(&file, text).unwrap();
    let error = Config::read(&file).unwrap_err().to_string();
    assert!(
        error.contains("lisen") && error.contains("line 2"),
        "{error}"
    );
    std::fs::write(&file, "[proxy]\nurl = \"http://anna:s3cret@p:1").unwrap();
    let error = Config::read(&file).unwrap_err().to_string();
    assert!(!error.contains("s3cret"), "{error}");
}
