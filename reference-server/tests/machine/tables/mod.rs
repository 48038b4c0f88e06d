//! Version 8, and 0.9.1 while its DMA commands carried tables. Lines are those of version 8, `docs/vfio-user.rst` of libvfio-user
//! at commit 595dff9.

mod dirty_pages;
mod dma;
mod early;
mod interrupts;
mod maps;
mod messages;

use std::os::fd::OwnedFd;

use vfio_user_reference_server::Profile;
use vfio_user_wire::bitmap_size;
use vfio_user_wire::tables::{DmaMap, DmaUnmap, WideBitmap};

use crate::client::{Client, fd};

/// A window of client memory.
pub(super) const A: u64 = 0x10_0000;
pub(super) const PAGE: u64 = 4096;

/// Negotiated, with those capabilities.
pub(super) fn with(capabilities: &str) -> Client {
    let mut client = Client::of(Profile::V8);
    client.negotiate(capabilities);
    client
}

/// One that can migrate and takes long messages.
pub(super) fn migrating() -> Client {
    with(r#"{"max_fds":8,"max_msg_size":1000000,"migration":{"pgsize":4096}}"#)
}

/// A window that can be read and written, with a descriptor or without.
pub(super) fn entry(address: u64, size: u64, mappable: bool) -> DmaMap {
    DmaMap { address, size, offset: 0, protections: 3, flags: u32::from(mappable) }
}

pub(super) fn table(entries: &[DmaMap]) -> Vec<u8> {
    entries.iter().flat_map(|entry| entry.bytes().to_vec()).collect()
}

pub(super) fn fds(count: usize) -> Vec<OwnedFd> {
    (0..count).map(|_| fd()).collect()
}

pub(super) fn map(client: &mut Client, entries: &[DmaMap]) {
    let mappable = entries.iter().filter(|entry| entry.flags & 1 != 0).count();
    assert!(client.ok_fds("DMA_MAP", &table(entries), fds(mappable)).is_empty());
}

pub(super) fn unmapping(address: u64, size: u64) -> Vec<u8> {
    DmaUnmap { address, size, offset: 0, protections: 3, flags: 0 }.bytes().to_vec()
}

pub(super) fn bitmap(size: u64) -> WideBitmap {
    WideBitmap { pgsize: PAGE, size: bitmap_size(size, PAGE).unwrap(), data: 0 }
}

pub(super) fn unmapping_with(address: u64, size: u64, bitmap: WideBitmap) -> Vec<u8> {
    let region = DmaUnmap { address, size, offset: 0, protections: 3, flags: 1 };
    [region.bytes(), bitmap.bytes()].concat()
}
