//! The registers of BAR0.

use vfio_user_wire::layout;

layout! {
    /// The registers at the start of BAR0. `docs/conformance-device.md` says what each does.
    pub struct Registers: 0x4c {
        /// Which device this is: 0x56465543, "CUFV" in memory.
        magic: u32 @ 0x00,
        /// Events counted since the last read; reading it sets it to 0.
        events: u32 @ 0x04,
        /// Doorbell: a write other than 0 counts one event.
        count_event: u32 @ 0x08,
        /// How often an interrupt was triggered, by the device or by the client.
        triggers: u32 @ 0x0c,
        /// First address in client memory for the DMA engine.
        dma_iova: u64 @ 0x10,
        /// Bytes that the DMA engine transfers.
        dma_length: u32 @ 0x18,
        /// Its low 8 bits are the byte that the DMA engine writes.
        dma_pattern: u32 @ 0x1c,
        /// Doorbell: 1 writes client memory, 2 reads it into the result window.
        dma_command: u32 @ 0x20,
        /// 0 idle, 1 done, 2 failed, 3 busy.
        dma_status: u32 @ 0x24,
        /// Type of the interrupt to raise.
        irq_index: u32 @ 0x28,
        /// Sub-index of the interrupt to raise.
        irq_vector: u32 @ 0x2c,
        /// Doorbell: a write other than 0 raises the interrupt.
        irq_raise: u32 @ 0x30,
        /// 0 idle, 1 done, 2 there is no such interrupt.
        irq_status: u32 @ 0x34,
        /// The first 8 bytes of BAR1's first mappable area, as they are now.
        mirror: u64 @ 0x38,
        /// Doorbell: any write counts one event.
        kick0: u32 @ 0x40,
        /// The same again.
        kick1: u32 @ 0x44,
        /// And again.
        kick2: u32 @ 0x48,
    }
}

/// What `magic` reads.
const MAGIC: u32 = 0x5646_5543;

/// What a status register says.
pub(crate) mod status {
    /// Nothing was asked for since the reset.
    pub(crate) const IDLE: u32 = 0;
    /// What was asked for last is done.
    pub(crate) const DONE: u32 = 1;
    /// What was asked for last failed.
    pub(crate) const FAILED: u32 = 2;
    /// What was asked for last is under way.
    pub(crate) const BUSY: u32 = 3;
}

/// `layout!` derives a `Default` of zeroes; these are the values after a reset.
pub(crate) fn initial() -> Registers {
    Registers { magic: MAGIC, dma_status: status::IDLE, irq_status: status::IDLE, ..Registers::default() }
}

/// Ones where a write changes what a read returns.
fn writable() -> Registers {
    Registers { dma_iova: !0, dma_length: !0, dma_pattern: !0, irq_index: !0, irq_vector: !0, ..Registers::default() }
}

/// What a write rang, in the order of the registers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Rung {
    /// `count_event`.
    pub(crate) event: u32,
    /// `dma_command`.
    pub(crate) dma: u32,
    /// `irq_raise`.
    pub(crate) irq: u32,
    /// How many of `kick0` to `kick2`, whatever was written there.
    pub(crate) kicks: u32,
}

impl Registers {
    /// Stores what can be stored of `bytes`, at `offset` bytes into the registers; the rest rings doorbells.
    pub(crate) fn store(&mut self, offset: usize, bytes: &[u8]) -> Rung {
        let mut written = Registers::default().bytes().to_vec();
        let mut stored = self.bytes().to_vec();
        let writable = writable();
        let fields = written.iter_mut().zip(&mut stored).zip(writable.bytes()).skip(offset);
        for (((written, stored), writable), byte) in fields.zip(bytes) {
            *written = *byte;
            *stored = (*stored & !writable) | (byte & writable);
        }
        if let Some((registers, _)) = Registers::parse(&stored) {
            *self = registers;
        }
        let Some((written, _)) = Registers::parse(&written) else { return Rung::default() };
        let end = offset.saturating_add(bytes.len());
        let touched = |name| {
            let field = Registers::LAYOUT.field(name);
            u32::from(field.is_some_and(|field| offset < field.offset + field.width && end > field.offset))
        };
        let kicks = touched("kick0") + touched("kick1") + touched("kick2");
        Rung { event: written.count_event, dma: written.dma_command, irq: written.irq_raise, kicks }
    }
}
