//! DEVICE_GET_REGION_IO_FDS.

use vfio_user_wire::IoEventFd;
use vfio_user_wire::message::RegionIoFds;

use super::super::io_fds::entries;
use super::super::judgement::{bytes_mark, payload_mark};
use super::super::permits::Permits;
use super::super::session::State;
use super::super::{Command, Judgements};
use super::queries::plain;
use crate::verdict::Class::Note;

pub(super) fn permits(state: &State, command: &Command) -> Permits {
    let Some((request, surplus)) = RegionIoFds::parse(&command.payload) else { return Permits::either() };
    let (argsz, flags, index, count) = (request.argsz, request.flags, request.index, request.count);
    if state.offer.num_regions.is_some_and(|known| index >= known) {
        return Permits::refusal("IOFDS-16", Note, "a refusal: there is no region of this index");
    }
    if argsz < RegionIoFds::LAYOUT.size as u32 {
        return Permits::either().testing("IOFDS-14");
    }
    if flags != 0 || count != 0 {
        return Permits::either().testing("IOFDS-15");
    }
    let known = state.offer.io_fds(u64::from(index));
    // A client that takes fewer descriptors than there are may be told of none.
    let enough = |fds: usize| fds as u64 <= state.client_limits.max_msg_fds;
    match known.filter(|known| surplus.is_empty() && plain(command, &["argsz", "index"]) && enough(known.fds)) {
        None => Permits::either().testing("IOFDS-01"),
        Some(known) if argsz < known.argsz => {
            Permits::success("IOFDS-13", Note, "success, with the argsz that is needed")
        }
        Some(_) => Permits::success("IOFDS-19", Note, "success: argsz is only a ceiling"),
    }
}

pub(super) fn judge(state: &State, command: &Command, payload: &[u8], out: &mut Judgements) {
    let Some((info, array)) = RegionIoFds::parse(payload) else { return };
    let Some(index) = command.request().get("index") else { return };
    let count = info.count;
    let mark = || RegionIoFds::LAYOUT.field("count").and_then(payload_mark);
    if state.offer.num_regions.is_some_and(|known| index >= u64::from(known)) {
        let expected = "a refusal: there is no region of this index";
        return out.must("IOFDS-16", count == 0, expected, || format!("{count} sub-regions"), mark());
    }
    let whole = u64::from(info.argsz) == payload.len() as u64;
    let stride = info.stride().ok().filter(|_| whole);
    let (Some(region), Some(stride)) = (state.offer.region(index), stride) else { return };
    for (at, entry) in entries(array, stride, count).enumerate() {
        let Some((event, _)) = IoEventFd::parse(entry) else { return };
        let (offset, size) = (event.offset, event.size);
        let inside = offset.checked_add(size.max(1)).is_some_and(|end| end <= region.size);
        let expected = format!("sub-regions inside the region, which has {:#x} bytes", region.size);
        let mark = bytes_mark(&format!("sub_regions[{at}].offset"), RegionIoFds::LAYOUT.size + at * stride, 16);
        out.should("IOFDS-12", inside, &expected, || format!("{size:#x} bytes at {offset:#x}"), mark);
    }
}
