//! `deploy/Containerfile`, held against the host's defaults, and its context against the workspace.

use std::collections::BTreeSet;

use crate::{load, read, root};

/// The instructions of the last stage: name and the rest of the line.
fn instructions() -> Vec<(String, String)> {
    let file = read("deploy/Containerfile").replace("\\\n", " ");
    let lines = file.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let all: Vec<_> = lines.map(|line| line.split_once(' ').unwrap()).collect();
    let last = all.iter().rposition(|(name, _)| *name == "FROM").unwrap();
    let stage = all[last..].iter();
    stage
        .map(|(name, rest)| ((*name).to_owned(), rest.trim().to_owned()))
        .collect()
}

/// What the one instruction of this name says.
fn instruction(name: &str) -> String {
    let mut found = instructions()
        .into_iter()
        .filter(|(found, _)| found == name);
    let (_, rest) = found.next().unwrap_or_else(|| panic!("no {name}"));
    assert!(found.next().is_none(), "{name} twice");
    rest
}

/// What a variable is set to.
pub fn environment(name: &str) -> String {
    let set = instruction("ENV");
    let (found, value) = set.split_once('=').unwrap();
    assert_eq!(found, name);
    value.to_owned()
}

/// The numbers of user and group.
pub fn user() -> (u64, u64) {
    let user = instruction("USER");
    let (user, group) = user
        .split_once(':')
        .expect("numbers, which runAsNonRoot can look at");
    (user.parse().unwrap(), group.parse().unwrap())
}

#[test]
fn the_process_is_nobody_in_particular_and_is_stopped_as_it_likes() {
    let (user, group) = user();
    assert!(user != 0 && group != 0);
    assert!(
        instruction("FROM").ends_with(":nonroot"),
        "no shell, no package manager"
    );
    assert_eq!(instruction("STOPSIGNAL"), "SIGTERM");
    let listen = load("").host.listen;
    assert_eq!(instruction("EXPOSE"), listen.port().to_string());
    assert_eq!(instruction("ENTRYPOINT"), r#"["/usr/local/bin/dunlin"]"#);
    assert!(instruction("CMD").starts_with(r#"["serve""#));
}

#[test]
fn what_it_writes_to_is_its_own_and_a_volume() {
    let volumes: Vec<String> = serde_json::from_str(&instruction("VOLUME")).unwrap();
    let (user, group) = user();
    let copied: Vec<_> = instructions()
        .into_iter()
        .filter(|(name, rest)| name == "COPY" && rest.contains(&format!("--chown={user}:{group} ")))
        .filter_map(|(_, rest)| rest.rsplit_once(' ').map(|(_, to)| to.to_owned()))
        .collect();
    assert_eq!(copied, volumes);
    assert_eq!(volumes, ["/var/lib/dunlin", "/var/cache/dunlin"]);
}

#[test]
fn the_context_has_the_workspace_and_no_keys() {
    let ignored = read(".containerignore");
    let lines: BTreeSet<_> = ignored
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert!(lines.contains("*"), "what is not named is left out");
    for line in &lines {
        if let Some(path) = line.strip_prefix('!') {
            assert!(root().join(path).exists(), "{path}");
        }
    }
    let workspace: toml::Table = toml::from_str(&read("Cargo.toml")).unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let members = members.iter().map(|member| member.as_str().unwrap());
    for member in members.chain(["Cargo.toml", "Cargo.lock", "src", "wit"]) {
        let top = member.split('/').next().unwrap();
        assert!(lines.contains(&*format!("!{top}")), "{member} is left out");
    }
    for secret in ["**/*.p8", "**/*.p12"] {
        assert!(lines.contains(secret), "{secret}");
    }
    // Docker looks for another name.
    assert_eq!(read(".dockerignore"), ignored);
}

#[test]
fn the_toolchain_is_new_enough() {
    let workspace: toml::Table = toml::from_str(&read("Cargo.toml")).unwrap();
    let wanted = workspace["workspace"]["package"]["rust-version"]
        .as_str()
        .unwrap();
    let file = read("deploy/Containerfile");
    let image = file.split("library/rust:").nth(1).unwrap();
    let image = image.split('-').next().unwrap();
    let parse = |version: &str| -> Vec<u32> {
        version
            .split('.')
            .map(|part| part.parse().unwrap())
            .collect()
    };
    assert!(parse(image) >= parse(wanted), "rust:{image} for {wanted}");
    // The libc that it was built with, or a newer one.
    assert!(file.contains("-bookworm AS build") && file.contains("cc-debian12"));
}
