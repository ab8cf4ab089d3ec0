//! What runs for a connection: attempts and sessions, and what follows when something of them has ended.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::task::{JoinError, JoinHandle};

use super::{Connection, ConnectionContext, hosted::panic_text};
use crate::{
    lifecycle::{Epoch, ExitReason, GreetingFailure, Input},
    protocol::OwnedPayload,
    transport::Opened,
};

/// What has happened to an attempt or a session.
pub(super) enum Happening {
    /// The attempt has ended.
    Dialled(Result<Opened, ExitReason>),
    /// Who was asked for the greeting has answered.
    GreetingCame(Result<VecDeque<OwnedPayload>, GreetingFailure>),
    /// All of the greeting is written.
    Greeted,
    /// The session has ended.
    Ended(ExitReason),
}

impl Connection {
    /// Whether anything is to come without a command.
    pub(super) fn is_at_work(&self) -> bool {
        self.timer.is_some() || self.seat.is_taken() || self.beside.is_some()
    }

    /// Lets what runs go on, until all of it waits.
    pub(super) fn poll_work(&mut self, ctx: &mut ConnectionContext, cx: &mut Context<'_>) {
        loop {
            if let Poll::Ready((epoch, happening)) = self.poll_seats(cx) {
                self.happened(epoch, happening, ctx);
            } else if self.poll_timer(cx).is_ready() {
                self.expire();
                let _ = self.step(Input::Tick, ctx);
            } else {
                return;
            }
        }
    }

    fn poll_seats(&mut self, cx: &mut Context<'_>) -> Poll<(Epoch, Happening)> {
        if let Poll::Ready(happening) = self.seat.poll(cx) {
            return Poll::Ready((self.machine.epoch(), happening));
        }
        match &mut self.beside {
            Some(beside) => beside.seat.poll(cx).map(|happening| (beside.epoch, happening)),
            None => Poll::Pending,
        }
    }

    // Out of the way of the turns in which nothing of it happens, which are most.
    #[cold]
    fn happened(&mut self, epoch: Epoch, happening: Happening, ctx: &mut ConnectionContext) {
        match happening {
            Happening::Dialled(Ok(opened)) => self.opened(epoch, opened, ctx),
            Happening::Dialled(Err(reason)) => self.attempt_failed(epoch, reason, ctx),
            Happening::GreetingCame(greeting) => self.greet_with(epoch, greeting),
            Happening::Greeted => self.greeted(epoch, ctx),
            Happening::Ended(reason) => self.session_ended(epoch, reason, ctx),
        }
    }
}

/// A task that ends with its owner.
pub(super) struct Owned<T>(JoinHandle<T>);

impl<T: 'static> Owned<T> {
    pub(super) fn spawn(future: impl Future<Output = T> + 'static) -> Self {
        Self(actix_rt::spawn(future))
    }

    pub(super) fn abort(&self) {
        self.0.abort();
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) fn crash_or_cancel(error: JoinError) -> ExitReason {
    match error.try_into_panic() {
        Ok(panic) => ExitReason::Crashed(panic_text(&*panic).into()),
        Err(_) => ExitReason::Cancelled,
    }
}
