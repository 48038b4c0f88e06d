//! What the fuzz targets do, one function each: the tests of the harness replay their corpora by the same functions.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing assertion is what is looked for")]

mod answers;
mod machine;
mod parsers;
mod report;
mod wire;

pub use answers::answers;
pub use machine::reference_server;
pub use parsers::{capabilities, case_language, device_file, expectations, version_data};
pub use report::report;
pub use wire::wire;
