//! The register: every clause of the specification that speaks of the server, and how a deviation from it weighs.

mod cite;
mod entry;
mod error;
mod explain;
mod failure;
mod level;
mod policy;
mod register;
mod section;
mod wrap;

pub use cite::Cite;
pub use entry::Requirement;
pub use error::RegisterError;
pub use explain::explain;
pub use failure::Failure;
pub use level::Level;
pub use policy::Policy;
pub use register::Register;
pub use section::Section;
pub(crate) use wrap::wrap;
