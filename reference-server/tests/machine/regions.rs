//! REGION_READ and REGION_WRITE (specification 1298-1392).

use pretty_assertions::assert_eq;
use vfio_user_reference_server::Errno;
use vfio_user_wire::message::RegionAccess;

use crate::client::{Client, region_write};

const SCRATCH: u64 = 0x1000;

fn refused(client: &mut Client, region: u32, offset: u64, count: u32) -> [i32; 2] {
    let access = RegionAccess { offset, region, count };
    let write = [access.bytes(), &vec![0xee; count.min(64) as usize]].concat();
    [client.refused("REGION_READ", access.bytes()), client.refused("REGION_WRITE", &write)]
}

#[test]
fn accesses_outside_of_a_region_are_refused() {
    let mut client = Client::new();
    let outside = [
        (9, 0, 1),
        (u32::MAX, 0, 1),
        (3, 0, 1),
        (8, 0, 0),
        (7, 255, 2),
        (7, 256, 1),
        (7, 257, 0),
        (7, u64::MAX, 2),
        (7, u64::MAX, 0),
        (2, 0x20_0000 - 4, 8),
    ];
    for (region, offset, count) in outside {
        assert_eq!(refused(&mut client, region, offset, count), [Errno::EINVAL as i32; 2], "{region} {offset:#x}");
    }
    assert_eq!(client.read(7, 255, 1), [0]);
    assert_eq!(client.read(2, 0x20_0000 - 4, 4), [0; 4]);
}

#[test]
fn transfers_have_a_limit_and_reach_it() {
    let mut client = Client::new();
    let limit = 1 << 20;
    client.write(2, 0x10_0000, &vec![0x5a; limit]);
    assert_eq!(client.read(2, 0x10_0000, limit as u32), vec![0x5a; limit]);
    assert_eq!(client.read(2, 0xf_fffc, 8), [0, 0, 0, 0, 0x5a, 0x5a, 0x5a, 0x5a]);
    let access = RegionAccess { offset: 0, region: 2, count: limit as u32 + 1 };
    assert_eq!(client.refused("REGION_READ", access.bytes()), Errno::EINVAL as i32);
    assert_eq!(client.refused("REGION_WRITE", &region_write(2, 0, &vec![1; limit + 1])), Errno::EINVAL as i32);
    assert_eq!(refused(&mut client, 2, 0, 0xffff_fff0), [Errno::EINVAL as i32; 2]);
    assert_eq!(client.read(2, 0, 1), [0]);
}

#[test]
fn no_bytes_are_read_and_written_with_success() {
    let mut client = Client::new();
    assert!(client.read(0, SCRATCH, 0).is_empty());
    assert!(client.write(0, 0x10000, &[]).is_empty());
}

#[test]
fn scratch_reads_back_at_any_width_and_offset() {
    let mut client = Client::new();
    for (region, start, end) in [(0, SCRATCH, 0x3000), (1, 0, 0x10000), (2, 0, 0x20_0000)] {
        for count in [1, 2, 3, 4, 5, 7, 8, 9, 64] {
            let data: Vec<u8> = (1..=count).collect();
            for offset in [start, start + 1, end - u64::from(count)] {
                client.write(region, offset, &data);
                assert_eq!(client.read(region, offset, count.into()), data);
            }
        }
    }
    client.write(0, SCRATCH, &[1, 2, 3, 4]);
    client.write(0, SCRATCH + 1, &[9, 9]);
    assert_eq!(client.read(0, SCRATCH, 4), [1, 9, 9, 4]);
}

#[test]
fn the_count_says_how_many_bytes_are_written() {
    let mut client = Client::new();
    let mut write = region_write(0, SCRATCH, &[1, 2, 3, 4]);
    write.extend([9; 4]);
    client.ok("REGION_WRITE", &write);
    assert_eq!(client.read(0, SCRATCH, 8), [1, 2, 3, 4, 0, 0, 0, 0]);
    let access = RegionAccess { offset: SCRATCH, region: 0, count: 8 };
    let too_few = [access.bytes(), &[7; 7]].concat();
    assert_eq!(client.refused("REGION_WRITE", &too_few), Errno::EINVAL as i32);
    assert_eq!(client.read(0, SCRATCH, 8), [1, 2, 3, 4, 0, 0, 0, 0]);
}

#[test]
fn a_read_only_region_is_not_written() {
    let mut client = Client::new();
    let before = client.read(4, 0x100, 4);
    assert_eq!(before, [0x1d, 0x1c, 0x1f, 0x1e]);
    assert_eq!(client.refused("REGION_WRITE", &region_write(4, 0x100, &[0; 4])), Errno::EPERM as i32);
    assert_eq!(client.read(4, 0x100, 4), before);
}
