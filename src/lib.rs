//! The conformance test harness for vfio-user servers: it plays the client, and judges what the server does.

pub mod case;
#[cfg(feature = "cli")]
mod certificate;
#[cfg(feature = "cli")]
pub mod cli;
pub mod generate;
pub mod model;
pub mod procedure;
mod profile;
pub mod report;
pub mod requirement;
pub mod run;
pub mod session;
#[cfg(feature = "libtest")]
pub mod suite;
pub mod target;
pub mod verdict;

pub use profile::{Profile, UnknownProfile};
