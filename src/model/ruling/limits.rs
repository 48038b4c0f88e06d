//! What the server has said that it does not take.

use vfio_user_wire::message::{DMA_MAP, DmaMap, REGION_READ, REGION_WRITE, RegionAccess};

use super::super::Command;
use super::super::edition::Edition;
use super::super::session::State;

/// Why a message is more than the server said that it takes, where it is: whatever it is sent for, a refusal is right.
pub(in super::super) fn exceeded(state: &State, command: &Command) -> Option<String> {
    let limits = &state.offer.limits;
    let message = command.message?;
    let (fds, most) = (command.fds.len() as u64, limits.max_msg_fds);
    if fds > most {
        return Some(format!("it comes with {fds} descriptors, and max_msg_fds is {most}"));
    }
    // Earlier texts have neither limit, and tables in place of the structure.
    if message.name == DMA_MAP.name && state.edition() == Edition::Current {
        let most = limits.max_dma_maps;
        if state.maps.most() as u64 >= most {
            return Some(format!("there are maps already, and max_dma_maps is {most}"));
        }
        let (map, _) = DmaMap::parse(&command.payload)?;
        let page = state.offer.page_size.max(1);
        let whole = [map.address, map.size, map.offset].iter().all(|number| number.is_multiple_of(page));
        return (!whole).then(|| format!("it maps no whole pages, and the smallest of pgsizes is {page}"));
    }
    if message.name == REGION_READ.name || message.name == REGION_WRITE.name {
        let (access, _) = RegionAccess::parse(&command.payload)?;
        let (count, most) = (u64::from(access.count), limits.max_data_xfer_size);
        return (count > most).then(|| format!("its count is {count}, and max_data_xfer_size is {most}"));
    }
    None
}
