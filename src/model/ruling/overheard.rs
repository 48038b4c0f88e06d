//! What another client of the same server asks for. A server that keeps one table for all of them has it changed by each: what comes
//! of that for this client is no more than a note (SOCK-02), so that it is left open here.

use vfio_user_wire::dma_unmap_flags::ALL;
use vfio_user_wire::message::{DEVICE_RESET, DEVICE_SET_IRQS, DMA_MAP, DMA_UNMAP, DmaMap, DmaUnmap};
use vfio_user_wire::tables::{DmaUnmapEntries, dma_map_entries};

use super::super::Command;
use super::super::edition::Edition;
use super::super::session::State;

pub(in super::super) fn apply(state: &mut State, command: &Command) {
    if state.changes_state(command) {
        state.migration.overheard(command);
    }
    let Some(message) = command.message else { return };
    match message.name {
        // What a reset does to maps and interrupts is left open (policy A-28), whoever asks for it.
        name if name == DEVICE_RESET.name => state.doubt_device(),
        name if name == DEVICE_SET_IRQS.name => state.irqs.doubt_all(),
        name if name == DMA_MAP.name => map(state, &command.payload),
        name if name == DMA_UNMAP.name => unmap(state, &command.payload),
        _ => {}
    }
}

fn map(state: &mut State, payload: &[u8]) {
    if let Edition::Tables(_) = state.edition() {
        let (entries, _) = dma_map_entries(payload);
        state.elsewhere.extend(entries.iter().map(|entry| (entry.address, entry.size)));
    } else if let Some((map, _)) = DmaMap::parse(payload) {
        state.elsewhere.push((map.address, map.size));
    }
}

fn unmap(state: &mut State, payload: &[u8]) {
    if let Edition::Tables(table) = state.edition() {
        for entry in DmaUnmapEntries::new(payload, table).map_while(Result::ok) {
            state.maps.doubt(entry.region.address, entry.region.size);
        }
    } else if let Some((unmap, _)) = DmaUnmap::parse(payload) {
        match unmap.flags & ALL {
            0 => state.maps.doubt(unmap.address, unmap.size),
            _ => state.maps.doubt_all(),
        }
    }
}
