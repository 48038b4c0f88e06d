//! The golden messages of MIG_DATA_READ and MIG_DATA_WRITE.

use pretty_assertions::assert_eq;
use vfio_user_wire::Frame;
use vfio_user_wire::message::{MIG_DATA_READ, MIG_DATA_WRITE, MigrationData};

use crate::file::{Golden, command, joined};

#[test]
fn mig_data_read_at_the_end_of_the_stream() {
    let asked = MigrationData { argsz: 24, size: 16 };
    let request = command([43, 44], &MIG_DATA_READ, asked.bytes());
    Golden::load("mig-data-read.request.hex").is(&request, &MIG_DATA_READ.request, &[]);

    let read = MigrationData { argsz: 11, size: 3 };
    let data = [0xe1, 0xe2, 0xe3];
    let reply = Frame::reply(&request.header, joined(&[read.bytes(), &data]));
    Golden::load("mig-data-read.reply.hex").is(&reply, &MIG_DATA_READ.reply, &data);
    assert_eq!(MigrationData::parse(&reply.payload), Some((read, &data[..])));
}

#[test]
fn mig_data_write() {
    let written = MigrationData { argsz: 12, size: 4 };
    let data = [0xf1, 0xf2, 0xf3, 0xf4];
    let request = command([45, 46], &MIG_DATA_WRITE, &joined(&[written.bytes(), &data]));
    Golden::load("mig-data-write.request.hex").is(&request, &MIG_DATA_WRITE.request, &data);
    assert_eq!(MigrationData::parse(&request.payload), Some((written, &data[..])));
    Golden::load("mig-data-write.reply.hex").is(&Frame::reply(&request.header, vec![]), &MIG_DATA_WRITE.reply, &[]);
}
