//! What may be answered in the protocols with tables where they have a message otherwise: version 8, and 0.9.1 in the
//! beginning.

mod bitmaps;
mod device_get_info;
mod dirty_pages;
mod dma_map;
mod dma_unmap;

use vfio_user_wire::message::{REGION_READ, REGION_WRITE};
use vfio_user_wire::tables::{DEVICE_GET_INFO, DIRTY_PAGES_V8, DMA_MAP_V8, DMA_UNMAP_V8, Table};

use super::super::edition::Edition;
use super::super::session::State;
use super::super::{Command, Judgements};
use super::legacy::migration_region;
use super::{Ruling, no_effect, nothing, queries, regions};

/// What stands before the rulings of 0.9.2, for either text.
pub(super) const RULINGS: &[Ruling] = &[
    Ruling { message: &DMA_MAP_V8, permits: dma_map::permits, judge: nothing, apply: dma_map::apply },
    Ruling { message: &DMA_UNMAP_V8, permits: dma_unmap::permits, judge: dma_unmap::judge, apply: dma_unmap::apply },
    Ruling {
        message: &DIRTY_PAGES_V8,
        permits: dirty_pages::permits,
        judge: dirty_pages::judge,
        apply: dirty_pages::apply,
    },
    Ruling {
        message: &DEVICE_GET_INFO,
        permits: device_get_info::permits,
        judge: queries::judge_info,
        apply: no_effect,
    },
    Ruling {
        message: &REGION_READ,
        permits: migration_region::permits_read,
        judge: migration_region::judge_read,
        apply: migration_region::apply_read,
    },
    Ruling {
        message: &REGION_WRITE,
        permits: migration_region::permits_write,
        judge: judge_write,
        apply: migration_region::apply_write,
    },
];

/// In version 8 the count is 0 whatever was written.
fn judge_write(state: &State, command: &Command, payload: &[u8], out: &mut Judgements) {
    if table(state) == Table::V8c {
        regions::judge_write(state, command, payload, out);
    }
}

/// Whose tables.
fn table(state: &State) -> Table {
    match state.edition() {
        Edition::Tables(table) => table,
        Edition::Current | Edition::Legacy => Table::V8,
    }
}
