//! Reading of many values at once.

use std::collections::BTreeMap;

use crate::api::Problem;
use crate::registry::{CorruptRecord, DeviceRecord, DeviceRef, Failure, Values, device_key};
use crate::service::{App, Runtime, Turns};

/// Records read in one call of the store.
pub(super) const RECORDS_AT_ONCE: usize = 64;

/// The keys of the records of devices.
pub(in crate::service) fn keys_of<'d>(devices: impl Iterator<Item = &'d DeviceRef>) -> Vec<String> {
    let keys = devices.map(|device| device_key(&device.topic, &device.token));
    keys.collect()
}

/// The records under these keys, in their order.
pub(in crate::service) async fn records<R: Runtime>(
    app: &App<R>,
    turns: &mut Turns<'_, R::Platform>,
    keys: Vec<String>,
) -> Result<Vec<Option<DeviceRecord>>, Problem> {
    let found = get_many(app, keys).await?;
    let mut records = Vec::with_capacity(found.len());
    for stored in found {
        records.push(DeviceRecord::read_stored(stored.as_deref()).map_err(unreadable)?);
        turns.read(stored.map_or(0, |stored| stored.len())).await;
    }
    Ok(records)
}

/// The values of these keys.
pub(super) async fn read<R: Runtime>(
    app: &App<R>,
    keys: &[String],
) -> Result<BTreeMap<String, Option<Vec<u8>>>, Problem> {
    let found = get_many(app, keys.to_vec()).await?;
    let mut values = BTreeMap::new();
    values.extend(keys.iter().cloned().zip(found));
    Ok(values)
}

async fn get_many<R: Runtime>(
    app: &App<R>,
    keys: Vec<String>,
) -> Result<Vec<Option<Vec<u8>>>, Problem> {
    let found = app.store.get_many(keys).await;
    found.map_err(|error| Problem::store(&error.to_string()))
}

pub(super) fn unreadable(error: CorruptRecord) -> Problem {
    Problem::from(Failure::<core::convert::Infallible>::Corrupt(error))
}
