//! The device file: what a black box cannot say of itself. `docs/device-file.md` shows the format by example.
//!
//! Pure parsing, no I/O. What has parsed is consistent: the bytes to scribble on are none that something else stands
//! on, every value fits its register, and every byte put into the descriptor lies inside it.

mod parse;
mod raw;
#[cfg(test)]
mod tests;

/// A device file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFile {
    /// What the device is called.
    pub name: String,
    /// A sentence about it; empty where the file has none.
    pub summary: String,
    /// Bytes that read back what was written, without side effects. No two ranges share bytes.
    pub scratch: Vec<Range>,
    /// Ranges that the harness must never write.
    pub leave_alone: Vec<Range>,
    /// How to make the device write client memory.
    pub dma_write: Option<Action>,
    /// How to make the device read client memory.
    pub dma_read: Option<Action>,
    /// How to make the device raise an interrupt.
    pub raise_irq: Option<Action>,
    /// Bytes of the block in client memory that [`Step::Place`] fills; `None` where the device needs none.
    pub descriptor_size: Option<usize>,
    /// A register that clears when it is read.
    pub counter: Option<Counter>,
    /// A register that shows bytes of a region as they are when it is read.
    pub mirror: Option<Mirror>,
    /// Its migration region has the registers by which dirty pages are asked for by page number.
    pub pfn_query: bool,
}

/// Bytes of a region. The end does not overflow, and there is at least one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Which region.
    pub region: u32,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// What makes the device do one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// What to do, in order; the bytes for the descriptor have to be there before the first register is written.
    pub steps: Vec<Step>,
    /// Where the device says that it is done; `None` where it says so nowhere.
    pub status: Option<StatusRegister>,
    /// Most bytes of client memory in one go; 0 for an interrupt, which takes none.
    pub max_length: u64,
    /// What a write to client memory writes; `None` where that is not known.
    pub fill: Option<Fill>,
    /// Where the bytes of a read from client memory can be read back.
    pub result: Option<Location>,
}

impl Action {
    /// It depends on the parameter.
    pub fn takes(&self, parameter: Parameter) -> bool {
        self.steps.iter().any(|step| {
            let (Step::Write { value, .. } | Step::Place { value, .. }) = step;
            matches!(value, Operand::Parameter { name, .. } if *name == parameter)
        })
    }
}

/// One step of an [`Action`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A register write.
    Write {
        /// What to write.
        value: Operand,
        /// Which region.
        region: u32,
        /// Offset in the region.
        offset: u64,
        /// Bytes: 1, 2, 4 or 8.
        width: u32,
    },
    /// Bytes put into the descriptor.
    Place {
        /// What to put there.
        value: Operand,
        /// Offset in the descriptor.
        offset: u64,
        /// Bytes: 1, 2, 4 or 8.
        width: u32,
    },
}

/// The value of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// A number.
    Integer(u64),
    /// What the caller asks for.
    Parameter {
        /// Which parameter.
        name: Parameter,
        /// Which part of it; `None` for all of it.
        part: Option<Part>,
    },
}

/// A parameter of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameter {
    /// First address in client memory.
    Iova,
    /// Bytes of client memory.
    Length,
    /// What to fill client memory with.
    Pattern,
    /// Interrupt type.
    Index,
    /// Sub-index of the interrupt.
    Vector,
    /// First address of the descriptor.
    Descriptor,
}

/// A part of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Bits 0 to 31.
    Low32,
    /// Bits 32 to 63.
    High32,
    /// Bits 0 to 15.
    Low16,
}

/// The values of the parameters for one run of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Parameters {
    /// First address in client memory.
    pub iova: u64,
    /// Bytes of client memory.
    pub length: u64,
    /// What to fill client memory with.
    pub pattern: u64,
    /// Interrupt type.
    pub index: u64,
    /// Sub-index of the interrupt.
    pub vector: u64,
    /// First address of the descriptor.
    pub descriptor: u64,
}

/// What a device writes to client memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// Every byte is the low 8 bits of the parameter `pattern`.
    Pattern,
}

/// A place in a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// Which region.
    pub region: u32,
    /// Offset in the region.
    pub offset: u64,
}

/// A register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceRegister {
    /// Which region.
    pub region: u32,
    /// Offset in the region.
    pub offset: u64,
    /// Bytes: 1, 2, 4 or 8.
    pub width: u32,
}

/// A register that is 0 after each read, and the write that raises it by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// What counts.
    pub register: DeviceRegister,
    /// Where a write makes it count; [`Range`]s to be left alone do not forbid it.
    pub raise: DeviceRegister,
    /// What that write writes.
    pub value: u64,
    /// What raises it by one without a message.
    pub doorbell: Option<Doorbell>,
}

/// A sub-region that DEVICE_GET_REGION_IO_FDS gives an ioeventfd for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doorbell {
    /// Which region.
    pub region: u32,
    /// Offset in the region.
    pub offset: u64,
    /// Bytes of the access: 1, 2, 4 or 8, or 0 for any.
    pub size: u64,
    /// The value that has to be written; `None` for any.
    pub datamatch: Option<u64>,
}

