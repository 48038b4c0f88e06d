//! Sequences that nobody wrote: drawn from what a target offers, with weight on the edges.
//!
//! [`draw`] gives a [`Case`](crate::case::Case) that looks as a person would have written it, and depends on nothing but the
//! offer, the seed and the number: no reply has a say in it. What is drawn how often stands in `weights.rs`.
//!
//! A [`Search`] plays them, shrinks what fails to the steps that matter, and writes it to a case file. [`Against`] plays
//! them against two servers, and does the same where those part.
//!
//! What a sequence may do to a device is bounded: [`Offer::is_harmless`].

mod apart;
mod device;
mod dice;
mod differential;
mod dirty_pages;
mod dma_map;
mod dma_unmap;
mod draw;
mod features;
mod irqs;
mod labels;
mod leave;
mod log;
mod malformed;
mod message;
mod migration;
mod migration_region;
mod observe;
mod offer;
mod opening;
mod pairs;
mod parting;
mod parts;
mod plain;
mod queries;
mod regions;
mod search;
mod shadow;
mod shrink;
mod tables;
#[cfg(test)]
mod tests;
mod weights;
mod write_multi;

pub use differential::{Against, Comparison};
pub use draw::{MOST_SENDS, draw};
pub use offer::Offer;
pub(crate) use parts::{differential, found};
pub use search::{Found, GENERATED, Progress, Search, SearchError};
