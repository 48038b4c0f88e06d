//! Protocol 0.9.1: what it has otherwise than 0.9.2, and the migration region.
//!
//! The texts are `docs/vfio-user.rst` of libvfio-user: the last one, at 190f85b^, which is the commit before 190f85b, and
//! where some flags differ an early one, at 9ed0776. They call the byte order little-endian; here as everywhere in this
//! crate it is the host's.

mod bitmap;
mod bitmap_range;
mod dirty_pages;
mod dma_map;
mod dma_unmap;
mod migration_info;

pub use bitmap::Bitmap;
pub use bitmap_range::{BitmapRange, RangeLayout, RangeLayoutError};
pub use dirty_pages::{DIRTY_PAGES, DirtyPages, DirtyPagesGet};
pub use dma_map::{DMA_MAP, DmaMap};
pub use dma_unmap::{DMA_UNMAP, DmaUnmap, DmaUnmapGet};
pub use migration_info::{MigrationInfo, MigrationInfoPfn, dirty_pfns, migration_state};
