//! What holds for every successful reply to DMA_UNMAP of 0.9.1 (at 190f85b^, 732-746).

use vfio_user_wire::dma_unmap_flags;
use vfio_user_wire::legacy::DmaUnmapGet;

use super::super::judgement::{bytes_mark, header_mark, payload_mark};
use super::super::{Command, Judgements, Reply};
use super::bitmap_sizes;
use crate::verdict::Class;

/// Bytes of the entry, of which the reply consists without a bitmap.
const ENTRY: usize = 24;
/// Bytes before the bits.
pub(in crate::model) const BITS: usize = DmaUnmapGet::LAYOUT.size;

/// The request, where it asks for a bitmap and has all that belongs to that.
pub(in crate::model) fn asked(command: &Command) -> Option<DmaUnmapGet> {
    let (request, _) = DmaUnmapGet::parse(&command.payload)?;
    let both = dma_unmap_flags::GET_DIRTY_BITMAP | dma_unmap_flags::ALL;
    (request.flags & both == dma_unmap_flags::GET_DIRTY_BITMAP).then_some(request)
}

/// Bytes of payload of the full reply.
pub(in crate::model) fn needed(request: &DmaUnmapGet) -> u64 {
    (BITS as u64).saturating_add(request.bitmap_size)
}

/// The bits of a full reply.
pub(in crate::model) fn bits<'a>(request: &DmaUnmapGet, payload: &'a [u8]) -> Option<&'a [u8]> {
    let whole = bitmap_sizes(request.bitmap_size, request.size, request.bitmap_pgsize)
        .any(|size| payload.len() as u64 == (BITS as u64).saturating_add(size));
    payload.get(BITS..).filter(|_| whole)
}

/// Judges the reply; whether nothing else is to be said of it.
pub(super) fn judge(command: &Command, reply: &Reply<'_>, out: &mut Judgements) -> bool {
    let (payload, came) = (reply.payload, || format!("a payload of {} bytes", reply.payload.len()));
    let Some(request) = asked(command) else {
        if command.payload.len() < BITS {
            return false;
        }
        let expected = "a payload of 24 bytes: flags ask for no bitmap, whatever follows them";
        out.must("L-UNM-13", payload.len() == ENTRY, expected, came, header_mark("size"));
        return payload.len() != ENTRY;
    };
    let mark = |name| DmaUnmapGet::LAYOUT.field(name).and_then(payload_mark);
    let echoed = ["address", "size", "bitmap_pgsize", "bitmap_size"];
    for field in echoed.into_iter().filter_map(|name| DmaUnmapGet::LAYOUT.field(name)) {
        let (Some(sent), Some(got)) = (field.read(&command.payload), field.read(payload)) else { continue };
        let expected = format!("{} {sent:#x}, as in the request", field.name);
        out.must("L-UNM-02", sent == got, &expected, || format!("{} {got:#x}", field.name), payload_mark(field));
    }
    let (room, needed) = (u64::from(request.argsz), needed(&request));
    let argsz = DmaUnmapGet::LAYOUT.field("argsz").and_then(|field| field.read(payload)).unwrap_or_default();
    let said = || format!("a payload of {} bytes, argsz {argsz}", payload.len());
    if room < needed {
        let right = payload.len() >= ENTRY && payload.len() as u64 <= room.max(ENTRY as u64) && argsz == needed;
        let expected = format!("no more than the {room} bytes of argsz, and argsz {needed}");
        // Cut to argsz, which may be meant for the most that may come (policy A-01).
        let cut = room < ENTRY as u64 && payload.len() as u64 == room;
        let class = if cut { Class::Note } else { Class::Violation };
        out.check("L-UNM-08", right, class, &expected, said, mark("argsz"));
        return true;
    }
    let whole = bits(&request, payload).is_some();
    let expected = format!("a payload of {needed} bytes: {BITS}, and the bitmap");
    out.must("L-UNM-02", whole, &expected, came, bytes_mark("bitmap", BITS.min(payload.len()), 8));
    if whole {
        let right = argsz == payload.len() as u64 || argsz == room;
        let expected = format!("argsz {needed}, or {room} as in the request");
        out.should("DUNMAP-06", right, &expected, || format!("argsz {argsz}"), mark("argsz"));
    }
    true
}
