//! Memory on the client for each idle connection.

mod compare;
mod footprint;
mod measure;
mod serve;

pub(crate) use compare::{Plan, run};
pub(crate) use measure::measure;
pub(crate) use serve::serve;
