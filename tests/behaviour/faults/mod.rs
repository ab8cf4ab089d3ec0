//! What may go wrong with a server, a network and a machine, one row after the other. Each test is
//! named after its row:
//!
//! | rows | of |
//! | --- | --- |
//! | 1–7 | the way to a server: [`reaching`] |
//! | 8–18 | the opening handshake: [`opening`] |
//! | 19–27 | frames: [`frames`] |
//! | 28–33 | the end of a session: [`ending`] |
//! | 36, 39 | overload: [`overload`] |
//! | 49 | what this machine lacks: [`shortage`] |
//!
//! Each asserts the same: the attempt or session ends once, for the typed reason, with its close
//! code and within its time; every message that was accepted has a fate, and what was received whole is
//! delivered; the next attempt is made or not as the class says, and succeeds; nothing is left open;
//! and the messages of a neighbour on the same supervisor flow as if nothing had happened.

mod chance;
mod ending;
mod frames;
mod ground;
mod masking;
mod opening;
mod overload;
mod reaching;
mod shortage;
mod stage;
