//! The export: a [`Session`] between two pairs of streams.
//!
//! ```text
//!   function ─ clear text ─► take_in ─► Session ─► carry_out ─ ciphertext ─► TCP
//!   function ◄─ clear text ─ carry_in ◄─ Session ◄───────────── ciphertext ─ TCP
//! ```
//!
//! The three tasks of a connection live in the call of `connect` that opened it, which has long
//! returned. `carry_out` alone writes to the transport, whoever gave rise to it, and `take_in`
//! takes no more from the function until the transport has had all of what came before: so nothing
//! is ever left in the session with nobody to get it out, and one piece of [`SEND_MAX_BYTES`] is
//! the most that waits.
//!
//! No borrow of a cell is held across an `await`.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use dunlin::tls_name::TlsName;
use wit_bindgen::{
    FutureReader, FutureWriter, StreamReader, StreamResult, StreamWriter, spawn_local,
};

use crate::TlsError;
use crate::provider::Provider;
use crate::session::{SEND_MAX_BYTES, Session};
use crate::settings;
use bindings::exports::wasi::tls::client::{Connector as ConnectorHandle, Guest, GuestConnector};
use bindings::exports::wasi::tls::types::{Error, Guest as GuestTypes, GuestError};
use bindings::{wit_future, wit_stream};

/// What `wit/` says, in Rust.
#[allow(
    missing_docs,
    unsafe_code,
    unused_qualifications,
    clippy::all,
    clippy::restriction,
    reason = "generated code"
)]
mod bindings {
    use super::Plug;

    wit_bindgen::generate!({
        path: "../../wit/deps/wasi-tls",
        inline: "
            package dunlin:plug-tls;
            world plug {
                export wasi:tls/types@0.3.0-draft;
                export wasi:tls/client@0.3.0-draft;
            }
        ",
    });

    export!(Plug with_types_in self);
}

/// Ciphertext read from the transport at a time, in bytes.
const RECEIVE_BYTES: usize = 64 * 1024;

thread_local! {
    /// Made at the first connection, and again at the next if that failed.
    static PROVIDER: RefCell<Option<Provider>> = const { RefCell::new(None) };
}

struct Plug;

impl GuestTypes for Plug {
    type Error = TlsError;
}

impl GuestError for TlsError {
    fn to_debug_string(&self) -> String {
        self.to_string()
    }
}

impl Guest for Plug {
    type Connector = Connector;
}

type Told = Result<(), Error>;

thread_local! {
    /// Of calls that were cancelled before they could tell how it ended: at most two for each since
    /// the last one began.
    static ORPHANS: RefCell<Vec<FutureWriter<Told>>> = const { RefCell::new(Vec::new()) };
}

/// Where to tell how a direction ended.
///
/// A future's end has to be written to before it is dropped, and that takes a task; a cancelled
/// call has none any more. So it leaves that to the next one.
struct Done(Option<FutureWriter<Told>>);

impl Done {
    fn new() -> (Self, FutureReader<Told>) {
        let (writer, reader) =
            wit_future::new(|| Err(Error::new(TlsError::new("there was no connection"))));
        (Self(Some(writer)), reader)
    }

    async fn tell(mut self, result: Result<(), TlsError>) {
        if let Some(writer) = self.0.take() {
            // Nobody may want to know.
            let _ = writer.write(result.map_err(Error::new)).await;
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        if let Some(writer) = self.0.take() {
            ORPHANS.with_borrow_mut(|orphans| orphans.push(writer));
        }
    }
}

/// The ends of `send` that are ours.
struct SendEnds {
    cleartext: StreamReader<u8>,
    ciphertext: StreamWriter<u8>,
    done: Done,
}

/// The ends of `receive` that are ours.
struct ReceiveEnds {
    ciphertext: StreamReader<u8>,
    cleartext: StreamWriter<u8>,
    done: Done,
}

/// What is set up before the handshake.
#[derive(Default)]
struct Connector {
    sending: RefCell<Option<SendEnds>>,
    receiving: RefCell<Option<ReceiveEnds>>,
}

impl GuestConnector for Connector {
    fn new() -> Self {
        Self::default()
    }

