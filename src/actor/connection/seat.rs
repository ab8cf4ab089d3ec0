use std::{
    collections::VecDeque,
    mem,
    rc::Rc,
    task::{Context, Poll},
};

use super::{
    hosted::Hosted,
    owned::{Owned, crash_or_cancel},
    vigil::SharedVigil,
};
use crate::{
    actor::{fanout::Fanout, in_flight::InFlight, inbound::Finding},
    lifecycle::{Awaited, Epoch, ExitReason, GreetingFailure, ProviderFailure},
    protocol::OwnedPayload,
    transport::{Link, Opened, Route},
};

/// What the actor has of one attempt, and of the session that comes of it.
#[derive(Default)]
pub(in crate::actor) struct Seat {
    /// A task of its own, as it is large and short.
    pub(super) attempt: Option<Owned<Result<Opened, ExitReason>>>,
    pub(super) session: Hosted,
    /// The session was cut, and its end is still to be told.
    pub(super) is_cut: bool,
    /// Present while a session is up or closing.
    pub(in crate::actor) link: Option<Rc<Link>>,
    /// What the session still waits for until it is ready.
    pub(super) awaited: Awaited,
    /// What watches over the session.
    pub(in crate::actor) vigil: SharedVigil,
    /// Asks for the greeting. A task of its own, as what it runs is the user's.
    pub(super) greeter: Option<Owned<Result<VecDeque<OwnedPayload>, GreetingFailure>>>,
}

/// What is beside the session that is up, in a rotation: its successor, or the session before it, which
/// drains.
pub(in crate::actor) struct Beside {
    pub(super) epoch: Epoch,
    pub(in crate::actor) seat: Seat,
    pub(super) route: Rc<Route>,
}

/// What has happened to an attempt or a session.
pub(super) enum Happening {
    /// The attempt has ended.
    Dialled(Result<Opened, ExitReason>),
    /// Who was asked for the greeting has answered.
    GreetingCame(Result<VecDeque<OwnedPayload>, GreetingFailure>),
    /// All of the greeting is written.
    Greeted,
    /// The session has found this, and goes on.
    Found(Vec<Finding>),
    /// The session has found this, and then ended.
    Ended(Vec<Finding>, ExitReason),
}

impl Seat {
    pub(super) const fn is_taken(&self) -> bool {
        self.attempt.is_some() || self.session.is_there() || self.is_cut
    }

    /// Drops the socket, or what is to become one.
    pub(super) fn abort(&mut self) {
        if let Some(attempt) = &self.attempt {
            attempt.abort();
        }
        self.is_cut |= self.session.cut();
        self.greeter = None;
    }

    /// Lets what there is go on. What has ended is here no more.
    pub(super) fn poll(
        &mut self,
        fanout: &mut Fanout,
        requests: &mut InFlight,
        cx: &mut Context<'_>,
    ) -> Poll<Happening> {
        if let Some(attempt) = &mut self.attempt
            && let Poll::Ready(ended) = attempt.poll(cx)
        {
            self.attempt = None;
            let ended = ended.unwrap_or_else(|error| Err(crash_or_cancel(error)));
            return Poll::Ready(Happening::Dialled(ended));
        }
        if let Some(greeter) = &mut self.greeter
            && let Poll::Ready(ended) = greeter.poll(cx)
        {
            self.greeter = None;
            let panicked = GreetingFailure::Provider(ProviderFailure::Panicked);
            return Poll::Ready(Happening::GreetingCame(ended.unwrap_or(Err(panicked))));
        }
        if mem::take(&mut self.is_cut) {
            return Poll::Ready(Happening::Ended(vec![], ExitReason::CloseUnanswered));
        }
        if let Some(polled) = self.session.poll(fanout, requests, cx) {
            let findings = self.session.take_findings();
            if let Poll::Ready(reason) = polled {
                self.session.cut();
                self.greeter = None;
                return Poll::Ready(Happening::Ended(findings, reason));
            }
            if !findings.is_empty() {
                return Poll::Ready(Happening::Found(findings));
            }
        }
        if self.awaited.greeting() && self.link.as_ref().is_some_and(|link| link.is_greeted()) {
            return Poll::Ready(Happening::Greeted);
        }
        Poll::Pending
    }
}
