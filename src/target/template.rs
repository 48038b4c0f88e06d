//! The draft of a device file, from what a probe found.

use std::fmt::Write;

use vfio_user_wire::message::{IrqInfo, RegionInfo};
use vfio_user_wire::region_info_flags::{MMAP, READ};
use vfio_user_wire::{Field, irq_info_flags};

use super::probe::{MOST_DATA, SCRATCH};
use super::remedy::{is_written, of_device, takes_scratch};
use super::{Discovered, Has, Region};
use crate::session::value_text;

const HEAD: &str = "\
# As it stands, this file names nothing that may be written: a run with it writes what a run without one does.
#
# What is known of the device is filled in. To use a line that begins with #, take the # away, and put a number in the place of
# each word in capitals: until that is done, the line is an error. Regions of registers are a guess, the first that can be written.
# What has no line here, and an example of each table, is in docs/device-file.md.
";

const SCRATCH_HEAD: &str = "
# ---- Scratch: bytes that read back what was written, and do nothing else. Generated writes go to any of them, in any order.
# It may be there several times; cases use ranges of at least 64 bytes.
";

const LEAVE_ALONE: &str = "
# ---- What must never be written, such as the registers of a flash. It may be there several times.
#[[leave-alone]]
#region = REGION
#offset = OFFSET
#length = LENGTH
";

const DMA: &str = "
# ---- How to make the device write client memory: the register writes, in order. `iova` is the address in client memory, `length`
# how many bytes; `.low32` and `.high32` are halves of an address, where a register has 4 bytes. A device that fetches its commands
# from client memory has a [descriptor].
#[dma-write]
#max-length = MAX_LENGTH  # bytes that the device writes in one go, at the most
#fill = \"pattern\"         # every byte that it writes is the low byte of `pattern`; away with the line where it writes something else
#steps = [
#  { write = \"iova\", region = @REGION, offset = IOVA_REGISTER, width = 8 },
#  { write = \"length\", region = @REGION, offset = LENGTH_REGISTER, width = 4 },
#  { write = \"pattern\", region = @REGION, offset = PATTERN_REGISTER, width = 4 },
#  { write = WRITE_COMMAND, region = @REGION, offset = COMMAND_REGISTER, width = 4 },
#]
# Where it says that it is done; away with the line where it says so nowhere.
#status = { region = @REGION, offset = STATUS_REGISTER, width = 4, done = DONE, failed = FAILED }

# ---- How to make the device read client memory.
#[dma-read]
#max-length = MAX_LENGTH
#steps = [
#  { write = \"iova\", region = @REGION, offset = IOVA_REGISTER, width = 8 },
#  { write = \"length\", region = @REGION, offset = LENGTH_REGISTER, width = 4 },
#  { write = READ_COMMAND, region = @REGION, offset = COMMAND_REGISTER, width = 4 },
#]
# Where the bytes that it read can be read back.
#result = { region = @REGION, offset = RESULT }
#status = { region = @REGION, offset = STATUS_REGISTER, width = 4, done = DONE, failed = FAILED }
";

const RAISE_IRQ: &str = "
# ---- How to make the device raise an interrupt: `index` is its type, `vector` which one of that type. Steps that take both say that
# they raise any interrupt of the device.
#[raise-irq]
#steps = [
#  { write = \"index\", region = @REGION, offset = INDEX_REGISTER, width = 4 },
#  { write = \"vector\", region = @REGION, offset = VECTOR_REGISTER, width = 4 },
#  { write = RAISE_COMMAND, region = @REGION, offset = RAISE_REGISTER, width = 4 },
#]
";

const COUNTER: &str = "
# ---- A register of 4 bytes that is 0 after it was read, and a write that raises it by one.
#[counter]
#register = { region = @REGION, offset = COUNTER, width = 4 }
#raise = { region = @REGION, offset = RAISE, width = 4, value = VALUE }
";

const DOORBELL: &str = "\
# The sub-region whose descriptor raises it, too; size 0 is any width, and without datamatch any value rings it.
#doorbell = { region = @REGION, offset = DOORBELL, size = 4, datamatch = VALUE }
";

const MIRROR: &str = "
# ---- A register of 8 bytes that shows bytes of a mappable region as they are when it is read. What it shows is overwritten.
#[mirror]
#register = { region = @REGION, offset = MIRROR, width = 8 }
#shows = { region = @REGION, offset = SHOWN }
";

const PFN_QUERY: &str = "
# Whether the migration region has the registers by which dirty pages are asked for by page number (start_pfn to copied_pfns).
#pfn-query = true
";

