//! What only the versions before 0.9.2 have: DIRTY_PAGES, and the region for migration.

use vfio_user_wire::legacy::DIRTY_PAGES;
use vfio_user_wire::{region_subtype, region_type};

use super::asker::{Asked, Question};
use super::dma::request;
use crate::Profile;
use crate::case::error_text;
use crate::target::{DeviceFile, Discovered};

/// Bytes of a page in a bitmap, as the client proposes it.
const PGSIZE: u64 = 4096;
/// `flags` of DIRTY_PAGES.
const START: u64 = 1;
const STOP: u64 = 2;

pub(super) fn ask_dirty_pages(question: &mut Question<'_>, found: &mut Discovered) -> Asked<()> {
    for word in ["dirty-pages", "no-dirty-pages"] {
        found.no(word, "it has no answer to START of DIRTY_PAGES");
    }
    match ask(question, START)? {
        Some(errno) => {
            found.no("dirty-pages", &format!("START of DIRTY_PAGES was refused with {}", error_text(errno)));
            found.yes("no-dirty-pages", &[]);
        }
        None => {
            let pgsize = found.stated().legacy_limits().pgsize.unwrap_or(PGSIZE).min(PGSIZE);
            found.yes("dirty-pages", &[("log.pgsize", pgsize)]);
            found.no("no-dirty-pages", "the target serves DIRTY_PAGES");
            // For a server that goes on; its answer tells no more.
            let _ = ask(question, STOP)?;
        }
    }
    Ok(())
}

/// The errno of a refusal, if it is one.
fn ask(question: &mut Question<'_>, flags: u64) -> Asked<Option<u32>> {
    let request = request(question.dialect(), DIRTY_PAGES.name, &[("argsz", 8), ("flags", flags)])?;
    Ok(question.ask(DIRTY_PAGES.name, &request, &[])?.err())
}

/// The migration region is found by its type: its index is nowhere fixed.
pub(super) fn conclude(profile: Profile, device: Option<&DeviceFile>, found: &mut Discovered) {
    let is = |kind: Option<(u32, u32)>| kind == Some((region_type::MIGRATION, region_subtype::MIGRATION));
    let region = found.regions.iter().find(|region| profile != Profile::V0_9_2 && is(region.kind)).cloned();
    let Some(region) = region else {
        found.no("migration-region", "no region has the type of a migration region");
        found.no("pfn-query", "no region has the type of a migration region");
        return found.yes("no-migration-region", &[]);
    };
    let names = [("migration.region", u64::from(region.index)), ("migration.size", region.size)];
    found.yes("migration-region", &names);
    found.no("no-migration-region", "the target has a migration region");
    // Where the registers of the query would be, another server has a gap that may read as anything.
    if device.is_some_and(|device| device.pfn_query) {
        found.yes("pfn-query", &names);
    } else {
        found.no("pfn-query", "the device file does not say that the migration region has the query (pfn-query)");
    }
}
