//! A program that runs for a test: its lines are read along, and it is killed when it is dropped.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Longest wait for anything; a cold start compiles the component first.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// See the module.
#[derive(Debug)]
pub struct Running {
    /// The process.
    pub child: Child,
    said: Arc<Said>,
    /// Lines that [`Running::until`] has passed.
    passed: usize,
}

#[derive(Debug, Default)]
struct Said {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    all: Vec<String>,
    /// Outputs that have not ended.
    open: usize,
}

impl Said {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut Lines)) {
        change(&mut self.lock());
        self.more.notify_all();
    }

    /// Reads to the end, also when nobody looks any more, or the program would wait for room.
    fn read(self: &Arc<Self>, output: impl Read + Send + 'static) {
        let said = Arc::clone(self);
        said.change(|lines| lines.open += 1);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                said.change(|lines| lines.all.push(line));
            }
            said.change(|lines| lines.open -= 1);
        });
    }
}

impl Drop for Running {
    /// As SIGKILL does it.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts a command. What it writes to either output is read.
    pub fn start(command: &mut Command) -> Self {
        let mut running = Self::spawn(command.stderr(Stdio::piped()));
        let errors = running.child.stderr.take().unwrap();
        running.said.read(errors);
        running
    }

    /// The same, with its standard error in a file.
    pub fn start_logging_to(command: &mut Command, log: File) -> Self {
        Self::spawn(command.stderr(log))
    }

    /// A process whose outputs go elsewhere.
    pub fn of(child: Child) -> Self {
        Self {
            child,
            said: Arc::default(),
            passed: 0,
        }
    }

    fn spawn(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut running = Self::of(command.spawn().unwrap());
        let output = running.child.stdout.take().unwrap();
        running.said.read(output);
        running
    }

    /// The first line that `find` finds something in, whether it is there or is still to come;
    /// `None` if the outputs have ended without it.
    ///
    /// # Panics
    /// If there is none in time.
    pub fn find<T>(&self, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let found = |lines: &[String]| lines.iter().find_map(|line| find(line));
        self.wait(found)
    }

    /// The same where it has to be.
    ///
    /// # Panics
    /// If there is none in time, or the program ends without it.
    pub fn line<T>(&self, find: impl Fn(&str) -> Option<T>) -> T {
        let found = self.find(find);
        found.unwrap_or_else(|| panic!("it is not among\n{}", self.text()))
    }

    /// The next line with all of these, after the one that this has found last.
    ///
    /// # Panics
    /// If there is none in time, or the program ends without it.
    pub fn until(&mut self, parts: &[&str]) -> String {
        let passed = self.passed;
        let found = self.wait(|lines| {
            let mut rest = lines.iter().enumerate().skip(passed);
            let (at, line) = rest.find(|(_, line)| parts.iter().all(|part| line.contains(part)))?;
            Some((at + 1, line.clone()))
        });
        let (passed, line) =
            found.unwrap_or_else(|| panic!("{parts:?} is not in\n{}", self.text()));
        self.passed = passed;
        line
    }

    fn wait<T>(&self, look: impl Fn(&[String]) -> Option<T>) -> Option<T> {
        let until = Instant::now() + PATIENCE;
        let mut lines = self.said.lock();
        loop {
            let found = look(&lines.all);
            if found.is_some() || lines.open == 0 {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not in time:\n{}", lines.all.join("\n"));
            lines = self.said.more.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// Where a service with `--log-format json` listens; `None` if it ends instead.
    pub fn address(&self) -> Option<SocketAddr> {
        self.find(|line| {
            let (_, rest) = line.split_once("\"address\":\"")?;
            rest.split('"').next()?.parse().ok()
        })
    }

    /// What it has written so far.
    pub fn text(&self) -> String {
        self.said.lock().all.join("\n")
    }

    /// How many lines have this so far.
    pub fn count(&self, text: &str) -> usize {
        let lines = self.said.lock();
        lines.all.iter().filter(|line| line.contains(text)).count()
    }

    /// Waits for the process to end by itself, and for all that it has written.
    ///
    /// # Panics
    /// If it does not end in time.
    pub fn ended(&mut self) -> ExitStatus {
        self.wait(|_| None::<()>);
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "it does not end");
            std::thread::yield_now();
        }
    }
}

/// Starts `dunlin simulate` with this binary, all of it on free ports and accepting everything; and
/// says the port of its provider API.
///
/// # Panics
/// If it does not start.
pub fn simulate(dunlin: &str, folder: &Path) -> (Running, u16) {
    let free = "127.0.0.1:0";
    let mut command = Command::new(dunlin);
    command.args(["simulate", "--accept-all"]);
    for service in ["provider", "gateway", "feedback", "channels", "control"] {
        command.args([&format!("--{service}"), free]);
    }
    let running = Running::start(command.arg("--folder").arg(folder));
    let port = running.line(|line| {
        let (_, rest) = line
            .contains("provider API")
            .then_some(line)?
            .split_once("127.0.0.1:")?;
        rest.split(' ').next()?.parse().ok()
    });
    (running, port)
}
