//! The golden messages of REGION_WRITE_MULTI.

use pretty_assertions::assert_eq;
use vfio_user_wire::message::{MultiWrite, REGION_WRITE_MULTI, SingleWrite};
use vfio_user_wire::{Frame, HEADER_SIZE};

use crate::file::{Golden, command, joined};

#[test]
fn region_write_multi_of_two_writes() {
    let writes = [
        SingleWrite::of(0x10, 0, &[0xef, 0xbe, 0xad, 0xde]).unwrap(),
        SingleWrite::of(0x0001_0203_0405_0607, 7, &[0xa5]).unwrap(),
    ];
    let multi = MultiWrite { wr_cnt: 2 };
    let array = joined(&[writes[0].bytes(), writes[1].bytes()]);
    let request = command([27, 28], &REGION_WRITE_MULTI, &joined(&[multi.bytes(), &array]));
    let golden = Golden::load("region-write-multi.request.hex");
    golden.is(&request, &REGION_WRITE_MULTI.request, &array);
    golden.has_the_fields_of(&SingleWrite::LAYOUT, 24, "write0.");
    golden.has_the_fields_of(&SingleWrite::LAYOUT, 48, "write1.");

    let bytes = golden.bytes();
    let (parsed, tail) = MultiWrite::parse(&bytes[HEADER_SIZE..]).unwrap();
    assert_eq!((parsed, parsed.writes(tail)), (multi, (&writes[..], &[][..])));
    let written: Vec<Option<&[u8]>> = parsed.writes(tail).0.iter().map(SingleWrite::written).collect();
    assert_eq!(written, [Some(&[0xef, 0xbe, 0xad, 0xde][..]), Some(&[0xa5][..])]);

    let reply = Frame::reply(&request.header, multi.bytes().to_vec());
    Golden::load("region-write-multi.reply.hex").is(&reply, &REGION_WRITE_MULTI.reply, &[]);
    assert_eq!(MultiWrite::parse(&reply.payload), Some((multi, &[][..])));
}
