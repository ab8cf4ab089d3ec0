//! The door of `fuzz/` to the state machine: bytes are events, and the promises are held against what
//! it does.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::{Action, Input, Machine, Supervised, Supervision};
use crate::{
    lifecycle::{
        Epoch, ExitReason, Intensity, LifecycleEvent, RestartPolicy, Restraint, StableAfter, State,
    },
    policy::AccessPolicy,
    protocol::CloseFrame,
};

/// Runs one connection through the events that `script` tells: its first byte is how the connection
/// is supervised, each further one an event.
///
/// # Panics
///
/// When a promise is broken.
pub fn run_machine(script: &[u8]) {
    let Some((&terms, events)) = script.split_first() else { return };
    let supervised = supervised(terms);
    let is_supervised = supervised.is_some();
    let mut world = World {
        machine: Machine::new(supervised),
        is_supervised,
        now: Instant::now(),
        rng: ChaCha8Rng::seed_from_u64(u64::from(terms)),
        live: None,
        beside: None,
        is_connected: false,
    };
    for &event in events {
        let input = world.input(event);
        world.step(input);
    }
    // From any state, Disconnect leads to rest as soon as the session is gone.
    world.step(Input::Disconnect(CloseFrame::normal()));
    if let Some(epoch) = world.live.take() {
        world.step(Input::Exited { epoch, reason: ExitReason::ClosedByUs(None) });
    }
    let state = world.machine.state();
    assert!(matches!(state, State::Idle | State::Disconnected | State::Failed), "{state:?}");
    assert_eq!(world.machine.due(), None, "no timer at rest");
    assert_eq!(
        (world.machine.successor(), world.beside),
        (None, None),
        "nothing is beside nothing"
    );
}

fn supervised(terms: u8) -> Option<Supervised> {
    let restart = match terms & 3 {
        0 => return None,
        1 => RestartPolicy::Permanent,
        2 => RestartPolicy::Transient,
        _ => RestartPolicy::Temporary,
    };
    let stable_after = if terms & 4 > 0 { StableAfter::Ready } else { StableAfter::default() };
    let supervision = Supervision { restart, stable_after, ..Supervision::default() };
    let restraint = Restraint::new(Intensity::default(), None);
    Some(Supervised { supervision: Arc::new(supervision), restraint: Arc::new(restraint) })
}

struct World {
    machine: Machine,
    is_supervised: bool,
    now: Instant,
    rng: ChaCha8Rng,
    /// The attempt or session that is under way.
    live: Option<Epoch>,
    /// In a rotation: the successor, or the session before.
    beside: Option<Epoch>,
    is_connected: bool,
}

impl World {
    fn input(&mut self, event: u8) -> Input {
        let detail = event >> 4;
        // Of the latest attempt, or of one that is long over.
        let epoch = if detail & 8 == 0 { self.machine.epoch() } else { Epoch::NONE };
        match event & 15 {
            0 => Input::Connect,
            1 => Input::Reconnect,
            2 => Input::Disconnect(CloseFrame::normal()),
            3 => Input::MarkReady,
            4 | 5 => Input::Opened { epoch, subprotocol: None },
            6..=9 => {
                if self.live == Some(epoch) {
                    self.live = None;
                }
                Input::Exited { epoch, reason: reason(event & 3, detail & 7) }
            }
            10 => Input::Hold(self.now + Duration::from_secs(u64::from(detail))),
            11 => Input::Release { everything: detail & 1 > 0 },
            12 => Input::Forbid(match AccessPolicy::deny_all().check("wss://a.example") {
                Err(denied) => denied.into(),
                Ok(_) => return Input::Tick,
            }),
            13 => self.input_beside(detail),
            _ => {
                self.now += Duration::from_millis(1 << detail);
                Input::Tick
            }
        }
    }

    /// An event of a rotation.
    fn input_beside(&mut self, detail: u8) -> Input {
        match detail {
            0..=2 => Input::Rotate { ready_within: Duration::from_secs(30) },
            3..=5 => Input::Opened { epoch: self.beside.unwrap_or_default(), subprotocol: None },
            6..=8 => Input::SuccessorReady(self.beside.unwrap_or_default()),
            9..=12 => {
                let epoch = self.beside.take().unwrap_or_default();
                Input::Exited { epoch, reason: reason(detail & 3, detail) }
            }
            13 | 14 => match AccessPolicy::deny_all().check("wss://a.example") {
                Err(denied) => Input::ForbidBeside(denied.into()),
                Ok(_) => Input::Tick,
            },
            _ => Input::Wane,
        }
    }

