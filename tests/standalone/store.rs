//! The plugs for the store by themselves, each on what it stands on: the same calls, with the same
//! outcomes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use dunlin_tests::{plugs, wasmtime_serve};
use wasmtime::Store;
use wasmtime::component::{Accessor, HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_keyvalue::{WasiKeyValue, WasiKeyValueCtx};

use draft2::wasi::keyvalue::{atomics, batch, store};
use plug::exports::dunlin::push::store::{Entry, Error, Guest, Outcome, Swap};

mod plug {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package dunlin:test-store;
            world plug {
                export dunlin:push/store@0.1.0;
            }
        ",
    });
}

/// What Spin has.
mod draft2 {
    wasmtime::component::bindgen!({
        path: "../plugs/keyvalue/wit/deps/draft2",
        world: "wasi:keyvalue/imports",
        imports: { default: trappable },
        with: {
            "wasi:keyvalue/store.bucket": super::Bucket,
            "wasi:keyvalue/atomics.cas": super::Cas,
        },
    });
}

type Values = BTreeMap<String, Vec<u8>>;

pub struct Bucket;

pub struct Cas {
    key: String,
    read: Option<Vec<u8>>,
}

/// What a plug is given.
struct Host {
    table: ResourceTable,
    wasi: WasiCtx,
    keyvalue: WasiKeyValueCtx,
    values: Arc<Mutex<Values>>,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl HasData for Host {
    type Data<'a> = &'a mut Self;
}

impl Host {
    fn value(&self, key: &str) -> Option<Vec<u8>> {
        self.values.lock().unwrap().get(key).cloned()
    }
}

type Answer<T> = wasmtime::Result<Result<T, store::Error>>;

impl store::Host for Host {
    fn open(&mut self, name: String) -> Answer<Resource<Bucket>> {
        if name != "default" {
            return Ok(Err(store::Error::NoSuchStore));
        }
        Ok(Ok(self.table.push(Bucket)?))
    }
}

impl store::HostBucket for Host {
    fn get(&mut self, _: Resource<Bucket>, key: String) -> Answer<Option<Vec<u8>>> {
        Ok(Ok(self.value(&key)))
    }

    fn set(&mut self, _: Resource<Bucket>, key: String, value: Vec<u8>) -> Answer<()> {
        self.values.lock().unwrap().insert(key, value);
        Ok(Ok(()))
    }

    fn delete(&mut self, _: Resource<Bucket>, key: String) -> Answer<()> {
        self.values.lock().unwrap().remove(&key);
        Ok(Ok(()))
    }

    fn exists(&mut self, _: Resource<Bucket>, key: String) -> Answer<bool> {
        Ok(Ok(self.value(&key).is_some()))
    }

    /// Pages of three.
    fn list_keys(
        &mut self,
        _: Resource<Bucket>,
        cursor: Option<String>,
    ) -> Answer<store::KeyResponse> {
        let values = self.values.lock().unwrap();
        let behind = |key: &&String| cursor.as_ref().is_none_or(|cursor| *key > cursor);
        let keys: Vec<_> = values.keys().filter(behind).take(3).cloned().collect();
        let cursor = (keys.len() == 3).then(|| keys[2].clone());
        Ok(Ok(store::KeyResponse { keys, cursor }))
    }

    fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl batch::Host for Host {
    fn get_many(
        &mut self,
        _: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Answer<Vec<(String, Option<Vec<u8>>)>> {
        let pair = |key: String| {
            let value = self.value(&key);
            (key, value)
        };
        Ok(Ok(keys.into_iter().rev().map(pair).collect()))
    }

    fn set_many(&mut self, _: Resource<Bucket>, values: Vec<(String, Vec<u8>)>) -> Answer<()> {
        self.values.lock().unwrap().extend(values);
        Ok(Ok(()))
    }

    fn delete_many(&mut self, _: Resource<Bucket>, keys: Vec<String>) -> Answer<()> {
        let mut values = self.values.lock().unwrap();
        values.retain(|key, _| !keys.contains(key));
        Ok(Ok(()))
    }
}

impl atomics::Host for Host {
    fn increment(&mut self, _: Resource<Bucket>, _: String, _: i64) -> Answer<i64> {
        Ok(Err(store::Error::AccessDenied))
    }

    fn swap(
        &mut self,
        cas: Resource<Cas>,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), atomics::CasError>> {
        let Cas { key, read } = self.table.delete(cas)?;
        let newest = self.value(&key);
        if newest != read {
            let next = self.table.push(Cas { key, read: newest })?;
            return Ok(Err(atomics::CasError::CasFailed(next)));
        }
        self.values.lock().unwrap().insert(key, value);
        Ok(Ok(()))
    }
}

impl atomics::HostCas for Host {
    fn new(&mut self, _: Resource<Bucket>, key: String) -> Answer<Resource<Cas>> {
        let read = self.value(&key);
        Ok(Ok(self.table.push(Cas { key, read })?))
    }

    fn current(&mut self, cas: Resource<Cas>) -> Answer<Option<Vec<u8>>> {
        Ok(Ok(self.table.get(&cas)?.read.clone()))
    }

    fn drop(&mut self, cas: Resource<Cas>) -> wasmtime::Result<()> {
        self.table.delete(cas)?;
        Ok(())
    }
}

fn entry(key: &str, value: Option<&[u8]>) -> Entry {
    Entry {
        key: key.to_owned(),
        value: value.map(<[u8]>::to_vec),
    }
}

fn swap(key: &str, expected: Option<&[u8]>, value: Option<&[u8]>) -> Swap {
    Swap {
        key: key.to_owned(),
        expected: expected.map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
    }
}

fn keys(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

/// What the interface promises, whatever fills it.
async fn is_a_store(plug: &Guest, accessor: &Accessor<Host>) -> wasmtime::Result<()> {
    let entries = vec![
        entry("a", Some(b"0")),
        entry("b", Some(b"1")),
        entry("a", Some(b"1")),
        entry("c", None),
    ];
    plug.call_put_many(accessor, entries).await?.unwrap();
    plug.call_durable(accessor).await?.unwrap();
    let read = plug.call_get_many(accessor, keys(&["b", "x", "a", "b"]));
    let one = || Some(b"1".to_vec());
    assert_eq!(read.await?.unwrap(), [one(), None, one(), one()]);

    let swaps = vec![
        swap("a", Some(b"1"), Some(b"2")),
        swap("a", Some(b"1"), Some(b"3")),
        swap("a", Some(b"2"), Some(b"3")),
        swap("new", Some(b""), Some(b"1")),
        swap("new", None, Some(b"2")),
        swap("b", Some(b"1"), None),
        swap("empty", None, Some(b"")),
        swap("empty", Some(b""), Some(b"1")),
    ];
    let outcomes = plug.call_swap_many(accessor, swaps).await?.unwrap();
    let lost = outcomes.iter().map(|outcome| match outcome {
        Outcome::Done => None,
        Outcome::Lost(value) => Some(value.as_deref().unwrap_or_default()),
    });
    let [two, one_again] = [Some(&b"2"[..]), Some(&b"1"[..])];
    let expected = [None, two, None, None, one_again, None, None, None];
    assert_eq!(lost.collect::<Vec<_>>(), expected);

    for n in 0..10 {
        let more = vec![entry(&format!("more{n}"), Some(b"1"))];
        plug.call_put_many(accessor, more).await?.unwrap();
    }
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = plug.call_list_keys(accessor, after).await?.unwrap();
        listed.extend(page.keys);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    listed.sort();
    assert_eq!(listed.len(), 13, "{listed:?}");
    assert_eq!(listed[..3], ["a", "empty", "more0"]);

    for too_much in [
        plug.call_get_many(accessor, vec!["k".to_owned(); 1_025])
            .await?
            .map(drop),
        plug.call_get_many(accessor, keys(&[""])).await?.map(drop),
        plug.call_swap_many(accessor, vec![swap("k", None, Some(&[1; 1_048_577]))])
            .await?
            .map(drop),
        plug.call_put_many(accessor, vec![entry(&"k".repeat(256), Some(b"1"))])
            .await?,
    ] {
        assert!(matches!(too_much, Err(Error::Other(_))), "{too_much:?}");
    }
    Ok(())
}

async fn assert_is_a_store(component: &Path, link: fn(&mut Linker<Host>) -> wasmtime::Result<()>) {
    let folder = tempfile::tempdir().unwrap();
    let mut wasi = WasiCtx::builder();
    wasi.allow_blocking_current_thread(true).inherit_stderr();
    wasi.preopened_dir(folder.path(), "/store", FsPerms::ReadWrite)
        .unwrap();
    let host = Host {
        table: ResourceTable::new(),
        wasi: wasi.build(),
        keyvalue: WasiKeyValueCtx::builder().build(),
        values: Arc::default(),
    };
    let (engine, component) = wasmtime_serve::compile(component);
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    link(&mut linker).unwrap();
    let mut store = Store::new(&engine, host);
    let plug = plug::Plug::instantiate_async(&mut store, &component, &linker);
    let plug = plug.await.unwrap();
    let done = store
        .run_concurrent(async |accessor| is_a_store(plug.dunlin_push_store(), accessor).await)
        .await;
    done.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_a_store() {
    if !plugs::skipped() {
        assert_is_a_store(&plugs::built().keyvalue_files, |_| Ok(())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_spin_has_is_a_store() {
    if plugs::skipped() {
        return;
    }
    assert_is_a_store(&plugs::built().keyvalue_draft2, |linker| {
        store::add_to_linker::<_, Host>(linker, |host| host)?;
        atomics::add_to_linker::<_, Host>(linker, |host| host)?;
        batch::add_to_linker::<_, Host>(linker, |host| host)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_interface_is_a_store() {
    if plugs::skipped() {
        return;
    }
    assert_is_a_store(&plugs::built().keyvalue_draft, |linker| {
        wasmtime_wasi_keyvalue::add_to_linker(linker, |host: &mut Host| {
            WasiKeyValue::new(&host.keyvalue, &mut host.table)
        })
    })
    .await;
}
