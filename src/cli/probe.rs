//! `probe`.

use clap::Args;
use serde::Serialize;
use vfio_user_wire::Layout;
use vfio_user_wire::feature::Migration;
use vfio_user_wire::message::{DeviceInfo, IrqInfo, RegionInfo};

use super::asked::{Asked, Head};
use super::options::{Format, TargetOptions};
use super::{Failure, setup};
use crate::case::NEEDS;
use crate::report::{ExitCode, count, harmless};
use crate::requirement::wrap;
use crate::session::value_text;
use crate::target::{Discovered, Has, IoFds, NO_DEVICE_FILE, remedy, template};

/// How wide text may be.
const WIDTH: usize = 108;

/// Ask a server what it offers, and what is not tested for want of it.
///
/// Told are the version and its capabilities, the device, its regions and interrupts with their flags, features, and which needs of
/// cases are met; of each that is not, why, and what in a device file would meet it.
#[derive(Debug, Args)]
pub(super) struct Probe {
    #[command(flatten)]
    target: TargetOptions,
    /// How it is told.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,
    /// Print what was found alone, as JSON: `target.discovered` of --format json.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Print the draft of a device file (TOML): what the server says is filled in, and the rest stands there as comments, each with
    /// what to put in. As it stands, it lets nothing be written to the device.
    #[arg(long, conflicts_with_all = ["format", "json"])]
    device_template: bool,
}

/// `--format json`.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    needs: Vec<Need<'a>>,
}

/// A word of `needs`.
#[derive(Serialize)]
struct Need<'a> {
    word: &'a str,
    meaning: &'a str,
    met: bool,
    /// Why it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What a device file would have to say for it to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_file: Option<String>,
}

impl Probe {
    pub(super) fn main(&self) -> Result<ExitCode, Failure> {
        let device = self.target.device()?;
        let asked = Asked::of(&self.target, device.as_ref())?;
        if self.device_template {
            super::write_out(&template(&asked.name, &asked.found))?;
            return Ok(ExitCode::Conforming);
        }
        if self.json {
            return setup::say_json(&asked.found);
        }
        match self.format {
            Format::Json => setup::say_json(&Document { head: asked.head(true), needs: needs(&asked.found) }),
            Format::Text => {
                for line in text(&asked) {
                    say!("{}", line.trim_end());
                }
                Ok(ExitCode::Conforming)
            }
        }
    }
}

fn needs(found: &Discovered) -> Vec<Need<'static>> {
    let need = |need: &'static crate::case::Need| {
        let reason = found.lacks(need.word);
        let device_file = reason.as_ref().and_then(|_| remedy(need.word, found));
        Need { word: need.word, meaning: need.meaning, met: reason.is_none(), reason, device_file }
    };
    NEEDS.iter().map(need).collect()
}

/// What was found, line by line.
fn text(asked: &Asked) -> Vec<String> {
    let Asked { name, spoken, found, .. } = asked;
    let mut lines = Vec::new();
    let mut row = |word: &str, text: &str| lines.extend(hanging(word, &harmless(text)));
    row("target", name);
    row("profile", &format!("{}: {}", spoken.profile, spoken.why));
    if let Some((major, minor)) = found.version {
        row("version", &format!("{major}.{minor} {}", capabilities(found)));
    }
    if let Some(flags) = found.device_flags {
        let flags = flags_text(&DeviceInfo::LAYOUT, u64::from(flags));
        row("device", &format!("flags {flags}, {}", of_device(found)));
    }
    for region in found.regions.iter().filter(|region| region.size > 0) {
        let flags = flags_text(&RegionInfo::LAYOUT, u64::from(region.flags));
        let areas = region.sparse.as_ref().map_or_else(String::new, |areas| {
            let areas: Vec<String> = areas.iter().map(|(offset, size)| format!("{offset:#x}+{size:#x}")).collect();
            format!(", can be mapped at {}", if areas.is_empty() { "no place".to_owned() } else { areas.join(" ") })
        });
        let kind = region.kind.map_or_else(String::new, |(kind, subtype)| format!(", type {kind}.{subtype}"));
        let fds = match region.fds {
            0 => String::new(),
            fds => format!(", {}", count(fds, "descriptor")),
        };
        let called = found.region_called(region.index).map_or_else(String::new, |called| format!("{called}, "));
        let (word, size) = (format!("region {}", region.index), region.size);
        row(&word, &format!("{called}{size:#x} bytes, flags {flags}{areas}{fds}{kind}"));
        if let Some(io_fds) = found.io_fds.iter().find(|io_fds| io_fds.region == region.index) {
            row("", &of_sub_regions(io_fds));
        }
    }
    for irq in found.irqs.iter().filter(|irq| irq.count > 0) {
        let flags = flags_text(&IrqInfo::LAYOUT, u64::from(irq.flags));
        let called = found.irq_called(irq.index).map_or_else(String::new, |called| format!("{called}, "));
        row(&format!("irq {}", irq.index), &format!("{called}{} of them, flags {flags}", irq.count));
    }
    row("features", &features(found));
    lines.push(String::new());
    let needs = needs(found);
    let met: Vec<&str> = needs.iter().filter(|need| need.met).map(|need| need.word).collect();
    lines.extend(hanging("has", &met.join(" ")));
    for need in needs.iter().filter(|need| !need.met && need.device_file.is_none()) {
        let reason = need.reason.as_deref().unwrap_or_default();
        lines.extend(hanging("lacks", &format!("{}: {}", need.word, harmless(reason))));
    }
    for trouble in &found.troubles {
        // What the server printed may be in it.
        let text = trouble.lines().flat_map(|line| wrap(&harmless(line), WIDTH - 10));
        lines.extend(text.enumerate().map(|(n, line)| format!("{:<10}{line}", if n == 0 { "trouble" } else { "" })));
    }
    lines.extend(for_a_device_file(&needs));
    lines
}