    /// Asked a second time it takes the place of the first, whose streams end.
    fn send(&self, cleartext: StreamReader<u8>) -> (StreamReader<u8>, FutureReader<Told>) {
        let (ciphertext, reader) = wit_stream::new();
        let (done, future) = Done::new();
        self.sending.replace(Some(SendEnds {
            cleartext,
            ciphertext,
            done,
        }));
        (reader, future)
    }

    fn receive(&self, ciphertext: StreamReader<u8>) -> (StreamReader<u8>, FutureReader<Told>) {
        let (cleartext, reader) = wit_stream::new();
        let (done, future) = Done::new();
        self.receiving.replace(Some(ReceiveEnds {
            ciphertext,
            cleartext,
            done,
        }));
        (reader, future)
    }

    async fn connect(this: ConnectorHandle, server_name: String) -> Result<(), Error> {
        drop(ORPHANS.take());
        let this: Self = this.into_inner();
        let (sending, receiving) = (this.sending.take(), this.receiving.take());
        let (Some(sending), Some(receiving)) = (sending, receiving) else {
            let why = "expected send and receive before connect";
            return Err(Error::new(TlsError::new(why)));
        };
        open(&server_name, sending, receiving)
            .await
            .map_err(Error::new)
    }
}

async fn open(
    server_name: &str,
    mut sending: SendEnds,
    mut receiving: ReceiveEnds,
) -> Result<(), TlsError> {
    let name = TlsName::parse(server_name).map_err(|error| TlsError::new(error.to_string()))?;
    let mut session = session_with(&name)?;
    let shaken = shake_hands(&mut session, &mut sending, &mut receiving).await;
    if shaken.is_err() {
        // The peer may want to know why.
        let _ = flush(&mut session, &mut sending.ciphertext).await;
    }
    let early = shaken?;
    session.check_protocol()?;
    let connection = Rc::new(SharedConnection::new(session));
    let SendEnds {
        cleartext,
        ciphertext,
        done: sent,
    } = sending;
    spawn_local(carry_out(Rc::clone(&connection), ciphertext));
    spawn_local({
        let connection = Rc::clone(&connection);
        async move { sent.tell(take_in(&connection, cleartext).await).await }
    });
    spawn_local(async move {
        let ReceiveEnds {
            ciphertext,
            cleartext,
            done,
        } = receiving;
        let received = carry_in(&connection, ciphertext, cleartext, early).await;
        done.tell(received).await;
    });
    Ok(())
}

fn session_with(name: &TlsName) -> Result<Session, TlsError> {
    PROVIDER.with_borrow_mut(|slot| {
        let provider = match slot {
            Some(provider) => provider,
            None => {
                let (settings, folder) = settings::load()?;
                slot.insert(Provider::new(settings, &folder))
            }
        };
        Session::new(provider.config_for(name)?, name)
    })
}

/// Ends when both sides agree; gives the clear text that came with the last message.
async fn shake_hands(
    session: &mut Session,
    sending: &mut SendEnds,
    receiving: &mut ReceiveEnds,
) -> Result<Vec<u8>, TlsError> {
    let mut early = Vec::new();
    let mut buffer = Vec::with_capacity(RECEIVE_BYTES);
    loop {
        flush(session, &mut sending.ciphertext).await?;
        if !session.is_handshaking() {
            return Ok(early);
        }
        let (result, filled) = receiving.ciphertext.read(buffer).await;
        session.receive(&filled, &mut early)?;
        buffer = filled;
        buffer.clear();
        if !matches!(result, StreamResult::Complete(_)) {
            return Err(TlsError::new("the server hung up during the handshake"));
        }
    }
}

async fn flush(session: &mut Session, to: &mut StreamWriter<u8>) -> Result<(), TlsError> {
    let mut ciphertext = Vec::new();
    session.transmit(&mut ciphertext);
    if ciphertext.is_empty() || to.write_all(ciphertext).await.is_empty() {
        return Ok(());
    }
    Err(TlsError::new("the connection was closed"))
}

/// What the tasks of a connection share.
struct SharedConnection {
    session: RefCell<Session>,
    /// There will be nothing more to carry out.
    finished: Cell<bool>,
    /// The transport takes no more.
    broken: Cell<bool>,
    /// There may be something to carry out.
    wanted: Bell,
    /// All there was has been carried out.
    drained: Bell,
}

impl SharedConnection {
    fn new(session: Session) -> Self {
        Self {
            session: RefCell::new(session),
            finished: Cell::new(false),
            broken: Cell::new(false),
            wanted: Bell::default(),
            drained: Bell::default(),
        }
    }

