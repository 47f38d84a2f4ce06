//! The lane in virtual time.
