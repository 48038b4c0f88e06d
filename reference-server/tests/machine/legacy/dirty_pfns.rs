//! Dirty pages by page number, in registers that were proposed for the kernel's migration region.

use pretty_assertions::assert_eq;
use vfio_user_reference_server::{Errno, Extra, Machine, Profile, Settings};
use vfio_user_wire::legacy::dirty_pfns::{ALL, NONE};
use vfio_user_wire::{dirty_pages, dirty_pages_flags};

use super::migration_region::{
    DATA_OFFSET, PRE_COPY, REGION, RUNNING, STOP_AND_COPY, refused_read, refused_write, register, set,
};
use super::{A, PAGE, SIZE, dirty, dirty_pages_with, get, migrating};
use crate::client::Client;

const START_PFN: u64 = 32;
const PAGE_SIZE: u64 = 40;
const TOTAL_PFNS: u64 = 48;
const COPIED_PFNS: u64 = 56;

fn querying() -> Client {
    let mut client = Client::of(Settings { with: Some(Extra::PfnQuery), ..Profile::V0_9_1.into() });
    client.negotiate(r#"{"max_msg_fds":16,"migration":{"pgsize":4096}}"#);
    client.map_fd(A, SIZE, 3);
    client
}

fn ask(client: &mut Client, start_pfn: u64, page_size: u64, total_pfns: u64) {
    for (offset, value) in [(START_PFN, start_pfn), (PAGE_SIZE, page_size), (TOTAL_PFNS, total_pfns)] {
        client.write(REGION, offset, &value.to_ne_bytes());
    }
}

/// The pages that are dirty, counted from `start_pfn`, by as many rounds as it takes.
fn pages(client: &mut Client, start_pfn: u64, total: u64) -> Vec<u64> {
    let (mut found, mut done) = (Vec::new(), 0);
    while done < total {
        ask(client, start_pfn + done, PAGE, total - done);
        let copied = match register(client, COPIED_PFNS) {
            NONE => return found,
            ALL => {
                found.extend(done..total);
                return found;
            }
            copied => copied,
        };
        assert!(copied <= total - done);
        let offset = register(client, DATA_OFFSET);
        let bitmap = client.read(REGION, offset, copied.div_ceil(64) as u32 * 8);
        found.extend(dirty_pages(&bitmap).map(|page| page + done));
        done += copied;
    }
    found
}

#[test]
fn what_is_written_while_saving_is_told_once() {
    let mut client = querying();
    client.dma(1, A, 1);
    set(&mut client, PRE_COPY);
    assert_eq!(pages(&mut client, A / PAGE, 100), [0u64; 0]);
    client.dma(1, A + 3 * PAGE, 1);
    client.dma(1, A + 99 * PAGE, 1);
    assert_eq!(pages(&mut client, A / PAGE, 100), [3, 99]);
    assert_eq!(pages(&mut client, A / PAGE, 100), [0u64; 0]);
    client.dma(1, A + 5 * PAGE - 1, 2);
    set(&mut client, STOP_AND_COPY);
    assert_eq!(pages(&mut client, A / PAGE - 1, 100), [5, 6]);
}

#[test]
fn a_long_range_takes_several_rounds() {
    let mut client = querying();
    set(&mut client, PRE_COPY);
    client.dma(1, A + 7 * PAGE, 1);
    ask(&mut client, 0, PAGE, 1 << 20);
    assert_eq!(register(&mut client, COPIED_PFNS), 32768);
    client.dma(1, A + 7 * PAGE, 1);
    assert_eq!(pages(&mut client, 0, 1 << 20), [A / PAGE + 7]);
    client.dma(1, A + 7 * PAGE, 1);
    ask(&mut client, A, 1, 7 * PAGE);
    assert_eq!(register(&mut client, COPIED_PFNS), NONE);
    ask(&mut client, 0, 1 << 20, 1 << 40);
    assert_eq!(register(&mut client, COPIED_PFNS), 32768);
}

#[test]
fn all_pages_of_the_rest_need_no_bitmap() {
    let mut client = querying();
    set(&mut client, PRE_COPY);
    client.dma(1, A, 3 * PAGE as u32);
    ask(&mut client, A / PAGE, PAGE, 3);
    assert_eq!(register(&mut client, COPIED_PFNS), ALL);
    assert_eq!(register(&mut client, DATA_OFFSET), 0x1000);
}

#[test]
fn a_bitmap_stands_apart_from_migration_data() {
    let mut client = querying();
    set(&mut client, PRE_COPY);
    register(&mut client, 8);
    assert_eq!(register(&mut client, DATA_OFFSET), 0x1000);
    let data = client.read(REGION, 0x1000, 64);
    client.dma(1, A, 1);
    ask(&mut client, A / PAGE, PAGE, 2);
    assert_eq!(register(&mut client, COPIED_PFNS), 2);
    assert_eq!(register(&mut client, DATA_OFFSET), 0x11000);
    assert_eq!(client.read(REGION, 0x11000, 8), [1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(client.read(REGION, 0x1000, 64), data);
    register(&mut client, 8);
    assert_eq!(register(&mut client, DATA_OFFSET), 0x1000);
}

#[test]
fn a_range_that_is_none_is_refused() {
    let mut client = querying();
    set(&mut client, PRE_COPY);
    client.dma(1, A, 1);
    assert_eq!(refused_read(&mut client, COPIED_PFNS, 8), Errno::EINVAL as i32, "nothing is asked for");
    for (start_pfn, page_size, total_pfns) in
        [(0, 0, 1), (0, 3, 1), (0, PAGE, 0), (1 << 52, PAGE, 1), (0, PAGE, 1 << 52), ((1 << 52) - 1, PAGE, 2)]
    {
        ask(&mut client, start_pfn, page_size, total_pfns);
        assert_eq!(refused_read(&mut client, COPIED_PFNS, 8), Errno::EINVAL as i32, "{start_pfn} {page_size}");
    }
    assert_eq!(pages(&mut client, A / PAGE, 2), [0]);
}

#[test]
fn registers_are_accessed_as_they_are() {
    let mut client = querying();
    for offset in [START_PFN, PAGE_SIZE, TOTAL_PFNS] {
        assert_eq!(refused_read(&mut client, offset, 8), Errno::EINVAL as i32, "write only");
        assert_eq!(refused_write(&mut client, offset, &[0; 4]), Errno::EINVAL as i32);
        assert_eq!(refused_write(&mut client, offset + 4, &[0; 8]), Errno::EINVAL as i32);
    }
    assert_eq!(refused_write(&mut client, COPIED_PFNS, &[0; 8]), Errno::EINVAL as i32, "read only");
    ask(&mut client, A / PAGE, PAGE, 1);
    for of in [RUNNING, 4] {
        set(&mut client, of);
        assert_eq!(refused_read(&mut client, COPIED_PFNS, 8), Errno::EINVAL as i32, "not while saving");
    }
    assert_eq!(refused_write(&mut migrating(), START_PFN, &[0; 8]), Errno::EINVAL as i32, "nobody asked for it");
}

#[test]
fn neither_log_takes_from_the_other() {
    let mut client = querying();
    client.ok("DIRTY_PAGES", &dirty_pages_with(dirty_pages_flags::START));
    set(&mut client, PRE_COPY);
    client.dma(1, A + PAGE, 1);
    assert_eq!(pages(&mut client, A / PAGE, 9), [1]);
    assert_eq!(dirty(&mut client, get(A, SIZE)), [1]);
    client.dma(1, A + PAGE, 1);
    client.server.disconnect(&mut client.memory);
    client.server.connect();
    client.negotiate(r#"{"max_msg_fds":16,"migration":{"pgsize":4096}}"#);
    assert_eq!(pages(&mut client, A / PAGE, 9), [0u64; 0], "of the client that left");
}
