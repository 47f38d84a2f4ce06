//! Listing devices: the pages of a group or of an alias, as records.

use super::alias::AliasIndex;
use super::group::{GroupPage, PageLimit, group_page};
use super::keys::position_of;
use super::operations::device;
use super::values::{Failure, Values, get};
use super::{Alias, DeviceRecord, DeviceRef, Group, Position, Tag, alias_key};
use crate::notification::Topic;

/// Which devices are to be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Those of an alias.
    Alias {
        /// Whose.
        alias: Alias,
        /// Only of this app.
        topic: Option<Topic>,
        /// Only with this tag.
        tag: Option<Tag>,
    },
    /// Those of an app, or those of them that have a tag.
    Group(Group),
}

/// Some of the devices selected, all of them alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicePage {
    /// By position. May be fewer than asked for, and none, with more behind them.
    pub devices: Vec<DeviceRecord>,
    /// Where to go on; `None` if there are no more.
    pub next: Option<Position>,
}

/// The devices selected that come behind `after`, or the first ones; only of topics that are
/// `visible`.
///
/// # Errors
/// [`Failure::Store`] and [`Failure::Corrupt`].
pub fn device_page<V: Values>(
    values: &V,
    selection: &Selection,
    visible: impl Fn(&Topic) -> bool,
    after: Option<Position>,
    limit: PageLimit,
) -> Result<DevicePage, Failure<V::Error>> {
    let candidates = match selection {
        Selection::Alias { alias, topic, .. } => {
            let wanted = |device: &DeviceRef| {
                visible(&device.topic) && topic.as_ref().is_none_or(|topic| *topic == device.topic)
            };
            of_alias(values, alias, wanted, after, limit)?
        }
        Selection::Group(group) if visible(group.topic()) => of_group(values, group, after, limit)?,
        Selection::Group(_) => Candidates::default(),
    };
    let mut devices = Vec::with_capacity(candidates.devices.len());
    for candidate in &candidates.devices {
        let record = device(values, candidate)?;
        devices.extend(record.filter(|record| selection.includes(record)));
    }
    Ok(DevicePage {
        devices,
        next: candidates.next,
    })
}

/// A page of an index.
#[derive(Default)]
struct Candidates {
    devices: Vec<DeviceRef>,
    next: Option<Position>,
}

impl Selection {
    fn includes(&self, record: &DeviceRecord) -> bool {
        match self {
            Self::Group(group) => record.is_in(group),
            Self::Alias { alias, tag, .. } => {
                let tagged = tag.as_ref().is_none_or(|tag| record.tags.contains(tag));
                record.belongs_to(alias) && tagged
            }
        }
    }
}

fn of_group<V: Values>(
    values: &V,
    group: &Group,
    after: Option<Position>,
    limit: PageLimit,
) -> Result<Candidates, Failure<V::Error>> {
    let GroupPage { tokens, next } = group_page(values, group, after, limit)?;
    let refer = |token| DeviceRef {
        topic: group.topic().clone(),
        token,
    };
    let devices = tokens.into_iter().map(refer).collect();
    Ok(Candidates { devices, next })
}

fn of_alias<V: Values>(
    values: &V,
    alias: &Alias,
    wanted: impl Fn(&DeviceRef) -> bool,
    after: Option<Position>,
    limit: PageLimit,
) -> Result<Candidates, Failure<V::Error>> {
    let index = AliasIndex::read(get(values, &alias_key(alias))?.as_deref())?;
    let mut placed: Vec<_> = index
        .devices()
        .filter(|device| wanted(device))
        .map(|device| (position_of(device), device))
        .filter(|(position, _)| after.is_none_or(|after| *position > after))
        .collect();
    placed.sort_unstable_by_key(|(position, _)| *position);
    let more = placed.len() > limit.get();
    placed.truncate(limit.get());
    let next = placed
        .last()
        .map(|(position, _)| *position)
        .filter(|_| more);
    let devices = placed
        .into_iter()
        .map(|(_, device)| device.clone())
        .collect();
    Ok(Candidates { devices, next })
}