fn of_device(found: &Discovered) -> String {
    let (regions, irqs) = (found.num_regions as usize, found.num_irqs as usize);
    format!("{}, {}", count(regions, "region"), count(irqs, "interrupt type"))
}

fn of_sub_regions(io_fds: &IoFds) -> String {
    let them = if io_fds.count == 1 { "it" } else { "them" };
    format!("{}, {} for {them}", count(io_fds.count as usize, "sub-region"), count(io_fds.fds, "descriptor"))
}

/// The needs that a device file would meet, and what it would have to say.
fn for_a_device_file(needs: &[Need<'_>]) -> Vec<String> {
    let mut lines = Vec::new();
    for need in needs {
        if let (Some(told), Some(reason)) = (&need.device_file, &need.reason) {
            let why = if reason == NO_DEVICE_FILE { String::new() } else { format!(" ({})", harmless(reason)) };
            let text = wrap(&format!("{told}{why}"), WIDTH - 22);
            lines.extend(text.into_iter().enumerate().map(|(n, line)| {
                let word = if n == 0 { need.word } else { "" };
                format!("  {word:<20}{line}")
            }));
        }
    }
    if !lines.is_empty() {
        let head = "Lacking for want of a device file, and what it would say (--device-template drafts one):";
        lines.splice(0..0, [String::new(), head.to_owned()]);
    }
    lines
}

/// A word in front of a text, whose further lines stand below the text.
fn hanging(word: &str, text: &str) -> Vec<String> {
    let lines = wrap(text, WIDTH - 10).into_iter().enumerate();
    lines.map(|(n, line)| format!("{:<10}{line}", if n == 0 { word } else { "" })).collect()
}

/// What it stated in VERSION, name by name.
fn capabilities(found: &Discovered) -> String {
    let stated = found.capabilities.get("capabilities").and_then(serde_json::Value::as_object);
    match stated {
        Some(stated) => stated.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", "),
        None => found.capabilities.to_string(),
    }
}

fn features(found: &Discovered) -> String {
    let mut words = Vec::new();
    if let Some(flags) = found.migration_flags {
        words.push(format!("migration with flags {}", flags_text(&Migration::LAYOUT, flags)));
    }
    if found.dma_logging {
        words.push("a log of DMA writes".to_owned());
    }
    let others = [
        ("migration-region", "a migration region"),
        ("dirty-pages", "DIRTY_PAGES"),
        ("twin-socket", "a twin socket"),
        ("write-multi", "REGION_WRITE_MULTI"),
    ];
    let has = |need: &str| matches!(found.has.get(need), Some(Has::Yes(_)));
    words.extend(others.iter().filter(|(need, _)| has(need)).map(|(_, words)| (*words).to_owned()));
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

/// Flags with the names of their bits.
fn flags_text(layout: &Layout, flags: u64) -> String {
    layout.field("flags").map_or_else(|| format!("{flags:#x}"), |field| value_text(field, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_kind_is_told_as_one() {
        let sub_regions = |count, fds| of_sub_regions(&IoFds { region: 0, argsz: 56, count, fds });
        assert_eq!(sub_regions(1, 1), "1 sub-region, 1 descriptor for it");
        assert_eq!(sub_regions(2, 1), "2 sub-regions, 1 descriptor for them");
        assert_eq!(sub_regions(1, 0), "1 sub-region, 0 descriptors for it");
        let device = |num_regions, num_irqs| of_device(&Discovered { num_regions, num_irqs, ..Discovered::default() });
        assert_eq!(device(1, 1), "1 region, 1 interrupt type");
        assert_eq!(device(9, 0), "9 regions, 0 interrupt types");
    }
}
