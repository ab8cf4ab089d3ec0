//! Many connections, as pure decisions: which operation may go on in which state, and who may dial
//! when.

mod administration;
mod auto_shutdown;
mod breaker;
mod dial_gate;
mod line;
mod place;
mod queue;
mod strategy;

pub(crate) use administration::{Operation, Refused, Standing};
pub use auto_shutdown::AutoShutdown;
pub use breaker::HostBreaker;
pub(crate) use breaker::Outcome;
pub use dial_gate::{DialGate, InvalidGate};
pub(crate) use line::Ticket;
pub use place::{Place, WaitReason};
pub(crate) use queue::{Heed, Queue};
pub use strategy::{CascadeOn, Dynamic, Strategy};
