//! What in a device file would give a target what it lacks.

use vfio_user_wire::region;
use vfio_user_wire::region_info_flags::{MMAP, READ, WRITE};

use super::probe::{MOST_DATA, SCRATCH};
use super::{Discovered, Has, Region};

/// What a device file would have to say so that a target has what a word of `needs` stands for; `None` where no device file can
/// help this target.
pub fn remedy(need: &str, found: &Discovered) -> Option<String> {
    let has = |need: &str| matches!(found.has.get(need), Some(Has::Yes(_)));
    let any =
        |test: &dyn Fn(&Region) -> bool| found.regions.iter().any(|region| of_device(region, found) && test(region));
    let mapped = |region: &Region| region.flags & MMAP != 0 && takes_scratch(region);
    let areas = |region: &Region| region.sparse.as_ref().map_or(0, Vec::len);
    let told = match need {
        "scratch" if any(&takes_scratch) => {
            format!("[[scratch]]: {SCRATCH} bytes in a region that can be read and written")
        }
        "scratch-second" if any(&takes_scratch) => format!("[[scratch]]: a second range, of {SCRATCH} bytes"),
        "scratch-large" => {
            let most = found.limits().max_data_xfer_size;
            let fits = |region: &Region| takes_scratch(region) && region.size >= most;
            (most <= MOST_DATA && any(&fits)).then(|| format!("[[scratch]]: {most} bytes, its max_data_xfer_size"))?
        }
        "mmap-scratch" if any(&|region| mapped(region) && region.sparse.as_ref().is_none_or(|all| !all.is_empty())) => {
            format!("[[scratch]]: {SCRATCH} bytes that can be mapped")
        }
        "mmap-scratch-last" if any(&|region| mapped(region) && areas(region) > 1) => {
            format!("[[scratch]]: {SCRATCH} bytes in the last of the areas of a region that can be mapped")
        }
        "mmap-scratch-whole" if any(&|region| mapped(region) && region.sparse.is_none()) => {
            format!("[[scratch]]: {SCRATCH} bytes in a region that can be mapped as a whole")
        }
        "device-dma" if any(&is_written) => "[dma-write]".to_owned(),
        "device-dma-read" if any(&is_written) => "[dma-read] with `result`".to_owned(),
        "device-status" if any(&is_written) => "[dma-write] with `status`".to_owned(),
        "device-irq" if any(&is_written) => "[raise-irq]".to_owned(),
        "device-irq-any" if any(&is_written) => "[raise-irq] with `index` and `vector` in its steps".to_owned(),
        "counter" if any(&is_written) => "[counter], of 4 bytes".to_owned(),
        "doorbell" if !found.io_fds.is_empty() => "[counter] with `doorbell`".to_owned(),
        "doorbell-datamatch" if !found.io_fds.is_empty() => {
            "[counter] with a `doorbell` that has a `datamatch`".to_owned()
        }
        "mirror" if any(&mapped) => "[mirror], of 8 bytes".to_owned(),
        "pfn-query" if has("migration-region") => "`pfn-query = true`".to_owned(),
        _ => return None,
    };
    Some(told)
}

/// It is a region whose bytes only the device's author knows: neither configuration space, which the protocol describes, nor
/// that of migration.
pub(super) fn of_device(region: &Region, found: &Discovered) -> bool {
    let config = region.index == region::CONFIG && found.is_pci();
    region.size > 0 && !config && found.migration_region() != Some(region.index)
}

/// Bytes of it can be scratch.
pub(super) fn takes_scratch(region: &Region) -> bool {
    region.flags & (READ | WRITE) == READ | WRITE && region.size >= SCRATCH
}

/// It has registers that can be written.
pub(super) fn is_written(region: &Region) -> bool {
    region.flags & WRITE != 0
}

#[cfg(test)]
mod tests {
    use vfio_user_wire::device_info_flags;

    use super::*;
    use crate::Profile;
    use crate::case::NEEDS;
    use crate::run::PaperTarget;

    #[test]
    fn every_need_that_a_device_file_meets_has_a_remedy_and_no_other_one() {
        for need in NEEDS {
            let told = Profile::ALL.into_iter().any(|profile| {
                let paper = PaperTarget::bundled(profile).unwrap();
                remedy(need.word, &paper.discovered).is_some()
            });
            assert_eq!(told, need.probed.starts_with("device file"), "{}", need.word);
        }
    }

    #[test]
    fn where_the_device_has_no_region_for_it_no_device_file_helps() {
        let with = |regions| Discovered { regions, ..Discovered::default() };
        let region = |flags, sparse| Region { index: 2, size: 0x1000, flags, sparse, ..Region::default() };
        let helps = |found: &Discovered| -> Vec<&str> {
            NEEDS.iter().map(|need| need.word).filter(|word| remedy(word, found).is_some()).collect()
        };
        assert!(helps(&with(Vec::new())).is_empty());
        assert!(helps(&with(vec![region(READ, None)])).is_empty());
        let registers = ["device-dma", "device-dma-read", "device-status", "device-irq", "device-irq-any", "counter"];
        assert_eq!(helps(&with(vec![region(WRITE, None)])), registers);
        let plain = helps(&with(vec![region(READ | WRITE, None)]));
        assert!(plain.contains(&"scratch") && !plain.contains(&"mmap-scratch"), "{plain:?}");
        let mapped = helps(&with(vec![region(READ | WRITE | MMAP, None)]));
        assert!(mapped.contains(&"mmap-scratch-whole") && !mapped.contains(&"mmap-scratch-last"), "{mapped:?}");
        let sparse = helps(&with(vec![region(READ | WRITE | MMAP, Some(vec![(0, 0x400), (0x800, 0x400)]))]));
        assert!(sparse.contains(&"mmap-scratch-last") && !sparse.contains(&"mmap-scratch-whole"), "{sparse:?}");
    }

    #[test]
    fn configuration_space_is_nobodys_scratch() {
        let regions = vec![Region { index: 7, size: 0x100, flags: READ | WRITE, ..Region::default() }];
        let mut found = Discovered { regions, ..Discovered::default() };
        assert!(remedy("scratch", &found).is_some(), "where it is no PCI device, region 7 is like any other");
        found.device_flags = Some(device_info_flags::PCI);
        assert_eq!(remedy("scratch", &found), None);
    }
}
