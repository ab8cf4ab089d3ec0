//! The run itself: threads, connections, clocks. What is to be done stands in `plan`, what happened
//! goes to `tally`.

mod alarm;
mod conductor;
mod due;
mod embedded_server;
mod flights;
mod gauge;
mod listen;
mod pacer;
mod progress;
mod seat;
mod sending;
mod worker;

pub(crate) use self::{
    conductor::{Conductor, RunError},
    embedded_server::{EmbeddedServer, NoServer, serve},
};
