//! What follows a fixed part as entries or as a bitmap: a count may say anything, the bytes that came are the limit,
//! and nothing is allocated.

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use vfio_user_wire::feature::{DmaLoggingRange, DmaLoggingReport, DmaLoggingStart, dirty_pages};
use vfio_user_wire::message::{MultiWrite, RegionIoFds, SingleWrite};
use vfio_user_wire::{IoEventFd, IoRegionFd, StrideError, SubRegion, SubRegions, io_fd_type};

use crate::edgy;
use crate::memory::measured;

pub(crate) fn wide() -> impl Strategy<Value = u64> {
    prop_oneof![
        edgy().prop_map(u64::from),
        any::<u64>(),
        Just(u64::MAX),
        (0..64u32).prop_map(|shift| 1 << shift),
        // Counts that become small where they are multiplied by 24 or 16 in 64 bits.
        (0..4u64).prop_map(|more| u64::MAX / 24 + 1 + more),
        (0..4u64).prop_map(|more| (1 << 60) + more),
    ]
}

/// As many whole entries as the count says and as are there, from the first byte on, and the rest behind them.
fn are_the_first_of(bytes: &[u8], size: usize, count: u64, found: &[&[u8]], rest: &[u8]) {
    let expected = (bytes.len() / size).min(usize::try_from(count).unwrap_or(usize::MAX));
    assert_eq!(found.len(), expected);
    assert_eq!(found.concat(), bytes[..expected * size]);
    assert_eq!(rest, &bytes[expected * size..]);
}

fn writes_are_sound(wr_cnt: u64, tail: &[u8]) {
    let ((writes, rest), most) = measured(|| MultiWrite { wr_cnt }.writes(tail));
    assert_eq!(most, 0);
    are_the_first_of(tail, 24, wr_cnt, &writes.iter().map(SingleWrite::bytes).collect::<Vec<_>>(), rest);
    for write in writes {
        let (count, offset, region) = (write.count as usize, write.offset, write.region);
        let written = write.written();
        assert_eq!(written.is_some(), count <= 8);
        if let Some(written) = written {
            assert_eq!(written, &write.bytes()[16..16 + count]);
            let again = SingleWrite::of(offset, region, written).unwrap();
            assert_eq!(again.bytes()[..16 + count], write.bytes()[..16 + count]);
        }
    }
}

fn ranges_are_sound(num_ranges: u32, tail: &[u8]) {
    let ((ranges, rest), most) = measured(|| DmaLoggingStart { num_ranges, ..Default::default() }.ranges(tail));
    assert_eq!(most, 0);
    let found = ranges.iter().map(DmaLoggingRange::bytes).collect::<Vec<_>>();
    are_the_first_of(tail, 16, u64::from(num_ranges), &found, rest);
}

fn stride_is_sound(info: &RegionIoFds) {
    let (argsz, count) = (info.argsz, info.count);
    match info.stride() {
        Ok(stride) => {
            assert!(stride >= SubRegion::SIZE);
            assert_eq!(16 + stride as u64 * u64::from(count), u64::from(argsz));
        }
        Err(StrideError::NoFixedPart(said)) => assert!(said == argsz && argsz < 16),
        Err(StrideError::Uneven { array, count: said }) => {
            assert_eq!((array + 16, said), (argsz, count));
            assert!(array.checked_rem(count).is_none_or(|rest| rest != 0));
        }
        Err(StrideError::Narrow(stride)) => {
            assert!((stride as usize) < SubRegion::SIZE);
            assert_eq!(16 + u64::from(stride) * u64::from(count), u64::from(argsz));
        }
    }
}

fn sub_regions_are_sound(tail: &[u8], stride: usize, count: u32) {
    let regions = SubRegions::new(tail, stride, count);
    let (walked, most) = measured(|| regions.clone().count());
    assert_eq!(most, 0);
    let stride = stride.max(SubRegion::SIZE);
    assert_eq!(walked, (tail.len() / stride).min(count as usize));
    assert_eq!(regions.len(), walked);
    for (region, entry) in regions.zip(tail.chunks(stride)) {
        let kind = IoEventFd::LAYOUT.field("kind").unwrap().read(entry).unwrap() as u32;
        match region {
            SubRegion::IoEventFd(event) => {
                assert_eq!((kind, event.bytes()), (io_fd_type::IOEVENTFD, &entry[..IoEventFd::LAYOUT.size]));
            }
            SubRegion::IoRegionFd(region) => {
                assert_eq!((kind, region.bytes()), (io_fd_type::IOREGIONFD, &entry[..IoRegionFd::LAYOUT.size]));
            }
            SubRegion::Unknown { kind: said, bytes } => {
                assert!(kind > io_fd_type::IOREGIONFD);
                assert_eq!((said, bytes), (kind, entry));
            }
        }
    }
}

