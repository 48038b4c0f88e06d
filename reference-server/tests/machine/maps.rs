//! DMA_MAP and DMA_UNMAP (specification 595-703).

use pretty_assertions::assert_eq;
use vfio_user_reference_server::{Access, Errno};
use vfio_user_wire::message::{DmaMap, DmaUnmap};

use crate::client::{Client, DONE, dma_map, dma_unmap, fd};

const A: u64 = 0x10_0000;
const N: u64 = 0x4000;

#[test]
fn a_map_over_an_existing_one_is_refused_and_harms_nothing() {
    let mut client = Client::new();
    client.map_fd(A, N, 3);
    let over = [(A, N), (A + 0x1000, 0x1000), (A - 0x1000, N + 0x2000), (A - 0x1000, 0x2000), (A + N - 0x1000, N)];
    for (address, size) in over {
        assert_eq!(client.refused("DMA_MAP", &dma_map(address, size, 3)), Errno::EEXIST as i32);
        assert_eq!(client.refused_fds("DMA_MAP", &dma_map(address, size, 3), vec![fd()]), Errno::EEXIST as i32);
    }
    client.map(A + N, N, 1);
    client.map(A - N, N, 2);
    assert_eq!(client.ok("DMA_UNMAP", &dma_unmap(A, N)), dma_unmap(A, N));
    assert!(client.memory.maps.is_empty());
}

#[test]
fn the_last_page_can_be_mapped_and_nothing_behind_it() {
    let mut client = Client::new();
    let last = u64::MAX - 0xfff;
    client.map(last, 0x1000, 3);
    assert_eq!(client.refused("DMA_MAP", &dma_map(last - 0x1000, 0x3000, 3)), Errno::EINVAL as i32);
    assert_eq!(client.refused("DMA_MAP", &dma_map(last, 0x1000, 3)), Errno::EEXIST as i32);
    assert_eq!(client.ok("DMA_UNMAP", &dma_unmap(last, 0x1000)).len(), 24);
    client.map(0, 1 << 62, 3);
}

#[test]
fn malformed_maps_are_refused() {
    let mut client = Client::new();
    let good = DmaMap { argsz: 32, flags: 3, offset: 0, address: A, size: N };
    let bad = [
        DmaMap { argsz: 31, ..good },
        DmaMap { flags: 0, ..good },
        DmaMap { flags: 4, ..good },
        DmaMap { flags: 0x8000_0003, ..good },
        DmaMap { offset: 0x1000, ..good },
        DmaMap { address: A + 1, ..good },
        DmaMap { size: 0, ..good },
        DmaMap { size: 0x1001, ..good },
        DmaMap { size: u64::MAX - 0xfff, ..good },
    ];
    for map in bad {
        assert_eq!(client.refused("DMA_MAP", map.bytes()), Errno::EINVAL as i32, "{map:?}");
    }
    let unaligned = DmaMap { offset: 0x800, ..good };
    assert_eq!(client.refused_fds("DMA_MAP", unaligned.bytes(), vec![fd()]), Errno::EINVAL as i32);
    assert_eq!(client.refused_fds("DMA_MAP", good.bytes(), vec![fd(), fd()]), Errno::EINVAL as i32);
    client.ok("DMA_MAP", good.bytes());
}

#[test]
fn a_descriptor_is_mapped_as_asked() {
    let mut client = Client::new();
    let map = DmaMap { argsz: 32, flags: 2, offset: 0x3000, address: A, size: N };
    client.ok_fds("DMA_MAP", map.bytes(), vec![fd()]);
    let mapped = &client.memory.maps[&A];
    assert_eq!((mapped.offset, mapped.access), (0x3000, Access { readable: false, writeable: true }));
    assert_eq!(mapped.bytes.len() as u64, N);
}

#[test]
fn what_cannot_be_mapped_is_refused_and_not_kept() {
    let mut client = Client::new();
    client.memory.refusal = Some(Errno::ENODEV);
    assert_eq!(client.refused_fds("DMA_MAP", &dma_map(A, N, 3), vec![fd()]), Errno::ENODEV as i32);
    assert_eq!(client.refused("DMA_UNMAP", &dma_unmap(A, N)), Errno::ENOENT as i32);
}

#[test]
fn there_is_an_end_to_maps() {
    let mut client = Client::new();
    for index in 0..65535 {
        client.map(index * 0x2000, 0x1000, 3);
    }
    assert_eq!(client.refused("DMA_MAP", &dma_map(0x1000, 0x1000, 3)), Errno::ENOSPC as i32);
    client.ok("DMA_UNMAP", &dma_unmap(0x4000, 0x1000));
    client.map(0x1000, 0x1000, 3);
}

#[test]
fn only_exactly_what_was_mapped_can_be_unmapped() {
    let mut client = Client::new();
    client.map_fd(A, N, 3);
    client.map_fd(A + N, N, 3);
    let wrong = [
        (A, 0x1000),
        (A + 0x1000, 0x1000),
        (A + N - 0x1000, 0x1000),
        (A, 2 * N),
        (A - 0x1000, N + 0x2000),
        (A, 0),
        (A, u64::MAX),
        (0, N),
        (0, 0),
    ];
    for (address, size) in wrong {
        assert_eq!(client.refused("DMA_UNMAP", &dma_unmap(address, size)), Errno::ENOENT as i32);
    }
    let good = DmaUnmap { argsz: 24, flags: 0, address: A, size: N };
    for bad in [DmaUnmap { argsz: 23, ..good }, DmaUnmap { flags: 1, ..good }, DmaUnmap { flags: 2, ..good }] {
        assert_eq!(client.refused("DMA_UNMAP", bad.bytes()), Errno::EINVAL as i32);
    }
    assert_eq!(client.memory.maps.len(), 2);
    client.dma(1, A, 0x20);
    assert_eq!(client.dma_status(), DONE);

    let generous = DmaUnmap { argsz: 0x7fff_ffff, ..good };
    assert_eq!(client.ok_fds("DMA_UNMAP", generous.bytes(), vec![fd()]), good.bytes());
    assert_eq!(client.refused("DMA_UNMAP", good.bytes()), Errno::ENOENT as i32);
    client.map_fd(A, N, 3);
}

#[test]
fn a_disconnect_releases_every_map() {
    let mut client = Client::new();
    client.map_fd(A, N, 3);
    client.map(A + N, N, 3);
    client.reconnect();
    assert!(client.memory.maps.is_empty());
    client.map_fd(A, 2 * N, 3);
}
