//! The actors: mailbox in, events out. They carry out what the pure rooms decide and own what
//! lives longer than a socket: timers, subscribers, the fate of each message.

mod account;
mod bond;
mod builder;
mod commands;
mod connection;
mod delivery;
mod fanout;
mod in_flight;
mod inbound;
mod inquiry;
mod letter;
mod makings;
mod obedience;
mod orphan;
mod outlet;
mod outlets;
mod requests;
mod superior;
mod supervisor;

pub use builder::ConnectionBuilder;
pub use connection::{Connection, ConnectionContext};
pub use supervisor::{Supervisor, SupervisorBuilder};
