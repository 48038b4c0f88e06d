//! The golden messages of version 8, and those of 0.9.1 while it still had tables.

use pretty_assertions::assert_eq;
use vfio_user_wire::legacy::{Bitmap, BitmapRange, RangeLayout};
use vfio_user_wire::message::DeviceInfo;
use vfio_user_wire::tables::{
    BitmapRanges, Bitmaps, CutOff, DEVICE_GET_INFO, DIRTY_PAGES_V8, DIRTY_PAGES_V8C, DMA_MAP_V8, DMA_MAP_V8C, DMA_READ,
    DMA_UNMAP_V8, DMA_UNMAP_V8C, DMA_WRITE, DirtyPages, DirtyPagesGetV8, DirtyPagesGetV8c, DmaAccess, DmaMap, DmaUnmap,
    DmaUnmapEntries, DmaUnmapGetV8, DmaUnmapGetV8c, Interrupt, Table, Unmapping, VM_INTERRUPT, WideBitmap,
    WideBitmapRange, dma_map_entries,
};
use vfio_user_wire::{
    Body, Frame, Message, Tail, V8, V8C, device_info_flags, dirty_pages, dirty_pages_flags, dma_unmap_flags,
};

use crate::file::{Golden, command_in, joined};

/// Pages 0 and 3.
const FEW: [u8; 8] = [9, 0, 0, 0, 0, 0, 0, 0];
/// Pages 0, 9, 63, 64 and 69 of 70.
const MANY: [u8; 16] = [1, 2, 0, 0, 0, 0, 0, 0x80, 0x21, 0, 0, 0, 0, 0, 0, 0];

const FIRST: DmaUnmap =
    DmaUnmap { address: 0x1122_3344_5566_7000, size: 0x4000, offset: 0x2000, protections: 3, flags: 0 };
const SECOND: DmaUnmap = DmaUnmap { address: 0x10_0000, size: 70 * 0x1000, offset: 0, protections: 2, flags: 0 };
const BITMAPS: [Bitmap; 2] = [Bitmap { pgsize: 0x1000, size: 8 }, Bitmap { pgsize: 0x1000, size: 16 }];

/// The region, asking for a bitmap.
fn asking(region: DmaUnmap) -> DmaUnmap {
    DmaUnmap { flags: dma_unmap_flags::GET_DIRTY_BITMAP, ..region }
}

/// The region as 0.9.1 has it.
fn bare(region: DmaUnmap) -> DmaUnmap {
    DmaUnmap { offset: 0, protections: 0, ..region }
}

/// The bitmap structure as version 8 has it.
fn wide(bitmap: Bitmap) -> WideBitmap {
    WideBitmap { pgsize: bitmap.pgsize, size: bitmap.size, data: 0 }
}

fn dirty(payload: &[u8], table: Table) -> Vec<(Bitmap, Vec<u64>)> {
    Bitmaps::new(payload, table)
        .map(|read| read.map(|(bitmap, bits)| (bitmap, dirty_pages(bits).collect())).unwrap())
        .collect()
}

/// Both bitmaps and their pages.
fn both() -> Vec<(Bitmap, Vec<u64>)> {
    vec![(BITMAPS[0], vec![0, 3]), (BITMAPS[1], vec![0, 9, 63, 64, 69])]
}

fn no_reply_payload(golden: &Golden, request: &Frame, message: &Message) {
    golden.is(&Frame::reply(&request.header, vec![]), &message.reply_of(&request.payload), &[]);
}

#[test]
fn dma_map_of_two_regions() {
    let regions = [
        DmaMap { address: 0x1122_3344_5566_7000, size: 0x4000, offset: 0x2000, protections: 3, flags: 1 },
        DmaMap { address: 0x10_0000, size: 0x1000, offset: 0, protections: 1, flags: 0 },
    ];
    let payload = joined(&[regions[0].bytes(), regions[1].bytes()]);
    let eight = [Golden::load("v8-dma-map.request.hex"), Golden::load("v8-dma-map.reply.hex")];
    let later = [Golden::load("v8c-dma-map.request.hex"), Golden::load("v8c-dma-map.reply.hex")];
    for (dialect, id, message, [asked, answered]) in
        [(V8, [8, 1], DMA_MAP_V8, eight), (V8C, [9, 1], DMA_MAP_V8C, later)]
    {
        let request = command_in(&dialect, id, &message, &payload);
        asked.is(&request, &message.request_of(&payload), regions[1].bytes());
        asked.has_the_fields_of(&DmaMap::LAYOUT, 48, "entry1.");
        no_reply_payload(&answered, &request, &message);
    }
    assert_eq!(dma_map_entries(&payload), (&regions[..], &[][..]));
    assert_eq!(dma_map_entries(&payload[..63]), (&regions[..1], &payload[32..63]));
    assert_eq!(dma_map_entries(&[]), (&[][..], &[][..]));
}

