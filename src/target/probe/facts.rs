//! What follows from the answers, and from the device file.

use vfio_user_wire::region_info_flags::{CAPS, MMAP, READ, WRITE};
use vfio_user_wire::{irq, irq_info_flags, region};

use crate::target::{
    Action, Counter, DeviceFile, DeviceRegister, Discovered, Doorbell, Irq, Launcher, Mirror, Parameter, Region, Step,
};

/// So many bytes at once a device may be asked for that has no reason to give fewer.
const AT_ONCE: u64 = 4096;
/// Bytes that a scratch range must have to be of use.
pub(in crate::target) const SCRATCH: u64 = 64;
/// The largest transfer that a case makes, in bytes: a case may keep nine of them.
pub(in crate::target) const MOST_DATA: u64 = 2 << 20;
/// Why a target lacks what a device file alone tells, where there is none.
pub const NO_DEVICE_FILE: &str = "no device file was given (--device FILE)";
const TOO_LARGE: &str = "its max_data_xfer_size is larger than any transfer of a case";

pub(super) fn conclude(launcher: &Launcher, device: Option<&DeviceFile>, found: &mut Discovered) {
    regions(found);
    irqs(found);
    if found.limits().max_data_xfer_size > MOST_DATA {
        found.no("small-limit", TOO_LARGE);
    } else {
        found.yes("small-limit", &[]);
    }
    if let Some(device) = device {
        scratch(device, found);
        actions(device, found);
        counter(device, found);
        doorbell(device, found);
        mirror(device, found);
    } else {
        for need in [
            "scratch",
            "scratch-second",
            "scratch-large",
            "mmap-scratch",
            "mmap-scratch-last",
            "mmap-scratch-whole",
            "device-dma",
            "device-dma-read",
            "device-status",
            "device-irq",
            "device-irq-any",
            "counter",
            "doorbell",
            "doorbell-datamatch",
            "mirror",
        ] {
            found.no(need, NO_DEVICE_FILE);
        }
    }
    if launcher.spawns() {
        found.yes("spawned", &[]);
    } else if launcher.runs_already() {
        found.no("spawned", "the harness did not start the server");
    } else {
        found.no("spawned", "the server has no process of its own");
    }
    match launcher.one_alone() {
        None => found.yes("second-server", &[]),
        Some(why) => found.no("second-server", why),
    }
    if launcher.conventions() {
        found.yes("conventions", &[]);
    } else {
        found.no(
            "conventions",
            "the target is not declared to follow the backend program conventions (--spawn without {socket} and {fd})",
        );
    }
}

fn regions(found: &mut Discovered) {
    let all = found.regions.clone();
    let is = |region: &&Region, flags: u32| region.size > 0 && region.flags & flags == flags;
    let config =
        all.iter().find(|region| region.index == region::CONFIG && region.size > 0 && region.flags & READ != 0);
    if let Some(region) = config.or_else(|| all.iter().find(|region| is(region, READ))) {
        found.yes("readable", &[("readable.region", u64::from(region.index)), ("readable.size", region.size)]);
    }
    if let Some(region) = all.iter().find(|region| region.size == 0) {
        found.yes("absent-region", &[("absent.region", u64::from(region.index))]);
    }
    if let Some(region) = all.iter().find(|region| is(region, READ) && region.flags & WRITE == 0) {
        found.yes("readonly", &[("readonly.region", u64::from(region.index)), ("readonly.size", region.size)]);
    }
    if let Some(region) = all.iter().find(|region| region.size > 0 && region.flags & READ == 0) {
        found.yes("no-read", &[("writeonly.region", u64::from(region.index)), ("writeonly.size", region.size)]);
    }
    if let Some(region) = all.iter().find(|region| region.index >= region::COUNT) {
        found.yes("device-region", &[("device.region", u64::from(region.index))]);
    }
    if let Some(region) = all.iter().find(|region| region.argsz > 32 && region.flags & CAPS != 0) {
        found.yes(
            "capabilities",
            &[("capable.region", u64::from(region.index)), ("capable.argsz", u64::from(region.argsz))],
        );
    }
    if let Some(region) = all.iter().find(|region| is(region, MMAP)) {
        found.yes("mmap", &[("mmap.region", u64::from(region.index)), ("mmap.size", region.size)]);
    }
    if let Some(region) = all.iter().find(|region| is(region, MMAP) && region.sparse.is_none()) {
        found.yes("mmap-whole", &[("whole.region", u64::from(region.index)), ("whole.size", region.size)]);
    }
    let sparse = all.iter().find_map(|region| {
        Some((region, region.sparse.as_ref()?)).filter(|(region, areas)| is(region, MMAP) && !areas.is_empty())
    });
    if let Some((region, areas)) = sparse
        && let (Some((offset, length)), Some((last, last_length))) = (areas.first(), areas.last())
    {
        let names = [
            ("sparse.region", u64::from(region.index)),
            ("sparse.offset", *offset),
            ("sparse.length", *length),
            ("sparse.areas", areas.len() as u64),
            ("last.offset", *last),
            ("last.length", *last_length),
        ];
        found.yes("mmap-sparse", &names);
    }
}

