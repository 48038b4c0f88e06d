//! What only the versions before 0.9.2 have: DIRTY_PAGES, and the region for migration.

use vfio_user_wire::dirty_pages_flags::{GET_BITMAP, START, STOP};
use vfio_user_wire::legacy::{DIRTY_PAGES, RangeLayout};
use vfio_user_wire::message::DMA_MAP;
use vfio_user_wire::{Tail, bitmap_size, region_subtype, region_type};

use super::asker::{Asked, Question};
use super::dma::{filled, fixed, map_request, request};
use crate::Profile;
use crate::case::error_text;
use crate::session::Held;
use crate::target::{DeviceFile, Discovered};

/// Bytes of a page in a bitmap, as the client proposes it.
const PGSIZE: u64 = 4096;
/// The region of client memory for which it is tried how a range looks.
const ADDRESS: u64 = 0x10_0000;
const REGION: u64 = 0x10_0000;

pub(super) fn ask_dirty_pages(question: &mut Question<'_>, found: &mut Discovered) -> Asked<()> {
    for word in ["dirty-pages", "no-dirty-pages"] {
        found.no(word, "it has no answer to START of DIRTY_PAGES");
    }
    // Mapped first: there are servers that log nothing of what comes after START, and break at a question about it.
    let memory = Held::memfd(REGION, false)?;
    let map = map_request(question.dialect(), ADDRESS, REGION, true)?;
    let fds: Vec<_> = memory.descriptor().into_iter().collect();
    let _ = question.ask(DMA_MAP.name, &map, &fds)?;
    match ask_action(question, START)? {
        Some(errno) => {
            found.no("dirty-pages", &format!("START of DIRTY_PAGES was refused with {}", error_text(errno)));
            found.yes("no-dirty-pages", &[]);
        }
        None => {
            let pgsize = found.stated().legacy_limits().pgsize.unwrap_or(PGSIZE).min(PGSIZE);
            let names = |range: RangeLayout| [("log.pgsize", pgsize), ("log.range", range.size() as u64)];
            found.yes("dirty-pages", &names(RangeLayout::default()));
            found.no("no-dirty-pages", "the target serves DIRTY_PAGES");
            if let Some(range) = ask_range(question, pgsize)? {
                found.yes("dirty-pages", &names(range));
            }
            // For a server that goes on; its answer tells no more.
            let _ = ask_action(question, STOP)?;
        }
    }
    Ok(())
}

/// The layout of the range that a server which logs takes for a region of client memory; `None` where it takes neither, and
/// in a version whose text knows one alone.
fn ask_range(question: &mut Question<'_>, pgsize: u64) -> Asked<Option<RangeLayout>> {
    let Some((_, message)) = question.dialect().command(DIRTY_PAGES.name) else { return Ok(None) };
    let get = message.variants.iter().find(|variant| variant.flags == u64::from(GET_BITMAP));
    let Some((layout, reply)) = get.and_then(|get| Some((get.request.fixed?, get.reply))) else { return Ok(None) };
    let head = message.request.fixed_size();
    if layout.size != head + RangeLayout::Narrow.size() {
        return Ok(None);
    }
    let bitmap_size = bitmap_size(REGION, pgsize).unwrap_or_default();
    // A reply that has a head has an argsz, which counts the bits.
    let told = if reply.tail == Tail::RangeBitmap { bitmap_size } else { 0 };
    for range in [RangeLayout::Narrow, RangeLayout::Wide] {
        let fields = [
            ("argsz", (head + range.size()) as u64 + told),
            ("flags", GET_BITMAP.into()),
            ("iova", ADDRESS),
            ("size", REGION),
            ("bitmap_pgsize", pgsize),
            ("bitmap_size", bitmap_size),
        ];
        let mut request = filled(layout, &fields);
        request.resize(head + range.size(), 0);
        if question.venture(DIRTY_PAGES.name, &request, &[])?.is_ok() {
            return Ok(Some(range));
        }
    }
    Ok(None)
}

/// START or STOP of DIRTY_PAGES in this version's form; the errno of a refusal, if it is one.
pub(super) fn ask_action(question: &mut Question<'_>, flags: u32) -> Asked<Option<u32>> {
    let argsz = fixed(question.dialect(), DIRTY_PAGES.name)?.size as u64;
    let request = request(question.dialect(), DIRTY_PAGES.name, &[("argsz", argsz), ("flags", flags.into())])?;
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
