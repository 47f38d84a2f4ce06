//! Commands of the function, each in an instance of its own; and for tests how much it does for
//! one, in fuel, which is about one for each instruction of WebAssembly on whatever machine.

use std::path::Path;
use std::sync::Arc;

use wasmtime::component::Component;
use wasmtime::{Engine as WasmEngine, Store as WasmStore};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;

use super::{EMBEDDED, Engine, Instance, noting_turns, settings};

/// Most that a command may write to its standard output, in bytes: the results of 10,000 devices
/// with room to spare.
pub const MAX_OUTPUT: usize = 16 * 1024 * 1024;

/// What a command is started with.
#[derive(Clone, Debug, Default)]
pub struct Words {
    /// Its words, without the program's name.
    pub arguments: Vec<String>,
    /// What it reads.
    pub input: Vec<u8>,
}

impl Engine {
    /// Runs a command in an instance of its own, and returns what it wrote to its standard output:
    /// nothing if it failed, having said why on the standard error.
    ///
    /// # Errors
    /// If there is no instance, the function traps, or it has no commands.
    pub async fn run_command(&self, words: &Words) -> wasmtime::Result<Vec<u8>> {
        let output = MemoryOutputPipe::new(MAX_OUTPUT);
        let mut store = self.store(Some((words, &output)))?;
        self.run_in(&mut store, &output).await
    }

    async fn run_in(
        &self,
        store: &mut WasmStore<Instance>,
        output: &MemoryOutputPipe,
    ) -> wasmtime::Result<Vec<u8>> {
        let command = self.command.as_ref();
        let command =
            command.ok_or_else(|| wasmtime::format_err!("the component has no commands"))?;
        let watch = Arc::clone(&store.data().watch);
        let instance = command.instantiate_async(&mut *store).await?;
        let run = store.run_concurrent(async |accessor| {
            let run = instance.wasi_cli_run().call_run(accessor);
            noting_turns(&watch, run).await
        });
        Ok(match run.await?? {
            Ok(()) => output.contents().to_vec(),
            Err(()) => Vec::new(),
        })
    }

    /// The function that this host was built with, with the same grants, compiled so that what it
    /// does is counted. That makes it slower.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn counting(&self, cache: Option<&Path>) -> wasmtime::Result<Self> {
        let mut settings = settings(cache, &self.grants);
        settings.consume_fuel(true);
        let engine = WasmEngine::new(&settings)?;
        let component = Component::from_binary(&engine, EMBEDDED)?;
        Self::link(engine, &component, self.grants.clone())
    }

    /// As [`Self::run_command`]; also the fuel that it took, from the making of its instance on.
    ///
    /// # Errors
    /// As there, and if this is not an engine that counts.
    pub async fn fuel_of_command(&self, words: &Words) -> wasmtime::Result<(Vec<u8>, u64)> {
        let output = MemoryOutputPipe::new(MAX_OUTPUT);
        let mut store = self.store(Some((words, &output)))?;
        store.set_fuel(u64::MAX)?;
        let written = self.run_in(&mut store, &output).await?;
        Ok((written, u64::MAX - store.get_fuel()?))
    }
}