fn irqs(found: &mut Discovered) {
    let all = found.irqs.clone();
    let first = |test: &dyn Fn(&Irq) -> bool| all.iter().find(|irq| test(irq));
    let has = |irq: &Irq, flags: u32| irq.count > 0 && irq.flags & flags == flags;
    if let Some(irq) = first(&|irq| has(irq, irq_info_flags::MASKABLE | irq_info_flags::EVENTFD)) {
        found
            .yes("irq-maskable", &[("maskable.index", u64::from(irq.index)), ("maskable.count", u64::from(irq.count))]);
    }
    if let Some(irq) = first(&|irq| has(irq, irq_info_flags::EVENTFD) && irq.flags & irq_info_flags::MASKABLE == 0) {
        found.yes("irq-unmaskable", &[("unmaskable.index", u64::from(irq.index))]);
    }
    if let Some(irq) = first(&|irq| has(irq, irq_info_flags::AUTOMASKED | irq_info_flags::EVENTFD)) {
        found.yes("irq-automasked", &[("automasked.index", u64::from(irq.index))]);
    }
    if let Some(irq) = first(&|irq| has(irq, irq_info_flags::NORESIZE | irq_info_flags::EVENTFD) && irq.count >= 2) {
        found
            .yes("irq-noresize", &[("noresize.index", u64::from(irq.index)), ("noresize.count", u64::from(irq.count))]);
    }
    if let Some(irq) = first(&|irq| irq.count == 0) {
        found.yes("irq-absent", &[("none.index", u64::from(irq.index))]);
    }
    if let Some(irq) = first(&|irq| irq.count > 0 && matches!(irq.index, irq::ERR | irq::REQ)) {
        found.yes("irq-err", &[("err.index", u64::from(irq.index))]);
    }
}

fn scratch(device: &DeviceFile, found: &mut Discovered) {
    let usable: Vec<_> = device
        .scratch
        .iter()
        .filter(|range| {
            let region = found.regions.iter().find(|region| region.index == range.region);
            region.is_some_and(|region| region.flags & (READ | WRITE) == READ | WRITE && range.end() <= region.size)
        })
        .cloned()
        .collect();
    if usable.is_empty() {
        for need in ["scratch", "scratch-second"] {
            found.no(need, "the device file names no scratch range in a region that can be read and written");
        }
    }
    let names = |prefix: &str, region: u32, offset: u64, length: u64| {
        [
            (format!("{prefix}.region"), u64::from(region)),
            (format!("{prefix}.offset"), offset),
            (format!("{prefix}.length"), length),
        ]
    };
    let most = found.limits().max_data_xfer_size;
    let mut large_enough = usable.iter().filter(|range| range.length >= SCRATCH);
    if let Some(first) = large_enough.next() {
        let others: Vec<_> = large_enough.collect();
        let second = others.iter().find(|range| range.region != first.region).or(others.first());
        for (need, prefix, range) in [("scratch", "scratch", Some(&first)), ("scratch-second", "other", second)] {
            let Some(range) = range else {
                found.no(need, "the device file names one scratch range");
                continue;
            };
            let names = names(prefix, range.region, range.offset, range.length);
            let mut names: Vec<(&str, u64)> = names.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            let at_once = format!("{prefix}.most");
            names.push((&at_once, range.length.min(most).min(AT_ONCE)));
            found.yes(need, &names);
        }
    }
    match usable.iter().find(|range| range.length >= most && most <= MOST_DATA) {
        Some(range) => {
            let names = names("large", range.region, range.offset, range.length);
            let names: Vec<(&str, u64)> = names.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            found.yes("scratch-large", &names);
        }
        None if most > MOST_DATA => found.no("scratch-large", TOO_LARGE),
        None => found.no(
            "scratch-large",
            &format!("the device file names no scratch range of {most} bytes, the server's max_data_xfer_size"),
        ),
    }
    // Region, first byte, bytes, which of how many areas; one area of none is the whole region.
    let mut places: Vec<(u32, u64, u64, usize, usize)> = Vec::new();
    for range in &usable {
        let region = found.regions.iter().find(|region| region.index == range.region && region.flags & MMAP != 0);
        let Some(region) = region else { continue };
        let known = region.sparse.as_ref().map_or(0, Vec::len);
        let areas = region.sparse.clone().unwrap_or_else(|| vec![(0, region.size)]);
        for (at, (offset, size)) in areas.into_iter().enumerate() {
            let start = range.offset.max(offset);
            let length = range.end().min(offset.saturating_add(size)).saturating_sub(start);
            if length >= SCRATCH {
                places.push((range.region, start, length, at + 1, known));
            }
        }
    }
    let whole = |region: u32| found.regions.iter().any(|known| known.index == region && known.sparse.is_none());
    let facts = [
        ("mmap-scratch", "shared", places.first(), "the device file names no scratch range that can be mapped"),
        (
            "mmap-scratch-last",
            "area",
            places.iter().find(|(_, _, _, at, areas)| *areas > 1 && at == areas),
            "the device file names no scratch range in the last of several mappable areas",
        ),
        (
            "mmap-scratch-whole",
            "entire",
            places.iter().find(|(region, ..)| whole(*region)),
            "the device file names no scratch range in a region that can be mapped as a whole",
        ),
    ]
    .map(|(need, prefix, place, why)| (need, prefix, place.copied(), why));
    for (need, prefix, place, why) in facts {
        let Some((region, offset, length, ..)) = place else {
            found.no(need, why);
            continue;
        };
        let names = names(prefix, region, offset, length);
        let names: Vec<(&str, u64)> = names.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        found.yes(need, &names);
    }
}

