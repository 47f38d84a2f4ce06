//! A page of devices: candidates out of an index, and what their records say of them.

use super::super::recipients::{keys_of, records};
use super::super::{App, Runtime, Turns};
use crate::api::{DeviceQuery, Problem};
use crate::notification::Topic;
use crate::registry::{Candidates, DevicePage, candidates};

/// Records read in one call of the store.
const RECORDS_AT_ONCE: usize = 64;

/// The page of devices that a query asks for, of topics that are `visible`.
///
/// # Errors
/// 503.
pub async fn page<R: Runtime>(
    app: &App<R>,
    query: &DeviceQuery,
    visible: impl Fn(&Topic) -> bool,
) -> Result<DevicePage, Problem> {
    let DeviceQuery {
        selection,
        after,
        limit,
    } = query;
    let candidates = candidates(&app.store, selection, visible, *after, *limit);
    let Candidates { devices, next } = candidates.await?;
    let mut turns = Turns::new(&app.platform);
    turns.rest().await;
    let mut found = Vec::with_capacity(devices.len());
    for batch in devices.chunks(RECORDS_AT_ONCE) {
        let records = records(app, &mut turns, keys_of(batch.iter())).await?;
        let selected = records.into_iter().flatten();
        found.extend(selected.filter(|record| selection.includes(record)));
    }
    Ok(DevicePage {
        devices: found,
        next,
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::support::Desk;
    use super::*;
    use crate::api::parse_device_query;
    use crate::notification::DeviceToken;
    use crate::registry::{self, Alias, Registration, Tag};
    use crate::time::UnixTime;

    #[test]
    fn others_have_their_turn_while_a_page_is_read_and_nothing_is_read_twice() {
        let desk = Desk::new();
        let tag = |n: u32| Tag::parse(&format!("{n:064}")).unwrap();
        for n in 0..200_u32 {
            let registration = Registration {
                topic: Topic::parse("com.example.app").unwrap(),
                token: DeviceToken::from_bytes(&n.to_be_bytes()).unwrap(),
                environment: None,
                alias: Some(Alias::parse("bulk").unwrap()),
                tags: Some((0..64).map(tag).collect()),
                replaces: None,
            };
            let now = UnixTime::from_secs(1);
            let registered = registry::register(&desk.store, &registration, now);
            desk.run(registered).unwrap();
        }
        for query in ["alias=bulk&limit=150", "topic=com.example.app&limit=150"] {
            desk.store.forget();
            let before = desk.platform.turns();
            let query = parse_device_query(Some(query)).unwrap();
            let first = desk.run(page(&desk.app, &query, |_| true)).unwrap();
            assert_eq!(first.devices.len(), 150);
            let turns = desk.platform.turns() - before;
            assert!(turns >= 10, "{turns}");
            let reads = desk.store.take_reads();
            assert!(
                reads
                    .iter()
                    .all(|(key, count)| *count == 1 || !key.starts_with("d/"))
            );
            let second = DeviceQuery {
                after: first.next,
                ..query
            };
            let second = desk.run(page(&desk.app, &second, |_| true)).unwrap();
            assert_eq!((second.devices.len(), second.next), (50, None));
            let hidden = desk
                .run(page(&desk.app, &query_of_all(), |_| false))
                .unwrap();
            assert_eq!((hidden.devices.len(), hidden.next), (0, None));
        }
    }

    fn query_of_all() -> DeviceQuery {
        parse_device_query(Some("alias=bulk")).unwrap()
    }
}
