//! Listing devices: the pages of a group or of an alias. Their records are read by `service`.

use super::group::{GroupPage, group_page};
use super::owner;
use super::page::{Candidates, PageLimit};
use super::values::{Failure, Values};
use crate::notification::Topic;
use crate::registry::records::{Alias, Cursor, DeviceRecord, DeviceRef, Group, Tag};

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

/// The candidates that come behind `after`, or the first ones; only of topics that are `visible`.
/// At most `limit`, for which at most 1,024 nodes of an index are read.
///
/// # Errors
/// [`Failure::Store`] and [`Failure::Corrupt`].
pub async fn candidates<V: Values>(
    values: &V,
    selection: &Selection,
    visible: impl Fn(&Topic) -> bool,
    after: Option<Cursor>,
    limit: PageLimit,
) -> Result<Candidates, Failure<V::Error>> {
    match selection {
        Selection::Alias { alias, topic, .. } => {
            let wanted = |app: &Topic| visible(app) && topic.as_ref().is_none_or(|it| it == app);
            owner::page(values, alias, wanted, after, limit).await
        }
        Selection::Group(group) if visible(group.topic()) => {
            of_group(values, group, after, limit).await
        }
        Selection::Group(_) => Ok(Candidates::default()),
    }
}

impl Selection {
    /// Whether a device is among those selected, by its record.
    pub fn includes(&self, record: &DeviceRecord) -> bool {
        match self {
            Self::Group(group) => record.is_in(group),
            Self::Alias { alias, tag, .. } => {
                let tagged = tag.as_ref().is_none_or(|tag| record.tags.contains(tag));
                record.belongs_to(alias) && tagged
            }
        }
    }
}

async fn of_group<V: Values>(
    values: &V,
    group: &Group,
    after: Option<Cursor>,
    limit: PageLimit,
) -> Result<Candidates, Failure<V::Error>> {
    let GroupPage { tokens, next } = group_page(values, group, after, limit).await?;
    let refer = |token| DeviceRef {
        topic: group.topic().clone(),
        token,
    };
    let devices = tokens.into_iter().map(refer).collect();
    Ok(Candidates { devices, next })
}
