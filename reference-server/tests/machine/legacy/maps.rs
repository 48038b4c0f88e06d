//! DMA_MAP and DMA_UNMAP (593-746).

use pretty_assertions::assert_eq;
use vfio_user_reference_server::Errno;
use vfio_user_wire::dirty_pages;
use vfio_user_wire::dma_unmap_flags::{ALL, GET_DIRTY_BITMAP};
use vfio_user_wire::legacy::{DmaUnmap, DmaUnmapGet};

use super::{A, PAGE, SIZE, dirty, get, logging, migrating, unmap, unmap_get, with};
use crate::client::{Client, dma_map, fd};

/// The window is still there: nothing else can be mapped in its place.
fn is_mapped(client: &mut Client) -> bool {
    client.refused("DMA_MAP", &dma_map(A, PAGE, 3)) == Errno::EEXIST as i32
}

#[test]
fn mappable_needs_a_descriptor() {
    let mut client = with(r#"{"max_msg_fds":16}"#);
    assert_eq!(client.refused("DMA_MAP", &dma_map(A, SIZE, 7)), Errno::EINVAL as i32);
    assert_eq!(client.refused_fds("DMA_MAP", &dma_map(A, SIZE, 4), vec![fd()]), Errno::EINVAL as i32);
    assert_eq!(client.refused_fds("DMA_MAP", &dma_map(A, SIZE, 11), vec![fd()]), Errno::EINVAL as i32);
    client.ok_fds("DMA_MAP", &dma_map(A, SIZE, 7), vec![fd()]);
    assert!(client.memory.maps[&A].access.writeable);
    assert!(is_mapped(&mut client));
}

#[test]
fn an_unmap_repeats_its_entry() {
    let mut client = logging();
    client.dma(1, A, 1);
    assert_eq!(client.refused("DMA_UNMAP", &unmap(0, A, SIZE - PAGE)), Errno::ENOENT as i32);
    let request = DmaUnmap { argsz: 100, flags: 0, address: A, size: SIZE };
    assert_eq!(client.ok("DMA_UNMAP", &[request.bytes(), &[7; 16]].concat()), unmap(0, A, SIZE));
    assert!(client.memory.maps.is_empty());
    client.map_fd(A, SIZE, 3);
    assert_eq!(dirty(&mut client, get(A, SIZE)), [0u64; 0], "another window's pages");
}

#[test]
fn an_unmap_tells_what_was_dirty() {
    let mut client = logging();
    client.dma(1, A, 1);
    client.dma(1, A + SIZE - 1, 1);
    let reply = client.ok("DMA_UNMAP", unmap_get(A, SIZE).bytes());
    let (head, bits) = DmaUnmapGet::parse(&reply).unwrap();
    assert_eq!((head, reply.len()), (unmap_get(A, SIZE), 40 + 16));
    assert_eq!(dirty_pages(bits).collect::<Vec<_>>(), [0, 99]);
    assert!(client.memory.maps.is_empty());
}

#[test]
fn an_unmap_that_cannot_tell_unmaps_nothing() {
    let mut client = logging();
    client.dma(1, A, 1);
    let whole = unmap_get(A, SIZE);
    for request in [
        DmaUnmapGet { argsz: 24, ..whole },
        DmaUnmapGet { argsz: 55, ..whole },
        DmaUnmapGet { bitmap_size: 8, ..whole },
        DmaUnmapGet { bitmap_size: 24, argsz: 64, ..whole },
        DmaUnmapGet { bitmap_size: u64::MAX, argsz: u32::MAX, ..whole },
        DmaUnmapGet { bitmap_pgsize: 8192, ..whole },
        DmaUnmapGet { bitmap_pgsize: 0, ..whole },
        DmaUnmapGet { flags: 4, ..whole },
        DmaUnmapGet { flags: GET_DIRTY_BITMAP | ALL, ..whole },
    ] {
        assert_eq!(client.refused("DMA_UNMAP", request.bytes()), Errno::EINVAL as i32, "{request:?}");
    }
    assert_eq!(client.refused("DMA_UNMAP", &whole.bytes()[..24]), Errno::EINVAL as i32);
    assert_eq!(client.refused("DMA_UNMAP", unmap_get(A, SIZE - PAGE).bytes()), Errno::ENOENT as i32);
    assert!(is_mapped(&mut client));
    assert_eq!(dirty(&mut client, get(A, SIZE)), [0]);

    let mut client = migrating();
    client.map_fd(A, SIZE, 3);
    assert_eq!(client.refused("DMA_UNMAP", whole.bytes()), Errno::EINVAL as i32, "nothing is logged");
    assert!(is_mapped(&mut client));
}

#[test]
fn all_are_unmapped_at_once() {
    let mut client = logging();
    client.map(A + SIZE, PAGE, 1);
    client.dma(1, A, 1);
    for request in [unmap(ALL, A, SIZE), unmap(ALL, 0, PAGE), unmap(ALL | GET_DIRTY_BITMAP, 0, 0)] {
        assert_eq!(client.refused("DMA_UNMAP", &request), Errno::EINVAL as i32);
    }
    assert!(is_mapped(&mut client));
    assert_eq!(client.ok("DMA_UNMAP", &unmap(ALL, 0, 0)), unmap(ALL, 0, 0));
    assert!(client.memory.maps.is_empty());
    client.map_fd(A, 2 * SIZE, 3);
    assert_eq!(dirty(&mut client, get(A, SIZE)), [0u64; 0]);
    assert_eq!(client.ok("DMA_UNMAP", &unmap(ALL, 0, 0)), unmap(ALL, 0, 0));
    assert_eq!(client.ok("DMA_UNMAP", &unmap(ALL, 0, 0)), unmap(ALL, 0, 0), "none is all, too");
}

#[test]
fn what_is_under_way_ends_with_all_windows() {
    let mut client = migrating();
    client.map(A, SIZE, 3);
    assert_eq!(client.dma(2, A, 8).len(), 1);
    client.ok("DMA_UNMAP", &unmap(ALL, 0, 0));
    assert_eq!(client.dma_status(), crate::client::FAILED);
}