#[test]
fn dma_unmap_of_version_8() {
    let request = command_in(&V8, [8, 2], &DMA_UNMAP_V8, FIRST.bytes());
    Golden::load("v8-dma-unmap.request.hex").is(&request, &DMA_UNMAP_V8.request_of(&request.payload), &[]);
    no_reply_payload(&Golden::load("v8-dma-unmap.reply.hex"), &request, &DMA_UNMAP_V8);

    let first = DmaUnmapGetV8 {
        address: FIRST.address,
        size: FIRST.size,
        offset: FIRST.offset,
        protections: FIRST.protections,
        flags: dma_unmap_flags::GET_DIRTY_BITMAP,
        bitmap_pgsize: 0x1000,
        bitmap_size: 8,
        bitmap_data: 0,
    };
    let second = joined(&[asking(SECOND).bytes(), wide(BITMAPS[1]).bytes()]);
    let request = command_in(&V8, [8, 3], &DMA_UNMAP_V8, &joined(&[first.bytes(), &second]));
    let golden = Golden::load("v8-dma-unmap-bitmap.request.hex");
    golden.is(&request, &DMA_UNMAP_V8.request_of(&request.payload), &second);
    golden.has_the_fields_of(&DmaUnmap::LAYOUT, 72, "entry1.");
    golden.has_the_fields_of(&WideBitmap::LAYOUT, 104, "bitmap1.");
    let regions: Vec<_> = DmaUnmapEntries::new(&request.payload, Table::V8).collect();
    let expected = [(FIRST, BITMAPS[0]), (SECOND, BITMAPS[1])]
        .map(|(region, bitmap)| Ok(Unmapping { region: asking(region), bitmap: Some(bitmap) }));
    assert_eq!(regions, expected);

    let behind = joined(&[&FEW, wide(BITMAPS[1]).bytes(), &MANY]);
    let reply = Frame::reply(&request.header, joined(&[wide(BITMAPS[0]).bytes(), &behind]));
    let golden = Golden::load("v8-dma-unmap-bitmap.reply.hex");
    golden.is(&reply, &DMA_UNMAP_V8.reply_of(&request.payload), &behind);
    golden.has_the_fields_of(&WideBitmap::LAYOUT, 48, "bitmap1.");
    assert_eq!(dirty(&reply.payload, Table::V8), both());
}

#[test]
fn dma_unmap_of_regions_with_and_without_a_bitmap() {
    let (plain, asked) = (bare(FIRST), bare(asking(SECOND)));
    let entry = joined(&[asked.bytes(), BITMAPS[1].bytes()]);
    let request = command_in(&V8C, [9, 2], &DMA_UNMAP_V8C, &joined(&[plain.bytes(), &entry]));
    let golden = Golden::load("v8c-dma-unmap.request.hex");
    golden.is(&request, &DMA_UNMAP_V8C.request_of(&request.payload), &entry);
    golden.has_the_fields_of(&DmaUnmap::LAYOUT, 48, "entry1.");
    golden.has_the_fields_of(&Bitmap::LAYOUT, 80, "bitmap1.");
    let expected =
        [Unmapping { region: plain, bitmap: None }, Unmapping { region: asked, bitmap: Some(BITMAPS[1]) }].map(Ok);
    assert_eq!(DmaUnmapEntries::new(&request.payload, Table::V8c).collect::<Vec<_>>(), expected);
    // The first region asks for nothing, and the reply has a bitmap all the same.
    let reply = Frame::reply(&request.header, joined(&[BITMAPS[1].bytes(), &MANY]));
    let golden = Golden::load("v8c-dma-unmap.reply.hex");
    golden.is(&reply, &DMA_UNMAP_V8C.reply_of(&request.payload), &reply.payload);
    golden.has_the_fields_of(&Bitmap::LAYOUT, 16, "");
    assert_eq!(dirty(&reply.payload, Table::V8c), both()[1..]);

    let (asked, plain) = (bare(asking(FIRST)), bare(SECOND));
    let first = DmaUnmapGetV8c {
        address: asked.address,
        size: asked.size,
        flags: asked.flags,
        bitmap_pgsize: 0x1000,
        bitmap_size: 8,
        ..Default::default()
    };
    let request = command_in(&V8C, [9, 3], &DMA_UNMAP_V8C, &joined(&[first.bytes(), plain.bytes()]));
    let golden = Golden::load("v8c-dma-unmap-bitmap.request.hex");
    golden.is(&request, &DMA_UNMAP_V8C.request_of(&request.payload), plain.bytes());
    golden.has_the_fields_of(&DmaUnmap::LAYOUT, 64, "entry1.");
    let expected =
        [Unmapping { region: asked, bitmap: Some(BITMAPS[0]) }, Unmapping { region: plain, bitmap: None }].map(Ok);
    assert_eq!(DmaUnmapEntries::new(&request.payload, Table::V8c).collect::<Vec<_>>(), expected);
    let reply = Frame::reply(&request.header, joined(&[BITMAPS[0].bytes(), &FEW]));
    let golden = Golden::load("v8c-dma-unmap-bitmap.reply.hex");
    golden.is(&reply, &DMA_UNMAP_V8C.reply_of(&request.payload), &FEW);
    assert_eq!(dirty(&reply.payload, Table::V8c), both()[..1]);
}

