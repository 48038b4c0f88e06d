//! What a run says of a server: findings, the result of each case, the status of each requirement.

mod comparison;
mod differential;
mod expectation;
mod finding;
mod record;
mod status;

pub use comparison::{Comparison, Drift, Met};
pub use differential::{Answered, Differential, Divergence, Side};
pub use expectation::{Expectation, ExpectationError, Expectations, Observed, draft};
pub use finding::{Class, Evidence, FieldMark, Finding};
pub use record::{Attempt, CaseRecord, CaseResult, Check, Exit, Outcome, Said};
pub use status::{RequirementStatus, Status, statuses};
