//! What our host and the component tell each other beside a request and its reply, in header fields
//! that nobody else sees: the host takes off what a client has sent under these names, and what the
//! component says of a reply before it goes out.

/// Set for the component by a host that takes these fields off; without it the component sends none
/// of them and believes none.
pub const VARIABLE: &str = "DUNLIN_COUNT";

/// Of a reply: what was counted since the last one.
pub const COUNT_HEADER: &str = "dunlin-count";

/// Of a reply: it holds whatever becomes of the records, so it does not wait for the disk.
pub const AT_ONCE_HEADER: &str = "dunlin-at-once";

/// Of a request: the store takes no writes at present, so that what has to be on disk first is not
/// to be begun.
pub const UNWRITABLE_HEADER: &str = "dunlin-unwritable";

/// The trailer of an answer of lines that is whole. What ends without it was cut off: how an answer
/// ends is all that is known of an instance that was stopped.
pub const WHOLE_TRAILER: &str = "dunlin-whole";

/// Of an answer: its body has no end that is known, and [`WHOLE_TRAILER`] at it.
pub const LINES_HEADER: &str = "dunlin-lines";
