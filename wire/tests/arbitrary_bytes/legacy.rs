//! The bitmaps of 0.9.1: whatever a reply says of its size, the bytes that came are the limit.

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use vfio_user_wire::legacy::{
    Bitmap, BitmapRange, DirtyPages, DirtyPagesGet, DmaMap, DmaUnmap, DmaUnmapGet, MigrationInfo, MigrationInfoPfn,
    RangeLayout, RangeLayoutError,
};

use crate::entries::wide;
use crate::memory::measured;
use crate::{edgy, sound};

pub(crate) fn structs_are_sound(bytes: &[u8]) {
    sound!(bytes: Bitmap, BitmapRange, DirtyPages, DirtyPagesGet, DmaMap, DmaUnmap, DmaUnmapGet, MigrationInfo);
    sound!(bytes: MigrationInfoPfn);
}

fn bits_are_sound(size: u64, tail: &[u8]) {
    let (bits, most) = measured(|| Bitmap { pgsize: 0x1000, size }.bits(tail));
    assert_eq!(most, 0);
    match bits {
        Some((bits, rest)) => assert_eq!((bits.len() as u64, [bits, rest].concat()), (size, tail.to_vec())),
        None => assert!(size > tail.len() as u64),
    }
}

fn reply_is_sound(argsz: u32, bitmap_size: u64, tail: &[u8]) {
    let get = DirtyPagesGet { argsz, bitmap_size, ..Default::default() };
    let (bits, most) = measured(|| get.bits(tail));
    assert_eq!(most, 0);
    let behind_the_bits = u128::from(argsz).checked_sub(u128::from(bitmap_size));
    match bits {
        Ok((layout, bits)) => {
            assert_eq!(behind_the_bits, Some(8 + layout.size() as u128));
            assert_eq!(bits.len() as u64, bitmap_size);
            assert_eq!(bits, &tail[layout.unused()..]);
        }
        Err(RangeLayoutError::Neither { argsz: said, bitmap_size: of }) => {
            assert_eq!((said, of), (argsz, bitmap_size));
            assert!(![Some(40), Some(48)].contains(&behind_the_bits));
        }
        Err(RangeLayoutError::Length { argsz: said, payload }) => {
            assert_eq!((said, payload), (argsz, 40 + tail.len()));
            assert!([Some(40), Some(48)].contains(&behind_the_bits));
            assert_ne!(u64::from(argsz), payload as u64);
        }
    }
    assert_eq!(RangeLayout::told_by(argsz, bitmap_size).is_ok(), [Some(40), Some(48)].contains(&behind_the_bits));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_size_of_a_bitmap_is_taken_soundly(
        tail in proptest::collection::vec(any::<u8>(), 0..100), size in prop_oneof![wide(), 0..100u64],
    ) {
        bits_are_sound(size, &tail);
    }

    #[test]
    fn any_reply_has_a_layout_or_not(
        tail in proptest::collection::vec(any::<u8>(), 0..100), argsz in edgy(), size in wide(),
        little in 0..100u64, more in prop_oneof![Just(40u64), Just(48), 0..60u64],
    ) {
        reply_is_sound(argsz, size, &tail);
        reply_is_sound((little + more) as u32, little, &tail);
        reply_is_sound((40 + tail.len()) as u32, tail.len() as u64, &tail);
        reply_is_sound((40 + tail.len()) as u32, (tail.len() as u64).saturating_sub(8), &tail);
    }
}
