//! What an upgrade keeps, and what it does where it cannot.

use std::collections::BTreeMap;

use dunlin::notification::{DeviceToken, Topic};
use dunlin::registry::{
    Alias, AliasIndex, DeviceRecord, Group, GroupNode, alias_key, device_key, group_key,
};

use super::*;
use crate::store::Store;

fn topic() -> Topic {
    Topic::parse("a.b").unwrap()
}

fn token(n: u32) -> DeviceToken {
    DeviceToken::from_bytes(&n.to_be_bytes()).unwrap()
}

/// A store as the earlier version left it: a table, and no word of its format.
fn older(path: &Path, values: &BTreeMap<String, Vec<u8>>) {
    let database = Database::create(path).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut table = transaction.open_table(TABLE).unwrap();
    for (key, value) in values {
        table.insert(key.as_str(), value.as_slice()).unwrap();
    }
    drop(table);
    transaction.commit().unwrap();
}

fn values(devices: u32) -> BTreeMap<String, Vec<u8>> {
    let mut values = BTreeMap::new();
    for n in 0..devices {
        let json = format!(
            r#"{{"v":1,"rev":3,"topic":"a.b","token":"{n:08x}","alias":"anna-{}"}}"#,
            n / 2
        );
        values.insert(device_key(&topic(), &token(n)), json.into_bytes());
    }
    values.insert("a/index".into(), b"{}".to_vec());
    values.insert("g/index/".into(), vec![1, 1]);
    values.insert("i/receipt".into(), br#"{"v":1}"#.to_vec());
    values
}

fn get(store: &Store, key: &str) -> Option<Vec<u8>> {
    store.get(key).unwrap()
}

#[test]
fn all_devices_and_their_indexes_are_in_the_new_file_and_the_old_one_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let devices = 25_000;
    let before = values(devices);
    older(&path, &before);
    let refused = Store::open(&path).unwrap_err();
    assert_eq!(refused, StoreError::Format(Format::Older));
    assert!(refused.to_string().contains("dunlin store upgrade"));
    let mut steps = Vec::new();
    let report = upgrade(&path, |done, all| steps.push((done, all))).unwrap();
    let report = report.unwrap();
    assert_eq!((report.records, report.others), (u64::from(devices), 1));
    assert_eq!(report.unreadable, 0);
    assert_eq!(steps.last(), Some(&(25_003, 25_003)));
    let store = Store::open(&path).unwrap();
    let stored = get(&store, &device_key(&topic(), &token(7))).unwrap();
    let record = DeviceRecord::read(&stored).unwrap();
    assert_eq!((record.revision, record.token), (3, token(7)));
    let alias = Alias::parse("anna-3").unwrap();
    let index = get(&store, &alias_key(&alias, &topic()));
    let index = AliasIndex::read(index.as_deref()).unwrap();
    assert!(index.tokens().eq([&token(6), &token(7)]) || index.tokens().eq([&token(7), &token(6)]));
    let root = get(&store, &group_key(&Group::Topic(topic())));
    assert_eq!(GroupNode::read(root.as_deref()), Ok(GroupNode::Branch));
    assert_eq!(
        get(&store, "i/receipt").as_deref(),
        Some(&br#"{"v":1}"#[..])
    );
    assert_eq!(get(&store, "a/index"), None);
    store.close();
    assert_eq!(upgrade(&path, |_, _| {}), Ok(None), "it is done once");
    let kept = Database::open(kept(&path)).unwrap();
    assert_eq!(format(&kept).unwrap(), Some(OLDER));
    let table = kept.begin_read().unwrap().open_table(TABLE).unwrap();
    assert_eq!(table.len().unwrap(), u64::try_from(before.len()).unwrap());
    assert!(!beside(&path, ".upgrading").exists());
}

#[test]
fn what_cannot_be_read_is_counted_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut before = values(3);
    let broken = device_key(&topic(), &token(9));
    before.insert(broken.clone(), b"{".to_vec());
    older(&path, &before);
    let report = upgrade(&path, |_, _| {}).unwrap().unwrap();
    assert_eq!((report.records, report.unreadable), (3, 1));
    let store = Store::open(&path).unwrap();
    assert_eq!(get(&store, &broken), None);
    store.close();
}

#[test]
fn an_upgrade_that_was_cut_short_is_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    older(&path, &values(3));
    fs::write(beside(&path, ".upgrading"), b"half of it").unwrap();
    fs::hard_link(&path, kept(&path)).unwrap();
    let report = upgrade(&path, |_, _| {}).unwrap().unwrap();
    assert_eq!(report.records, 3);
    Store::open(&path).unwrap().close();
}

#[test]
fn what_is_no_older_store_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    assert!(upgrade(&missing, |_, _| {}).is_err());
    assert!(!missing.exists(), "and is not made");
    let path = folder.path().join("text");
    fs::write(&path, "no store").unwrap();
    assert!(upgrade(&path, |_, _| {}).is_err());
    assert_eq!(fs::read(&path).unwrap(), b"no store");
    let path = folder.path().join("store");
    let store = Store::open(&path).unwrap();
    let in_use = upgrade(&path, |_, _| {});
    assert_eq!(in_use, Err(StoreError::InUse));
    store.close();
    assert_eq!(upgrade(&path, |_, _| {}), Ok(None));
}

#[test]
fn a_store_of_a_later_version_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    Store::open(&path).unwrap().close();
    let database = Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    set_format(&transaction, 3);
    transaction.commit().unwrap();
    drop(database);
    for refused in [
        Store::open(&path).map(drop).unwrap_err(),
        upgrade(&path, |_, _| {}).map(drop).unwrap_err(),
    ] {
        assert_eq!(refused, StoreError::Format(Format::Later(3)));
        assert!(refused.to_string().contains("a later version"), "{refused}");
    }
}

fn set_format(transaction: &redb::WriteTransaction, format: u8) {
    let mut table = transaction
        .open_table(crate::store::embedded::FORMAT)
        .unwrap();
    table.insert((), format).unwrap();
}
