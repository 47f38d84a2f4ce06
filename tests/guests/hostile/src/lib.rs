//! A function that misbehaves on request: what a path does is said next to it in [`route`],
//! whichever way the request came.
//!
//! It knows nothing of Dunlin. It imports less than the world allows, and what it keeps between
//! requests shows which of them one instance answered.

use core::cell::{Cell, RefCell};
use core::hint::black_box;

use bindings::exports::wasi::http::handler::Guest;
use bindings::wasi::clocks::monotonic_clock::{now, wait_for};
use bindings::wasi::http::types::{ErrorCode, Fields, Request, Response};
use bindings::{wit_future, wit_stream};
use wit_bindgen::{StreamReader, spawn_local};

#[cfg(feature = "feed")]
mod feed;

#[allow(missing_docs, unsafe_code, clippy::all, reason = "generated code")]
mod bindings {
    use super::Hostile;

    #[cfg(feature = "feed")]
    wit_bindgen::generate!({ path: "../../../wit", world: "dunlin:push/function", generate_all });

    #[cfg(not(feature = "feed"))]
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package hostile:guest;
            world one-by-one {
                import wasi:clocks/monotonic-clock@0.3.0;
                export wasi:http/handler@0.3.0;
                export dunlin:push/scheduled@0.1.0;
                export wasi:cli/run@0.3.0;
            }
        ",
        world: "hostile:guest/one-by-one",
        generate_all,
    });

    export!(Hostile with_types_in self);
}

const MIB: usize = 1024 * 1024;
const MILLISECOND: u64 = 1_000_000;
const HOUR: u64 = 3_600_000 * MILLISECOND;
const BIG: usize = 10 * MIB;

thread_local! {
    /// Requests this instance has seen.
    static SEEN: Cell<u64> = const { Cell::new(0) };
    /// Of those, the ones that are waiting.
    static WAITING: Cell<u64> = const { Cell::new(0) };
    static HOARD: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

struct Hostile;

impl bindings::exports::dunlin::push::scheduled::Guest for Hostile {
    /// Does what the name says: `trap`, `never`; anything else is answered with itself.
    async fn run(task: String) -> Result<String, String> {
        match task.as_str() {
            "trap" => panic!("as asked"),
            "never" => std::future::pending().await,
            "fail" => Err("as asked".to_owned()),
            _ => Ok(task),
        }
    }
}

impl bindings::exports::wasi::cli::run::Guest for Hostile {
    /// Does what its first word says: `trap`; anything else is shown, with what it can read, and is
    /// well if it is `well`.
    async fn run() -> Result<(), ()> {
        let word = std::env::args().nth(1).unwrap_or_default();
        let mut input = String::new();
        // An input that is not text is as good as none.
        let _ = std::io::Read::read_to_string(&mut std::io::stdin(), &mut input);
        println!("{word} {input}");
        match word.as_str() {
            "trap" => panic!("as asked"),
            "well" => Ok(()),
            _ => Err(()),
        }
    }
}

impl Guest for Hostile {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let target = request.get_path_with_query().unwrap_or_default();
        match route(&target).await {
            Said::Text(said) => text(&said),
            Said::Nothing => text("nothing here").map(|response| {
                let _ = response.set_status_code(404);
                response
            }),
            Said::Error => Err(ErrorCode::InternalError(Some("asked for".to_owned()))),
            Said::Echo => {
                let (_, done) = wit_future::new(|| Ok(()));
                let (body, _) = Request::consume_body(request, done);
                respond(None, body)
            }
            Said::Big => big(),
            Said::Late(nanoseconds) => late(nanoseconds),
        }
    }
}

/// What is to be answered.
enum Said {
    Text(String),
    /// 404
    Nothing,
    /// No answer, and the instance goes on.
    Error,
    /// What came.
    Echo,
    /// [`BIG`] bytes in pieces, each of which has its number in every byte.
    Big,
    /// A body that is due so much later, where a body may come later.
    Late(u64),
}

async fn route(target: &str) -> Said {
    SEEN.set(SEEN.get() + 1);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let ms = query
        .strip_prefix("ms=")
        .and_then(|text| text.parse::<u64>().ok())
        .unwrap_or(0);
    let text = |said: &str| Said::Text(said.to_owned());
    match path {
        "/ok" => text("ok"),
        // How many requests this instance has seen, this one included.
        "/count" => text(&SEEN.get().to_string()),
        // How many of its requests are waiting.
        "/waiting" => text(&WAITING.get().to_string()),
        "/echo" => Said::Echo,
        "/error" => Said::Error,
        "/trap" => core::arch::wasm32::unreachable(),
        "/panic" => panic!("asked for"),
        // Traps, except in an instance that has seen nothing else.
        "/flaky" if SEEN.get() > 1 => core::arch::wasm32::unreachable(),
        "/flaky" => text("fresh"),
        "/spin" => loop {
            black_box(());
        },
        // Takes memory until there is none, says how many MiB it got, and gives them back.
        "/reserve" => text(&reserve().to_string()),
        // Takes memory until there is none and keeps it.
        "/alloc" => loop {
            HOARD.with_borrow_mut(|hoard| hoard.push(vec![1; MIB]));
        },
        "/slow" => {
            waiting(ms * MILLISECOND).await;
            text("slow")
        }
        // Is busy for a while after a wait.
        "/work" => {
            waiting(ms * MILLISECOND).await;
            let end = now() + 120 * MILLISECOND;
            while now() < end {
                (0..10_000).for_each(|number: u32| _ = black_box(number));
            }
            text("work")
        }
        "/never" => {
            waiting(HOUR).await;
            text("never")
        }
        "/big" => Said::Big,
        "/late" => Said::Late(ms * MILLISECOND),
        _ => Said::Nothing,
    }
}

async fn waiting(nanoseconds: u64) {
    WAITING.set(WAITING.get() + 1);
    wait_for(nanoseconds).await;
    WAITING.set(WAITING.get() - 1);
}

fn reserve() -> usize {
    let mut taken = Vec::new();
    loop {
        let mut more: Vec<u8> = Vec::new();
        if more.try_reserve_exact(MIB).is_err() {
            return taken.len();
        }
        taken.push(black_box(more));
    }
}

fn big() -> Result<Response, ErrorCode> {
    let (mut writer, body) = wit_stream::new();
    spawn_local(async move {
        for piece in 0..BIG / 65_536 {
            if !writer.write_all(vec![piece as u8; 65_536]).await.is_empty() {
                return;
            }
        }
    });
    respond(None, body)
}

fn late(nanoseconds: u64) -> Result<Response, ErrorCode> {
    let (mut writer, body) = wit_stream::new();
    spawn_local(async move {
        waiting(nanoseconds).await;
        let _ = writer.write_all(b"late".to_vec()).await;
    });
    respond(Some(4), body)
}

fn text(body: &str) -> Result<Response, ErrorCode> {
    let body = body.as_bytes().to_vec();
    let length = body.len();
    let (mut writer, reader) = wit_stream::new();
    spawn_local(async move {
        let _ = writer.write_all(body).await;
    });
    respond(Some(length), reader)
}

fn respond(length: Option<usize>, body: StreamReader<u8>) -> Result<Response, ErrorCode> {
    let headers = Fields::new();
    if let Some(length) = length {
        headers
            .append("content-length", length.to_string().as_bytes())
            .map_err(|error| ErrorCode::InternalError(Some(format!("{error:?}"))))?;
    }
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (response, _) = Response::new(headers, Some(body), trailers);
    Ok(response)
}
