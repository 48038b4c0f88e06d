//! The tables of version 8: where an entry stands depends on those before it, and a bitmap may say any size of itself.

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use vfio_user_wire::legacy::{Bitmap, BitmapRange, RangeLayout};
use vfio_user_wire::tables::{
    BitmapRanges, Bitmaps, CutOff, DirtyPages, DirtyPagesGetV8, DirtyPagesGetV8c, DmaAccess, DmaMap, DmaUnmap,
    DmaUnmapEntries, DmaUnmapGetV8, DmaUnmapGetV8c, Interrupt, Table, WideBitmap, WideBitmapRange, dma_map_entries,
};
use vfio_user_wire::zerocopy::FromBytes;

use crate::entries::wide;
use crate::memory::measured;
use crate::sound;

pub(crate) fn structs_are_sound(bytes: &[u8]) {
    sound!(bytes: DirtyPages, DirtyPagesGetV8, DirtyPagesGetV8c, DmaAccess, DmaMap, DmaUnmap, DmaUnmapGetV8);
    sound!(bytes: DmaUnmapGetV8c, Interrupt, WideBitmap, WideBitmapRange);
}

/// Where the entry behind one that takes `size` bytes at `offset` starts, if it is there as a whole; `Err` with what the
/// walk must say where it is not.
fn behind(bytes: &[u8], offset: usize, size: u64) -> Result<usize, CutOff> {
    let left = bytes.len() - offset;
    if u128::from(size) > left as u128 {
        return Err(CutOff { offset, needed: size, left });
    }
    Ok(offset + size as usize)
}

/// Walks entries as `step` takes them from an offset; what must be found, and no more than the last is cut off.
fn is_walked<T: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    walk: impl Iterator<Item = Result<T, CutOff>> + Clone,
    step: impl Fn(usize) -> Result<(T, usize), CutOff>,
) {
    let (count, most) = measured(|| walk.clone().count());
    assert_eq!(most, 0);
    assert!(count <= bytes.len());
    let mut offset = 0;
    let mut cut_off = false;
    for entry in walk {
        assert!(!cut_off && offset < bytes.len());
        let expected = step(offset);
        cut_off = expected.is_err();
        offset = expected.as_ref().map_or(offset, |(_, next)| *next);
        assert_eq!(entry, expected.map(|(entry, _)| entry));
    }
    assert!(cut_off || offset == bytes.len());
}

fn at<T: FromBytes>(bytes: &[u8], offset: usize) -> T {
    T::read_from_prefix(&bytes[offset..]).unwrap().0
}

fn tables_are_sound(bytes: &[u8]) {
    let ((regions, rest), most) = measured(|| dma_map_entries(bytes));
    assert_eq!((most, regions.len(), rest.len()), (0, bytes.len() / 32, bytes.len() % 32));
    assert_eq!([&regions.iter().flat_map(DmaMap::bytes).copied().collect::<Vec<_>>()[..], rest].concat(), bytes);

    for (table, structure) in [(Table::V8, 24), (Table::V8c, 16)] {
        is_walked(
            bytes,
            DmaUnmapEntries::new(bytes, table).map(|read| read.map(|read| (read.region, read.bitmap))),
            |start| {
                let next = behind(bytes, start, 32)?;
                let region = at::<DmaUnmap>(bytes, start);
                if region.flags & 1 == 0 {
                    return Ok(((region, None), next));
                }
                let end = behind(bytes, next, structure)?;
                Ok(((region, Some(at::<Bitmap>(bytes, next))), end))
            },
        );
        is_walked(bytes, Bitmaps::new(bytes, table), |start| {
            let bits = behind(bytes, start, structure)?;
            let bitmap = at::<Bitmap>(bytes, start);
            let end = behind(bytes, bits, bitmap.size)?;
            Ok(((bitmap, &bytes[bits..end]), end))
        });
    }
    for layout in [RangeLayout::Narrow, RangeLayout::Wide] {
        is_walked(bytes, BitmapRanges::new(bytes, layout), |start| {
            let end = behind(bytes, start, layout.size() as u64)?;
            Ok((at::<BitmapRange>(bytes, start), end))
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_table_is_walked_soundly(
        bytes in proptest::collection::vec(prop_oneof![4 => Just(0u8), 1 => 0..40u8, 1 => any::<u8>()], 0..400),
    ) {
        tables_are_sound(&bytes);
    }

    #[test]
    fn a_table_of_entries_is_walked_soundly(
        asks in proptest::collection::vec(any::<bool>(), 0..8), sizes in proptest::collection::vec(0..20u64, 0..8),
        lie in wide(), which in 0..8usize, structure in prop_oneof![Just(16usize), Just(24)], missing in 0..40usize,
    ) {
        let regions: Vec<u8> = asks.iter().flat_map(|asks| {
            let region = DmaUnmap { flags: u32::from(*asks), ..Default::default() };
            [region.bytes(), &vec![0; if *asks { structure } else { 0 }]].concat()
        }).collect();
        tables_are_sound(&regions);
        tables_are_sound(&regions[..regions.len().saturating_sub(missing)]);

        let bitmaps: Vec<u8> = sizes.iter().enumerate().flat_map(|(index, size)| {
            let said = if index == which { lie } else { *size };
            let bitmap = Bitmap { pgsize: 4096, size: said };
            [bitmap.bytes(), &vec![0xaa; structure - 16 + *size as usize]].concat()
        }).collect();
        tables_are_sound(&bitmaps);
        tables_are_sound(&bitmaps[..bitmaps.len().saturating_sub(missing)]);
    }
}
