//! The list of a feedback service as bytes: a connection that is cut off unless it was closed well.

use wit_bindgen::StreamResult;

use super::transport::{self, Cut, Receiving, Transport};
use crate::service::{Destination, List};

/// An open connection.
pub(super) struct FeedbackConnection {
    transport: Transport,
    receiving: Receiving,
    cut: Cut,
}

impl FeedbackConnection {
    /// Opens it; an error is for people.
    pub(super) async fn open(from: &Destination) -> Result<Self, String> {
        let (transport, receiving, cut) = transport::connect_to_cut(from).await?;
        Ok(Self {
            transport,
            receiving,
            cut,
        })
    }
}

impl List for FeedbackConnection {
    async fn read(&mut self, bytes: &mut Vec<u8>) -> bool {
        let buffer = core::mem::take(bytes);
        let (result, filled) = self.transport.input.read(buffer).await;
        *bytes = filled;
        matches!(result, StreamResult::Complete(_))
    }

    async fn close(self) -> Result<(), String> {
        let Self {
            transport:
                Transport {
                    input: _input,
                    output,
                    sending,
                },
            receiving,
            cut,
        } = self;
        receiving
            .ended_well()
            .await
            .map_err(|why| format!("the list may not be whole, so it is asked for again: {why}"))?;
        // The service may forget the list now.
        drop(output);
        sending.done().await;
        cut.disarm();
        Ok(())
    }
}
