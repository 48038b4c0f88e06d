//! From TOML to a consistent [`DeviceFile`].

use std::fmt;

use toml::Spanned;

use super::raw::{
    Number, RawCounter, RawDescriptor, RawDmaRead, RawDmaWrite, RawDoorbell, RawFile, RawMirror, RawRaise, RawRaiseIrq,
    RawRange, RawRegister, RawStatus, RawStep, Value,
};
use super::{
    Action, Counter, DeviceFile, DeviceFileError, DeviceRegister, Doorbell, Fill, Location, Mirror, Operand, Parameter,
    Part, Range, StatusRegister, Step,
};

/// The largest descriptor: what the smallest page holds. Real ones have some dozens of bytes.
const MAX_DESCRIPTOR: u64 = 4096;

pub(super) fn parse(name: &str, text: &str) -> Result<DeviceFile, DeviceFileError> {
    let file = File { name, text };
    let raw: RawFile = toml::from_str(text).map_err(|error| file.toml_error(&error))?;
    file.device(raw)
}

/// The file that is read, for its errors.
struct File<'a> {
    name: &'a str,
    text: &'a str,
}

type Result<T, E = DeviceFileError> = std::result::Result<T, E>;

/// What an action is called, and the parameters that its steps have.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    parameters: &'static [Parameter],
}

const DMA_WRITE: Kind = Kind {
    name: "[dma-write]",
    parameters: &[Parameter::Iova, Parameter::Length, Parameter::Pattern, Parameter::Descriptor],
};
const DMA_READ: Kind =
    Kind { name: "[dma-read]", parameters: &[Parameter::Iova, Parameter::Length, Parameter::Descriptor] };
const RAISE_IRQ: Kind =
    Kind { name: "[raise-irq]", parameters: &[Parameter::Index, Parameter::Vector, Parameter::Descriptor] };

