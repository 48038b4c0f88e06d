//! The golden messages of 0.9.1, and the registers of its migration region.

use pretty_assertions::assert_eq;
use vfio_user_wire::legacy::{
    Bitmap, BitmapRange, DIRTY_PAGES, DMA_MAP, DMA_UNMAP, DirtyPages, DirtyPagesGet, DmaMap, DmaUnmap, DmaUnmapGet,
    MigrationInfo, MigrationInfoPfn, RangeLayout, RangeLayoutError, dirty_pfns, migration_state,
};
use vfio_user_wire::message::{REGION_READ, RegionAccess};
use vfio_user_wire::{
    Body, Frame, HEADER_SIZE, Message, Tail, V0_9_1, bitmap_size, dirty_pages, dirty_pages_flags, dma_unmap_flags,
};

use crate::file::{Golden, command_in, joined};

const PAGES_0_9_63_64_69: [u8; 16] = [1, 2, 0, 0, 0, 0, 0, 0x80, 0x21, 0, 0, 0, 0, 0, 0, 0];

fn command(id: [u8; 2], message: &Message, payload: &[u8]) -> Frame {
    command_in(&V0_9_1, id, message, payload)
}

#[test]
fn dma_map_with_the_flag_of_the_early_days() {
    let map = DmaMap { argsz: 32, flags: 7, offset: 0x2000, address: 0x1122_3344_5566_7000, size: 0x4000 };
    let request = command([1, 3], &DMA_MAP, map.bytes());
    Golden::load("0.9.1-dma-map.request.hex").is(&request, &DMA_MAP.request, &[]);
    assert_eq!(DmaMap::parse(&request.payload), Some((map, &[][..])));
    let names = ["readable", "writeable", "mappable"];
    assert_eq!(DmaMap::LAYOUT.field("flags").unwrap().named(names), Ok(0b111));
    Golden::load("0.9.1-dma-map.reply.hex").is(&Frame::reply(&request.header, vec![]), &DMA_MAP.reply, &[]);
}

#[test]
fn dma_unmap_of_all() {
    let unmap = DmaUnmap { argsz: 24, flags: dma_unmap_flags::ALL, address: 0, size: 0 };
    let request = command([1, 4], &DMA_UNMAP, unmap.bytes());
    Golden::load("0.9.1-dma-unmap.request.hex").is(&request, &DMA_UNMAP.request_of(unmap.bytes()), &[]);
    assert_eq!(DmaUnmap::parse(&request.payload), Some((unmap, &[][..])));
    let reply = Frame::reply(&request.header, unmap.bytes().to_vec());
    Golden::load("0.9.1-dma-unmap.reply.hex").is(&reply, &DMA_UNMAP.reply_of(unmap.bytes()), &[]);
}

#[test]
fn dma_unmap_with_a_bitmap() {
    let unmap = DmaUnmapGet {
        argsz: 48,
        flags: dma_unmap_flags::GET_DIRTY_BITMAP,
        address: 0x1122_3344_5566_7000,
        size: 0x4000,
        bitmap_pgsize: 0x1000,
        bitmap_size: 8,
    };
    let request = command([1, 5], &DMA_UNMAP, unmap.bytes());
    let golden = Golden::load("0.9.1-dma-unmap-bitmap.request.hex");
    golden.is(&request, &DMA_UNMAP.request_of(&request.payload), &[]);

    let bits = [1 << 0 | 1 << 3, 0, 0, 0, 0, 0, 0, 0];
    let reply = Frame::reply(&request.header, joined(&[unmap.bytes(), &bits]));
    let body = DMA_UNMAP.reply_of(&request.payload);
    assert_eq!(body.tail, Tail::Bitmap);
    Golden::load("0.9.1-dma-unmap-bitmap.reply.hex").is(&reply, &body, &bits);
    let (parsed, tail) = DmaUnmapGet::parse(&reply.payload).unwrap();
    assert_eq!(parsed, unmap);
    assert_eq!(parsed.bitmap().bits(tail), Some((&bits[..], &[][..])));
    assert_eq!(dirty_pages(tail).collect::<Vec<u64>>(), [0, 3]);
    assert_eq!(bitmap_size(parsed.size, parsed.bitmap_pgsize), Some(8));
    // The entry, and the structure that follows it, each by its own table.
    let (entry, rest) = DmaUnmap::parse(&request.payload).unwrap();
    assert_eq!((entry.address, entry.size), (parsed.address, parsed.size));
    assert_eq!(Bitmap::parse(rest), Some((parsed.bitmap(), &[][..])));
}