fn actions(device: &DeviceFile, found: &mut Discovered) {
    if device.dma_write.as_ref().is_some_and(|action| !within_reach(found, action)) {
        for need in ["device-dma", "device-status"] {
            found.no(need, OUT_OF_REACH);
        }
    } else if let Some(action) = &device.dma_write {
        found.yes("device-dma", &[("dma.max", action.max_length)]);
        if action.status.is_some() {
            found.yes("device-status", &[]);
        } else {
            found.no("device-status", "the device file names no status register");
        }
    } else {
        found.no("device-dma", "the device file does not say how to make the device write memory");
    }
    match device.dma_read.as_ref().and_then(|action| Some((action, action.result.as_ref()?))) {
        Some((action, _)) if !within_reach(found, action) => found.no("device-dma-read", OUT_OF_REACH),
        Some((action, result)) => found.yes(
            "device-dma-read",
            &[
                ("dma.max", action.max_length),
                ("result.region", u64::from(result.region)),
                ("result.offset", result.offset),
            ],
        ),
        None => {
            found.no("device-dma-read", "the device file does not say how to make the device read memory and show it")
        }
    }
    match &device.raise_irq {
        Some(action) if !within_reach(found, action) => {
            for need in ["device-irq", "device-irq-any"] {
                found.no(need, OUT_OF_REACH);
            }
        }
        Some(action) => {
            found.yes("device-irq", &[]);
            if [Parameter::Index, Parameter::Vector].into_iter().all(|name| action.takes(name)) {
                found.yes("device-irq-any", &[]);
            } else {
                found
                    .no("device-irq-any", "the device file does not say how to raise an interrupt by index and vector");
            }
        }
        None => {
            for need in ["device-irq", "device-irq-any"] {
                found.no(need, "the device file does not say how to raise an interrupt");
            }
        }
    }
}

/// Cases write its values as `u32:`, so that other widths are of no use.
fn counter(device: &DeviceFile, found: &mut Discovered) {
    let Some(Counter { register, raise, value, .. }) = device.counter else {
        return found.no("counter", "the device file names no counter");
    };
    if (register.width, raise.width) != (4, 4) {
        return found.no("counter", "the device file names no counter of 4 bytes that a write of 4 bytes raises");
    }
    if !inside(found, register, READ) || !inside(found, raise, WRITE) {
        return found.no("counter", "the device file names no counter in regions that can be read and written");
    }
    let names = [
        ("counter.region", u64::from(register.region)),
        ("counter.offset", register.offset),
        ("counter.width", u64::from(register.width)),
        ("raise.region", u64::from(raise.region)),
        ("raise.offset", raise.offset),
        ("raise.width", u64::from(raise.width)),
        ("raise.value", value),
    ];
    found.yes("counter", &names);
}

