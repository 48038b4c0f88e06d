//! Frames cut from a stream, and each as every dialect reads it.

use vfio_user_conformance::session::{Place, Transcript, Way};
use vfio_user_wire::feature::{DmaLoggingReport, DmaLoggingStart, MigDeviceState, Migration};
use vfio_user_wire::legacy::{DirtyPagesGet, DmaUnmapGet, MigrationInfo, MigrationInfoPfn};
use vfio_user_wire::message::{DeviceFeature, MultiWrite, RegionIoFds};
use vfio_user_wire::tables::{Bitmaps, DmaUnmapEntries, Table, dma_map_entries};
use vfio_user_wire::{
    Body, Dialect, Frame, HEADER_SIZE, SubRegions, V0_9_1, V0_9_2, V8, V8C, bitmap_size, dirty_pages,
};

/// What a connection takes by default.
const LIMIT: usize = 2 << 20;
const DIALECTS: [&Dialect; 4] = [&V0_9_2, &V0_9_1, &V8C, &V8];

/// Bytes of a stream: messages, until there is no telling where the next one starts.
pub fn wire(data: &[u8]) {
    let mut stream = data;
    let mut transcript = Transcript::default();
    while let Ok(Some((frame, size))) = Frame::split(stream, LIMIT) {
        assert_eq!(frame.bytes(), &stream[..size]);
        assert!(size >= HEADER_SIZE);
        for dialect in DIALECTS {
            message(dialect, &frame);
            transcript.message(dialect, &Place::main("a"), Way::Received, &frame.bytes(), 1);
        }
        stream = &stream[size..];
    }
    for entry in transcript.into_entries() {
        assert!(entry.fields.iter().all(|field| field.offset + field.length <= entry.length), "{entry:?}");
    }
}

fn message(dialect: &Dialect, frame: &Frame) {
    let payload = &frame.payload;
    if let Some(message) = dialect.message(frame.header.command) {
        decoded(message.request_of(payload), payload);
        decoded(message.reply_of(payload), payload);
    }
    DeviceFeature::parse(payload).into_iter().for_each(|(_, data)| {
        Migration::parse(data);
        MigDeviceState::parse(data);
        DmaLoggingStart::parse(data);
        if let Some((report, bits)) = DmaLoggingReport::parse(data) {
            bitmap_size(report.length, report.page_size);
            assert!(dirty_pages(bits).count() <= bits.len() * 8);
        }
    });
    MigrationInfo::parse(payload);
    MigrationInfoPfn::parse(payload);
    if let Some((info, tail)) = RegionIoFds::parse(payload)
        && let Ok(stride) = info.stride()
    {
        assert!(SubRegions::new(tail, stride, info.count).count() <= tail.len() / stride);
    }
    if let Some((multi, tail)) = MultiWrite::parse(payload) {
        let (writes, rest) = multi.writes(tail);
        writes.iter().for_each(|write| assert!(write.written().is_none_or(|data| data.len() <= 8)));
        assert!(rest.len() <= tail.len());
    }
    if let Some((get, tail)) = DirtyPagesGet::parse(payload)
        && let Ok((_, bits)) = get.bits(tail)
    {
        assert!(bits.len() <= tail.len());
    }
    DmaUnmapGet::parse(payload);
    dma_map_entries(payload);
    for table in [Table::V8, Table::V8c] {
        DmaUnmapEntries::new(payload, table).for_each(drop);
        Bitmaps::new(payload, table).for_each(drop);
    }
}

fn decoded(body: Body, payload: &[u8]) {
    let decoded = body.decode(payload);
    assert!(decoded.tail.len() <= payload.len());
    for field in decoded.fields {
        assert!(field.value <= field.field.max());
    }
}
