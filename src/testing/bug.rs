use actix::{Context, Handler, Message};

use crate::Supervisor;

/// A supervisor that is told this panics, as if it had a bug: to see what your program does then.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Bug;

impl Handler<Bug> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Bug, _: &mut Context<Self>) {
        panic!("told to panic");
    }
}
