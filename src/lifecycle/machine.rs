use std::{
    sync::{Arc, LazyLock},
    time::{Instant, SystemTime},
};

use rand::Rng;

use super::{
    Backoff, Epoch, ExitClass, ExitReason, Floor, Ledger, LifecycleEvent, OnExceeded,
    RestartPolicy, Restraint, RetryBudget, SharedClassify, StableAfter, State,
};
use crate::protocol::CloseFrame;

/// The state machine of one connection.
///
/// It holds all that decides what happens next and does nothing itself: [`Machine::step`] takes
/// one input and returns what to do, in order. The one timer it may want is a value too,
/// [`Machine::due`]; since that value is part of the state, a timer of an older epoch cannot fire
/// into a newer one.
#[derive(Debug)]
pub(crate) struct Machine {
    phase: Phase,
    epoch: Epoch,
    /// Attempts in a row that failed or did not become stable.
    attempt: u32,
    /// When the first of them ended.
    failing_since: Option<Instant>,
    /// Restarts that count against the supervisor's intensity, where each connection has a count.
    restarts: Option<Box<Ledger>>,
    supervised: Option<Supervised>,
}

/// What holds for a supervised connection: its own terms, and its supervisor's.
#[derive(Clone, Debug)]
pub(crate) struct Supervised {
    pub(crate) supervision: Arc<Supervision>,
    pub(crate) restraint: Arc<Restraint>,
}

/// How a supervised connection comes back. A connection without it never reconnects by itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Supervision {
    pub(crate) restart: RestartPolicy,
    pub(crate) backoff: Backoff,
    pub(crate) stable_after: StableAfter,
    pub(crate) budget: RetryBudget,
    pub(crate) classify: Option<SharedClassify>,
    /// Its end may be that of its supervisor.
    pub(crate) significant: bool,
}

impl Supervision {
    /// The defaults, which all connections share that ask for nothing else.
    pub(crate) fn shared_default() -> Arc<Self> {
        static DEFAULT: LazyLock<Arc<Supervision>> = LazyLock::new(Arc::default);
        Arc::clone(&DEFAULT)
    }
}

#[derive(Debug)]
enum Phase {
    Idle,
    Connecting,
    Connected { stability: Stability },
    Closing { was_connected: bool, stable: bool, then: Then },
    BackingOff { due: Instant, held: bool },
    Disconnected,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stability {
    /// Becomes stable at this time, or by `MarkReady` where there is none.
    Pending(Option<Instant>),
    Stable,
}

/// What follows once the session that is being closed has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Stop,
    Redial,
    /// Wait until the supervisor releases the group, which is to be at this time.
    Hold(Instant),
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Input {
    /// A user's `Connect`, whose parameters were found good.
    Connect,
    /// A user's `Reconnect`.
    Reconnect,
    /// A user's `Disconnect` or the supervisor's end, with the close frame to send.
    Disconnect(CloseFrame),
    /// The application says that the session is ready.
    MarkReady,
    /// The session of this epoch finished its opening handshake.
    Opened { epoch: Epoch, subprotocol: Option<Arc<str>> },
    /// The attempt or session of this epoch ended; its socket is gone.
    Exited { epoch: Epoch, reason: ExitReason },
    /// Time passed.
    Tick,
    /// Another connection of the group failed: end the session, and wait for `Release`, which is to
    /// be at this time.
    Hold(Instant),
    /// All of the group that had to end have ended, and its backoff is over. Or the supervisor was
    /// started again, and everything with it.
    Release { everything: bool },
}

/// What to do about it.
#[derive(Debug)]
pub(crate) enum Action {
    /// Start the session task of this epoch.
    Dial(Epoch, Urgency),
    /// Drop the attempt that is under way; its `Exited` will come.
    Abort,
    /// Begin the closing handshake of the session; its `Exited` will come.
    Close(CloseFrame),
    /// Tell the subscribers of something in this epoch.
    Emit(Epoch, LifecycleEvent),
    /// Tell the supervisor that the group has failed, and is to start again at this time.
    Cascade(Instant),
    /// Tell the supervisor that a significant connection has ended by itself.
    SignificantEnd,
    /// Tell the supervisor that it has to end, and why.
    Escalate(ExitReason),
}

/// Whether an attempt may be kept waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// As long as it takes.
    Patient,
    /// A person said now.
    Now,
}

/// Why a command was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    /// A connection exists or is being made or closed.
    InProgress,
    /// `Reconnect` without a `Connect` before it.
    NeverConnected,
}

type Actions = Vec<Action>;

impl Machine {
    pub(crate) const fn new(supervised: Option<Supervised>) -> Self {
        Self {
            phase: Phase::Idle,
            epoch: Epoch::NONE,
            attempt: 0,
            failing_since: None,
            restarts: None,
            supervised,
        }
    }

