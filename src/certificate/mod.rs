//! What is certified of a server, and the folder that shows it.
//!
//! A bundle is a folder with the report of a whole run, what is made of that report, and a [`Manifest`] with the digest of each file.
//! Nothing in it is signed: [`check`] tells whether it agrees with itself and with this program, and only another run tells whether it is
//! true ([`differences`]).

mod again;
mod badge;
mod bundle;
mod check;
mod coverage;
mod manifest;
#[cfg(test)]
mod sample;
mod sound;
mod verdict;

pub(crate) use again::differences;
use badge::Badge;
pub(crate) use bundle::{Bundle, DEVICE, MANIFEST, Written, sha256, sha256_of_file};
pub(crate) use check::{Checked, check};
use coverage::Coverage;
pub(crate) use manifest::{Manifest, Program, Server, Settings, moment, server_name, server_url};
use verdict::Level;
pub(crate) use verdict::Verdict;

/// How many sequences a certification draws.
pub(crate) const SEQUENCES: u64 = 200;
/// Which ones: the same seed draws the same ones from the same server.
pub(crate) const SEED: u64 = 1;
