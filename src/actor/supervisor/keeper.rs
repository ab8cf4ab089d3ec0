//! The task that a supervisor's actor runs in. It outlives a panic of the supervisor's own code.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use actix::{Addr, AsyncContext as _, Context, Supervised, dev::ContextFut};

use super::Supervisor;

/// Runs a supervisor. Its address stays valid over its panics: the mailbox is kept, only the command
/// that panicked has no answer, and the next incarnation takes over the same children.
pub(super) fn keep(supervisor: Supervisor) -> Addr<Supervisor> {
    let context = Context::new();
    let address = context.address();
    actix_rt::spawn(Kept { actor: context.into_future(supervisor), in_a_row: 0 });
    address
}

struct Kept {
    actor: ContextFut<Supervisor, Context<Supervisor>>,
    /// Panics without a quiet poll between them.
    in_a_row: u32,
}

/// A supervisor's limits end it before, unless it panics in the very code that keeps them.
const MOST_IN_A_ROW: u32 = 100;

impl Future for Kept {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<()> {
        let Self { actor, in_a_row } = &mut *self;
        // What a panic leaves half done is replaced by `restarting`.
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut *actor).poll(task)));
        if let Ok(polled) = polled {
            *in_a_row = 0;
            return polled;
        }
        tracing::error!("the supervisor's own code panicked");
        *in_a_row += 1;
        let restarts = *in_a_row < MOST_IN_A_ROW
            && catch_unwind(AssertUnwindSafe(|| actor.restart())).unwrap_or(false);
        if !restarts {
            return Poll::Ready(());
        }
        task.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Supervised for Supervisor {
    /// The incarnation before has panicked. Its tasks are gone, and its children are not.
    fn restarting(&mut self, _: &mut Context<Self>) {
        self.forget_incarnation();
    }
}