    fn step(&mut self, input: Input) {
        let (epoch, state) = (self.machine.epoch(), self.machine.state());
        let taken = self.machine.step(input, self.now, SystemTime::UNIX_EPOCH, &mut self.rng);
        let Ok(actions) = taken else {
            assert_eq!(self.machine.state(), state, "a refused command changes nothing");
            return;
        };
        let (mut ends, mut told) = (0, epoch);
        for action in &actions {
            if let Action::Emit(of, event) = action {
                assert_eq!(*of, told, "{event:?} is of the session that is up");
            }
            match action {
                Action::Dial(dialled, _) => {
                    assert_eq!((self.live, self.beside), (None, None), "one socket at a time");
                    assert!(*dialled > epoch, "epochs rise");
                    self.live = Some(*dialled);
                    self.is_connected = false;
                }
                Action::DialBeside(dialled) => {
                    assert!(
                        self.live.is_some() && self.is_connected,
                        "beside a session that is up"
                    );
                    assert_eq!(self.beside, None, "two sockets at most");
                    assert!(*dialled > epoch, "epochs rise");
                    self.beside = Some(*dialled);
                }
                Action::HandOver { old } => {
                    assert_eq!(self.live, Some(*old));
                    std::mem::swap(&mut self.live, &mut self.beside);
                    assert!(self.live > self.beside, "epochs rise");
                    told = self.live.unwrap_or_default();
                }
                Action::TakeOver => {
                    assert!(self.live.is_none() && self.beside.is_some(), "{actions:?}");
                    self.live = self.beside.take();
                    told = self.live.unwrap_or_default();
                    self.is_connected = false;
                }
                Action::EndBeside(_) => assert!(self.beside.is_some(), "{actions:?}"),
                Action::DropBeside(_) => assert!(self.beside.take().is_some(), "{actions:?}"),
                Action::Abort | Action::Close(_) | Action::Discard(_) => {
                    assert!(self.live.is_some(), "{action:?} without a session");
                }
                Action::Emit(_, LifecycleEvent::Connected { .. }) => {
                    assert!(!self.is_connected, "Connected twice");
                    self.is_connected = true;
                }
                Action::Emit(_, LifecycleEvent::ConnectionError { .. }) => {
                    assert!(!self.is_connected, "ConnectionError after Connected");
                    ends += 1;
                }
                Action::Emit(_, LifecycleEvent::Disconnected { .. }) => {
                    assert!(self.is_connected, "Disconnected without Connected");
                    self.is_connected = false;
                    ends += 1;
                }
                Action::Emit(_, LifecycleEvent::BackoffScheduled { .. }) => {
                    assert!(self.is_supervised, "alone, nothing reconnects by itself");
                }
                _ => {}
            }
        }
        assert!(ends <= 1, "one end: {actions:?}");
        let state = self.machine.state();
        let has_session = matches!(state, State::Connecting | State::Connected | State::Closing);
        assert_eq!(has_session, self.live.is_some(), "{state:?} and the socket agree");
        assert!(self.beside.is_none() || self.live.is_some(), "nothing is beside nothing");
        if state == State::BackingOff {
            let wakes = self.machine.due().is_some() || self.machine.is_held();
            assert!(wakes, "who waits has a timer or a supervisor");
        }
    }
}

fn reason(which: u8, detail: u8) -> ExitReason {
    let codes = [1000, 1001, 1008, 1009, 1011, 1012, 1013, 4000];
    match which {
        0 => {
            let code = codes.get(usize::from(detail)).copied().unwrap_or(1000_u16);
            ExitReason::ClosedByPeer(Some(CloseFrame::bare(code.into())))
        }
        1 => ExitReason::Crashed("script".into()),
        2 => ExitReason::ClosedByUs(None),
        _ => ExitReason::Eof { mid_message: detail & 1 > 0 },
    }
}
