//! The capability `migration` of VERSION (0.9.1, 523-538).

use nix::errno::Errno;
use serde_json::{Map, Value, json};
use vfio_user_wire::VersionData;

use crate::dma_table::PAGE;
use crate::settings::{Profile, Settings};
use crate::without::Feature;

/// The size of the pages of dirty bitmaps: the smaller of both sides' (536-537). `None` where one of them cannot migrate.
///
/// # Errors
/// EINVAL where the capability is no object, and for a size that is no power of two.
pub(crate) fn pgsize(settings: Settings, client: &VersionData) -> Result<Option<u64>, Errno> {
    if settings.profile == Profile::V0_9_2 {
        return Ok(None);
    }
    let Some(migration) = client.capability("migration") else { return Ok(None) };
    let Value::Object(migration) = migration else { return Err(Errno::EINVAL) };
    let stated = match migration.get("pgsize") {
        None => PAGE,
        Some(pgsize) => pgsize.as_u64().filter(|pgsize| pgsize.is_power_of_two()).ok_or(Errno::EINVAL)?,
    };
    Ok((!settings.lacks(Feature::Migration)).then_some(stated.min(PAGE)))
}

/// What this server states.
pub(crate) fn state(capabilities: &mut Map<String, Value>) {
    capabilities.insert("migration".to_owned(), json!({ "pgsize": PAGE }));
}
