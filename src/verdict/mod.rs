//! What a run says of a server: findings, the result of each case, the status of each requirement.

mod cause;
mod comparison;
mod differential;
mod draft;
mod expectation;
mod finding;
mod pins;
mod record;
#[cfg(test)]
mod samples;
mod scope;
mod status;

pub use cause::{Cause, causes};
pub use comparison::{Comparison, Drift, Met};
pub use differential::{Answered, Differential, Divergence, Side};
pub use draft::Draft;
#[cfg(feature = "libtest")]
pub(crate) use draft::literal;
pub use expectation::{Expectation, ExpectationError, Expectations, Observed};
pub use finding::{Class, Evidence, FieldMark, Finding};
pub use pins::{Pin, PinError, Pins};
pub use record::{Attempt, CaseRecord, CaseResult, Check, Exit, Outcome, Said};
pub use scope::Scope;
pub use status::{NOT_SELECTED, RequirementStatus, Status, statuses};
