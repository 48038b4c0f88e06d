//! GitHub Actions, which reads what its jobs print: the annotations that it is to take from there, and that it takes nothing else.

mod annotation;
mod command;
mod reporter;

pub(super) use command::is_read;
pub(super) use command::tame;
#[cfg(any(feature = "cli", feature = "libtest"))]
pub(crate) use command::tame_where_read;
pub use reporter::Github;