#[test]
fn device_get_info_is_asked_with_a_header() {
    let request = command_in(&V8, [8, 4], &DEVICE_GET_INFO, &[]);
    Golden::load("v8-device-get-info.request.hex").is(&request, &DEVICE_GET_INFO.request, &[]);
    let flags = device_info_flags::RESET | device_info_flags::PCI;
    let info = DeviceInfo { argsz: 16, flags, num_regions: 9, num_irqs: 5 };
    let reply = Frame::reply(&request.header, info.bytes().to_vec());
    Golden::load("v8-device-get-info.reply.hex").is(&reply, &DEVICE_GET_INFO.reply, &[]);
}

#[test]
fn dma_read_and_dma_write_with_a_count_of_4_bytes() {
    let access = DmaAccess { address: 0x1122_3344_5566_7788, count: 3 };
    let request = command_in(&V8, [8, 5], &DMA_READ, access.bytes());
    Golden::load("v8-dma-read.request.hex").is(&request, &DMA_READ.request, &[]);
    let data = [0xc1, 0xc2, 0xc3];
    let reply = Frame::reply(&request.header, joined(&[access.bytes(), &data]));
    Golden::load("v8-dma-read.reply.hex").is(&reply, &DMA_READ.reply, &data);
    assert_eq!(DmaAccess::parse(&reply.payload), Some((access, &data[..])));

    let access = DmaAccess { count: 6, ..access };
    let data = [0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6];
    let request = command_in(&V8, [8, 6], &DMA_WRITE, &joined(&[access.bytes(), &data]));
    Golden::load("v8-dma-write.request.hex").is(&request, &DMA_WRITE.request, &data);
    let written = DmaAccess { count: 0, ..access };
    let reply = Frame::reply(&request.header, written.bytes().to_vec());
    Golden::load("v8-dma-write.reply.hex").is(&reply, &DMA_WRITE.reply, &[]);
}

#[test]
fn vm_interrupt() {
    let interrupt = Interrupt { sub_index: 3 };
    let request = command_in(&V8, [8, 7], &VM_INTERRUPT, interrupt.bytes());
    Golden::load("v8-vm-interrupt.request.hex").is(&request, &VM_INTERRUPT.request, &[]);
    assert_eq!(Interrupt::parse(&request.payload), Some((interrupt, &[][..])));
    no_reply_payload(&Golden::load("v8-vm-interrupt.reply.hex"), &request, &VM_INTERRUPT);
}

const RANGES: [BitmapRange; 2] = [
    BitmapRange { iova: FIRST.address, size: FIRST.size, bitmap_pgsize: 0x1000, bitmap_size: 8 },
    BitmapRange { iova: SECOND.address, size: SECOND.size, bitmap_pgsize: 0x1000, bitmap_size: 16 },
];

