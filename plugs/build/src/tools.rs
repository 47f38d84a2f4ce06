//! The compiler of the C in ring, which the plug for TLS has in it.

use std::process::{Command, Stdio};

use crate::BuildError;

/// Whether what the C in the plug for TLS is compiled with is there.
///
/// # Errors
/// What is missing, and where it comes from.
pub fn check_tools() -> Result<(), BuildError> {
    Tools::find().map(drop)
}

/// What compiles C for the sandbox.
pub(crate) struct Tools {
    compiler: String,
    archiver: String,
}

impl Tools {
    /// Those that `CC_wasm32_wasip2` and `AR_wasm32_wasip2` name, or clang and llvm-ar.
    pub(crate) fn find() -> Result<Self, BuildError> {
        let named = |variable: &str, default: &str| {
            std::env::var(variable).unwrap_or_else(|_| default.to_owned())
        };
        let tools = Self {
            compiler: named("CC_wasm32_wasip2", "clang"),
            archiver: named("AR_wasm32_wasip2", "llvm-ar"),
        };
        // Apple's clang is there and cannot do it.
        let targets = output(&tools.compiler, &["--print-targets"]);
        if !targets.is_some_and(|targets| targets.contains("wasm32")) {
            return Err(Self::missing(&format!(
                "{} that compiles for wasm32",
                tools.compiler
            )));
        }
        if output(&tools.archiver, &["--version"]).is_none() {
            return Err(Self::missing(&tools.archiver));
        }
        Ok(tools)
    }

    /// Tells a build of them.
    pub(crate) fn tell(&self, command: &mut Command) {
        command
            .env("CC_wasm32_wasip2", &self.compiler)
            .env("AR_wasm32_wasip2", &self.archiver);
    }

    fn missing(what: &str) -> BuildError {
        BuildError::new(format!(
            "expected {what}, got none. TLS inside a component has C in it: install clang and llvm \
             (Debian: apt-get install clang llvm), or name others in CC_wasm32_wasip2 and \
             AR_wasm32_wasip2"
        ))
    }
}

/// What a program prints, if it is there and content.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}