    /// Waits until the transport has all of it.
    async fn carried_out(&self) -> Result<(), TlsError> {
        if !self.broken.get() {
            // Rung for what came before.
            self.drained.rung.set(false);
            self.wanted.ring();
            self.drained.wait().await;
        }
        match self.broken.get() {
            true => Err(TlsError::new("the connection was closed")),
            false => Ok(()),
        }
    }
}

/// Wakes one task; rung before anybody waits, the next does not wait.
#[derive(Default)]
struct Bell {
    rung: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

impl Bell {
    fn ring(&self) {
        self.rung.set(true);
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    async fn wait(&self) {
        poll_fn(|cx| {
            if self.rung.take() {
                return Poll::Ready(());
            }
            self.waiting.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// Session to transport. Ends the stream when all is out, or when nobody takes it any more.
async fn carry_out(connection: Rc<SharedConnection>, mut to: StreamWriter<u8>) {
    let mut ciphertext = Vec::new();
    loop {
        connection.session.borrow_mut().transmit(&mut ciphertext);
        if !ciphertext.is_empty() {
            ciphertext = to.write_all(ciphertext).await;
            if !ciphertext.is_empty() {
                break;
            }
            continue;
        }
        connection.drained.ring();
        if connection.finished.get() {
            break;
        }
        connection.wanted.wait().await;
    }
    connection.broken.set(!ciphertext.is_empty());
    connection.drained.ring();
}

/// Function to session, and the end of TLS behind it.
async fn take_in(connection: &SharedConnection, from: StreamReader<u8>) -> Result<(), TlsError> {
    let taken = take_all(connection, from).await;
    if taken.is_ok() {
        connection.session.borrow_mut().close();
    }
    connection.finished.set(true);
    taken.and(connection.carried_out().await)
}

async fn take_all(
    connection: &SharedConnection,
    mut from: StreamReader<u8>,
) -> Result<(), TlsError> {
    let mut buffer = Vec::with_capacity(SEND_MAX_BYTES);
    loop {
        let (result, filled) = from.read(buffer).await;
        if !filled.is_empty() {
            connection.session.borrow_mut().send(&filled)?;
            connection.carried_out().await?;
        }
        if !matches!(result, StreamResult::Complete(_)) {
            return Ok(());
        }
        buffer = filled;
        buffer.clear();
    }
}

/// Transport to session to function, until either of them ends.
async fn carry_in(
    connection: &SharedConnection,
    mut from: StreamReader<u8>,
    mut to: StreamWriter<u8>,
    early: Vec<u8>,
) -> Result<(), TlsError> {
    let mut cleartext = early;
    let mut buffer = Vec::with_capacity(RECEIVE_BYTES);
    let mut outcome = Ok(());
    loop {
        if !cleartext.is_empty() {
            cleartext = to.write_all(cleartext).await;
            if !cleartext.is_empty() {
                // Nobody listens any more.
                return outcome;
            }
        }
        outcome?;
        if connection.session.borrow().is_closed_by_peer() {
            return Ok(());
        }
        let (result, filled) = from.read(buffer).await;
        outcome = connection
            .session
            .borrow_mut()
            .receive(&filled, &mut cleartext);
        if connection.session.borrow().wants_transmit() {
            // An alert, or an answer to new keys.
            connection.wanted.ring();
        }
        if !matches!(result, StreamResult::Complete(_))
            && outcome.is_ok()
            && !connection.session.borrow().is_closed_by_peer()
        {
            outcome = Err(TlsError::new("the server hung up without ending TLS"));
        }
        buffer = filled;
        buffer.clear();
    }
}
