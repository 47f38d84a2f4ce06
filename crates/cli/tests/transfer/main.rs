//! `dunlin devices import` and `export`, through the binary: beside a running service and on a
//! store of their own, killed and started again, with files of others and files that are none.
#![cfg(test)]

mod export;
mod files;
mod going_on;
mod import;
mod support;
