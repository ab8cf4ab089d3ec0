//! Processor time on the client for each message of a flood.

mod measure;
mod rounds;
mod serve;
mod tally;

pub(crate) use measure::measure;
pub(crate) use rounds::{Plan, run};
pub(crate) use serve::serve;
