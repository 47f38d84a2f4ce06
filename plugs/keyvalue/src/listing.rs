//! The names in a folder that others are at work in.
//!
//! wasmtime looks at each entry while it lists, and ends the list with an error where one has gone
//! meanwhile. So a listing that fails like that is made again.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// How often a listing is made, until nothing goes while it is made.
const TRIES_MAX: usize = 64;

/// All names in a folder, in no order.
pub(crate) fn names(folder: &Path) -> io::Result<Vec<OsString>> {
    let mut listed = once(folder);
    for _ in 1..TRIES_MAX {
        match &listed {
            Err(error) if error.kind() == ErrorKind::NotFound && fs::exists(folder)? => {
                listed = once(folder);
            }
            _ => break,
        }
    }
    listed
}

fn once(folder: &Path) -> io::Result<Vec<OsString>> {
    fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect()
}
