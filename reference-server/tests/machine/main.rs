//! The state machine alone: messages in, effects out, and no socket, mapping or eventfd.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod client;
mod device;
mod dma;
mod dma_logging;
mod fake_memory;
mod info;
mod io_fds;
mod irqs;
mod legacy;
mod maps;
mod messages;
mod mig_data;
mod regions;
mod tables;
mod twin;
mod version;
mod write_multi;
