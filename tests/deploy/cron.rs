//! `plugs/cron-spin` under the runtime that Spin has, called as its cron trigger calls it.
//!
//! What stands in for Spin: its variables, and sockets that reach loopback. What this does not show
//! is how Spin's own trigger and its list of allowed addresses behave.

use dunlin_tests::plugs::cron_spin;
use dunlin_tests::stack::{API_KEY, Options, Stack};
use wasmtime::component::{Component, Linker, ResourceTable, Val};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

struct Host {
    table: ResourceTable,
    wasi: WasiCtx,
    variables: Vec<(&'static str, String)>,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// The reverse of what Spin's interface is in Rust.
type Variable = Result<String, VariableError>;

#[derive(wasmtime::component::ComponentType, wasmtime::component::Lower)]
#[component(variant)]
enum VariableError {
    #[component(name = "invalid-name")]
    #[expect(dead_code, reason = "part of the interface")]
    InvalidName(String),
    #[component(name = "undefined")]
    Undefined(String),
    #[component(name = "provider")]
    #[expect(dead_code, reason = "part of the interface")]
    Provider(String),
    #[component(name = "other")]
    #[expect(dead_code, reason = "part of the interface")]
    Other(String),
}

fn linker(engine: &Engine) -> Linker<Host> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    let mut variables = linker.instance("fermyon:spin/variables@2.0.0").unwrap();
    variables
        .func_wrap("get", |store, (name,): (String,)| {
            let host: &Host = store.data();
            let known = host.variables.iter().find(|(known, _)| *known == name);
            let value: Variable = known
                .map(|(_, value)| value.clone())
                .ok_or(VariableError::Undefined(name));
            Ok((value,))
        })
        .unwrap();
    linker
}

/// What the trigger gets, and what was printed.
async fn event(variables: Vec<(&'static str, String)>) -> (Result<(), String>, String) {
    let component = tokio::task::spawn_blocking(cron_spin).await.unwrap();
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    let engine = Engine::new(&config).unwrap();
    let component = Component::from_file(&engine, component).unwrap();
    let printed = MemoryOutputPipe::new(4096);
    let mut wasi = WasiCtx::builder();
    wasi.inherit_network()
        .allow_tcp(true)
        .stdout(printed.clone());
    let host = Host {
        table: ResourceTable::new(),
        wasi: wasi.build(),
        variables,
    };
    let mut store = Store::new(&engine, host);
    let instance = linker(&engine)
        .instantiate_async(&mut store, &component)
        .await
        .unwrap();
    let handler = instance.get_func(&mut store, "handle-cron-event").unwrap();
    let metadata = Val::Record(vec![("timestamp".to_owned(), Val::U64(1_770_000_000))]);
    let mut results = [Val::Bool(false)];
    handler
        .call_async(&mut store, &[metadata], &mut results)
        .await
        .unwrap();
    let result = match &results[0] {
        Val::Result(Ok(None)) => Ok(()),
        Val::Result(Err(Some(error))) => match &**error {
            Val::Variant(name, Some(why)) if name == "other" => match &**why {
                Val::String(why) => Err(why.clone()),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let printed = String::from_utf8(printed.contents().to_vec()).unwrap();
    (result, printed)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_runs_the_task_of_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(folder.path(), Options::default()).await;
    let variables = |task: &str, key: &str| {
        vec![
            ("service", stack.address.to_string()),
            ("task", task.to_owned()),
            ("api_key", key.to_owned()),
        ]
    };
    let (result, report) = event(variables("feedback", API_KEY)).await;
    assert_eq!(result, Ok(()));
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["tuples"], 0, "{report}");

    let (result, printed) = event(variables("sweep", "a-wrong-key")).await;
    let why = result.unwrap_err();
    let address = stack.address;
    let expected = format!("the service at {address}: expected status 200, got 401");
    assert_eq!(why, expected);
    assert_eq!(printed, "");

    let (result, _) = event(vec![("service", stack.address.to_string())]).await;
    assert_eq!(result.unwrap_err(), "variable task: undefined");
    stack.stop().await;
}