/// The draft of a device file for a target of this name: it parses as it stands, and names nothing that may be written.
pub fn template(target: &str, found: &Discovered) -> String {
    let has = |need: &str| matches!(found.has.get(need), Some(Has::Yes(_)));
    let regions: Vec<&Region> = found.regions.iter().filter(|region| region.size > 0).collect();
    let of_device = |region: &&&Region| of_device(region, found);
    let written: Vec<&Region> = regions.iter().filter(of_device).copied().filter(|region| is_written(region)).collect();
    let mut text = format!("# A draft of a device file, for: {}\n{HEAD}\n", one_line(target));
    let name = if target.trim().is_empty() { "device" } else { target };
    let _ = writeln!(text, "name = {}", toml::Value::String(name.to_owned()));
    text.push_str("#summary = \"SUMMARY\"  # a sentence about the device\n");
    if has("migration-region") {
        text.push_str(PFN_QUERY);
    }
    text.push_str(&what_it_has(found, &regions));
    let scratch: Vec<&Region> = written.iter().copied().filter(|region| takes_scratch(region)).collect();
    if !scratch.is_empty() {
        text.push_str(SCRATCH_HEAD);
        scratch.iter().for_each(|region| text.push_str(&scratch_of(region, found)));
    }
    // Where its registers are is not known: the first region that can be written is as good a guess as any.
    let Some(first) = written.first() else {
        text.push_str("\n# No region of the device can be written: there is nothing more to fill in.\n");
        return text;
    };
    text.push_str(LEAVE_ALONE);
    let with_region = |table: &str, region: u32| table.replace("@REGION", &region.to_string());
    if has("dma") {
        text.push_str(&with_region(DMA, first.index));
    }
    if found.irqs.iter().any(|irq| irq.count > 0 && irq.flags & irq_info_flags::EVENTFD != 0) {
        text.push_str(&with_region(RAISE_IRQ, first.index));
    }
    if let Some(readable) = written.iter().find(|region| region.flags & READ != 0) {
        text.push_str(&with_region(COUNTER, readable.index));
        if let Some(io_fds) = found.io_fds.first() {
            text.push_str(&with_region(DOORBELL, io_fds.region));
        }
    }
    if let Some(mapped) = scratch.iter().find(|region| region.flags & MMAP != 0) {
        let (register, shows) = MIRROR.split_once("#shows").unwrap_or((MIRROR, ""));
        let readable = scratch.first().map_or(mapped.index, |region| region.index);
        text.push_str(&with_region(register, readable));
        text.push_str(&with_region(&format!("#shows{shows}"), mapped.index));
    }
    text
}

/// The regions and the interrupts, as comments.
fn what_it_has(found: &Discovered, regions: &[&Region]) -> String {
    let mut text = String::from("\n# What the device says that it has:\n");
    let called = |name: Option<&str>| name.map_or_else(String::new, |name| format!(" ({name})"));
    for region in regions {
        let flags = flags_text(RegionInfo::LAYOUT.field("flags"), region.flags);
        let name = called(found.region_called(region.index));
        let _ = writeln!(text, "#   region {}{name}: {:#x} bytes, flags {flags}", region.index, region.size);
    }
    for irq in found.irqs.iter().filter(|irq| irq.count > 0) {
        let flags = flags_text(IrqInfo::LAYOUT.field("flags"), irq.flags);
        let name = called(found.irq_called(irq.index));
        let _ = writeln!(text, "#   interrupt type {}{name}: {} of them, flags {flags}", irq.index, irq.count);
    }
    if regions.is_empty() && found.irqs.iter().all(|irq| irq.count == 0) {
        text.push_str("#   neither regions nor interrupts\n");
    }
    text
}

fn scratch_of(region: &Region, found: &Discovered) -> String {
    let name = found.region_called(region.index).map_or_else(String::new, |name| format!(" ({name})"));
    let mut text = format!("#\n# In region {}{name}, 0x0 to {:#x}", region.index, region.size);
    match &region.sparse {
        _ if region.flags & MMAP == 0 => text.push_str("; it cannot be mapped.\n"),
        None => text.push_str("; all of it can be mapped.\n"),
        Some(areas) => {
            let areas: Vec<String> =
                areas.iter().map(|(at, size)| format!("{at:#x} to {:#x}", at.saturating_add(*size))).collect();
            let places = if areas.is_empty() { "no part of it".to_owned() } else { areas.join(", ") };
            let _ = writeln!(text, "; mappable: {places}. {SCRATCH} bytes of the last place let the most cases run.");
        }
    }
    let most = found.limits().max_data_xfer_size;
    if most <= MOST_DATA && region.size >= most {
        let _ = writeln!(
            text,
            "# A length of {most:#x}, the server's max_data_xfer_size, lets the largest transfers be tested."
        );
    }
    let _ = write!(text, "#[[scratch]]\n#region = {}\n#offset = OFFSET\n#length = LENGTH\n", region.index);
    text
}

fn flags_text(field: Option<&Field>, flags: u32) -> String {
    field.map_or_else(|| format!("{flags:#x}"), |field| value_text(field, u64::from(flags)))
}

/// What stands in a comment may not end it.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
