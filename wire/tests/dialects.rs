//! Which version of the protocol gives which number to which message, against the tables of their texts.
#![allow(clippy::unwrap_used, reason = "a test, helpers included")]

use pretty_assertions::assert_eq;
use vfio_user_wire::{Dialect, Direction, V0_9_1, V0_9_2, V8, V8C, message};

const DIALECTS: [Dialect; 4] = [V0_9_2, V0_9_1, V8, V8C];

fn numbers(dialect: &Dialect) -> Vec<(u16, &str)> {
    dialect.commands.iter().map(|(number, message)| (*number, message.name)).collect()
}

/// The numbers from 1 on that all texts of 0.9.1 have.
const NUMBERS_0_9_1: [(u16, &str); 14] = [
    (1, "VERSION"),
    (2, "DMA_MAP"),
    (3, "DMA_UNMAP"),
    (4, "DEVICE_GET_INFO"),
    (5, "DEVICE_GET_REGION_INFO"),
    (6, "DEVICE_GET_REGION_IO_FDS"),
    (7, "DEVICE_GET_IRQ_INFO"),
    (8, "DEVICE_SET_IRQS"),
    (9, "REGION_READ"),
    (10, "REGION_WRITE"),
    (11, "DMA_READ"),
    (12, "DMA_WRITE"),
    (13, "DEVICE_RESET"),
    (14, "DIRTY_PAGES"),
];

#[test]
fn the_numbers_of_0_9_1() {
    assert_eq!(numbers(&V0_9_1), NUMBERS_0_9_1);
    assert_eq!(numbers(&V8C), NUMBERS_0_9_1);
}

#[test]
fn the_numbers_of_version_8() {
    let others = [
        (6, "DEVICE_GET_IRQ_INFO"),
        (7, "DEVICE_SET_IRQS"),
        (8, "REGION_READ"),
        (9, "REGION_WRITE"),
        (10, "DMA_READ"),
        (11, "DMA_WRITE"),
        (12, "VM_INTERRUPT"),
        (13, "DEVICE_RESET"),
        (14, "DIRTY_PAGES"),
    ];
    assert_eq!(numbers(&V8), [&NUMBERS_0_9_1[..5], &others].concat());
}

#[test]
fn a_number_and_a_name_stand_for_one_message() {
    for dialect in DIALECTS {
        for (number, message) in dialect.commands {
            assert_eq!(dialect.message(*number), Some(*message), "{} {number}", dialect.name);
            assert_eq!(dialect.command(message.name), Some((*number, *message)), "{} {number}", dialect.name);
        }
        assert!(dialect.commands.is_sorted_by_key(|(number, _)| number), "{}", dialect.name);
    }
}

#[test]
fn the_server_sends_what_the_tables_let_it_send() {
    for dialect in DIALECTS {
        for (number, message) in dialect.commands {
            let from_the_server = ["DMA_READ", "DMA_WRITE", "VM_INTERRUPT"].contains(&message.name);
            let is_from_the_server = message.direction == Direction::ToClient;
            assert_eq!(is_from_the_server, from_the_server, "{} {number}", dialect.name);
        }
    }
}

#[test]
fn what_a_text_has_as_0_9_2_is_told_apart_by_its_clause_alone() {
    let (_, reset) = V0_9_1.command("DEVICE_RESET").unwrap();
    assert_eq!(reset.in_text(message::DEVICE_RESET.clause), message::DEVICE_RESET);
    for (dialect, text) in
        [(V0_9_1, "0.9.1 at 190f85b^, "), (V8, "version 8 at 595dff9, "), (V8C, "0.9.1 at cda5e5f^, ")]
    {
        for (number, message) in dialect.commands {
            assert!(message.clause.starts_with(text), "{} {number}", dialect.name);
        }
    }
}
