//! REGION_WRITE_MULTI (specification 1480-1531).

use pretty_assertions::assert_eq;
use vfio_user_reference_server::Errno;
use vfio_user_wire::message::{MultiWrite, SingleWrite};

use crate::client::{Client, DONE};

const SCRATCH: u64 = 0x1000;

fn client() -> Client {
    Client::with(r#"{"write_multiple":true}"#)
}

fn write(region: u32, offset: u64, data: &[u8]) -> SingleWrite {
    SingleWrite::of(offset, region, data).unwrap()
}

fn message(wr_cnt: u64, writes: &[SingleWrite]) -> Vec<u8> {
    let mut payload = MultiWrite { wr_cnt }.bytes().to_vec();
    writes.iter().for_each(|write| payload.extend_from_slice(write.bytes()));
    payload
}

fn done(client: &mut Client, writes: &[SingleWrite]) {
    let count = writes.len() as u64;
    assert_eq!(client.ok("REGION_WRITE_MULTI", &message(count, writes)), MultiWrite { wr_cnt: count }.bytes());
}

#[test]
fn writes_are_done_in_their_order() {
    let mut client = client();
    let writes =
        [write(0, SCRATCH, &[1; 8]), write(1, 0, &[9]), write(0, SCRATCH + 2, &[2, 3]), write(0, SCRATCH, &[4])];
    done(&mut client, &writes);
    assert_eq!(client.read(0, SCRATCH, 8), [4, 1, 2, 3, 1, 1, 1, 1]);
    assert_eq!(client.read(1, 0, 2), [9, 0]);
    done(&mut client, &[]);
}

#[test]
fn each_write_rings_its_own_doorbells() {
    let mut client = client();
    done(&mut client, &[write(0, 0x08, &[1, 0, 0, 0]), write(0, 0x08, &[1, 0, 0, 0])]);
    assert_eq!(client.read(0, 0x04, 4), [2, 0, 0, 0]);
    let raise = [write(0, 0x28, &[1, 0, 0, 0]), write(0, 0x30, &[1, 0, 0, 0]), write(0, 0x28, &[7, 0, 0, 0])];
    done(&mut client, &raise);
    assert_eq!(client.read(0, 0x34, 4), u32::to_ne_bytes(DONE));
}

#[test]
fn where_one_write_cannot_be_done_none_is() {
    let mut client = client();
    let good = write(0, SCRATCH, &[7]);
    let long = SingleWrite { count: 9, ..write(0, SCRATCH, &[0; 8]) };
    for (bad, errno) in [
        (long, Errno::EINVAL),
        (SingleWrite { count: u32::MAX, ..long }, Errno::EINVAL),
        (write(3, 0, &[1]), Errno::EINVAL),
        (write(9, 0, &[1]), Errno::EINVAL),
        (write(0, u64::MAX, &[1, 2]), Errno::EINVAL),
        (write(4, 0, &[1]), Errno::EPERM),
    ] {
        assert_eq!(client.refused("REGION_WRITE_MULTI", &message(3, &[good, bad, good])), errno as i32);
    }
    for (wr_cnt, there) in [(2, 1), (1 << 61, 1), (u64::MAX, 0)] {
        let payload = message(wr_cnt, &vec![good; there]);
        assert_eq!(client.refused("REGION_WRITE_MULTI", &payload), Errno::EINVAL as i32);
    }
    assert_eq!(client.read(0, SCRATCH, 1), [0]);
    // Bytes behind the last write are surplus.
    assert_eq!(client.ok("REGION_WRITE_MULTI", &message(0, &[good])), MultiWrite { wr_cnt: 0 }.bytes());
    assert_eq!(client.read(0, SCRATCH, 1), [0]);
}

#[test]
fn it_is_unknown_where_the_client_did_not_propose_it() {
    for capabilities in ["{}", r#"{"write_multiple":false}"#] {
        let mut client = Client::with(capabilities);
        let payload = message(1, &[write(0, SCRATCH, &[7])]);
        assert_eq!(client.refused("REGION_WRITE_MULTI", &payload), Errno::ENOSYS as i32);
        assert_eq!(client.read(0, SCRATCH, 1), [0]);
    }
}
