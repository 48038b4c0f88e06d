//! Our structs against bytes that were written by hand from the specification's tables, one file per message in
//! `fixtures/golden`: a comment names a field and its offset from the start of the message, its bytes follow.
//!
//! ```text
//! # 16 argsz: 32
//! 20 00 00 00
//! ```
//!
//! The bytes are little-endian, and the protocol is in host order: there is nothing to compare on other hosts.
#![cfg(target_endian = "little")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, helpers included")]

mod device_feature;
mod device_get_region_io_fds;
mod file;
mod legacy;
mod mig_data;
mod region_write_multi;
mod tables;

use std::collections::BTreeSet;

use pretty_assertions::assert_eq;
use serde_json::json;
use vfio_user_wire::message::{
    DEVICE_GET_INFO, DEVICE_GET_IRQ_INFO, DEVICE_GET_REGION_INFO, DEVICE_RESET, DEVICE_SET_IRQS, DMA_MAP, DMA_READ,
    DMA_UNMAP, DMA_WRITE, DeviceInfo, DmaAccess, DmaMap, DmaUnmap, DmaWriteReply, IrqInfo, IrqSet, REGION_READ,
    REGION_WRITE, RegionAccess, RegionInfo, VERSION, Version,
};
use vfio_user_wire::{
    Body, Capability, CapabilityBody, CapabilityHeader, ERROR, Frame, HEADER_SIZE, Message, NO_REPLY, RegionType,
    SparseArea, SparseHeader, TYPE_REPLY, V0_9_1, V0_9_2, V8, V8C, VersionData, capabilities, device_info_flags, irq,
    irq_info_flags, irq_set_flags, region_info_flags, sparse_mmap_bytes, type_bytes,
};

use file::{Golden, command, directory, joined};

#[test]
fn version() {
    let data = VersionData::parse(b"{\"capabilities\":{\"max_msg_fds\":8}}\0").unwrap();
    let fixed = Version { major: 0, minor: 2 };
    let golden = Golden::load("version.request.hex");
    let request = command([1, 2], &VERSION, &joined(&[fixed.bytes(), &data.bytes()]));
    golden.is(&request, &VERSION.request, &data.bytes());
    let (parsed, tail) = Version::parse(&request.payload).unwrap();
    assert_eq!(parsed, fixed);
    assert_eq!(
        VersionData::parse(tail).unwrap().object,
        *json!({"capabilities": {"max_msg_fds": 8}}).as_object().unwrap()
    );

    let capabilities = json!({"max_msg_fds": 4, "pgsizes": 4096}).as_object().unwrap().clone();
    let data = VersionData::with_capabilities(capabilities);
    let fixed = Version { major: 0, minor: 1 };
    let reply = Frame::reply(&request.header, joined(&[fixed.bytes(), &data.bytes()]));
    Golden::load("version.reply.hex").is(&reply, &VERSION.reply, &data.bytes());
    let (parsed, tail) = Version::parse(&reply.payload).unwrap();
    assert_eq!(parsed, fixed);
    assert_eq!(VersionData::parse(tail).unwrap(), data);
    assert_eq!(data.number("max_msg_fds"), Some(4));
}

#[test]
fn dma_map() {
    let map = DmaMap { argsz: 32, flags: 3, offset: 0x2000, address: 0x1122_3344_5566_7000, size: 0x4000 };
    let request = command([3, 4], &DMA_MAP, map.bytes());
    Golden::load("dma-map.request.hex").is(&request, &DMA_MAP.request, &[]);
    assert_eq!(DmaMap::parse(&request.payload), Some((map, &[][..])));
    let named =
        |name: &str| DmaMap::LAYOUT.field("flags").unwrap().bits.iter().find(|bit| bit.name == name).unwrap().mask;
    assert_eq!((named("readable"), named("writeable")), (1 << 0, 1 << 1));

    Golden::load("dma-map.reply.hex").is(&Frame::reply(&request.header, vec![]), &DMA_MAP.reply, &[]);

    let golden = Golden::load("dma-map.error.hex");
    let refused = Frame::error(&request.header, 17);
    golden.is(&refused, &Body::EMPTY, &[]);
    assert!(refused.header.is_reply() && refused.header.is_error() && !refused.header.no_reply());
    assert_eq!(golden.value("header.flags"), u64::from(TYPE_REPLY | ERROR));
}

#[test]
fn dma_unmap() {
    let unmap = DmaUnmap { argsz: 24, flags: 0, address: 0x1122_3344_5566_7000, size: 0x4000 };
    let request = command([5, 6], &DMA_UNMAP, unmap.bytes());
    Golden::load("dma-unmap.request.hex").is(&request, &DMA_UNMAP.request, &[]);
    assert_eq!(DmaUnmap::parse(&request.payload), Some((unmap, &[][..])));
    let reply = Frame::reply(&request.header, unmap.bytes().to_vec());
    Golden::load("dma-unmap.reply.hex").is(&reply, &DMA_UNMAP.reply, &[]);
}