/// The counter itself is another need.
fn doorbell(device: &DeviceFile, found: &mut Discovered) {
    let why = match device.counter.and_then(|counter| counter.doorbell) {
        None => "the device file names no doorbell of a counter",
        Some(doorbell) if !found.io_fds.iter().any(|known| known.region == doorbell.region) => {
            "the region of the doorbell has no sub-regions with descriptors"
        }
        Some(Doorbell { region, offset, size, datamatch }) => {
            let mut names =
                vec![("doorbell.region", u64::from(region)), ("doorbell.offset", offset), ("doorbell.size", size)];
            found.yes("doorbell", &names);
            match datamatch {
                None => found.no("doorbell-datamatch", "the doorbell of the device file is rung by any value"),
                Some(datamatch) => {
                    names.push(("doorbell.datamatch", datamatch));
                    found.yes("doorbell-datamatch", &names);
                }
            }
            return;
        }
    };
    for need in ["doorbell", "doorbell-datamatch"] {
        found.no(need, why);
    }
}

/// Cases write its value as `u64:`.
fn mirror(device: &DeviceFile, found: &mut Discovered) {
    let Some(Mirror { register, shows }) = device.mirror else {
        return found.no("mirror", "the device file names no mirror");
    };
    if register.width != 8 {
        return found.no("mirror", "the device file names no mirror of 8 bytes");
    }
    if !inside(found, register, READ) {
        return found.no("mirror", "the device file names no mirror in a region that can be read");
    }
    let end = shows.offset.saturating_add(u64::from(register.width));
    let region = found.regions.iter().find(|region| region.index == shows.region);
    let stored = region.is_some_and(|region| {
        let areas = region.sparse.clone().unwrap_or_else(|| vec![(0, region.size)]);
        let around = |(offset, size): &(u64, u64)| *offset <= shows.offset && end <= offset.saturating_add(*size);
        region.flags & (WRITE | MMAP) == WRITE | MMAP && areas.iter().any(around)
    });
    if !stored {
        return found.no("mirror", "the device file names no mirror of bytes that can be mapped and written");
    }
    let names = [
        ("mirror.region", u64::from(register.region)),
        ("mirror.offset", register.offset),
        ("mirror.width", u64::from(register.width)),
        ("shown.region", u64::from(shows.region)),
        ("shown.offset", shows.offset),
    ];
    found.yes("mirror", &names);
}

const OUT_OF_REACH: &str = "the device file names registers for it that no region has";

/// Every register of the action lies in a region that can be written, and those that answer in one that can be read.
fn within_reach(found: &Discovered, action: &Action) -> bool {
    let written = action.steps.iter().all(|step| match *step {
        Step::Write { region, offset, width, .. } => inside(found, DeviceRegister { region, offset, width }, WRITE),
        Step::Place { .. } => true,
    });
    let status = action.status.map(|status| DeviceRegister {
        region: status.region,
        offset: status.offset,
        width: status.width,
    });
    let result = action.result.map(|at| DeviceRegister { region: at.region, offset: at.offset, width: 1 });
    written && [status, result].into_iter().flatten().all(|register| inside(found, register, READ))
}

