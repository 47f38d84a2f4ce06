//! One TLS connection without its streams: bytes in, bytes appended to the caller's buffer.
//!
//! ```text
//!   clear text  ─► send ──► (rustls) ──► transmit ─► ciphertext to the peer
//!   ciphertext ─► receive ─► (rustls) ─► clear text, appended
//! ```
//!
//! Whoever drives it calls [`Session::transmit`] after every other call that takes `&mut self`.
//!
//! Bounds: what is handed to [`Session::send`] at once ([`SEND_MAX_BYTES`]) is all that waits to be
//! transmitted, besides what the handshake and alerts take; of received data less than two records
//! of 16 KiB are kept.

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use dunlin::tls_name::{Protocol, TlsName};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use crate::TlsError;
use crate::provider::ALPN_H2;

/// Most clear text that may be handed in before it is transmitted, in bytes.
pub const SEND_MAX_BYTES: usize = 64 * 1024;

/// A connection, from the first message of its handshake on.
#[derive(Debug)]
pub struct Session {
    tls: ClientConnection,
    host: String,
    protocol: Protocol,
    closed_by_peer: bool,
}

impl Session {
    /// Begins the handshake.
    ///
    /// # Errors
    /// If the host is neither a DNS name nor an address.
    pub fn new(config: Arc<ClientConfig>, name: &TlsName) -> Result<Self, TlsError> {
        let TlsName { protocol, host, .. } = name.clone();
        let server = ServerName::try_from(host.clone())
            .map_err(|_| TlsError::new("expected a DNS name or an IP address"))?;
        let mut tls = ClientConnection::new(config, server)?;
        // The bound is the caller's: see `send`.
        tls.set_buffer_limit(None);
        Ok(Self {
            tls,
            host,
            protocol,
            closed_by_peer: false,
        })
    }

    /// Whether the handshake is still going on.
    pub fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// Whether the peer has ended TLS well: nothing more will be received.
    pub fn is_closed_by_peer(&self) -> bool {
        self.closed_by_peer
    }

    /// Whether there is something to [`Session::transmit`].
    pub fn wants_transmit(&self) -> bool {
        self.tls.wants_write()
    }

    /// After the handshake: whether the server speaks what it was asked for. `wasi:tls` has no way
    /// to say what was negotiated, so one that does not is as good as none.
    ///
    /// # Errors
    /// What was expected and what it speaks.
    pub fn check_protocol(&self) -> Result<(), TlsError> {
        match (self.protocol, self.tls.alpn_protocol()) {
            (Protocol::Http2, Some(ALPN_H2)) | (Protocol::Binary, None) => Ok(()),
            (protocol, got) => Err(TlsError::new(format!(
                "{}: expected the server to speak {}, got {}",
                self.host,
                match protocol {
                    Protocol::Http2 => "h2",
                    Protocol::Binary => "no protocol of ALPN",
                },
                got.map_or("nothing".into(), String::from_utf8_lossy),
            ))),
        }
    }

    /// Takes clear text, all of it. At most [`SEND_MAX_BYTES`], and only after everything before it
    /// was transmitted.
    ///
    /// # Errors
    /// If the connection has ended.
    pub fn send(&mut self, cleartext: &[u8]) -> Result<(), TlsError> {
        self.tls.writer().write_all(cleartext).map_err(told)
    }

    /// No more clear text: TLS is ended well.
    pub fn close(&mut self) {
        self.tls.send_close_notify();
    }

    /// Appends what has to go to the peer.
    pub fn transmit(&mut self, ciphertext: &mut Vec<u8>) {
        while self.tls.wants_write() {
            // A vector takes everything.
            if self.tls.write_tls(ciphertext).is_err() {
                return;
            }
        }
    }

    /// Takes ciphertext from the peer, all of it, and appends the clear text. What comes after the
    /// end of TLS is dropped.
    ///
    /// # Errors
    /// If it is no TLS, was tampered with, or the peer refuses us. What could be read before that
    /// is appended, and there may be an alert to transmit.
    pub fn receive(&mut self, ciphertext: &[u8], cleartext: &mut Vec<u8>) -> Result<(), TlsError> {
        let mut rest = ciphertext;
        while !rest.is_empty() && !self.closed_by_peer {
            self.tls.read_tls(&mut rest).map_err(told)?;
            let processed = self.tls.process_new_packets();
            self.drain(cleartext)?;
            self.closed_by_peer = processed?.peer_has_closed();
        }
        Ok(())
    }

    /// Appends the clear text that was decrypted.
    fn drain(&mut self, cleartext: &mut Vec<u8>) -> Result<(), TlsError> {
        match self.tls.reader().read_to_end(cleartext) {
            // Without an end there is more to come.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(told(error)),
            Ok(_) => Ok(()),
        }
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what `map_err` hands over"
)]
fn told(error: io::Error) -> TlsError {
    TlsError::new(error.to_string())
}

#[cfg(test)]
mod tests;
