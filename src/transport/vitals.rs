//! What a session does about its liveness: one timer, pings, and the end.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use rand::RngExt as _;
use tokio::time::{Instant, Sleep};

use crate::{
    clock::{calendar, now},
    entropy::with_entropy,
    lifecycle::{Liveness, Order, Pulse, Vigil},
    protocol::{BatchBuilder, ControlPayload},
};

/// The pulse of a session, and the timer that feels it. Absent where nothing is watched. What is watched is the
/// session's to say: it is asked for each time, as the session has it anyway.
pub(super) struct Vitals {
    pulse: Pulse,
    /// What is expected of messages. It belongs to the connection.
    vigil: Option<Rc<RefCell<Vigil>>>,
    /// Made at the first wait, and set again when it has gone off: what is heard in between does not
    /// touch it.
    alarm: Option<Pin<Box<Sleep>>>,
    /// Nothing is to be done before the alarm goes off.
    is_settled: bool,
}

impl Vitals {
    pub(super) fn begin(plan: &Liveness, vigil: Option<Rc<RefCell<Vigil>>>) -> Option<Box<Self>> {
        if plan.is_off() && vigil.is_none() {
            return None;
        }
        if let Some(vigil) = &vigil {
            vigil.borrow_mut().begin(now(), with_entropy(|rng| rng.random()));
        }
        let chance = with_entropy(|rng| rng.random());
        let pulse = Pulse::begin(plan, now(), calendar(), chance);
        Some(Box::new(Self { pulse, vigil, alarm: None, is_settled: false }))
    }

    /// Something came from the peer.
    pub(super) fn heard(&mut self, plan: &Liveness) {
        if self.pulse.listens(plan) {
            self.is_settled &= !self.pulse.heard(now());
        }
    }

    /// These messages came.
    pub(super) fn feed(&self, messages: &BatchBuilder) {
        if let Some(vigil) = &self.vigil {
            let (vigil, now) = (&mut *vigil.borrow_mut(), now());
            messages.iter().for_each(|message| vigil.feed(message, now));
        }
    }

    /// The number of a ping to send now.
    pub(super) fn probe(&mut self, plan: &Liveness) -> u32 {
        self.is_settled = false;
        self.pulse.probe(plan, now())
    }

    /// A pong came: how long it took, where it answers our latest ping.
    pub(super) fn pong(&self, payload: &ControlPayload) -> Option<Duration> {
        let number = number_in(payload)?;
        self.pulse.answered(number, now())
    }

    /// A subscriber holds the socket back, or no more.
    pub(super) fn hold(&mut self, held: bool) {
        if self.pulse.is_held() != held {
            self.is_settled = false;
            self.pulse.hold(held, now());
            if let Some(vigil) = &self.vigil {
                vigil.borrow_mut().hold(held, now());
            }
        }
    }

    /// Bytes are left that the socket does not take, and whether it took others. Whether it is to be
    /// asked again what is to be done.
    pub(super) fn wrote(&mut self, left: bool, some: bool) -> bool {
        let was_stalled = self.pulse.is_stalled();
        if left || was_stalled {
            self.is_settled = false;
            self.pulse.wrote(left, some, now());
        }
        left && !was_stalled
    }

    /// What is to be done now. To be asked after the socket was read, and until it is pending: then the
    /// task is woken when it is to be asked again.
    pub(super) fn poll(&mut self, plan: &Liveness, cx: &mut Context<'_>) -> Poll<Order> {
        // So it is in most turns: what is heard mostly puts off what is due.
        if self.is_settled && self.alarm.as_ref().is_none_or(|alarm| !alarm.is_elapsed()) {
            return Poll::Pending;
        }
        let order = self.poll_due(plan, cx);
        // What is expected of messages changes without being asked here.
        self.is_settled = order.is_pending() && self.vigil.is_none();
        order
    }

    fn poll_due(&mut self, plan: &Liveness, cx: &mut Context<'_>) -> Poll<Order> {
        loop {
            let due = ready!(self.due(plan));
            // The session stays in one task, which the alarm wakes: it is enough to poll it once.
            if let Some(alarm) = &self.alarm
                && !alarm.is_elapsed()
                && alarm.deadline() <= due
            {
                return Poll::Pending;
            }
            if let Some(order) = self.next(plan) {
                return Poll::Ready(order);
            }
            let due = ready!(self.due(plan));
            let alarm = match &mut self.alarm {
                Some(alarm) => {
                    alarm.as_mut().reset(due);
                    alarm
                }
                none => none.insert(Box::pin(tokio::time::sleep_until(due))),
            };
            ready!(alarm.as_mut().poll(cx));
        }
    }

    fn due(&self, plan: &Liveness) -> Poll<Instant> {
        let expected = self.vigil.as_ref().and_then(|vigil| vigil.borrow().due());
        let due = [self.pulse.due(plan), expected].into_iter().flatten().min();
        due.map_or(Poll::Pending, |due| Poll::Ready(due.into()))
    }

    fn next(&mut self, plan: &Liveness) -> Option<Order> {
        let order = self.pulse.next(plan, now(), calendar());
        order.or_else(|| self.vigil.as_ref().and_then(|vigil| vigil.borrow_mut().next(now())))
    }
}

/// The payload of our ping of this number.
pub(super) fn ping_payload(number: u32) -> [u8; 5] {
    let [a, b, c, d] = number.to_be_bytes();
    [MARK, a, b, c, d]
}

fn number_in(pong: &ControlPayload) -> Option<u32> {
    match *pong.as_slice() {
        [MARK, a, b, c, d] => Some(u32::from_be_bytes([a, b, c, d])),
        _ => None,
    }
}

/// Tells the payloads of these pings from those of others.
const MARK: u8 = b'w';