fn bitmap_is_sound(bitmap: &[u8]) {
    let (count, most) = measured(|| dirty_pages(bitmap).count());
    assert_eq!(most, 0);
    let whole = &bitmap[..bitmap.len() / 8 * 8];
    assert_eq!(count as u32, whole.iter().map(|byte| byte.count_ones()).sum::<u32>());
    let mut last = None;
    for page in dirty_pages(bitmap) {
        assert!(last.is_none_or(|last| last < page));
        let word: [u8; 8] = whole[page as usize / 64 * 8..][..8].try_into().unwrap();
        assert_ne!(u64::from_ne_bytes(word) & (1 << (page % 64)), 0);
        last = Some(page);
    }
}

fn size_of_a_report_is_sound(report: &DmaLoggingReport) {
    let (length, page_size) = (u128::from(report.length), u128::from(report.page_size));
    let Some(pages) = report.pages() else {
        assert_eq!((page_size, report.bitmap_size()), (0, None));
        return;
    };
    let pages = u128::from(pages);
    assert!(pages * page_size >= length && (pages == 0 || (pages - 1) * page_size < length));
    let size = u128::from(report.bitmap_size().unwrap());
    assert!(size % 8 == 0 && size * 8 >= pages && (size == 0 || (size - 8) * 8 < pages));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_count_of_entries_is_taken_soundly(
        tail in proptest::collection::vec(prop_oneof![0..12u8, any::<u8>()], 0..300), wr_cnt in wide(), count in edgy(),
    ) {
        writes_are_sound(wr_cnt, &tail);
        ranges_are_sound(count, &tail);
        bitmap_is_sound(&tail);
    }

    #[test]
    fn any_sub_regions_are_walked_soundly(
        tail in proptest::collection::vec(prop_oneof![3 => Just(0u8), 1 => 0..4u8, 1 => any::<u8>()], 0..300),
        stride in prop_oneof![Just(40usize), Just(48), 0..100usize, any::<usize>()],
        count in edgy(),
    ) {
        sub_regions_are_sound(&tail, stride, count);
    }

    #[test]
    fn any_reply_has_a_stride_or_not(argsz in edgy(), count in edgy(), each in 0..100u32, few in 0..20u32) {
        stride_is_sound(&RegionIoFds { argsz, count, ..Default::default() });
        stride_is_sound(&RegionIoFds { argsz: 16 + each * few, count: few, ..Default::default() });
    }

    #[test]
    fn any_report_has_a_size_or_not(iova in wide(), length in wide(), page_size in wide()) {
        size_of_a_report_is_sound(&DmaLoggingReport { iova, length, page_size });
    }
}

#[test]
fn each_lie_about_the_array_has_its_error() {
    let stride = |argsz, count| RegionIoFds { argsz, count, ..Default::default() }.stride();
    assert_eq!(stride(16, 0), Ok(40));
    assert_eq!(stride(16 + 80, 2), Ok(40));
    assert_eq!(stride(16 + 96, 2), Ok(48));
    assert_eq!(stride(15, 0), Err(StrideError::NoFixedPart(15)));
    assert_eq!(stride(17, 0), Err(StrideError::Uneven { array: 1, count: 0 }));
    assert_eq!(stride(16 + 81, 2), Err(StrideError::Uneven { array: 81, count: 2 }));
    assert_eq!(stride(16, 1), Err(StrideError::Narrow(0)));
    assert_eq!(stride(16 + 39, 1), Err(StrideError::Narrow(39)));
    assert_eq!(stride(16, u32::MAX), Err(StrideError::Narrow(0)));
    // What the formula of the specification, with its 32 bytes, would make of three entries of 40.
    assert_eq!(stride(32 + 120, 3), Err(StrideError::Uneven { array: 136, count: 3 }));
}

#[test]
fn a_write_has_8_bytes_at_the_most() {
    assert_eq!(SingleWrite::of(0, 0, &[0; 9]), None);
    assert_eq!(SingleWrite { count: 9, ..Default::default() }.written(), None);
    assert_eq!(SingleWrite { count: u32::MAX, ..Default::default() }.written(), None);
    assert_eq!(SingleWrite::of(0, 0, &[7; 8]).unwrap().written(), Some(&[7; 8][..]));
    assert_eq!(SingleWrite::of(0, 0, &[]).unwrap().written(), Some(&[][..]));
}
