//! DIRTY_PAGES with a table (1526-1617).

use pretty_assertions::assert_eq;
use vfio_user_reference_server::Errno;
use vfio_user_wire::dirty_pages;
use vfio_user_wire::dirty_pages_flags::{GET_BITMAP, START, STOP};
use vfio_user_wire::tables::{Bitmaps, DirtyPages, Table, WideBitmapRange};

use super::{A, PAGE, entry, map, migrating, with};
use crate::client::Client;

pub(super) fn head(flags: u32) -> Vec<u8> {
    DirtyPages { argsz: 12, flags, data: 0 }.bytes().to_vec()
}

fn range(iova: u64, size: u64) -> WideBitmapRange {
    let bitmap_size = vfio_user_wire::bitmap_size(size, PAGE).unwrap();
    WideBitmapRange { iova, size, bitmap_pgsize: PAGE, bitmap_size, bitmap_data: 0 }
}

fn get(ranges: &[WideBitmapRange]) -> Vec<u8> {
    let ranges: Vec<u8> = ranges.iter().flat_map(|range| range.bytes().to_vec()).collect();
    let argsz = 12 + ranges.len() as u32;
    [DirtyPages { argsz, flags: GET_BITMAP, data: 0 }.bytes(), &ranges].concat()
}

/// The dirty pages of each range.
fn dirty(client: &mut Client, ranges: &[WideBitmapRange]) -> Vec<Vec<u64>> {
    let reply = client.ok("DIRTY_PAGES", &get(ranges));
    let bitmaps: Vec<_> = Bitmaps::new(&reply, Table::V8).map(Result::unwrap).collect();
    assert_eq!(bitmaps.len(), ranges.len());
    bitmaps.iter().map(|(_, bits)| dirty_pages(bits).collect()).collect()
}

fn logging() -> Client {
    let mut client = migrating();
    map(&mut client, &[entry(A, 100 * PAGE, true)]);
    assert!(client.ok("DIRTY_PAGES", &head(START)).is_empty());
    client
}

#[test]
fn each_range_has_its_bitmap() {
    let mut client = logging();
    client.dma(1, A + PAGE, 1);
    client.dma(1, A + 99 * PAGE, 1);
    let ranges = [range(A, 64 * PAGE), range(A + 64 * PAGE, 36 * PAGE)];
    assert_eq!(dirty(&mut client, &ranges), [vec![1], vec![35]]);
    assert_eq!(dirty(&mut client, &ranges), [vec![0u64; 0], vec![]]);
    client.dma(1, A, 1);
    assert_eq!(
        client.ok("DIRTY_PAGES", &get(&[range(A, PAGE)])),
        [[0, 16, 0, 0].as_slice(), &[0; 4], &[8], &[0; 15], &[1], &[0; 7]].concat()
    );
    assert!(client.ok("DIRTY_PAGES", &head(STOP)).is_empty());
    assert_eq!(client.refused("DIRTY_PAGES", &get(&ranges)), Errno::EINVAL as i32);
}

#[test]
fn what_cannot_be_told_as_a_whole_is_not_told_at_all() {
    let mut client = logging();
    client.dma(1, A, 1);
    let good = range(A, PAGE);
    for wrong in [
        WideBitmapRange { bitmap_size: 16, ..good },
        WideBitmapRange { bitmap_pgsize: 0, ..good },
        WideBitmapRange { size: 0, bitmap_size: 0, ..good },
        WideBitmapRange { iova: 0u64.wrapping_sub(PAGE), size: 2 * PAGE, ..good },
    ] {
        assert_eq!(client.refused("DIRTY_PAGES", &get(&[good, wrong])), Errno::EINVAL as i32, "{wrong:?}");
    }
    for length in [4, 8, 11, 12, 13, 51, 53] {
        let two = get(&[good, good]);
        assert_eq!(client.refused("DIRTY_PAGES", &two[..length]), Errno::EINVAL as i32, "{length}");
    }
    for flags in [0, 3, 5, 6, 7, 8] {
        assert_eq!(client.refused("DIRTY_PAGES", &head(flags)), Errno::EINVAL as i32, "{flags}");
    }
    assert_eq!(dirty(&mut client, &[good]), [vec![0]]);
}

#[test]
fn a_reply_that_is_too_long_for_the_client_tells_nothing() {
    let mut client = with(r#"{"migration":{"pgsize":4096}}"#);
    map(&mut client, &[entry(0, 256 << 20, true)]);
    client.ok("DIRTY_PAGES", &head(START));
    client.dma(1, PAGE, 1);
    assert_eq!(client.refused("DIRTY_PAGES", &get(&[range(0, 256 << 20)])), Errno::E2BIG as i32);
    assert_eq!(dirty(&mut client, &[range(0, 64 << 20)])[0], [1]);
    // Nor is one made that is longer than any message, whatever the client says that it takes.
    let mut client = with(r#"{"max_msg_size":18446744073709551615,"migration":{"pgsize":4096}}"#);
    client.ok("DIRTY_PAGES", &head(START));
    assert_eq!(client.refused("DIRTY_PAGES", &get(&[range(0, 64 << 30); 20_000])), Errno::E2BIG as i32);
}

#[test]
fn without_migration_there_is_no_log() {
    assert_eq!(with("{}").refused("DIRTY_PAGES", &head(START)), Errno::ENOTSUP as i32);
}
