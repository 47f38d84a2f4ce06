//! What was met in a payload: one bit for each thing that the rules of a push type ask for.

/// Anything beside `aps`.
pub(super) const CUSTOM: u32 = 1 << 0;
pub(super) const MDM: u32 = 1 << 1;
pub(super) const CONTAINER: u32 = 1 << 2;
/// The bits that another `aps` does not take back.
pub(super) const OUTSIDE_APS: u32 = CUSTOM | MDM | CONTAINER;

/// Anything in `aps`.
pub(super) const IN_APS: u32 = 1 << 3;
pub(super) const ALERT: u32 = 1 << 4;
pub(super) const BADGE: u32 = 1 << 5;
pub(super) const SOUND: u32 = 1 << 6;
/// What a person notices.
pub(super) const SHOWS: u32 = ALERT | BADGE | SOUND;
/// `content-available`, neither 0 nor false.
pub(super) const WAKES: u32 = 1 << 7;
/// `mutable-content`, neither 0 nor false.
pub(super) const MUTABLE: u32 = 1 << 8;
/// `critical` in the last `sound`, neither 0 nor false.
pub(super) const CRITICAL: u32 = 1 << 9;
pub(super) const CHANGED: u32 = 1 << 10;
pub(super) const TIMESTAMP: u32 = 1 << 11;
pub(super) const EVENT: u32 = 1 << 12;
pub(super) const CONTENT_STATE: u32 = 1 << 13;
pub(super) const ATTRIBUTES_TYPE: u32 = 1 << 14;
pub(super) const ATTRIBUTES: u32 = 1 << 15;
pub(super) const INPUT_PUSH_TOKEN: u32 = 1 << 16;
pub(super) const INPUT_PUSH_CHANNEL: u32 = 1 << 17;
pub(super) const DISMISSAL_DATE: u32 = 1 << 18;
