//! Requests that differ in their path and in one field alone: what they have in common is encoded
//! once.
//!
//! ```text
//!   block   :method :scheme :authority  :path  …  a field  …
//!           before_path                 path   before_value  value  after_value
//! ```
//!
//! A block refers to entries of the table by how many were added since. So a template holds until
//! one more is added, or the table's size changes; [`Connection::holds`](super::Connection::holds)
//! says whether it does.

use core::fmt;

use super::error::SendError;
use super::field;
use super::hpack::{Encoder, Indexing};
use super::request::{Request, is_path};

/// What requests have in common; see the module. Its size is bounded by that of the request that it
/// was made of.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    /// Changes of the encoder's table when it was made.
    pub(super) changes: u64,
    before_path: Vec<u8>,
    before_value: Vec<u8>,
    /// `None` if no field differs.
    after_value: Option<Vec<u8>>,
    /// The place of that field among the headers.
    index: usize,
    /// Of the header list, as RFC 9113, 10.5.1 counts it, without path and value.
    pub(super) size: usize,
    pub(super) may_have_response_body: bool,
}

/// What one request has of its own.
#[derive(Clone, Copy)]
pub struct Differing<'a> {
    /// `:path`, as in [`Request`].
    pub path: &'a [u8],
    /// The value of the field that differs; of no meaning where there is none.
    pub value: &'a [u8],
    /// May be empty.
    pub body: &'a [u8],
}

/// Says nothing of what is personal.
impl fmt::Debug for Differing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Differing({} octets of body)", self.body.len())
    }
}

/// The block has credentials in it.
impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({} octets)", self.size)
    }
}

impl Template {
    /// What requests like this one have in common if the field of this name is what differs, beside
    /// the path. `None` if the request cannot be sent, or if its block would change the table: then
    /// it has to be sent itself, and can be asked for again.
    pub(super) fn of(request: &Request<'_>, differing: &str, encoder: &Encoder) -> Option<Self> {
        let mut size = request.check().ok()?;
        let mut block = Vec::new();
        let always = Indexing::Incremental;
        encoder.repeat(b":method", request.method.as_bytes(), always, &mut block)?;
        encoder.repeat(b":scheme", request.scheme.as_bytes(), always, &mut block)?;
        if !request.authority.is_empty() {
            let authority = request.authority.as_bytes();
            encoder.repeat(b":authority", authority, always, &mut block)?;
        }
        encoder.name(b":path", Indexing::Without, &mut block);
        size -= request.path.len();
        let before_path = core::mem::take(&mut block);
        let mut before_value = None;
        let mut place = 0;
        for (index, header) in request.headers.iter().enumerate() {
            let (name, value) = (header.name.as_bytes(), header.value.as_bytes());
            let is_free = header.indexing != Indexing::Incremental;
            if is_free && before_value.is_none() && header.name == differing {
                encoder.name(name, header.indexing, &mut block);
                (size, place) = (size - value.len(), index);
                before_value = Some(core::mem::take(&mut block));
            } else {
                encoder.repeat(name, value, header.indexing, &mut block)?;
            }
        }
        let (before_value, after_value) = match before_value {
            Some(before) => (before, Some(block)),
            None => (block, None),
        };
        Some(Self {
            changes: encoder.changes(),
            before_path,
            before_value,
            after_value,
            index: place,
            size,
            may_have_response_body: request.method != "HEAD",
        })
    }

    /// # Errors
    ///
    /// As those of a request whose path or field cannot be sent.
    pub(super) fn check(&self, differing: &Differing<'_>) -> Result<(), SendError> {
        if !is_path(differing.path) {
            return Err(SendError::InvalidPseudoHeader(":path"));
        }
        match self.after_value {
            Some(_) if !field::is_value(differing.value) => {
                Err(SendError::InvalidHeader { index: self.index })
            }
            _ => Ok(()),
        }
    }

    /// The size of a header list.
    pub(super) fn list_size(&self, differing: &Differing<'_>) -> usize {
        let value = self
            .after_value
            .as_ref()
            .map_or(0, |_| differing.value.len());
        self.size + differing.path.len() + value
    }

    /// Appends a header block.
    pub(super) fn encode(&self, differing: &Differing<'_>, encoder: &Encoder, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.before_path);
        encoder.unindexed_value(differing.path, out);
        out.extend_from_slice(&self.before_value);
        if let Some(after_value) = &self.after_value {
            encoder.unindexed_value(differing.value, out);
            out.extend_from_slice(after_value);
        }
    }
}