#[test]
fn dirty_pages_start() {
    let start = DirtyPages { argsz: 8, flags: dirty_pages_flags::START };
    let request = command([1, 6], &DIRTY_PAGES, start.bytes());
    Golden::load("0.9.1-dirty-pages.request.hex").is(&request, &DIRTY_PAGES.request_of(start.bytes()), &[]);
    assert_eq!(DirtyPages::parse(&request.payload), Some((start, &[][..])));
    let reply = Frame::reply(&request.header, vec![]);
    Golden::load("0.9.1-dirty-pages.reply.hex").is(&reply, &DIRTY_PAGES.reply_of(start.bytes()), &[]);
}

/// A request for the bitmap of 70 pages, with `unused` behind its range.
fn get(id: [u8; 2], unused: &[u8]) -> (DirtyPagesGet, Frame) {
    let get = DirtyPagesGet {
        argsz: 8 + 32 + unused.len() as u32 + 16,
        flags: dirty_pages_flags::GET_BITMAP,
        iova: 0x10_0000,
        size: 70 * 0x1000,
        bitmap_pgsize: 0x1000,
        bitmap_size: 16,
    };
    (get, command(id, &DIRTY_PAGES, &joined(&[get.bytes(), unused])))
}

#[test]
fn dirty_pages_of_a_range_in_its_narrow_layout() {
    let (get, request) = get([1, 7], &[]);
    let golden = Golden::load("0.9.1-dirty-pages-get.request.hex");
    golden.is(&request, &DIRTY_PAGES.request_of(&request.payload), &[]);

    let reply = Frame::reply(&request.header, joined(&[get.bytes(), &PAGES_0_9_63_64_69]));
    let golden = Golden::load("0.9.1-dirty-pages-get.reply.hex");
    golden.is(&reply, &DIRTY_PAGES.reply_of(&request.payload), &PAGES_0_9_63_64_69);
    let (parsed, tail) = DirtyPagesGet::parse(&reply.payload).unwrap();
    assert_eq!(parsed, get);
    assert_eq!(parsed.bits(tail), Ok((RangeLayout::Narrow, &PAGES_0_9_63_64_69[..])));
    assert_eq!(dirty_pages(tail).collect::<Vec<u64>>(), [0, 9, 63, 64, 69]);
    // The range by its own table, and the bitmap structure in it by its own.
    assert_eq!(BitmapRange::parse(&reply.payload[8..]).unwrap().0, parsed.range());
    assert_eq!(Bitmap::parse(&reply.payload[24..]).unwrap().0, parsed.range().bitmap());
}

#[test]
fn dirty_pages_of_a_range_in_its_wide_layout() {
    let unused = [0; 8];
    let (get, request) = get([1, 8], &unused);
    let golden = Golden::load("0.9.1-dirty-pages-get-wide.request.hex");
    golden.is(&request, &DIRTY_PAGES.request_of(&request.payload), &unused);

    let behind = joined(&[&unused, &PAGES_0_9_63_64_69]);
    let reply = Frame::reply(&request.header, joined(&[get.bytes(), &behind]));
    let golden = Golden::load("0.9.1-dirty-pages-get-wide.reply.hex");
    golden.is(&reply, &DIRTY_PAGES.reply_of(&request.payload), &behind);
    let (parsed, tail) = DirtyPagesGet::parse(&reply.payload).unwrap();
    assert_eq!(parsed.bits(tail), Ok((RangeLayout::Wide, &PAGES_0_9_63_64_69[..])));
}

#[test]
fn a_reply_that_mixes_both_layouts_has_neither() {
    let get = |argsz, bitmap_size| DirtyPagesGet { argsz, bitmap_size, ..Default::default() };
    let neither = |argsz, bitmap_size| Err(RangeLayoutError::Neither { argsz, bitmap_size });
    // The narrow one's argsz, the wide one's bytes, and the other way round.
    assert_eq!(get(56, 16).bits(&[0; 24]), Err(RangeLayoutError::Length { argsz: 56, payload: 64 }));
    assert_eq!(get(64, 16).bits(&[0; 16]), Err(RangeLayoutError::Length { argsz: 64, payload: 56 }));
    assert_eq!(get(60, 16).bits(&[0; 20]), neither(60, 16));
    assert_eq!(get(16, 16).bits(&[0; 16]), neither(16, 16));
    assert_eq!(get(0, 0).bits(&[]), neither(0, 0));
    assert_eq!(get(40, 0).bits(&[]), Ok((RangeLayout::Narrow, &[][..])));
    assert_eq!(get(48, 0).bits(&[0; 8]), Ok((RangeLayout::Wide, &[][..])));
    // Sums that do not fit.
    assert_eq!(get(39, u64::MAX).bits(&[]), neither(39, u64::MAX));
    assert_eq!(get(0, u64::MAX - 39).bits(&[]), neither(0, u64::MAX - 39));
    // A reply without room for its range tells its layout by argsz alone.
    assert_eq!(RangeLayout::told_by(56, 16), Ok(RangeLayout::Narrow));
    assert_eq!(RangeLayout::told_by(64, 16), Ok(RangeLayout::Wide));
    assert_eq!((RangeLayout::Narrow.unused(), RangeLayout::Wide.unused()), (0, 8));
}