    fn supervision(&self) -> Option<&Supervision> {
        self.supervised.as_ref().map(|supervised| &*supervised.supervision)
    }

    pub(crate) const fn state(&self) -> State {
        match self.phase {
            Phase::Idle => State::Idle,
            Phase::Connecting => State::Connecting,
            Phase::Connected { .. } => State::Connected,
            Phase::Closing { .. } => State::Closing,
            Phase::BackingOff { .. } => State::BackingOff,
            Phase::Disconnected => State::Disconnected,
            Phase::Failed => State::Failed,
        }
    }

    /// The epoch of the latest attempt.
    pub(crate) const fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(crate) const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Attempts in a row that the retry budget leaves.
    pub(crate) fn attempts_left(&self) -> Option<u32> {
        let max = self.supervision()?.budget.max_attempts()?;
        Some(max.saturating_sub(self.attempt))
    }

    /// What follows from the next end follows from these terms.
    pub(crate) fn update(&mut self, supervision: Arc<Supervision>) {
        if let Some(supervised) = &mut self.supervised {
            supervised.supervision = supervision;
        }
    }

    /// There is another supervisor, whose limits hold from now on.
    pub(crate) fn restrain(&mut self, restraint: Arc<Restraint>) {
        if let Some(supervised) = &mut self.supervised {
            supervised.restraint = restraint;
        }
        self.restarts = None;
    }

    /// Whether the session that is up counts as stable.
    pub(crate) const fn is_stable(&self) -> bool {
        matches!(self.phase, Phase::Connected { stability: Stability::Stable })
    }

    /// Whether it waits for its supervisor, or has nothing to do.
    pub(crate) const fn is_settled(&self) -> bool {
        match self.phase {
            Phase::Idle | Phase::Disconnected | Phase::Failed => true,
            Phase::BackingOff { held, .. } => held,
            _ => false,
        }
    }

    /// Whether it waits for its supervisor to start it again.
    pub(crate) const fn is_held(&self) -> bool {
        matches!(self.phase, Phase::BackingOff { held: true, .. })
    }

    /// When the next attempt is to be.
    pub(crate) const fn next_attempt(&self) -> Option<Instant> {
        match self.phase {
            Phase::BackingOff { due, .. } => Some(due),
            _ => None,
        }
    }

    /// When [`Input::Tick`] is wanted next.
    pub(crate) const fn due(&self) -> Option<Instant> {
        match self.phase {
            Phase::BackingOff { due, held: false } => Some(due),
            Phase::Connected { stability: Stability::Pending(due) } => due,
            _ => None,
        }
    }

    /// Whether `Connect` would be accepted now.
    pub(crate) const fn can_connect(&self) -> Result<(), Busy> {
        match self.phase {
            Phase::Idle | Phase::Disconnected | Phase::Failed => Ok(()),
            _ => Err(Busy::InProgress),
        }
    }

    /// Decides what `input` leads to. A refused command changes nothing.
    pub(crate) fn step(
        &mut self,
        input: Input,
        now: Instant,
        wall: SystemTime,
        rng: &mut dyn Rng,
    ) -> Result<Actions, Busy> {
        Ok(match input {
            Input::Connect => {
                self.can_connect()?;
                self.start_anew();
                vec![self.dial(Urgency::Patient)]
            }
            Input::Reconnect => self.reconnect()?,
            Input::Disconnect(frame) => self.disconnect(frame),
            Input::MarkReady => {
                self.mark_ready();
                vec![]
            }
            Input::Opened { epoch, subprotocol } if epoch == self.epoch => {
                self.opened(subprotocol, now)
            }
            Input::Exited { epoch, reason } if epoch == self.epoch => {
                self.exited(reason, now, wall, rng)
            }
            // A session of an older epoch has nothing to say any more.
            Input::Opened { .. } | Input::Exited { .. } => vec![],
            Input::Tick => self.tick(now),
            Input::Hold(due) => self.hold(due),
            Input::Release { everything } => self.release(everything),
        })
    }

    const fn emit(&self, event: LifecycleEvent) -> Action {
        Action::Emit(self.epoch, event)
    }

    fn dial(&mut self, urgency: Urgency) -> Action {
        self.epoch = self.epoch.next();
        self.phase = Phase::Connecting;
        Action::Dial(self.epoch, urgency)
    }

    fn reconnect(&mut self) -> Result<Actions, Busy> {
        match self.phase {
            Phase::Idle => Err(Busy::NeverConnected),
            Phase::Disconnected | Phase::Failed => {
                // From rest, attempts are counted anew, as after `Connect`.
                self.start_anew();
                Ok(vec![self.dial(Urgency::Now)])
            }
            Phase::BackingOff { .. } => {
                Ok(vec![self.emit(LifecycleEvent::Restarted), self.dial(Urgency::Now)])
            }
            Phase::Connected { stability } if self.supervised.is_some() => {
                let stable = stability == Stability::Stable;
                self.phase = Phase::Closing { was_connected: true, stable, then: Then::Redial };
                Ok(vec![Action::Close(CloseFrame::normal())])
            }
            Phase::Connecting | Phase::Connected { .. } | Phase::Closing { .. } => {
                Err(Busy::InProgress)
            }
        }
    }