/// The register lies in a region that has these flags.
fn inside(found: &Discovered, register: DeviceRegister, flags: u32) -> bool {
    let region = found.regions.iter().find(|region| region.index == register.region);
    region.is_some_and(|region| {
        region.flags & flags == flags && register.offset.saturating_add(u64::from(register.width)) <= region.size
    })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::target::Has;

    const COUNTER: &str = "name = \"x\"\n[counter]\nregister = { region = 0, offset = 4, width = 4 }\n\
                           raise = { region = 2, offset = 0xc, width = 4, value = 7 }";
    const MIRROR: &str = "name = \"x\"\n[mirror]\nregister = { region = 0, offset = 8, width = 8 }\n\
                          shows = { region = 1, offset = 0x1ff8 }";

    fn region(index: u32, flags: u32, size: u64, sparse: Option<Vec<(u64, u64)>>) -> Region {
        Region { index, flags, size, sparse, ..Region::default() }
    }

    /// What the device file makes of three regions: for reading, in part for mapping, for writing.
    fn says(text: &str, need: &str) -> Has {
        let device = DeviceFile::parse("x.toml", text).unwrap();
        let regions = vec![
            region(0, READ, 0x10, None),
            region(1, READ | WRITE | MMAP, 0x4000, Some(vec![(0x1000, 0x1000)])),
            region(2, WRITE, 0x10, None),
        ];
        let mut found = Discovered { regions, ..Discovered::default() };
        counter(&device, &mut found);
        mirror(&device, &mut found);
        found.has.remove(need).unwrap()
    }

    fn names(names: &[(&str, u64)]) -> Has {
        let mut found = Discovered::default();
        found.yes("x", names);
        found.has.remove("x").unwrap()
    }

    #[test]
    fn a_counter_of_4_bytes_is_offered_with_its_numbers() {
        let expected = names(&[
            ("counter.region", 0),
            ("counter.offset", 4),
            ("counter.width", 4),
            ("raise.region", 2),
            ("raise.offset", 0xc),
            ("raise.width", 4),
            ("raise.value", 7),
        ]);
        assert_eq!(says(COUNTER, "counter"), expected);
        for (from, to, why) in [
            (
                "4, width = 4",
                "4, width = 8",
                "the device file names no counter of 4 bytes that a write of 4 bytes raises",
            ),
            (
                "0xc, width = 4",
                "0xc, width = 1",
                "the device file names no counter of 4 bytes that a write of 4 bytes raises",
            ),
            ("0xc, width", "0xd, width", "the device file names no counter in regions that can be read and written"),
            ("region = 0", "region = 2", "the device file names no counter in regions that can be read and written"),
            ("region = 2", "region = 3", "the device file names no counter in regions that can be read and written"),
        ] {
            assert_eq!(says(&COUNTER.replacen(from, to, 1), "counter"), Has::No(why.to_owned()), "{to}");
        }
        assert_eq!(says(MIRROR, "counter"), Has::No("the device file names no counter".to_owned()));
    }

    #[test]
    fn an_action_is_offered_where_its_registers_are_there() {
        const DEVICE: &str = "name = \"x\"\n[dma-write]\nmax-length = 16\nsteps = [\n\
                              { write = \"iova\", region = 0, offset = 0, width = 8 },\n\
                              { write = \"length\", region = 1, offset = 4, width = 4 },\n]\n\
                              status = { region = 2, offset = 0, width = 4, done = 1 }";
        let device = DeviceFile::parse("x.toml", DEVICE).unwrap();
        for (regions, offered) in [
            ([(WRITE, 8), (WRITE, 8), (READ, 4)], true),
            ([(WRITE, 8), (WRITE, 7), (READ, 4)], false),
            ([(WRITE, 8), (READ, 8), (READ, 4)], false),
            ([(WRITE, 8), (WRITE, 8), (WRITE, 4)], false),
            ([(WRITE, 8), (WRITE, 8), (0, 0)], false),
        ] {
            let regions = (0..).zip(regions).map(|(index, (flags, size))| region(index, flags, size, None)).collect();
            let mut found = Discovered { regions, ..Discovered::default() };
            actions(&device, &mut found);
            for need in ["device-dma", "device-status"] {
                assert_eq!(matches!(found.has[need], Has::Yes(_)), offered, "{need} {:?}", found.regions);
            }
        }
    }

    #[test]
    fn a_mirror_of_8_bytes_is_offered_where_what_it_shows_can_be_mapped() {
        let expected = names(&[
            ("mirror.region", 0),
            ("mirror.offset", 8),
            ("mirror.width", 8),
            ("shown.region", 1),
            ("shown.offset", 0x1ff8),
        ]);
        assert_eq!(says(MIRROR, "mirror"), expected);
        for (from, to, why) in [
            ("width = 8", "width = 4", "the device file names no mirror of 8 bytes"),
            ("offset = 8", "offset = 9", "the device file names no mirror in a region that can be read"),
            ("0x1ff8", "0x1ff9", "the device file names no mirror of bytes that can be mapped and written"),
            ("0x1ff8", "0xff8", "the device file names no mirror of bytes that can be mapped and written"),
            ("region = 1", "region = 0", "the device file names no mirror of bytes that can be mapped and written"),
            ("region = 1", "region = 9", "the device file names no mirror of bytes that can be mapped and written"),
        ] {
            assert_eq!(says(&MIRROR.replacen(from, to, 1), "mirror"), Has::No(why.to_owned()), "{to}");
        }
        assert_eq!(says(COUNTER, "mirror"), Has::No("the device file names no mirror".to_owned()));
    }
}
