//! PCI configuration space (region 7).

use crate::settings::Settings;
use crate::without::Feature;

/// Bytes of it.
const SIZE: usize = 256;

/// The configuration space of a type 0 header with an MSI and an MSI-X capability.
#[derive(Debug, Clone)]
pub(crate) struct ConfigSpace {
    bytes: [u8; SIZE],
    settings: Settings,
}

/// What the bytes are after a reset, by offset; all others are 0.
const INITIAL: &[(usize, &[u8])] = &[
    (0x00, &[0x34, 0x12, 0xf0, 0xc0]), // vendor 0x1234, device 0xc0f0
    (0x06, &[0x10, 0x00]),             // status: has a capability list
    (0x08, &[0x01, 0x00, 0x00, 0xff]), // revision 1, class 0xff0000: fits no class
    (0x18, &[0x0c]),                   // BAR2: 64-bit, prefetchable
    (0x2c, &[0x34, 0x12, 0xf0, 0xc0]), // subsystem
    (0x34, &[0x40]),                   // first capability
    (0x3d, &[0x01]),                   // interrupt pin INTA
    (0x40, &[0x05, 0x50, 0x84, 0x00]), // MSI, next 0x50; 64-bit addresses, 4 vectors
    (0x50, &[0x11, 0x00, 0x1f, 0x00]), // MSI-X, last; 32 vectors
    (0x54, &[0x00, 0x80, 0x00, 0x00]), // table: BAR0 + 0x8000
    (0x58, &[0x00, 0x88, 0x00, 0x00]), // pending bits: BAR0 + 0x8800
];

/// Which bits a write changes, by offset; no others. The size of a BAR is what its mask leaves out.
const WRITABLE: &[(usize, &[u8])] = &[
    (0x04, &[0x46, 0x05]),             // command: memory, bus master, parity, SERR, INTx disable
    (0x0c, &[0xff]),                   // cache line size
    (0x10, &[0x00, 0x00, 0xff, 0xff]), // BAR0: 64 KiB
    (0x14, &[0x00, 0x00, 0xff, 0xff]), // BAR1: 64 KiB
    (0x18, &[0x00, 0x00, 0xe0, 0xff, 0xff, 0xff, 0xff, 0xff]), // BAR2 and its upper half: 2 MiB
    (0x20, &[0x00, 0xf0, 0xff, 0xff]), // BAR4: 4 KiB
    (0x3c, &[0xff]),                   // interrupt line
    (0x42, &[0x71, 0x00]),             // MSI: enable, vectors in use
    (0x44, &[0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), // MSI: address and data
    (0x52, &[0x00, 0xc0]),             // MSI-X: enable, mask all
];

/// What is at that offset is of no use to a device that lacks this.
fn lacks(settings: Settings, offset: usize) -> bool {
    let regions = settings.lacks(Feature::Regions);
    let interrupts = settings.lacks(Feature::Interrupts) || settings.lacks(Feature::InterruptTypes);
    match offset {
        0x10..0x28 => regions,
        0x3c..0x40 => interrupts,
        // The capability list: both are for interrupts, and MSI-X needs BAR0.
        0x06 | 0x34 | 0x40.. => interrupts || regions,
        _ => false,
    }
}

fn laid_out(settings: Settings, table: &[(usize, &[u8])]) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    for (offset, values) in table.iter().filter(|(offset, _)| !lacks(settings, *offset)) {
        for (to, from) in bytes.iter_mut().skip(*offset).zip(*values) {
            *to = *from;
        }
    }
    bytes
}

impl ConfigSpace {
    /// As it is after a reset.
    pub(crate) fn new(settings: Settings) -> ConfigSpace {
        ConfigSpace { bytes: laid_out(settings, INITIAL), settings }
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether `bytes` are a configuration space of the same device, whatever was written to it.
    pub(crate) fn is_like(&self, bytes: &[u8]) -> bool {
        let writable = laid_out(self.settings, WRITABLE);
        let same = |((ours, theirs), mask): ((&u8, &u8), u8)| ours & !mask == theirs & !mask;
        bytes.len() == SIZE && self.bytes.iter().zip(bytes).zip(writable).all(same)
    }

    /// Stores what can be stored of `bytes`, at `offset`.
    pub(crate) fn store(&mut self, offset: usize, bytes: &[u8]) {
        let writable = laid_out(self.settings, WRITABLE);
        for ((to, mask), from) in self.bytes.iter_mut().zip(writable).skip(offset).zip(bytes) {
            *to = (*to & !mask) | (from & mask);
        }
    }
}
