//! The contents of a constructed DER value, read one field after the other.
//!
//! Source: X.690 (DER). Thin over the crate `der`, which checks tags and lengths: a length never
//! leaves the value it is in. Nothing here recurses.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode as _, ErrorKind, Reader as _, SliceReader, Tag, TagNumber};

/// The rest of the contents of a SEQUENCE or SET.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a>(SliceReader<'a>);

impl<'a> Fields<'a> {
    /// From the contents, without the tag and length around them.
    pub(crate) fn of(contents: &'a [u8]) -> der::Result<Self> {
        SliceReader::new(contents).map(Self)
    }

    /// From a whole file that is one SEQUENCE, with nothing after it.
    pub(crate) fn of_file(der: &'a [u8]) -> der::Result<Self> {
        let outer = AnyRef::from_der(der)?;
        expect(outer, Tag::Sequence).and_then(Self::of)
    }

    /// The next field, whatever it is; `None` at the end.
    pub(crate) fn next(&mut self) -> der::Result<Option<AnyRef<'a>>> {
        if self.0.is_finished() {
            return Ok(None);
        }
        self.0.decode().map(Some)
    }

    /// The contents of the next field, which has to be of this tag.
    pub(crate) fn take(&mut self, tag: Tag) -> der::Result<&'a [u8]> {
        expect(self.0.decode()?, tag)
    }

    /// The contents of the next field if it is of this tag; otherwise it stays.
    pub(crate) fn take_if(&mut self, tag: Tag) -> der::Result<Option<&'a [u8]>> {
        if self.0.is_finished() || Tag::peek(&self.0)? != tag {
            return Ok(None);
        }
        self.take(tag).map(Some)
    }

    /// The fields of the next field, a SEQUENCE.
    pub(crate) fn sequence(&mut self) -> der::Result<Self> {
        self.take(Tag::Sequence).and_then(Self::of)
    }

    /// The fields inside an explicit tag `[number]`.
    pub(crate) fn explicit(&mut self, number: u32) -> der::Result<Self> {
        self.take(context(number, true)).and_then(Self::of)
    }

    /// An OBJECT IDENTIFIER.
    pub(crate) fn oid(&mut self) -> der::Result<ObjectIdentifier> {
        self.0.decode()
    }

    /// A small INTEGER that is not negative.
    pub(crate) fn number(&mut self) -> der::Result<u32> {
        self.0.decode()
    }
}

/// The context-specific tag `[number]`, with fields in it or not.
pub(crate) const fn context(number: u32, constructed: bool) -> Tag {
    Tag::ContextSpecific {
        constructed,
        number: TagNumber(number),
    }
}

fn expect<'a>(field: AnyRef<'a>, tag: Tag) -> der::Result<&'a [u8]> {
    if der::Tagged::tag(&field) != tag {
        return Err(ErrorKind::TagUnexpected {
            expected: Some(tag),
            actual: der::Tagged::tag(&field),
        }
        .into());
    }
    Ok(field.value())
}
