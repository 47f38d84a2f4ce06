//! The 61 header fields that both sides know from the start, by index and by name.
//!
//! Source: RFC 7541, appendix A.
//!
//! ```text
//! index 1 ..= 61 -> (name, value)        FIELDS
//! name -> indexes                        BY_LENGTH, FIRST: sorted by length of the name, with its
//!                                        first and last octet, so a search compares few names
//! ```
#![expect(
    clippy::indexing_slicing,
    reason = "only in functions that run at compile time, where it fails to build"
)]

/// How many entries there are; the dynamic table begins after the last.
pub const LEN: usize = 61;

/// Names are at most this long ("access-control-allow-origin").
const MAX_NAME: usize = 27;

#[rustfmt::skip]
static FIELDS: [(&str, &str); LEN] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// What tells most names of one length apart without looking at them.
#[derive(Clone, Copy)]
struct Candidate {
    first: u8,
    last: u8,
    /// Place in [`FIELDS`].
    place: u8,
}

/// All names, sorted by length; equal lengths keep their order.
static BY_LENGTH: [Candidate; LEN] = by_length();

/// Where the names of each length begin in [`BY_LENGTH`]; those of `n` end where `n + 1` begins.
static FIRST: [u8; MAX_NAME + 2] = first();

/// Where a field is in a table, if it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Name and value, at this index.
    Field(usize),
    /// Only the name, at this index.
    Name(usize),
    Nothing,
}

/// Name and value at `index`, 1 to 61.
pub fn get(index: usize) -> Option<(&'static str, &'static str)> {
    FIELDS.get(index.checked_sub(1)?).copied()
}

/// The lowest index of the field, or else of its name.
pub fn find(name: &[u8], value: &[u8]) -> Found {
    let mut found = Found::Nothing;
    for (index, known_value) in named(name) {
        if known_value.as_bytes() == value {
            return Found::Field(index);
        }
        if found == Found::Nothing {
            found = Found::Name(index);
        }
    }
    found
}

/// The lowest index of the name.
pub fn find_name(name: &[u8]) -> Option<usize> {
    named(name).next().map(|(index, _)| index)
}

/// Index and value of the fields of this name.
#[inline]
fn named(name: &[u8]) -> impl Iterator<Item = (usize, &'static str)> {
    let ends = name.first().copied().zip(name.last().copied());
    candidates(name.len())
        .iter()
        .filter(move |known| ends == Some((known.first, known.last)))
        .filter_map(|known| {
            Some((
                usize::from(known.place),
                FIELDS.get(usize::from(known.place))?,
            ))
        })
        .filter(move |(_, (known_name, _))| known_name.as_bytes() == name)
        .map(|(place, (_, value))| (place + 1, *value))
}

fn candidates(name_len: usize) -> &'static [Candidate] {
    let range = FIRST.get(name_len).zip(FIRST.get(name_len + 1));
    range
        .and_then(|(&start, &end)| BY_LENGTH.get(usize::from(start)..usize::from(end)))
        .unwrap_or_default()
}

const fn by_length() -> [Candidate; LEN] {
    let mut table = [Candidate {
        first: 0,
        last: 0,
        place: 0,
    }; LEN];
    let (mut place, mut length) = (0, 0);
    while length <= MAX_NAME {
        let mut index = 0;
        while index < LEN {
            let name = FIELDS[index].0.as_bytes();
            if name.len() == length {
                let (first, last) = (name[0], name[length - 1]);
                table[place] = Candidate {
                    first,
                    last,
                    place: index as u8,
                };
                place += 1;
            }
            index += 1;
        }
        length += 1;
    }
    table
}

const fn first() -> [u8; MAX_NAME + 2] {
    let mut table = [0; MAX_NAME + 2];
    let mut index = 0;
    while index < LEN {
        let mut longer = FIELDS[index].0.len() + 1;
        while longer < table.len() {
            table[longer] += 1;
            longer += 1;
        }
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_where_it_is() {
        for index in 1..=LEN {
            let (name, value) = get(index).unwrap();
            assert_eq!(find(name.as_bytes(), value.as_bytes()), Found::Field(index));
            let lowest = (1..=LEN).find(|&i| get(i).unwrap().0 == name).unwrap();
            assert_eq!(find_name(name.as_bytes()), Some(lowest));
            assert_eq!(find(name.as_bytes(), b"other"), Found::Name(lowest));
        }
        assert_eq!((get(0), get(62)), (None, None));
    }

    #[test]
    fn other_names_are_not_found() {
        for name in [
            "",
            "apns-id",
            "x",
            "authorizatiom",
            "access-control-allow-origins",
        ] {
            assert_eq!(find(name.as_bytes(), b""), Found::Nothing);
            assert_eq!(find_name(name.as_bytes()), None);
        }
    }

    #[test]
    fn some_indexes_from_the_appendix() {
        assert_eq!(get(1), Some((":authority", "")));
        assert_eq!(get(3), Some((":method", "POST")));
        assert_eq!(get(7), Some((":scheme", "https")));
        assert_eq!(get(8), Some((":status", "200")));
        assert_eq!(get(23), Some(("authorization", "")));
        assert_eq!(get(28), Some(("content-length", "")));
        assert_eq!(get(61), Some(("www-authenticate", "")));
    }
}