impl File<'_> {
    fn error<T>(&self, at: &Spanned<T>, message: impl Into<String>) -> DeviceFileError {
        self.error_at(at.span().start, message)
    }

    fn error_at(&self, start: usize, message: impl Into<String>) -> DeviceFileError {
        let line = 1 + self.text.bytes().take(start).filter(|byte| *byte == b'\n').count();
        DeviceFileError { file: self.name.to_owned(), line, message: message.into() }
    }

    fn toml_error(&self, error: &toml::de::Error) -> DeviceFileError {
        let mut message = error.message().replace('\n', ", ");
        if message.starts_with("unknown field") {
            // unknown field `a`, expected one of `b`, `c`
            let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
            if let Some(meant) = names.split_first().and_then(|(unknown, known)| suggestion(unknown, known)) {
                message += &format!("; did you mean `{meant}`?");
            }
        }
        self.error_at(error.span().map_or(0, |span| span.start), message)
    }

    fn device(&self, raw: RawFile) -> Result<DeviceFile> {
        if raw.name.get_ref().trim().is_empty() {
            return Err(self.error(&raw.name, "the name is empty"));
        }
        let scratch = raw.scratch.iter().map(|range| self.range(range)).collect::<Result<Vec<_>>>()?;
        let leave_alone = raw.leave_alone.iter().map(|range| self.range(range)).collect::<Result<Vec<_>>>()?;
        for (index, (range, at)) in scratch.iter().zip(&raw.scratch).enumerate() {
            let shares = |other: &&Range| other.intersects(range.region, range.offset, range.length);
            if let Some(other) = leave_alone.iter().find(shares) {
                let message = format!(
                    "the scratch range {} shares bytes with the [[leave-alone]] range {}",
                    Shown(*range),
                    Shown(*other)
                );
                return Err(self.error(&at.offset, message));
            }
            if let Some(other) = scratch.iter().take(index).find(shares) {
                let message = format!("the scratch ranges {} and {} share bytes", Shown(*other), Shown(*range));
                return Err(self.error(&at.offset, message));
            }
        }

        let descriptor_size = raw.descriptor.map(|descriptor| self.descriptor_size(&descriptor)).transpose()?;
        let mut device = DeviceFile {
            name: raw.name.into_inner(),
            summary: raw.summary,
            scratch,
            leave_alone,
            dma_write: None,
            dma_read: None,
            raise_irq: None,
            descriptor_size,
            counter: None,
            mirror: None,
            pfn_query: raw.pfn_query,
        };
        let dma_write = raw.dma_write.map(|raw| self.dma_write(raw, &device)).transpose()?;
        let dma_read = raw.dma_read.map(|raw| self.dma_read(raw, &device)).transpose()?;
        let raise_irq = raw.raise_irq.map(|raw| self.raise_irq(&raw, &device)).transpose()?;
        (device.dma_write, device.dma_read, device.raise_irq) = (dma_write, dma_read, raise_irq);
        device.counter = raw.counter.map(|raw| self.counter(&raw, &device.scratch)).transpose()?;
        device.mirror = raw.mirror.map(|raw| self.mirror(&raw, &device)).transpose()?;
        Ok(device)
    }

    fn dma_write(&self, raw: RawDmaWrite, device: &DeviceFile) -> Result<Action> {
        let max_length = self.max_length(&raw.max_length)?;
        let fill = match &raw.fill {
            None => None,
            Some(fill) if fill.get_ref() == "pattern" => Some(Fill::Pattern),
            Some(fill) => {
                let message = format!("unknown fill `{}`; the only one is `pattern`", fill.get_ref());
                return Err(self.error(fill, message));
            }
        };
        Ok(Action {
            steps: self.steps(&raw.steps, DMA_WRITE, max_length, device)?,
            status: raw.status.map(|status| self.status(&status)).transpose()?,
            max_length,
            fill,
            result: None,
        })
    }

    fn dma_read(&self, raw: RawDmaRead, device: &DeviceFile) -> Result<Action> {
        let max_length = self.max_length(&raw.max_length)?;
        let result = match &raw.result {
            None => None,
            Some(result) => {
                self.ends(&result.offset, max_length, "max-length")?;
                Some(Location { region: self.region(&result.region)?, offset: result.offset.get_ref().0 })
            }
        };
        Ok(Action {
            steps: self.steps(&raw.steps, DMA_READ, max_length, device)?,
            status: raw.status.map(|status| self.status(&status)).transpose()?,
            max_length,
            fill: None,
            result,
        })
    }

    fn raise_irq(&self, raw: &RawRaiseIrq, device: &DeviceFile) -> Result<Action> {
        Ok(Action {
            steps: self.steps(&raw.steps, RAISE_IRQ, 0, device)?,
            status: raw.status.as_ref().map(|status| self.status(status)).transpose()?,
            max_length: 0,
            fill: None,
            result: None,
        })
    }

    fn counter(&self, raw: &RawCounter, scratch: &[Range]) -> Result<Counter> {
        let register = self.register(&raw.register, "the register of [counter]", scratch)?;
        let RawRaise { region, offset, width, value } = &raw.raise;
        let raise = RawRegister { region: region.clone(), offset: offset.clone(), width: width.clone() };
        let raise = self.register(&raise, "the register that raises the [counter]", scratch)?;
        self.fits(value, value.get_ref().0, raise.width)?;
        let doorbell = raw.doorbell.as_ref().map(|doorbell| self.doorbell(doorbell)).transpose()?;
        Ok(Counter { register, raise, value: value.get_ref().0, doorbell })
    }

    fn doorbell(&self, raw: &RawDoorbell) -> Result<Doorbell> {
        let size = match raw.size.get_ref().0 {
            size @ (0 | 1 | 2 | 4 | 8) => size,
            size => return Err(self.error(&raw.size, format!("a size of {size} bytes; allowed are 0, 1, 2, 4 and 8"))),
        };
        self.ends(&raw.offset, size, "size")?;
        if let Some(datamatch) = &raw.datamatch {
            if size == 0 {
                return Err(self.error(datamatch, "a doorbell of any size cannot have a `datamatch`"));
            }
            self.fits(datamatch, datamatch.get_ref().0, size as u32)?;
        }
        Ok(Doorbell {
            region: self.region(&raw.region)?,
            offset: raw.offset.get_ref().0,
            size,
            datamatch: raw.datamatch.as_ref().map(|datamatch| datamatch.get_ref().0),
        })
    }

    fn mirror(&self, raw: &RawMirror, device: &DeviceFile) -> Result<Mirror> {
        let register = self.register(&raw.register, "the register of [mirror]", &device.scratch)?;
        let length = u64::from(register.width);
        let at = &raw.shows.offset;
        self.ends(at, length, "width")?;
        let shows = Location { region: self.region(&raw.shows.region)?, offset: at.get_ref().0 };
        let shown = Range { region: shows.region, offset: shows.offset, length };
        if shown.intersects(register.region, register.offset, length) {
            return Err(self.error(at, "the register of [mirror] shows bytes of itself"));
        }
        // They are what a client stores to.
        let hit = |range: &&Range| range.intersects(shown.region, shown.offset, length);
        if let Some(range) = device.leave_alone.iter().find(hit) {
            let message = format!(
                "the bytes that [mirror] shows, {}, share bytes with the [[leave-alone]] range {}",
                Shown(shown),
                Shown(*range)
            );
            return Err(self.error(at, message));
        }
        Ok(Mirror { register, shows })
    }

    /// A register that has an effect or a source of its own, so that it is no scratch.
    fn register(&self, raw: &RawRegister, called: &str, scratch: &[Range]) -> Result<DeviceRegister> {
        let width = self.width(&raw.width)?;
        self.ends(&raw.offset, u64::from(width), "width")?;
        let (region, offset) = (self.region(&raw.region)?, raw.offset.get_ref().0);
        if let Some(range) = scratch.iter().find(|range| range.intersects(region, offset, u64::from(width))) {
            let message = format!(
                "{called} stands in region {region} at {offset:#x}, inside the [[scratch]] range {}",
                Shown(*range)
            );
            return Err(self.error(&raw.offset, message));
        }
        Ok(DeviceRegister { region, offset, width })
    }

    fn range(&self, raw: &RawRange) -> Result<Range> {
        let range =
            Range { region: self.region(&raw.region)?, offset: raw.offset.get_ref().0, length: raw.length.get_ref().0 };
        if range.length == 0 {
            return Err(self.error(&raw.length, "the range is empty: length must be at least 1"));
        }
        self.ends(&raw.offset, range.length, "length")?;
        Ok(range)
    }

    /// `offset` and what follows it stay below 2^64.
    fn ends(&self, offset: &Spanned<Number>, length: u64, called: &str) -> Result<()> {
        let start = offset.get_ref().0;
        match start.checked_add(length) {
            Some(_) => Ok(()),
            None => {
                let message = format!("offset {start:#x} and {called} {length:#x} together exceed 2^64-1");
                Err(self.error(offset, message))
            }
        }
    }

    fn region(&self, raw: &Spanned<Number>) -> Result<u32> {
        let Number(region) = *raw.get_ref();
        u32::try_from(region)
            .map_err(|_| self.error(raw, format!("region {region} is too large: an index has 32 bits")))
    }

    fn width(&self, raw: &Spanned<Number>) -> Result<u32> {
        match raw.get_ref().0 {
            width @ (1 | 2 | 4 | 8) => Ok(width as u32),
            width => Err(self.error(raw, format!("a width of {width} bytes; allowed are 1, 2, 4 and 8"))),
        }
    }

    fn max_length(&self, raw: &Spanned<Number>) -> Result<u64> {
        match raw.get_ref().0 {
            0 => Err(self.error(raw, "max-length must be at least 1")),
            length => Ok(length),
        }
    }

    fn descriptor_size(&self, raw: &RawDescriptor) -> Result<usize> {
        let Number(size) = *raw.size.get_ref();
        match usize::try_from(size) {
            Ok(bytes) if (1..=MAX_DESCRIPTOR).contains(&size) => Ok(bytes),
            _ => {
                let message = format!("a descriptor of {size} bytes; allowed are 1 to {MAX_DESCRIPTOR}");
                Err(self.error(&raw.size, message))
            }
        }
    }

    fn status(&self, raw: &RawStatus) -> Result<StatusRegister> {
        let width = self.width(&raw.width)?;
        self.ends(&raw.offset, u64::from(width), "width")?;
        for value in [Some(&raw.done), raw.failed.as_ref()].into_iter().flatten() {
            self.fits(value, value.get_ref().0, width)?;
        }
        let done = raw.done.get_ref().0;
        let failed = raw.failed.as_ref().map(|failed| failed.get_ref().0);
        match &raw.failed {
            Some(at) if failed == Some(done) => {
                Err(self.error(at, format!("done and failed are both {done}: they must differ")))
            }
            _ => {
                let (region, offset) = (self.region(&raw.region)?, raw.offset.get_ref().0);
                Ok(StatusRegister { region, offset, width, done, failed })
            }
        }
    }

    fn fits<T>(&self, at: &Spanned<T>, value: u64, width: u32) -> Result<()> {
        if width < 8 && value >> (width * 8) != 0 {
            return Err(self.error(at, format!("{value:#x} does not fit in {}", Bytes(width))));
        }
        Ok(())
    }

    fn steps(
        &self,
        raw: &Spanned<Vec<Spanned<RawStep>>>,
        kind: Kind,
        max_length: u64,
        device: &DeviceFile,
    ) -> Result<Vec<Step>> {
        if raw.get_ref().is_empty() {
            return Err(self.error(raw, format!("{} has no steps: at least one is needed", kind.name)));
        }
        raw.get_ref().iter().map(|step| self.step(step, kind, max_length, device)).collect()
    }

    fn step(&self, at: &Spanned<RawStep>, kind: Kind, max_length: u64, device: &DeviceFile) -> Result<Step> {
        let raw = at.get_ref();
        let width = self.width(&raw.width)?;
        let offset = raw.offset.get_ref().0;
        self.ends(&raw.offset, u64::from(width), "width")?;
        match (&raw.write, &raw.place, &raw.region) {
            (Some(value), None, Some(region)) => {
                let region = self.region(region)?;
                let value = self.operand(value, kind, width, max_length, device)?;
                let hit = |range: &&Range| range.intersects(region, offset, u64::from(width));
                for (what, ranges) in [("[[scratch]]", &device.scratch), ("[[leave-alone]]", &device.leave_alone)] {
                    if let Some(range) = ranges.iter().find(hit) {
                        let message = format!(
                            "a step of {} writes region {region} at {offset:#x}, inside the {what} range {}",
                            kind.name,
                            Shown(*range)
                        );
                        return Err(self.error(&raw.offset, message));
                    }
                }
                Ok(Step::Write { value, region, offset, width })
            }
            (Some(value), None, None) => Err(self.error(value, "a register write needs a `region`")),
            (None, Some(value), None) => {
                let Some(size) = device.descriptor_size else {
                    return Err(
                        self.error(value, "`place` puts bytes into the descriptor, and there is no [descriptor]")
                    );
                };
                if offset + u64::from(width) > size as u64 {
                    let message = format!("{} at {offset:#x} reach past the descriptor's {size} bytes", Bytes(width));
                    return Err(self.error(&raw.offset, message));
                }
                let value = self.operand(value, kind, width, max_length, device)?;
                Ok(Step::Place { value, offset, width })
            }
            (None, Some(_), Some(region)) => {
                Err(self.error(region, "`place` has no `region`: it puts bytes into the descriptor"))
            }
            (Some(_), Some(_), _) => {
                Err(self.error(at, "a step is either a register write, `write`, or bytes in the descriptor, `place`"))
            }
            (None, None, _) => {
                Err(self.error(at, "a step needs `write`, a register write, or `place`, bytes in the descriptor"))
            }
        }
    }

    fn operand(
        &self,
        raw: &Spanned<Value>,
        kind: Kind,
        width: u32,
        max_length: u64,
        device: &DeviceFile,
    ) -> Result<Operand> {
        let text = match raw.get_ref() {
            Value::Number(value) => {
                self.fits(raw, *value, width)?;
                return Ok(Operand::Integer(*value));
            }
            Value::Name(text) => text,
        };
        let (word, part) = match text.split_once('.') {
            Some((word, part)) => (word, Some(part)),
            None => (text.as_str(), None),
        };

        let allowed = Parameter::ALL.iter().filter(|(_, parameter)| kind.parameters.contains(parameter));
        let Some((_, name)) = allowed.clone().find(|(known, _)| *known == word) else {
            let names: Vec<&str> = allowed.map(|(known, _)| *known).collect();
            let unknown = if Parameter::ALL.iter().any(|(known, _)| *known == word) {
                format!("{} has no parameter `{word}`", kind.name)
            } else {
                format!("unknown parameter `{word}`")
            };
            return Err(self.error(raw, advice(&unknown, word, &names)));
        };
        if *name == Parameter::Descriptor && device.descriptor_size.is_none() {
            return Err(self.error(raw, "the parameter `descriptor` needs a [descriptor]"));
        }
        let part = match part {
            None => None,
            Some(part) => match Part::ALL.iter().find(|(known, _)| *known == part) {
                Some((_, part)) => Some(*part),
                None => {
                    let names = Part::ALL.map(|(known, _)| known);
                    return Err(self.error(raw, advice(&format!("unknown part `{part}`"), part, &names)));
                }
            },
        };

        // Half an address is no address; whoever wants one half of it says so.
        let needed = match (part, name) {
            (Some(part), _) => part.width(),
            (None, Parameter::Iova | Parameter::Descriptor) => 8,
            (None, _) => 1,
        };
        if needed > width {
            let parts = if part.is_none() { "; write its parts, such as `.low32` and `.high32`" } else { "" };
            let message = format!("`{text}` has {}, the step {width}{parts}", Bytes(needed));
            return Err(self.error(raw, message));
        }
        if (*name, part) == (Parameter::Length, None) && width < 8 && max_length >> (width * 8) != 0 {
            let message = format!("a `length` of up to max-length {max_length:#x} does not fit in {}", Bytes(width));
            return Err(self.error(raw, message));
        }
        Ok(Operand::Parameter { name: *name, part })
    }
}

/// What is wrong with a word, what may have been meant, what is allowed.
fn advice(wrong: &str, word: &str, allowed: &[&str]) -> String {
    let meant = suggestion(word, allowed).map(|meant| format!(", did you mean `{meant}`?")).unwrap_or_default();
    format!("{wrong}{meant}; allowed are {}", allowed.join(", "))
}

/// The allowed word that is spelt most nearly like this one, if any is near.
fn suggestion<'a>(word: &str, allowed: &[&'a str]) -> Option<&'a str> {
    let near = |known: &&str| strsim::damerau_levenshtein(word, known);
    // Words as long as a line are not misspelt, and comparing them takes long.
    let word_fits = word.len() <= 32;
    let nearest = allowed.iter().copied().filter(|_| word_fits).min_by_key(near)?;
    (near(&nearest) <= 2 && near(&nearest) < nearest.len()).then_some(nearest)
}

/// A range, as errors show it.
struct Shown(Range);

impl fmt::Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shown(range) = self;
        write!(formatter, "{:#x}..{:#x} of region {}", range.offset, range.end(), range.region)
    }
}

/// A number of bytes, as errors show it.
struct Bytes(u32);

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} byte{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}