    fn disconnect(&mut self, frame: CloseFrame) -> Actions {
        match &mut self.phase {
            Phase::Idle | Phase::Disconnected | Phase::Failed => vec![],
            Phase::Connecting => {
                self.phase =
                    Phase::Closing { was_connected: false, stable: false, then: Then::Stop };
                vec![Action::Abort]
            }
            Phase::Connected { stability } => {
                let stable = *stability == Stability::Stable;
                self.phase = Phase::Closing { was_connected: true, stable, then: Then::Stop };
                vec![Action::Close(frame)]
            }
            Phase::Closing { then, .. } => {
                *then = Then::Stop;
                vec![]
            }
            Phase::BackingOff { .. } => {
                self.phase = Phase::Disconnected;
                vec![self.emit(LifecycleEvent::Stopped)]
            }
        }
    }

    /// A temporary connection is not started again with its group: it ends.
    fn hold(&mut self, due: Instant) -> Actions {
        let is_temporary =
            self.supervision().is_none_or(|terms| terms.restart == RestartPolicy::Temporary);
        if is_temporary {
            return self.disconnect(CloseFrame::normal());
        }
        match &mut self.phase {
            Phase::Idle
            | Phase::Disconnected
            | Phase::Failed
            // It was told to stop, and stops.
            | Phase::Closing { then: Then::Stop, .. } => vec![],
            Phase::BackingOff { held, .. } => {
                *held = true;
                vec![]
            }
            Phase::Closing { then, .. } => {
                *then = Then::Hold(due);
                vec![]
            }
            Phase::Connecting => {
                let then = Then::Hold(due);
                self.phase = Phase::Closing { was_connected: false, stable: false, then };
                vec![Action::Abort]
            }
            Phase::Connected { stability } => {
                let (stable, then) = (*stability == Stability::Stable, Then::Hold(due));
                self.phase = Phase::Closing { was_connected: true, stable, then };
                vec![Action::Close(CloseFrame::normal())]
            }
        }
    }

    /// As OTP does, this also starts what was told to stop before. What gave up stays as it is.
    fn release(&mut self, everything: bool) -> Actions {
        match self.phase {
            Phase::BackingOff { held: true, .. } => vec![self.dial(Urgency::Patient)],
            Phase::Disconnected => {
                self.start_anew();
                vec![self.dial(Urgency::Patient)]
            }
            Phase::Failed if everything => {
                self.start_anew();
                vec![self.dial(Urgency::Patient)]
            }
            _ => vec![],
        }
    }

    fn mark_ready(&mut self) {
        let waits_for_it =
            self.supervision().is_some_and(|terms| terms.stable_after == StableAfter::Ready);
        if let Phase::Connected { stability } = &mut self.phase
            && waits_for_it
        {
            *stability = Stability::Stable;
            self.start_anew();
        }
    }

    /// What failed before counts no more.
    const fn start_anew(&mut self) {
        self.attempt = 0;
        self.failing_since = None;
    }

    fn opened(&mut self, subprotocol: Option<Arc<str>>, now: Instant) -> Actions {
        if !matches!(self.phase, Phase::Connecting) {
            // Cancelled at the same moment: `Exited` follows.
            return vec![];
        }
        let stable_at = match self.supervision().map(|terms| terms.stable_after) {
            Some(StableAfter::Uptime(uptime)) => now.checked_add(uptime),
            Some(StableAfter::Ready) | None => None,
        };
        self.phase = Phase::Connected { stability: Stability::Pending(stable_at) };
        vec![self.emit(LifecycleEvent::Connected { subprotocol })]
    }

    fn tick(&mut self, now: Instant) -> Actions {
        if self.due().is_none_or(|due| now < due) {
            return vec![];
        }
        match &mut self.phase {
            Phase::BackingOff { .. } => vec![self.dial(Urgency::Patient)],
            Phase::Connected { stability } => {
                *stability = Stability::Stable;
                self.start_anew();
                vec![]
            }
            _ => vec![],
        }
    }

