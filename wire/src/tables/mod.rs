//! The protocol while DMA_MAP, DMA_UNMAP and DIRTY_PAGES carried tables: version 8, and 0.9.1 in the beginning.
//!
//! The texts are `docs/vfio-user.rst` of libvfio-user: version 8 at 595dff9, 0.9.1 at cda5e5f^, which is the commit before
//! cda5e5f. What one of them has otherwise than the other bears its name, V8 or V8C. Where a request is a table, its
//! fixed part here is the first entry, so that its fields have names; a request without entries is a whole one, too.

mod bitmaps;
mod device_get_info;
mod dirty_pages;
mod dma_map;
mod dma_read;
mod dma_unmap;
mod dma_write;
mod rest;
mod vm_interrupt;

pub use bitmaps::{Bitmaps, Table, WideBitmap};
pub use device_get_info::DEVICE_GET_INFO;
pub use dirty_pages::{
    BitmapRanges, DIRTY_PAGES_V8, DIRTY_PAGES_V8C, DirtyPages, DirtyPagesGetV8, DirtyPagesGetV8c, WideBitmapRange,
};
pub use dma_map::{DMA_MAP_V8, DMA_MAP_V8C, DmaMap, dma_map_entries};
pub use dma_read::{DMA_READ, DmaAccess};
pub use dma_unmap::{DMA_UNMAP_V8, DMA_UNMAP_V8C, DmaUnmap, DmaUnmapEntries, DmaUnmapGetV8, DmaUnmapGetV8c, Unmapping};
pub use dma_write::DMA_WRITE;
pub use rest::CutOff;
pub use vm_interrupt::{Interrupt, VM_INTERRUPT};
