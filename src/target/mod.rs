//! The server under test: how to reach it, what it offers, and what a device file says of it.

mod device_file;
mod direct;
mod discovered;
mod function;
mod instance;
mod leftover;
mod output;
mod probe;
mod process;
mod remedy;
mod spawn;
mod template;
mod thread;

pub use device_file::*;
pub use direct::{DirectServer, DirectTarget};
pub use discovered::{Discovered, Has, IoFds, Irq, Region, Unanswered};
pub use function::{Served, ServerFunction};
pub use instance::{Instance, Launcher, StartError, Target};
pub use leftover::{abandon, ending_signals};
pub use output::{crash_report, excerpt, sanitizer_report};
pub use probe::{NO_DEVICE_FILE, ProbeError, Spoken, probe, spoken};
pub use process::{Process, Reaper, inherited_descriptor_limits, open_descriptors, raise_descriptor_limit};
pub use remedy::remedy;
pub use template::template;
pub use thread::Serve;
