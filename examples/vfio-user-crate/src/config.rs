//! The device's configuration space: a header, a command register, and one base address.

/// Its bytes.
pub(crate) const SIZE: usize = 0x100;
/// The base address of the registers.
const BAR0: usize = 0x10;
/// What of it a client sets: the rest is 0, which tells the size of the registers.
const BAR0_SET: u32 = !(crate::device::REGISTERS as u32 - 1);
/// The bits of the command register that there are: memory space and bus master.
const COMMAND_SET: u8 = 0b110;
const COMMAND: usize = 0x04;

/// Configuration space.
#[derive(Debug)]
pub(crate) struct Config([u8; SIZE]);

impl Default for Config {
    fn default() -> Config {
        let mut bytes = [0; SIZE];
        // A vendor that is nobody's, a device of its own, "other" as the class, and INTA.
        bytes[0x00..0x04].copy_from_slice(&[0x36, 0x1b, 0x01, 0x00]);
        bytes[0x0b] = 0xff;
        bytes[0x3d] = 1;
        Config(bytes)
    }
}

impl Config {
    /// The bytes from `offset` on; the range was held against [`SIZE`].
    pub(crate) fn read(&self, offset: usize, data: &mut [u8]) {
        data.copy_from_slice(&self.0[offset..offset + data.len()]);
    }

    /// Takes what can be set, and leaves the rest as it is.
    pub(crate) fn write(&mut self, offset: usize, data: &[u8]) {
        for (at, byte) in (offset..).zip(data) {
            let set = match at {
                COMMAND => COMMAND_SET,
                BAR0..0x14 => BAR0_SET.to_le_bytes()[at - BAR0],
                _ => 0,
            };
            self.0[at] = self.0[at] & !set | byte & set;
        }
    }
}
