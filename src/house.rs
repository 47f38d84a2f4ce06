//! Holds the sources to rules of [CONTRIBUTING.md](../CONTRIBUTING.md) that no compiler knows:
//! what a type is called, which files may know each other, and how long a line is.
//!
//! What breaks a rule for the moment is named in the constant `ALLOWED` of the rule's file.

mod circles;
mod columns;
pub(crate) mod sources;
mod type_names;