#[test]
fn dirty_pages_of_version_8() {
    let start = DirtyPages { argsz: 12, flags: dirty_pages_flags::START, data: 0 };
    let request = command_in(&V8, [8, 8], &DIRTY_PAGES_V8, start.bytes());
    Golden::load("v8-dirty-pages.request.hex").is(&request, &DIRTY_PAGES_V8.request_of(&request.payload), &[]);
    no_reply_payload(&Golden::load("v8-dirty-pages.reply.hex"), &request, &DIRTY_PAGES_V8);

    let get = DirtyPagesGetV8 {
        argsz: 12 + 2 * 40,
        flags: dirty_pages_flags::GET_BITMAP,
        iova: RANGES[0].iova,
        size: RANGES[0].size,
        bitmap_pgsize: 0x1000,
        bitmap_size: 8,
        ..Default::default()
    };
    let BitmapRange { iova, size, bitmap_pgsize, bitmap_size } = RANGES[1];
    let second = WideBitmapRange { iova, size, bitmap_pgsize, bitmap_size, bitmap_data: 0 };
    let request = command_in(&V8, [8, 9], &DIRTY_PAGES_V8, &joined(&[get.bytes(), second.bytes()]));
    let golden = Golden::load("v8-dirty-pages-get.request.hex");
    golden.is(&request, &DIRTY_PAGES_V8.request_of(&request.payload), second.bytes());
    golden.has_the_fields_of(&WideBitmapRange::LAYOUT, 68, "range1.");
    let (_, tail) = DirtyPages::parse(&request.payload).unwrap();
    assert_eq!(BitmapRanges::new(tail, RangeLayout::Wide).collect::<Vec<_>>(), RANGES.map(Ok));

    let behind = joined(&[&FEW, wide(BITMAPS[1]).bytes(), &MANY]);
    let reply = Frame::reply(&request.header, joined(&[wide(BITMAPS[0]).bytes(), &behind]));
    let golden = Golden::load("v8-dirty-pages-get.reply.hex");
    golden.is(&reply, &DIRTY_PAGES_V8.reply_of(&request.payload), &behind);
    assert_eq!(dirty(&reply.payload, Table::V8), both());
}

#[test]
fn dirty_pages_of_0_9_1_with_a_head_of_12_bytes() {
    let stop = DirtyPages { argsz: 12, flags: dirty_pages_flags::STOP, data: 0 };
    let request = command_in(&V8C, [9, 4], &DIRTY_PAGES_V8C, stop.bytes());
    Golden::load("v8c-dirty-pages.request.hex").is(&request, &DIRTY_PAGES_V8C.request_of(&request.payload), &[]);
    no_reply_payload(&Golden::load("v8c-dirty-pages.reply.hex"), &request, &DIRTY_PAGES_V8C);

    let get = DirtyPagesGetV8c {
        argsz: 12 + 2 * 32,
        flags: dirty_pages_flags::GET_BITMAP,
        data: 0,
        iova: RANGES[0].iova,
        size: RANGES[0].size,
        bitmap_pgsize: 0x1000,
        bitmap_size: 8,
    };
    let request = command_in(&V8C, [9, 5], &DIRTY_PAGES_V8C, &joined(&[get.bytes(), RANGES[1].bytes()]));
    let golden = Golden::load("v8c-dirty-pages-get.request.hex");
    golden.is(&request, &DIRTY_PAGES_V8C.request_of(&request.payload), RANGES[1].bytes());
    golden.has_the_fields_of(&BitmapRange::LAYOUT, 60, "range1.");
    let (_, tail) = DirtyPages::parse(&request.payload).unwrap();
    assert_eq!(BitmapRanges::new(tail, RangeLayout::Narrow).collect::<Vec<_>>(), RANGES.map(Ok));

    let behind = joined(&[&FEW, BITMAPS[1].bytes(), &MANY]);
    let reply = Frame::reply(&request.header, joined(&[BITMAPS[0].bytes(), &behind]));
    let golden = Golden::load("v8c-dirty-pages-get.reply.hex");
    golden.is(&reply, &DIRTY_PAGES_V8C.reply_of(&request.payload), &behind);
    golden.has_the_fields_of(&Bitmap::LAYOUT, 40, "bitmap1.");
    assert_eq!(dirty(&reply.payload, Table::V8c), both());

    let get = DirtyPagesGetV8c { argsz: 12 + 40, ..get };
    let request = command_in(&V8C, [9, 6], &DIRTY_PAGES_V8C, &joined(&[get.bytes(), &[0; 8]]));
    let golden = Golden::load("v8c-dirty-pages-get-wide.request.hex");
    golden.is(&request, &DIRTY_PAGES_V8C.request_of(&request.payload), &[0; 8]);
    let (_, tail) = DirtyPages::parse(&request.payload).unwrap();
    assert_eq!(BitmapRanges::new(tail, RangeLayout::Wide).collect::<Vec<_>>(), [Ok(RANGES[0])]);
}