    fn exited(
        &mut self,
        reason: ExitReason,
        now: Instant,
        wall: SystemTime,
        rng: &mut dyn Rng,
    ) -> Actions {
        let (was_connected, stable, then) = match self.phase {
            Phase::Connecting => (false, false, None),
            Phase::Connected { stability } => (true, stability == Stability::Stable, None),
            Phase::Closing { was_connected, stable, then } => (was_connected, stable, Some(then)),
            // This epoch's end was already told.
            Phase::Idle | Phase::BackingOff { .. } | Phase::Disconnected | Phase::Failed => {
                return vec![];
            }
        };
        let class = match then {
            Some(_) => ExitClass::Shutdown,
            None => self.classify(&reason, wall),
        };
        let ended = self.emit(if was_connected {
            LifecycleEvent::Disconnected {
                code: reason.close_code(),
                was_clean: reason.was_clean(),
                reason: reason.clone(),
                class,
            }
        } else {
            LifecycleEvent::ConnectionError { reason: reason.clone(), class }
        });
        let mut actions = vec![ended];
        match then {
            Some(Then::Redial) => {
                actions.push(self.emit(LifecycleEvent::Restarted));
                actions.push(self.dial(Urgency::Now));
            }
            Some(Then::Stop) => self.stop(&mut actions),
            Some(Then::Hold(due)) => {
                self.phase = Phase::BackingOff { due, held: true };
                let (attempt, delay) = (self.attempt, due.saturating_duration_since(now));
                actions.push(self.emit(LifecycleEvent::BackoffScheduled { attempt, delay }));
            }
            None => self.after_exit(reason, class, stable, now, rng, &mut actions),
        }
        actions
    }

    /// The class by the default table, or by the user's exceptions to it.
    fn classify(&self, reason: &ExitReason, wall: SystemTime) -> ExitClass {
        let standard = ExitClass::of(reason, wall);
        match self.supervision().and_then(|terms| terms.classify.as_ref()) {
            Some(classify) => {
                classify.ask(reason, standard).or_floor(Floor::asked_for(reason, wall))
            }
            None => standard,
        }
    }

    fn give_up(&mut self, reason: ExitReason, actions: &mut Actions) {
        self.phase = Phase::Failed;
        actions.push(self.emit(LifecycleEvent::GaveUp { reason }));
        self.tell_significance(actions);
    }

    fn tell_significance(&self, actions: &mut Actions) {
        if self.supervision().is_some_and(|terms| terms.significant) {
            actions.push(Action::SignificantEnd);
        }
    }

    fn stop(&mut self, actions: &mut Actions) {
        self.phase = Phase::Disconnected;
        if self.supervised.is_some() {
            actions.push(self.emit(LifecycleEvent::Stopped));
        }
    }

    fn after_exit(
        &mut self,
        reason: ExitReason,
        class: ExitClass,
        stable: bool,
        now: Instant,
        rng: &mut dyn Rng,
        actions: &mut Actions,
    ) {
        let Some(Supervised { supervision, restraint }) = self.supervised.clone() else {
            self.phase =
                if class == ExitClass::Fatal { Phase::Failed } else { Phase::Disconnected };
            return;
        };
        if !supervision.restart.restarts_after(&class) {
            if class == ExitClass::Fatal {
                self.give_up(reason, actions);
            } else {
                self.stop(actions);
                self.tell_significance(actions);
            }
            return;
        }
        self.attempt = if stable { 0 } else { self.attempt.saturating_add(1) };
        let since = *self.failing_since.get_or_insert(now);
        if stable {
            self.failing_since = None;
        }
        let mut delay = match class {
            ExitClass::RetrySlow { floor } => supervision.backoff.slow_delay(floor, rng),
            ExitClass::Retry { floor } => supervision.backoff.delay(self.attempt, floor, rng),
            _ => supervision.backoff.delay(self.attempt, None, rng),
        };
        if let Some(on_exceeded) = restraint.record(&mut self.restarts, class, now) {
            let intensity = *restraint.intensity();
            let too_many = |last| ExitReason::TooManyRestarts {
                max_restarts: intensity.max_restarts(),
                period: intensity.period(),
                last: Arc::new(last),
            };
            match on_exceeded {
                OnExceeded::Delay(least) => delay = delay.max(least),
                OnExceeded::Quarantine => return self.give_up(too_many(reason), actions),
                OnExceeded::ShutdownSupervisor => {
                    let reason = too_many(reason);
                    self.give_up(reason.clone(), actions);
                    return actions.push(Action::Escalate(reason));
                }
            }
        }
        if !stable && supervision.budget.is_spent(self.attempt, since, now + delay) {
            let (attempts, last) = (self.attempt, Arc::new(reason));
            return self.give_up(ExitReason::RetriesExhausted { attempts, last }, actions);
        }
        let (due, attempt) = (now + delay, self.attempt);
        // The group's other connections are to end before this one is started again.
        let held = restraint.fails_group(class);
        self.phase = Phase::BackingOff { due, held };
        actions.push(self.emit(LifecycleEvent::BackoffScheduled { attempt, delay }));
        if held {
            actions.push(Action::Cascade(due));
        }
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
