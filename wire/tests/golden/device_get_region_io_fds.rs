//! The golden messages of DEVICE_GET_REGION_IO_FDS, with a sub-region of each type.

use pretty_assertions::assert_eq;
use vfio_user_wire::message::{DEVICE_GET_REGION_IO_FDS, RegionIoFds};
use vfio_user_wire::{
    Frame, HEADER_SIZE, IoEventFd, IoRegionFd, SubRegion, SubRegions, io_event_fd_flags, io_fd_type, io_region_fd_flags,
};

use crate::file::{Golden, command, joined};

#[test]
fn device_get_region_io_fds_with_a_sub_region_of_each_type() {
    let asked = RegionIoFds { argsz: 96, index: 2, ..Default::default() };
    let request = command([25, 26], &DEVICE_GET_REGION_IO_FDS, asked.bytes());
    Golden::load("device-get-region-io-fds.request.hex").is(&request, &DEVICE_GET_REGION_IO_FDS.request, &[]);

    let told = RegionIoFds { argsz: 96, flags: 0, index: 2, count: 2 };
    let event = IoEventFd {
        offset: 0x1000,
        size: 4,
        fd_index: 1,
        kind: io_fd_type::IOEVENTFD,
        flags: io_event_fd_flags::DATAMATCH | io_event_fd_flags::VIRTIO_CCW_NOTIFY,
        padding: 0,
        datamatch: 0x1122_3344_5566_7788,
    };
    let region = IoRegionFd {
        offset: 0x2000,
        size: 0,
        fd_index: 0,
        kind: io_fd_type::IOREGIONFD,
        flags: io_region_fd_flags::POSTED_WRITES,
        padding: 0,
        user_data: 0x99aa_bbcc_ddee_ff00,
    };
    let array = joined(&[event.bytes(), region.bytes()]);
    let reply = Frame::reply(&request.header, joined(&[told.bytes(), &array]));
    let golden = Golden::load("device-get-region-io-fds.reply.hex");
    golden.is(&reply, &DEVICE_GET_REGION_IO_FDS.reply, &array);
    golden.has_the_fields_of(&IoEventFd::LAYOUT, 32, "ioeventfd.");
    golden.has_the_fields_of(&IoRegionFd::LAYOUT, 72, "ioregionfd.");

    let bytes = golden.bytes();
    let (parsed, tail) = RegionIoFds::parse(&bytes[HEADER_SIZE..]).unwrap();
    assert_eq!((parsed, parsed.stride()), (told, Ok(40)));
    let found: Vec<SubRegion> = SubRegions::new(tail, 40, parsed.count).collect();
    assert_eq!(found, [SubRegion::IoEventFd(event), SubRegion::IoRegionFd(region)]);
}
