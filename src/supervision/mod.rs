//! Many connections, as pure decisions: what an administrative command may do to a connection in
//! a given state.

mod administration;

pub(crate) use administration::{Operation, Refused, Standing};
