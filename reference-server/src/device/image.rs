//! All that a device takes along to another server, as blocks of bytes.

use nix::errno::Errno;

use super::{BAR1, BAR2, Device, Registers, status};
use crate::memory::Memory;

/// The bytes of a device, block by block: the registers, scratch, the result window, the MSI-X table, configuration
/// space, BAR1 and BAR2. What the client set up (maps, descriptors, masks) it sets up again.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Image {
    blocks: [Vec<u8>; 7],
}

/// Bytes of BAR1 and of BAR2.
const BAR1_SIZE: usize = 64 << 10;
const BAR2_SIZE: usize = 2 << 20;

impl Image {
    /// Blocks of a device's size that are all zero.
    pub(crate) fn blank() -> Image {
        let device = Device::default();
        let blank = |bytes: &[u8]| vec![0; bytes.len()];
        Image {
            blocks: [
                blank(device.registers.bytes()),
                blank(&device.scratch),
                blank(&device.result),
                blank(&device.msix_table),
                blank(device.config.bytes()),
                vec![0; BAR1_SIZE],
                vec![0; BAR2_SIZE],
            ],
        }
    }

    /// The blocks, in the order of their numbers.
    pub(crate) fn blocks(&self) -> &[Vec<u8>] {
        &self.blocks
    }

    /// Puts bytes into a block; `None` where it has no such place.
    pub(crate) fn put(&mut self, block: usize, offset: usize, bytes: &[u8]) -> Option<()> {
        let place = self.blocks.get_mut(block)?.get_mut(offset..)?.get_mut(..bytes.len())?;
        place.copy_from_slice(bytes);
        Some(())
    }
}

impl Device {
    /// The device as it is now.
    ///
    /// # Errors
    /// Where its own memory cannot be read.
    pub(crate) fn image(&self, memory: &mut dyn Memory) -> Result<Image, Errno> {
        let (mut bar1, mut bar2) = (vec![0; BAR1_SIZE], vec![0; BAR2_SIZE]);
        memory.region_read(BAR1, 0, &mut bar1)?;
        memory.region_read(BAR2, 0, &mut bar2)?;
        let (registers, config) = (self.registers.bytes().to_vec(), self.config.bytes().to_vec());
        let (scratch, result, msix_table) = (self.scratch.clone(), self.result.clone(), self.msix_table.clone());
        Ok(Image { blocks: [registers, scratch, result, msix_table, config, bar1, bar2] })
    }

    /// Makes the device what it was when the image was taken. A DMA operation that was under way has failed.
    ///
    /// # Errors
    /// EINVAL where the image is one of another device, which changes nothing.
    pub(crate) fn restore(&mut self, image: Image, memory: &mut dyn Memory) -> Result<(), Errno> {
        let [registers, scratch, result, msix_table, config, bar1, bar2] = image.blocks;
        let (mut registers, _) = Registers::parse(&registers).ok_or(Errno::EINVAL)?;
        if registers.magic != self.registers.magic || !self.config.is_like(&config) {
            return Err(Errno::EINVAL);
        }
        if registers.dma_status == status::BUSY {
            registers.dma_status = status::FAILED;
        }
        memory.region_write(BAR1, 0, &bar1)?;
        memory.region_write(BAR2, 0, &bar2)?;
        self.registers = registers;
        self.config.store(0, &config);
        (self.scratch, self.result, self.msix_table) = (scratch, result, msix_table);
        Ok(())
    }
}
