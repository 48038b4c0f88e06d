//! The server under test: how to reach it, what it offers, and what a device file says of it.

mod device_file;
mod direct;
mod discovered;
mod instance;
mod leftover;
mod output;
mod probe;
mod process;
mod spawn;
mod thread;

pub use device_file::*;
pub use direct::{DirectServer, DirectTarget};
pub use discovered::{Discovered, Has, IoFds, Irq, Region, Unanswered};
pub use instance::{Instance, Launcher, StartError, Target};
pub use leftover::abandon;
pub use output::{crash_report, excerpt, sanitizer_report};
pub use probe::{ProbeError, Spoken, probe, spoken};
pub use process::{Process, Reaper, inherited_descriptor_limits, open_descriptors, raise_descriptor_limit};
pub use thread::Serve;
