//! DIRTY_PAGES (1555-1665).

use pretty_assertions::assert_eq;
use vfio_user_reference_server::{Errno, Feature, Machine, Profile, Settings};
use vfio_user_wire::dirty_pages_flags::{GET_BITMAP, START, STOP};
use vfio_user_wire::legacy::{DirtyPages, DirtyPagesGet};

use super::{A, PAGE, SIZE, dirty, dirty_pages_with, get, logging, migrating, with};
use crate::client::Client;

fn refused(client: &mut Client, request: DirtyPagesGet) -> i32 {
    client.refused("DIRTY_PAGES", request.bytes())
}

#[test]
fn what_the_device_wrote_is_told_once() {
    let mut client = logging();
    for page in [0, 7, 63, 64, 99] {
        client.dma(1, A + page * PAGE + 5, 1);
    }
    client.dma(2, A + 20 * PAGE, 100);
    assert_eq!(dirty(&mut client, get(A, SIZE)), [0, 7, 63, 64, 99]);
    assert_eq!(dirty(&mut client, get(A, SIZE)), [0u64; 0]);
    client.dma(1, A + 3 * PAGE - 1, 2);
    assert_eq!(dirty(&mut client, get(A, SIZE)), [2, 3]);
}

#[test]
fn a_part_of_a_window_is_told_and_nothing_else_cleared() {
    let mut client = logging();
    client.dma(1, A, 80 << 12);
    assert_eq!(dirty(&mut client, get(A + 10 * PAGE, 3 * PAGE)), [0, 1, 2]);
    assert_eq!(dirty(&mut client, get(A, SIZE)), (0..80).filter(|page| !(10..13).contains(page)).collect::<Vec<_>>());
}

#[test]
fn what_was_written_before_the_start_is_not_told() {
    let mut client = migrating();
    client.map_fd(A, SIZE, 3);
    client.dma(1, A, 1);
    client.ok("DIRTY_PAGES", &dirty_pages_with(START));
    assert_eq!(dirty(&mut client, get(A, SIZE)), [0u64; 0]);
}

#[test]
fn the_log_ends_with_stop_and_there_is_nothing_to_get_before_start() {
    let mut client = migrating();
    assert_eq!(refused(&mut client, get(A, SIZE)), Errno::EINVAL as i32);
    assert!(client.ok("DIRTY_PAGES", &dirty_pages_with(STOP)).is_empty());
    let mut client = logging();
    client.dma(1, A, 1);
    assert_eq!(client.refused("DIRTY_PAGES", &dirty_pages_with(START)), Errno::EBUSY as i32);
    assert_eq!(dirty(&mut client, get(A, PAGE)), [0]);
    assert!(client.ok("DIRTY_PAGES", &dirty_pages_with(STOP)).is_empty());
    assert_eq!(refused(&mut client, get(A, SIZE)), Errno::EINVAL as i32);
}

#[test]
fn with_less_room_nothing_but_the_need_is_told() {
    let mut client = logging();
    client.dma(1, A, 1);
    for argsz in [40, 41, 55] {
        let reply = client.ok("DIRTY_PAGES", DirtyPagesGet { argsz, ..get(A, SIZE) }.bytes());
        assert_eq!(reply, get(A, SIZE).bytes(), "{argsz}");
    }
    assert_eq!(refused(&mut client, DirtyPagesGet { argsz: 39, ..get(A, SIZE) }), Errno::EINVAL as i32);
    let reply = client.ok("DIRTY_PAGES", DirtyPagesGet { argsz: u32::MAX, ..get(A, SIZE) }.bytes());
    assert_eq!(reply, [get(A, SIZE).bytes(), &[1], &[0; 15]].concat());
}

#[test]
fn flags_exclude_each_other() {
    let mut client = logging();
    for flags in [0, START | STOP, START | GET_BITMAP, STOP | GET_BITMAP, 7, 8, STOP | 8, STOP | 1 << 31] {
        let request = DirtyPagesGet { flags, ..get(A, SIZE) };
        assert_eq!(refused(&mut client, request), Errno::EINVAL as i32, "{flags:#x}");
    }
    assert_eq!(dirty(&mut client, get(A, SIZE)), [0u64; 0]);
}

