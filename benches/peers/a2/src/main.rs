//! a2 0.10, unpatched, driven by `crates/cli/benches/compare`, which has the lines in and out.
//!
//! One client and one connection, and as many pushes under way as are allowed. They are in one task
//! on one thread, which of all that a2 offers takes the least processor time; or, if the options
//! say `spawns`, in tasks of tokio's usual runtime.

use std::io::{self, BufRead as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use a2::request::payload::{APS, APSAlert, Payload};
use a2::{Client, ClientConfig, NotificationOptions, PushType};
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

type Failed = Box<dyn std::error::Error>;

const TOKENS: i64 = 1_000;

struct Sender {
    client: Client,
    alert: String,
    topic: String,
    tokens: Vec<String>,
    left: AtomicI64,
}

impl Sender {
    fn new(options: &Value) -> Result<Self, Failed> {
        let text = |name: &str| options[name].as_str().unwrap_or_default().to_owned();
        let key = text("key");
        let config = ClientConfig::default();
        Ok(Self {
            client: Client::token(key.as_bytes(), text("key_id"), text("team_id"), config)?,
            alert: text("alert"),
            topic: text("topic"),
            tokens: (0..TOKENS).map(|n| format!("{n:08x}").repeat(8)).collect(),
            left: AtomicI64::new(0),
        })
    }

    /// The times of what this one has sent, in microseconds.
    async fn one_after_the_other(self: Arc<Self>) -> Result<Vec<f64>, a2::Error> {
        let mut times = Vec::new();
        loop {
            let number = self.left.fetch_sub(1, Ordering::Relaxed) - 1;
            if number < 0 {
                return Ok(times);
            }
            let asked = Instant::now();
            self.client.send(self.payload(number)).await?;
            times.push(asked.elapsed().as_secs_f64() * 1e6);
        }
    }

    fn payload(&self, number: i64) -> Payload<'_> {
        Payload {
            options: NotificationOptions {
                apns_topic: Some(&self.topic),
                apns_push_type: Some(PushType::Alert),
                ..NotificationOptions::default()
            },
            device_token: &self.tokens[(number % TOKENS) as usize],
            aps: APS {
                alert: Some(APSAlert::Body(&self.alert)),
                ..APS::default()
            },
            data: Default::default(),
        }
    }
}

struct Run {
    sender: Arc<Sender>,
    runtime: Runtime,
    in_flight: i64,
    spawns: bool,
}

impl Run {
    fn new(options: &Value) -> Result<Self, Failed> {
        let spawns = options["spawns"] == json!(true);
        let mut builder = match spawns {
            true => Builder::new_multi_thread(),
            false => Builder::new_current_thread(),
        };
        let run = Self {
            runtime: builder.enable_all().build()?,
            in_flight: options["in_flight"].as_i64().unwrap_or(1),
            sender: Arc::new(Sender::new(options)?),
            spawns,
        };
        run.send(1)?;
        Ok(run)
    }

    fn send(&self, pushes: i64) -> Result<Value, Failed> {
        self.sender.left.store(pushes, Ordering::Relaxed);
        let width = 0..pushes.min(self.in_flight);
        let some = width.map(|_| Arc::clone(&self.sender).one_after_the_other());
        let times = match self.spawns {
            true => {
                let tasks: Vec<_> = some.map(|some| self.runtime.spawn(some)).collect();
                let all = self.runtime.block_on(try_join_all(tasks))?;
                all.into_iter().collect::<Result<Vec<_>, _>>()?
            }
            false => self.runtime.block_on(try_join_all(some))?,
        };
        let mut times = times.concat();
        times.sort_by(f64::total_cmp);
        let part = |of: usize| times[(times.len() * of / 100).min(times.len() - 1)];
        Ok(json!({"accepted": times.len(), "p50_us": part(50), "p99_us": part(99)}))
    }
}

fn main() -> Result<(), Failed> {
    let mut run = None;
    for line in io::stdin().lock().lines() {
        let asked: Value = serde_json::from_str(&line?)?;
        let answer = match &run {
            None => {
                run = Some(Run::new(&asked)?);
                "ready".to_owned()
            }
            Some(run) => run.send(asked.as_i64().unwrap_or_default())?.to_string(),
        };
        println!("{answer}");
        io::stdout().flush()?;
    }
    Ok(())
}