#[test]
fn what_a_table_is_follows_from_the_flags_of_its_first_entry() {
    let bodies = |message: &Message, payload: &[u8]| (message.request_of(payload), message.reply_of(payload));
    for (message, structure, entry) in [
        (DMA_UNMAP_V8, WideBitmap::LAYOUT, DmaUnmapGetV8::LAYOUT),
        (DMA_UNMAP_V8C, Bitmap::LAYOUT, DmaUnmapGetV8c::LAYOUT),
    ] {
        for flags in [0, 1, 2, 3] {
            let (request, reply) = bodies(&message, DmaUnmap { flags, ..FIRST }.bytes());
            if flags & 1 == 0 {
                assert_eq!((request, reply), (message.request, Body::EMPTY), "{flags}");
            } else {
                assert_eq!((request.fixed, request.tail), (Some(&entry), Tail::Entries), "{flags}");
                assert_eq!((reply.fixed, reply.tail), (Some(&structure), Tail::Bitmaps), "{flags}");
            }
        }
    }
    for (message, structure) in [(DIRTY_PAGES_V8, WideBitmap::LAYOUT), (DIRTY_PAGES_V8C, Bitmap::LAYOUT)] {
        for flags in 0..9 {
            let (request, reply) = bodies(&message, DirtyPages { argsz: 12, flags, data: 0 }.bytes());
            if flags == 4 {
                assert_eq!((reply.fixed, reply.tail), (Some(&structure), Tail::Bitmaps), "{flags}");
            } else {
                assert_eq!((request, reply), (Body::fixed(&DirtyPages::LAYOUT), Body::EMPTY), "{flags}");
            }
        }
    }
}

#[test]
fn what_is_cut_off_is_told_and_ends_the_table() {
    fn cut<T>(offset: usize, needed: u64, left: usize) -> Result<T, CutOff> {
        Err(CutOff { offset, needed, left })
    }
    let unmapping = |payload: &[u8], table| DmaUnmapEntries::new(payload, table).collect::<Vec<_>>();
    let whole = Ok(Unmapping { region: FIRST, bitmap: None });
    assert_eq!(unmapping(&[], Table::V8), []);
    assert_eq!(unmapping(&FIRST.bytes()[..31], Table::V8), [cut(0, 32, 31)]);
    assert_eq!(unmapping(&joined(&[FIRST.bytes(), &[0; 5]]), Table::V8), [whole, cut(32, 32, 5)]);
    let asked = joined(&[FIRST.bytes(), asking(FIRST).bytes(), &[0; 16]]);
    assert_eq!(unmapping(&asked, Table::V8), [whole, cut(64, 24, 16)]);
    assert_eq!(unmapping(&asked, Table::V8c)[1].unwrap().bitmap, Some(Bitmap::default()));
    assert_eq!(unmapping(&asked[..64], Table::V8c)[1], cut(64, 16, 0));

    let bitmaps = |size: u64, bits: &[u8]| {
        let payload = joined(&[Bitmap { pgsize: 1, size }.bytes(), bits]);
        Bitmaps::new(&payload, Table::V8c).map(|read| read.map(|(_, bits)| bits.len())).collect::<Vec<_>>()
    };
    assert_eq!(bitmaps(0, &[]), [Ok(0)]);
    assert_eq!(bitmaps(8, &[0; 8]), [Ok(8)]);
    assert_eq!(bitmaps(8, &[0; 7]), [cut(16, 8, 7)]);
    assert_eq!(bitmaps(u64::MAX, &[0; 64]), [cut(16, u64::MAX, 64)]);
    assert_eq!(bitmaps(8, &[0; 9]), [Ok(8), cut(24, 16, 1)]);

    let ranges = |bytes: usize, layout| BitmapRanges::new(&vec![0; bytes], layout).collect::<Vec<_>>();
    let none = Ok(BitmapRange::default());
    assert_eq!(ranges(40, RangeLayout::Wide), [none]);
    assert_eq!(ranges(40, RangeLayout::Narrow), [none, cut(32, 32, 8)]);
    assert_eq!(ranges(39, RangeLayout::Wide), [cut(0, 40, 39)]);
}