#[test]
fn a_request_has_its_structure_and_one_range() {
    let mut client = logging();
    for argsz in [0, 7] {
        assert_eq!(client.refused("DIRTY_PAGES", DirtyPages { argsz, flags: STOP }.bytes()), Errno::EINVAL as i32);
    }
    let whole = get(A, SIZE);
    for length in [0, 4, 8, 20, 39] {
        assert_eq!(client.refused("DIRTY_PAGES", &whole.bytes()[..length]), Errno::EINVAL as i32, "{length}");
    }
    let two = [whole.bytes(), &whole.bytes()[8..]].concat();
    assert_eq!(client.refused("DIRTY_PAGES", &two), Errno::EINVAL as i32);
    // The 8 bytes that the table of the range has and that of the bitmap structure has not.
    assert_eq!(client.ok("DIRTY_PAGES", &[whole.bytes(), &[0; 8]].concat()).len(), 56);
    client.ok("DIRTY_PAGES", DirtyPages { argsz: 100, flags: STOP }.bytes());
}

#[test]
fn a_bitmap_is_of_the_agreed_page_and_of_the_size_that_it_takes() {
    let mut client = logging();
    for bitmap_pgsize in [0, 1, 3, 2048, 8192, 1 << 63] {
        let request = DirtyPagesGet { bitmap_pgsize, ..get(A, SIZE) };
        assert_eq!(refused(&mut client, request), Errno::EINVAL as i32, "{bitmap_pgsize}");
    }
    for bitmap_size in [0, 8, 13, 15, 17, 24, u64::MAX] {
        let request = DirtyPagesGet { bitmap_size, ..get(A, SIZE) };
        assert_eq!(refused(&mut client, request), Errno::EINVAL as i32, "{bitmap_size}");
    }
    assert_eq!(refused(&mut client, get(A, 0)), Errno::EINVAL as i32);
    assert_eq!(refused(&mut client, get(u64::MAX - 4095, 8192)), Errno::EINVAL as i32);
    assert_eq!(refused(&mut client, get(0, 1 << 40)), Errno::E2BIG as i32);
}

#[test]
fn the_smaller_page_is_the_one() {
    for (pgsize, page, pages) in [(2048, 2048, vec![2, 3]), (65536, 4096, vec![1])] {
        let mut client = with(&format!("{{\"max_msg_fds\":16,\"migration\":{{\"pgsize\":{pgsize}}}}}"));
        client.map_fd(A, SIZE, 3);
        client.ok("DIRTY_PAGES", &dirty_pages_with(START));
        client.dma(1, A + PAGE, PAGE as u32);
        let request = DirtyPagesGet { argsz: 48, size: 8 * page, bitmap_pgsize: page, bitmap_size: 8, ..get(A, PAGE) };
        assert_eq!(dirty(&mut client, request), pages);
    }
}

#[test]
fn without_migration_there_is_no_log() {
    let mut client = with("{}");
    for flags in [START, STOP, GET_BITMAP] {
        assert_eq!(client.refused("DIRTY_PAGES", &dirty_pages_with(flags)), Errno::ENOTSUP as i32);
    }
    let without = [Feature::DmaLogging].into_iter().collect();
    let mut client = Client::of(Settings { without, ..Profile::V0_9_1.into() });
    client.negotiate(r#"{"migration":{"pgsize":4096}}"#);
    assert_eq!(client.refused("DIRTY_PAGES", &dirty_pages_with(START)), Errno::ENOTSUP as i32);
}

#[test]
fn the_log_ends_with_the_client() {
    let mut client = logging();
    client.server.disconnect(&mut client.memory);
    client.server.connect();
    client.negotiate(r#"{"migration":{"pgsize":4096}}"#);
    assert_eq!(refused(&mut client, get(A, SIZE)), Errno::EINVAL as i32);
}
