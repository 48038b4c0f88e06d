//! DMA_MAP and DMA_UNMAP with tables (502-698).

use pretty_assertions::assert_eq;
use vfio_user_reference_server::Errno;
use vfio_user_wire::tables::{DmaMap, WideBitmap};
use vfio_user_wire::{dirty_pages, dirty_pages_flags};

use super::dirty_pages::head;
use super::{A, PAGE, bitmap, entry, fds, map, migrating, table, unmapping, unmapping_with, with};
use crate::client::Client;

/// The addresses of the windows with a descriptor.
fn mapped(client: &Client) -> Vec<u64> {
    client.memory.maps.keys().copied().collect()
}

fn refused_map(client: &mut Client, entries: &[DmaMap], descriptors: usize) -> i32 {
    client.refused_fds("DMA_MAP", &table(entries), fds(descriptors))
}

#[test]
fn descriptors_belong_to_the_mappable_entries_in_order() {
    let mut client = with("{}");
    let entries: Vec<DmaMap> = (0..6).map(|index| entry(A + index * PAGE, PAGE, index % 2 == 1)).collect();
    map(&mut client, &entries);
    assert_eq!(mapped(&client), [A + PAGE, A + 3 * PAGE, A + 5 * PAGE]);
    let offset = DmaMap { offset: PAGE, protections: 5, ..entry(0, PAGE, true) };
    map(&mut client, &[entry(PAGE, PAGE, true), offset]);
    assert_eq!(client.memory.maps[&0].offset, PAGE);
    assert!(!client.memory.maps[&0].access.writeable);
    assert!(client.ok("DMA_MAP", &[]).is_empty());
    let many: Vec<DmaMap> = (0..1000).map(|index| entry(A * 16 + index * PAGE, PAGE, false)).collect();
    map(&mut client, &many);
}

#[test]
fn a_table_is_whole_and_has_its_descriptors() {
    let mut client = with("{}");
    let two = [entry(A, PAGE, true), entry(A + PAGE, PAGE, true)];
    for descriptors in [0, 1, 3] {
        assert_eq!(refused_map(&mut client, &two, descriptors), Errno::EINVAL as i32, "{descriptors}");
    }
    for length in [1, 31, 33, 63] {
        assert_eq!(client.refused_fds("DMA_MAP", &table(&two)[..length], fds(2)), Errno::EINVAL as i32, "{length}");
    }
    for wrong in [
        DmaMap { flags: 3, ..two[1] },
        DmaMap { protections: 8, ..two[1] },
        DmaMap { protections: 0, ..two[1] },
        DmaMap { size: 0, ..two[1] },
        DmaMap { address: 0u64.wrapping_sub(PAGE), size: 2 * PAGE, ..two[1] },
    ] {
        assert_eq!(refused_map(&mut client, &[two[0], wrong], 2), Errno::EINVAL as i32, "{wrong:?}");
    }
    assert_eq!(mapped(&client), [0u64; 0]);
}

#[test]
fn an_overlap_adds_nothing() {
    let mut client = with("{}");
    map(&mut client, &[entry(A, 2 * PAGE, false)]);
    let other = entry(A * 2, PAGE, true);
    assert_eq!(refused_map(&mut client, &[other, entry(A + PAGE, PAGE, true)], 2), Errno::EEXIST as i32);
    assert_eq!(refused_map(&mut client, &[other, other], 2), Errno::EEXIST as i32, "with the entry before");
    client.memory.refusal = Some(Errno::ENODEV);
    assert_eq!(refused_map(&mut client, &[entry(A * 3, PAGE, false), other], 1), Errno::ENODEV as i32);
    assert_eq!(mapped(&client), [0u64; 0]);
    map(&mut client, &[other, entry(A * 3, PAGE, false)]);
}

#[test]
fn all_of_a_table_is_unmapped_or_nothing() {
    let mut client = with("{}");
    map(&mut client, &[entry(A, PAGE, true), entry(A + PAGE, PAGE, true)]);
    let (first, second) = (unmapping(A, PAGE), unmapping(A + PAGE, PAGE));
    for wrong in [unmapping(A + PAGE, 2 * PAGE), unmapping(0, PAGE), unmapping(A, PAGE), unmapping(A + PAGE, 0)] {
        assert_eq!(client.refused("DMA_UNMAP", &[first.clone(), wrong].concat()), Errno::ENOENT as i32);
    }
    for length in [1, 31, 33, 63] {
        let both = [first.clone(), second.clone()].concat();
        assert_eq!(client.refused("DMA_UNMAP", &both[..length]), Errno::EINVAL as i32);
    }
    assert_eq!(client.refused("DMA_UNMAP", &unmapping_with(A, PAGE, bitmap(PAGE))), Errno::EINVAL as i32, "no log");
    assert_eq!(mapped(&client), [A, A + PAGE]);
    assert!(client.ok("DMA_UNMAP", &[second, first].concat()).is_empty());
    assert_eq!(mapped(&client), [0u64; 0]);
    assert!(client.ok("DMA_UNMAP", &[]).is_empty());
}

#[test]
fn bitmaps_come_for_each_region_and_nothing_else() {
    let mut client = migrating();
    map(&mut client, &[entry(A, 100 * PAGE, true), entry(2 * A, PAGE, true)]);
    client.ok("DIRTY_PAGES", &head(dirty_pages_flags::START));
    client.dma(1, A + 70 * PAGE, 1);
    client.dma(1, 2 * A, 1);
    let both = |wide| [unmapping_with(A, 100 * PAGE, wide), unmapping_with(2 * A, PAGE, bitmap(PAGE))].concat();
    let whole = bitmap(100 * PAGE);
    for wrong in [
        WideBitmap { size: 8, ..whole },
        WideBitmap { size: u64::MAX, ..whole },
        WideBitmap { pgsize: 0, ..whole },
        WideBitmap { pgsize: 8192, ..whole },
    ] {
        assert_eq!(client.refused("DMA_UNMAP", &both(wrong)), Errno::EINVAL as i32, "{wrong:?}");
    }
    let reply = client.ok("DMA_UNMAP", &both(whole));
    assert_eq!(reply.len(), 24 + 16 + 24 + 8);
    assert_eq!(reply[..24], *whole.bytes());
    assert_eq!(dirty_pages(&reply[24..40]).collect::<Vec<_>>(), [70]);
    assert_eq!(dirty_pages(&reply[64..]).collect::<Vec<_>>(), [0]);
    assert_eq!(mapped(&client), [0u64; 0]);
}

#[test]
fn a_bitmap_that_the_client_does_not_take_unmaps_nothing() {
    let mut client = with(r#"{"migration":{"pgsize":4096}}"#);
    let size = 256 << 20;
    map(&mut client, &[entry(0, size, true)]);
    client.ok("DIRTY_PAGES", &head(dirty_pages_flags::START));
    assert_eq!(client.refused("DMA_UNMAP", &unmapping_with(0, size, bitmap(size))), Errno::E2BIG as i32);
    assert_eq!(mapped(&client), [0]);
    assert!(client.ok("DMA_UNMAP", &unmapping(0, size)).is_empty());
}
