use std::{
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use actix::{Context, fut::ActorFuture};
use tokio::task::{JoinError, JoinHandle};

use super::Connection;
use crate::lifecycle::ExitReason;

/// Awaits a task for the connection, and notices when nobody can command it any more.
pub(super) struct Watch<T>(pub(super) JoinHandle<T>);

impl<T> ActorFuture<Connection> for Watch<T> {
    type Output = Result<T, JoinError>;

    fn poll(
        mut self: Pin<&mut Self>,
        connection: &mut Connection,
        ctx: &mut Context<Connection>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Self::Output> {
        if !ctx.connected() {
            connection.abandon(ctx);
        }
        Pin::new(&mut self.0).poll(task)
    }
}

pub(super) fn crash_or_cancel(error: JoinError) -> ExitReason {
    match error.try_into_panic() {
        Ok(panic) => ExitReason::Crashed(panic_text(&*panic).into()),
        Err(_) => ExitReason::Cancelled,
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