#[test]
fn device_get_info() {
    let asked = DeviceInfo { argsz: 16, ..Default::default() };
    let request = command([7, 8], &DEVICE_GET_INFO, asked.bytes());
    Golden::load("device-get-info.request.hex").is(&request, &DEVICE_GET_INFO.request, &[]);

    let flags = device_info_flags::RESET | device_info_flags::PCI;
    let info = DeviceInfo { argsz: 16, flags, num_regions: 9, num_irqs: 5 };
    let reply = Frame::reply(&request.header, info.bytes().to_vec());
    Golden::load("device-get-info.reply.hex").is(&reply, &DEVICE_GET_INFO.reply, &[]);
    assert_eq!(DeviceInfo::parse(&reply.payload), Some((info, &[][..])));
}

#[test]
fn device_get_region_info_with_a_chain_of_two_capabilities() {
    let asked = RegionInfo { argsz: 96, index: 2, ..Default::default() };
    let request = command([9, 10], &DEVICE_GET_REGION_INFO, asked.bytes());
    Golden::load("device-get-region-info.request.hex").is(&request, &DEVICE_GET_REGION_INFO.request, &[]);

    use region_info_flags::{CAPS, MMAP, READ, WRITE};
    let info = RegionInfo {
        argsz: 96,
        flags: READ | WRITE | MMAP | CAPS,
        index: 2,
        cap_offset: 32,
        size: 0x8000,
        offset: 0x30000,
    };
    let areas = vec![SparseArea { offset: 0x1000, size: 0x2000 }, SparseArea { offset: 0x4000, size: 0x1000 }];
    let chain = joined(&[&sparse_mmap_bytes(&areas, 80), &type_bytes(0x8000_1af4, 7, 0)]);
    let reply = Frame::reply(&request.header, joined(&[info.bytes(), &chain]));
    let golden = Golden::load("device-get-region-info.reply.hex");
    golden.is(&reply, &DEVICE_GET_REGION_INFO.reply, &chain);

    let golden_bytes = golden.bytes();
    let payload = &golden_bytes[HEADER_SIZE..];
    assert_eq!(RegionInfo::parse(payload), Some((info, &chain[..])));
    assert_eq!(
        capabilities(payload, info.cap_offset),
        Ok(vec![
            Capability { offset: 32, id: 1, version: 1, body: CapabilityBody::SparseMmap { reserved: 0, areas } },
            Capability { offset: 80, id: 2, version: 1, body: CapabilityBody::Type { kind: 0x8000_1af4, subtype: 7 } },
        ])
    );

    // The capabilities' own tables.
    golden.has_the_fields_of(&CapabilityHeader::LAYOUT, 48, "sparse.");
    golden.has_the_fields_of(&SparseHeader::LAYOUT, 56, "sparse.");
    golden.has_the_fields_of(&SparseArea::LAYOUT, 64, "area0.");
    golden.has_the_fields_of(&SparseArea::LAYOUT, 80, "area1.");
    golden.has_the_fields_of(&CapabilityHeader::LAYOUT, 96, "type.");
    golden.has_the_fields_of(&RegionType::LAYOUT, 104, "type.");
}

#[test]
fn device_get_irq_info() {
    let asked = IrqInfo { argsz: 16, index: irq::MSIX, ..Default::default() };
    let request = command([11, 12], &DEVICE_GET_IRQ_INFO, asked.bytes());
    Golden::load("device-get-irq-info.request.hex").is(&request, &DEVICE_GET_IRQ_INFO.request, &[]);

    let flags = irq_info_flags::EVENTFD | irq_info_flags::NORESIZE;
    let info = IrqInfo { argsz: 16, flags, index: irq::MSIX, count: 0x800 };
    let reply = Frame::reply(&request.header, info.bytes().to_vec());
    Golden::load("device-get-irq-info.reply.hex").is(&reply, &DEVICE_GET_IRQ_INFO.reply, &[]);
    assert_eq!(IrqInfo::parse(&reply.payload), Some((info, &[][..])));
}

#[test]
fn device_set_irqs_with_bools() {
    let flags = irq_set_flags::DATA_BOOL | irq_set_flags::ACTION_TRIGGER;
    let set = IrqSet { argsz: 23, flags, index: irq::MSIX, start: 1, count: 3 };
    let request = command([13, 14], &DEVICE_SET_IRQS, &joined(&[set.bytes(), &[1, 0, 1]]));
    Golden::load("device-set-irqs.request.hex").is(&request, &DEVICE_SET_IRQS.request, &[1, 0, 1]);
    assert_eq!(IrqSet::parse(&request.payload), Some((set, &[1, 0, 1][..])));
    Golden::load("device-set-irqs.reply.hex").is(&Frame::reply(&request.header, vec![]), &DEVICE_SET_IRQS.reply, &[]);
}