#[test]
fn what_a_payload_is_follows_from_its_flags() {
    let bodies = |message: &Message, flags: u32| {
        let head = DirtyPages { argsz: 8, flags };
        (message.request_of(head.bytes()), message.reply_of(head.bytes()))
    };
    let get = Body::with_tail(&DirtyPagesGet::LAYOUT, Tail::Unused);
    let got = Body::with_tail(&DirtyPagesGet::LAYOUT, Tail::RangeBitmap);
    for flags in [0, 1, 2, 3, 5, 6, 7, 8, 1 << 31] {
        assert_eq!(bodies(&DIRTY_PAGES, flags), (DIRTY_PAGES.request, Body::EMPTY), "{flags}");
    }
    for flags in [4, 12, 1 << 31 | 4] {
        assert_eq!(bodies(&DIRTY_PAGES, flags), (get, got), "{flags}");
    }
    for flags in [0, 2, 3, 4, 7] {
        assert_eq!(bodies(&DMA_UNMAP, flags), (DMA_UNMAP.request, DMA_UNMAP.reply), "{flags}");
    }
    let asked = Body::fixed(&DmaUnmapGet::LAYOUT);
    for flags in [1, 5, 1 << 31 | 1] {
        assert_eq!(bodies(&DMA_UNMAP, flags), (asked, Body { tail: Tail::Bitmap, ..asked }), "{flags}");
    }
}

#[test]
fn the_registers_of_a_migration_region() {
    let info = MigrationInfo {
        device_state: migration_state::PRE_COPY,
        reserved: 0,
        pending_bytes: 0x12345,
        data_offset: 0x1000,
        data_size: 0x800,
    };
    let (_, read) = V0_9_1.command("REGION_READ").unwrap();
    let access = RegionAccess { offset: 0, region: 9, count: 32 };
    let request = command([1, 9], read, access.bytes());
    let reply = Frame::reply(&request.header, joined(&[access.bytes(), info.bytes()]));
    let golden = Golden::load("0.9.1-migration-region.reply.hex");
    golden.is(&reply, &REGION_READ.reply, info.bytes());
    golden.has_the_fields_of(&MigrationInfo::LAYOUT, HEADER_SIZE + RegionAccess::LAYOUT.size, "info.");

    let info = MigrationInfoPfn {
        device_state: migration_state::STOP_AND_COPY,
        pending_bytes: 0x12345,
        data_offset: 0x1000,
        data_size: 0x800,
        start_pfn: 0x100,
        page_size: 0x1000,
        total_pfns: 70,
        copied_pfns: dirty_pfns::ALL,
        ..Default::default()
    };
    let access = RegionAccess { count: 64, ..access };
    let request = command([1, 10], read, access.bytes());
    let reply = Frame::reply(&request.header, joined(&[access.bytes(), info.bytes()]));
    let golden = Golden::load("0.9.1-migration-region-pfn.reply.hex");
    golden.is(&reply, &REGION_READ.reply, info.bytes());
    golden.has_the_fields_of(&MigrationInfoPfn::LAYOUT, HEADER_SIZE + RegionAccess::LAYOUT.size, "info.");
    // It begins as the other one does.
    let shorter = MigrationInfo::LAYOUT.fields.iter().map(|field| (field.name, field.offset, field.width, field.bits));
    let longer =
        MigrationInfoPfn::LAYOUT.fields.iter().map(|field| (field.name, field.offset, field.width, field.bits));
    assert!(shorter.eq(longer.take(5)));
    assert_eq!(dirty_pfns::NONE, 0);
}

#[test]
fn the_states_of_a_migration_region_are_those_of_the_table() {
    use migration_state::{ERROR, MASK, PRE_COPY, RESUMING, RUNNING, STOP_AND_COPY, STOPPED};
    assert_eq!([STOPPED, RUNNING, STOP_AND_COPY, PRE_COPY, RESUMING, ERROR, MASK], [0, 1, 2, 3, 4, 6, 7]);
    let state = MigrationInfo::LAYOUT.field("device_state").unwrap();
    assert_eq!(state.named(["running", "saving"]), Ok(u64::from(PRE_COPY)));
    assert_eq!(state.named(["resuming", "saving"]), Ok(u64::from(ERROR)));
}
