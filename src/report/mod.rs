//! The events of a run, for people and for machines.
//!
//! Every report is made from events and nothing else: [`Terminal`] while they come and at the end, [`Json`],
//! [`Junit`], [`Html`], [`Markdown`], [`Github`] and [`Pcapng`] at the end, as files that are whole or absent. What they share is one
//! [`Report`], which is also the JSON document.

mod account;
mod collector;
mod context;
mod document;
mod exit_code;
mod file;
mod frame;
mod github;
mod html;
mod json;
mod junit;
mod markdown;
mod matrix;
mod merge;
mod read;
mod selection;
mod terminal;
mod text;
mod wireshark;

use std::io;

#[cfg(feature = "cli")]
pub(crate) use collector::Collector;
pub use context::Context;
pub use document::{Harness, Part, Profile, Report, SCHEMA, Shard, Target, Totals};
pub use exit_code::ExitCode;
#[cfg(any(feature = "cli", feature = "libtest"))]
pub(crate) use file::write as write_whole;
#[cfg(feature = "cli")]
pub(crate) use file::{is_replaced, make_way};
pub use github::Github;
#[cfg(any(feature = "cli", feature = "libtest"))]
pub(crate) use github::tame_where_read;
pub use html::{Html, page};
pub use json::Json;
pub use junit::Junit;
pub use markdown::{Markdown, summary};
pub use matrix::{CaseChange, Change, Changes, Column, Direction, Matrix, Row, Section, Source};
pub use merge::{MergeError, Merged, Share, merge};
#[cfg(feature = "cli")]
pub(crate) use read::MOST;
pub use read::ReadError;
pub use selection::Selection;
pub use terminal::{Terminal, case_text};
#[cfg(feature = "cli")]
pub(crate) use text::count;
#[cfg(any(feature = "cli", feature = "libtest"))]
pub(crate) use text::harmless;
pub use wireshark::{Pcapng, dissector};

use crate::run::{End, Event};

/// Somebody who tells what happens in a run.
pub trait Reporter {
    /// Takes the next event. After [`Event::Ended`] none comes.
    fn event(&mut self, event: &Event) -> io::Result<()>;

    /// Takes a report that is finished, in place of the events that it is made of.
    fn report(&mut self, report: &Report, end: &End) -> io::Result<()>;
}

#[cfg(test)]
pub(crate) mod sample;
