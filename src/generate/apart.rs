//! What two targets offer differently: answers that differ for it are no news.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use vfio_user_wire::message::{
    DEVICE_GET_IRQ_INFO, DEVICE_GET_REGION_INFO, DEVICE_GET_REGION_IO_FDS, DEVICE_RESET, DEVICE_SET_IRQS, DMA_MAP,
    DMA_UNMAP, IrqInfo, REGION_READ, REGION_WRITE, REGION_WRITE_MULTI, RegionInfo,
};
use vfio_user_wire::{Limits, device_info_flags};

use crate::session::{Entry, value_text};
use crate::target::{Discovered, Has, Irq, Region};

/// Needs that say something of the server and not of the device file or the way of starting it.
const NEEDS: &[&str] = &["dma", "dma-table", "io-fds", "no-io-fds", "pci", "reconnect", "reset"];

/// What two targets offer differently.
#[derive(Debug, Default)]
pub(super) struct Apart {
    /// As sentences.
    pub(super) said: Vec<String>,
    regions: BTreeSet<u64>,
    irqs: BTreeSet<u64>,
    limits: Option<Limits>,
    maps: bool,
    /// Whether several writes are taken in one message.
    write_multi: bool,
    reset: bool,
    io_fds: bool,
}

impl Apart {
    /// What the probes found to be different.
    pub(super) fn of(a: &Discovered, b: &Discovered) -> Apart {
        let mut apart = Apart::default();
        apart.tell("version", version(a), version(b));
        let (in_a, in_b) = (a.regions.iter().map(|r| (r.index, r)).collect(), b.regions.iter().map(|r| (r.index, r)));
        apart.regions = apart.indexed("region", &in_a, &in_b.collect(), region);
        let (in_a, in_b) = (a.irqs.iter().map(|i| (i.index, i)).collect(), b.irqs.iter().map(|i| (i.index, i)));
        apart.irqs = apart.indexed("interrupt type", &in_a, &in_b.collect(), irq);
        // An index behind the end of one of them may be asked for, too.
        apart.regions.extend(between(a.num_regions, b.num_regions));
        apart.irqs.extend(between(a.num_irqs, b.num_irqs));
        let (la, lb) = (a.limits(), b.limits());
        apart.tell("max_msg_fds", la.max_msg_fds, lb.max_msg_fds);
        apart.tell("max_data_xfer_size", la.max_data_xfer_size, lb.max_data_xfer_size);
        apart.tell("max_dma_maps", la.max_dma_maps, lb.max_dma_maps);
        apart.tell("pgsizes", format!("{:#x}", la.pgsizes), format!("{:#x}", lb.pgsizes));
        apart.limits = (la != lb).then(|| Limits {
            max_msg_fds: la.max_msg_fds.min(lb.max_msg_fds),
            max_data_xfer_size: la.max_data_xfer_size.min(lb.max_data_xfer_size),
            ..Limits::default()
        });
        let has = |found: &Discovered, need: &str| matches!(found.has.get(need), Some(Has::Yes(_)));
        for need in NEEDS {
            let word = |there| if there { "yes" } else { "no" };
            apart.tell(need, word(has(a, need)), word(has(b, need)));
        }
        let differ = |need: &str| has(a, need) != has(b, need);
        apart.write_multi = differ("write-multi");
        apart.maps = differ("dma") || differ("dma-table") || la.pgsizes != lb.pgsizes;
        let reset = |found: &Discovered| found.device_flags.map(|flags| flags & device_info_flags::RESET);
        apart.reset = reset(a) != reset(b);
        apart.io_fds = a.io_fds != b.io_fds || differ("no-io-fds");
        apart
    }

    /// The command asks for something that only one of them offers, or more of.
    pub(super) fn covers(&self, sent: &Entry) -> bool {
        let get =
            |name: &str| sent.fields.iter().find(|field| field.name == name).and_then(|field| number(&field.value));
        let among = |set: &BTreeSet<u64>, name| get(name).is_some_and(|index| set.contains(&index));
        let name = sent.message.as_str();
        let access = name == REGION_READ.name || name == REGION_WRITE.name;
        let beyond = self.limits.as_ref().is_some_and(|least| {
            sent.fds as u64 > least.max_msg_fds
                || access && get("count").is_some_and(|count| count > least.max_data_xfer_size)
        });
        beyond
            || access && among(&self.regions, "region")
            || name == DEVICE_GET_REGION_INFO.name && among(&self.regions, "index")
            || (name == DEVICE_GET_IRQ_INFO.name || name == DEVICE_SET_IRQS.name) && among(&self.irqs, "index")
            || name == REGION_WRITE_MULTI.name && (self.write_multi || !self.regions.is_empty())
            || (name == DMA_MAP.name || name == DMA_UNMAP.name) && self.maps
            || name == DEVICE_RESET.name && self.reset
            || name == DEVICE_GET_REGION_IO_FDS.name && (self.io_fds || among(&self.regions, "index"))
    }

    fn tell(&mut self, what: &str, a: impl Display, b: impl Display) {
        let (a, b) = (a.to_string(), b.to_string());
        if a != b {
            self.said.push(format!("{what}: A {a}, B {b}"));
        }
    }

    /// The indexes under which they have something different.
    fn indexed<T>(
        &mut self,
        what: &str,
        a: &BTreeMap<u32, &T>,
        b: &BTreeMap<u32, &T>,
        text: fn(Option<&&T>) -> String,
    ) -> BTreeSet<u64> {
        let all: BTreeSet<u32> = a.keys().chain(b.keys()).copied().collect();
        let differs = |index: &u32| text(a.get(index)) != text(b.get(index));
        let different: Vec<u32> = all.into_iter().filter(differs).collect();
        for index in &different {
            self.tell(&format!("{what} {index}"), text(a.get(index)), text(b.get(index)));
        }
        different.into_iter().map(u64::from).collect()
    }
}

fn between(a: u32, b: u32) -> std::ops::Range<u64> {
    u64::from(a.min(b))..u64::from(a.max(b))
}

fn version(found: &Discovered) -> String {
    found.version.map_or("none".to_owned(), |(major, minor)| format!("{major}.{minor}"))
}

fn region(region: Option<&&Region>) -> String {
    match region {
        Some(region) if region.size > 0 => {
            let fds = if region.fds > 0 { ", with a descriptor" } else { "" };
            format!("{:#x} bytes {}{fds}", region.size, flags(RegionInfo::LAYOUT.field("flags"), region.flags))
        }
        _ => "absent".to_owned(),
    }
}

fn irq(irq: Option<&&Irq>) -> String {
    match irq {
        Some(irq) if irq.count > 0 => {
            format!("{} {}", irq.count, flags(IrqInfo::LAYOUT.field("flags"), irq.flags))
        }
        _ => "none".to_owned(),
    }
}

/// Bits by their names, without the number.
fn flags(field: Option<&vfio_user_wire::Field>, value: u32) -> String {
    let text = field.map_or_else(|| format!("{value:#x}"), |field| value_text(field, u64::from(value)));
    text.split_once('(').map_or(text.clone(), |(_, names)| names.trim_end_matches(')').to_owned())
}

/// A field's value, from the text that people see.
fn number(text: &str) -> Option<u64> {
    let word = text.split(' ').next()?;
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}
