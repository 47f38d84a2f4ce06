//! The sections of `dunlin.toml`, those of the host too.
//!
//! The file has two readers, and the component cannot afford the other half: types for it would be
//! code that is never of use there. So each reader has a struct of its own sections, nobody lists
//! those of the other, and a name that is not in this table is a mistake for both.

/// The name of every section. Exactly one of the two readers has a field for it.
pub const SECTIONS: [&str; 11] = [
    "host",
    "store",
    "tls",
    "tasks",
    "apns",
    "credentials",
    "api_keys",
    "delivery",
    "binary",
    "proxy",
    "registry",
];