/// A register that shows as many bytes of a region as it has itself, as they are when it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mirror {
    /// What shows them.
    pub register: DeviceRegister,
    /// The first of the bytes.
    pub shows: Location,
}

/// The register that says how an action fares. A value that is neither `done` nor `failed`: still at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRegister {
    /// Which region.
    pub region: u32,
    /// Offset in the region.
    pub offset: u64,
    /// Bytes: 1, 2, 4 or 8.
    pub width: u32,
    /// Its value when the action succeeded.
    pub done: u64,
    /// Its value when the action failed, if it has one.
    pub failed: Option<u64>,
}

/// What is wrong with a device file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct DeviceFileError {
    /// The file's name.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there, and what is allowed.
    pub message: String,
}

impl DeviceFile {
    /// Reads a device file; `name` is what errors call it.
    ///
    /// # Errors
    /// The first thing wrong with it.
    pub fn parse(name: &str, text: &str) -> Result<DeviceFile, DeviceFileError> {
        parse::parse(name, text)
    }

    /// It names something that may be written. One that does not, as a draft that nobody has filled in, says no more of what a
    /// device bears than none.
    pub fn lets_write(&self) -> bool {
        let actions = [&self.dma_write, &self.dma_read, &self.raise_irq];
        let acts = actions.into_iter().any(Option::is_some);
        acts || !self.scratch.is_empty() || self.counter.is_some() || self.mirror.is_some()
    }

    /// Whether these bytes of a region are scratch, every one of them: all that a write that nobody has thought
    /// through may touch.
    pub fn may_write(&self, region: u32, offset: u64, length: u64) -> bool {
        let Some(end) = offset.checked_add(length) else { return false };
        let covered = |at: u64| self.scratch.iter().find(|range| range.contains(region, at)).map(Range::end);
        // Ranges that touch count as one. Each turn gets past a range, so there are no more turns than ranges.
        let mut at = offset;
        while let Some(next) = covered(at) {
            if next >= end {
                return !self.leave_alone.iter().any(|range| range.intersects(region, offset, length.max(1)));
            }
            at = next;
        }
        false
    }

    /// The descriptor with the bytes of the action's [`Step::Place`] steps in it, and zeros between them; empty where
    /// the device needs none. Little-endian, as PCI devices are.
    pub fn descriptor_bytes(&self, action: &Action, parameters: &Parameters) -> Vec<u8> {
        let mut bytes = vec![0; self.descriptor_size.unwrap_or(0)];
        for step in &action.steps {
            let Step::Place { value, offset, width } = step else { continue };
            let Ok(offset) = usize::try_from(*offset) else { continue };
            for (to, from) in bytes.iter_mut().skip(offset).zip(value.bytes(parameters, *width)) {
                *to = from;
            }
        }
        bytes
    }
}

impl Range {
    /// One past the last byte.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.length)
    }

    /// The byte at `offset` of `region` is one of these.
    pub fn contains(&self, region: u32, offset: u64) -> bool {
        self.intersects(region, offset, 1)
    }

    /// Some of `length` bytes at `offset` of `region` are among these.
    pub fn intersects(&self, region: u32, offset: u64, length: u64) -> bool {
        self.region == region && self.offset < offset.saturating_add(length) && offset < self.end()
    }
}

impl Operand {
    /// Its value.
    pub fn value(&self, parameters: &Parameters) -> u64 {
        match self {
            Operand::Integer(value) => *value,
            Operand::Parameter { name, part } => {
                let value = name.value(parameters);
                match part {
                    None => value,
                    Some(Part::Low32) => value & 0xffff_ffff,
                    Some(Part::High32) => value >> 32,
                    Some(Part::Low16) => value & 0xffff,
                }
            }
        }
    }

    /// The low `width` bytes of its value, at most 8, as a register or a descriptor takes them: little-endian.
    pub fn bytes(&self, parameters: &Parameters, width: u32) -> Vec<u8> {
        self.value(parameters).to_le_bytes().into_iter().take(width as usize).collect()
    }
}

impl Parameter {
    /// Every parameter, with the word that stands for it in a file.
    pub const ALL: [(&'static str, Parameter); 6] = [
        ("iova", Parameter::Iova),
        ("length", Parameter::Length),
        ("pattern", Parameter::Pattern),
        ("index", Parameter::Index),
        ("vector", Parameter::Vector),
        ("descriptor", Parameter::Descriptor),
    ];

    /// Its value.
    pub fn value(&self, parameters: &Parameters) -> u64 {
        match self {
            Parameter::Iova => parameters.iova,
            Parameter::Length => parameters.length,
            Parameter::Pattern => parameters.pattern,
            Parameter::Index => parameters.index,
            Parameter::Vector => parameters.vector,
            Parameter::Descriptor => parameters.descriptor,
        }
    }
}

impl Part {
    /// Every part, with the word that stands for it in a file.
    pub const ALL: [(&'static str, Part); 3] =
        [("low32", Part::Low32), ("high32", Part::High32), ("low16", Part::Low16)];

    /// Bytes that it has.
    pub fn width(&self) -> u32 {
        match self {
            Part::Low32 | Part::High32 => 4,
            Part::Low16 => 2,
        }
    }
}
