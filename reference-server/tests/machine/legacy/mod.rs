//! Protocol 0.9.1. Lines are those of `docs/vfio-user.rst` of libvfio-user before commit 190f85b.

mod dirty_pages;
mod dirty_pfns;
mod maps;
mod migration_region;
mod version;

use vfio_user_reference_server::Profile;
use vfio_user_wire::legacy::{Bitmap, DirtyPages, DirtyPagesGet, DmaUnmap, DmaUnmapGet};
use vfio_user_wire::{bitmap_size, dirty_pages, dirty_pages_flags, dma_unmap_flags};

use crate::client::Client;

/// A window of client memory.
pub(super) const A: u64 = 0x10_0000;
pub(super) const PAGE: u64 = 4096;
pub(super) const SIZE: u64 = 100 * PAGE;

/// Negotiated, with those capabilities.
pub(super) fn with(capabilities: &str) -> Client {
    let mut client = Client::of(Profile::V0_9_1);
    client.negotiate(capabilities);
    client
}

/// One that can migrate.
pub(super) fn migrating() -> Client {
    with(r#"{"max_msg_fds":16,"migration":{"pgsize":4096}}"#)
}

/// One that logs what the device writes into a window.
pub(super) fn logging() -> Client {
    let mut client = migrating();
    client.map_fd(A, SIZE, 3);
    assert!(client.ok("DIRTY_PAGES", &dirty_pages_with(dirty_pages_flags::START)).is_empty());
    client
}

pub(super) fn dirty_pages_with(flags: u32) -> Vec<u8> {
    DirtyPages { argsz: 8, flags }.bytes().to_vec()
}

/// GET_BITMAP with room for all of the bitmap.
pub(super) fn get(iova: u64, size: u64) -> DirtyPagesGet {
    let bitmap_size = bitmap_size(size, PAGE).unwrap();
    let argsz = 40 + bitmap_size as u32;
    DirtyPagesGet { argsz, flags: dirty_pages_flags::GET_BITMAP, iova, size, bitmap_pgsize: PAGE, bitmap_size }
}

/// The pages of the range that the device wrote since this was asked last.
pub(super) fn dirty(client: &mut Client, request: DirtyPagesGet) -> Vec<u64> {
    let reply = client.ok("DIRTY_PAGES", request.bytes());
    let (echo, bits) = DirtyPagesGet::parse(&reply).unwrap();
    let argsz = reply.len() as u32;
    assert_eq!((echo, bits.len() as u64), (DirtyPagesGet { argsz, ..request }, request.bitmap_size));
    dirty_pages(bits).collect()
}

pub(super) fn unmap(flags: u32, address: u64, size: u64) -> Vec<u8> {
    DmaUnmap { argsz: 24, flags, address, size }.bytes().to_vec()
}

/// DMA_UNMAP that asks for a bitmap and has room for it.
pub(super) fn unmap_get(address: u64, size: u64) -> DmaUnmapGet {
    let Bitmap { pgsize, size: bitmap_size } = get(address, size).range().bitmap();
    let (argsz, flags) = (40 + bitmap_size as u32, dma_unmap_flags::GET_DIRTY_BITMAP);
    DmaUnmapGet { argsz, flags, address, size, bitmap_pgsize: pgsize, bitmap_size }
}
