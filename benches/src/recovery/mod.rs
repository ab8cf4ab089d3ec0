//! How a fleet of connections comes back after its server was killed: how long it takes, whom it
//! storms, what becomes of its messages, and what it weighs meanwhile.

mod accounts;
mod client;
mod compare;
mod curve;
mod fleet;
mod journal;
mod measure;
mod picture;
mod scenario;

pub(crate) use self::{
    compare::{Fleets, run},
    measure::Plan,
};