#[test]
fn region_read() {
    let access = RegionAccess { offset: 0x0001_0203_0405_0607, region: 7, count: 5 };
    let request = command([15, 16], &REGION_READ, access.bytes());
    Golden::load("region-read.request.hex").is(&request, &REGION_READ.request, &[]);
    let data = [0xa1, 0xa2, 0xa3, 0xa4, 0xa5];
    let reply = Frame::reply(&request.header, joined(&[access.bytes(), &data]));
    Golden::load("region-read.reply.hex").is(&reply, &REGION_READ.reply, &data);
    assert_eq!(RegionAccess::parse(&reply.payload), Some((access, &data[..])));
}

#[test]
fn region_write_without_and_with_a_reply() {
    let access = RegionAccess { offset: 0x10, region: 0, count: 4 };
    let data = 0xdead_beef_u32.to_le_bytes();
    let mut request = command([17, 18], &REGION_WRITE, &joined(&[access.bytes(), &data]));
    request.header.flags |= NO_REPLY;
    Golden::load("region-write.request.hex").is(&request, &REGION_WRITE.request, &data);
    assert!(request.header.no_reply() && !request.header.is_reply() && !request.header.is_error());
    // No_reply does not leak into a reply.
    let reply = Frame::reply(&request.header, access.bytes().to_vec());
    Golden::load("region-write.reply.hex").is(&reply, &REGION_WRITE.reply, &[]);
    assert_eq!(RegionAccess::parse(&reply.payload), Some((access, &[][..])));
}

#[test]
fn dma_read() {
    let access = DmaAccess { address: 0x1122_3344_5566_7788, count: 3 };
    let request = command([19, 20], &DMA_READ, access.bytes());
    Golden::load("dma-read.request.hex").is(&request, &DMA_READ.request, &[]);
    let data = [0xc1, 0xc2, 0xc3];
    let reply = Frame::reply(&request.header, joined(&[access.bytes(), &data]));
    Golden::load("dma-read.reply.hex").is(&reply, &DMA_READ.reply, &data);
    assert_eq!(DmaAccess::parse(&reply.payload), Some((access, &data[..])));
    Golden::load("dma-read.error.hex").is(&Frame::error(&request.header, 14), &Body::EMPTY, &[]);
}

#[test]
fn dma_write_with_its_reply_of_12_bytes() {
    let access = DmaAccess { address: 0x1122_3344_5566_7788, count: 6 };
    let data = [0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6];
    let request = command([21, 22], &DMA_WRITE, &joined(&[access.bytes(), &data]));
    Golden::load("dma-write.request.hex").is(&request, &DMA_WRITE.request, &data);
    assert_eq!(DmaAccess::parse(&request.payload), Some((access, &data[..])));

    let written = DmaWriteReply { address: 0x1122_3344_5566_7788, count: 6 };
    assert_eq!(written.bytes().len(), 12);
    let reply = Frame::reply(&request.header, written.bytes().to_vec());
    Golden::load("dma-write.reply.hex").is(&reply, &DMA_WRITE.reply, &[]);
    assert_eq!(DmaWriteReply::parse(&reply.payload), Some((written, &[][..])));
}

#[test]
fn device_reset() {
    let request = command([23, 24], &DEVICE_RESET, &[]);
    Golden::load("device-reset.request.hex").is(&request, &DEVICE_RESET.request, &[]);
    Golden::load("device-reset.reply.hex").is(&Frame::reply(&request.header, vec![]), &DEVICE_RESET.reply, &[]);
}

#[test]
fn every_message_has_a_request_and_a_reply_and_every_file_is_compared_here() {
    let there: BTreeSet<String> = std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|file| file.ends_with(".hex"))
        .collect();
    let has = |prefix: &str, number: u16, message: &Message| {
        let stem = message.name.to_ascii_lowercase().replace('_', "-");
        for kind in ["request", "reply"] {
            let file = format!("{prefix}{stem}.{kind}.hex");
            assert!(there.contains(&file), "{file} is missing");
            assert_eq!(Golden::load(&file).value("header.command"), u64::from(number), "{file}");
        }
    };
    for (number, message) in V0_9_2.commands {
        has("", *number, message);
    }
    // Of the dialects before, the messages that are not those of 0.9.2 but for their clause.
    for dialect in [V0_9_1, V8, V8C] {
        for (number, message) in dialect.commands {
            let current = V0_9_2.command(message.name).map(|(_, current)| current.in_text(message.clause));
            if current != Some(**message) {
                has(&format!("{}-", dialect.name), *number, message);
            }
        }
    }
    let here = [
        include_str!("main.rs"),
        include_str!("device_feature.rs"),
        include_str!("device_get_region_io_fds.rs"),
        include_str!("legacy.rs"),
        include_str!("mig_data.rs"),
        include_str!("region_write_multi.rs"),
        include_str!("tables.rs"),
    ]
    .concat();
    for file in there {
        assert!(here.contains(&format!("Golden::load(\"{file}\")")), "{file} is compared nowhere");
    }
}

#[test]
#[should_panic(expected = "the bytes before it end at 2")]
fn a_golden_file_whose_offsets_are_wrong_is_refused() {
    Golden::parse("wrong.hex", "# 0 id\n01 02\n# 4 size\n10 00 00 00\n");
}
