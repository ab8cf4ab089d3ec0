use std::time::Duration;

use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::{
    lifecycle::{ExitClass, ExitReason, Intensity, OnExceeded, SharedClassify},
    policy::AccessPolicy,
};

/// When a connection gives up.
#[path = "giving_up_tests.rs"]
mod giving_up;

/// What an access policy that changes does.
#[path = "forbidding_tests.rs"]
mod forbidding;

const WALL: SystemTime = SystemTime::UNIX_EPOCH;

/// A machine with its clock and its luck.
struct Rig {
    machine: Machine,
    now: Instant,
    rng: ChaCha8Rng,
}

impl Rig {
    fn alone() -> Self {
        Self::with(None)
    }

    fn supervised(restart: RestartPolicy) -> Self {
        Self::with(Some(Supervision { restart, ..Supervision::default() }))
    }

    fn with(supervision: Option<Supervision>) -> Self {
        Self::restrained(supervision, Intensity::default())
    }

    fn restrained(supervision: Option<Supervision>, intensity: Intensity) -> Self {
        Self {
            machine: Machine::new(supervision.map(|supervision| Supervised {
                supervision: Arc::new(supervision),
                restraint: Arc::new(Restraint::new(intensity, None)),
            })),
            now: Instant::now(),
            rng: ChaCha8Rng::seed_from_u64(1),
        }
    }

    fn try_step(&mut self, input: Input) -> Result<Vec<String>, Busy> {
        let actions = self.machine.step(input, self.now, WALL, &mut self.rng)?;
        Ok(actions.iter().map(name).collect())
    }

    fn step(&mut self, input: Input) -> Vec<String> {
        self.try_step(input).expect("the command is accepted")
    }

    fn opened(&mut self) -> Vec<String> {
        let epoch = self.machine.epoch();
        self.step(Input::Opened { epoch, subprotocol: None })
    }

    fn exited(&mut self, reason: ExitReason) -> Vec<String> {
        let epoch = self.machine.epoch();
        self.step(Input::Exited { epoch, reason })
    }

    fn disconnect(&mut self) -> Vec<String> {
        self.step(Input::Disconnect(CloseFrame::normal()))
    }

    fn pass(&mut self, time: Duration) -> Vec<String> {
        self.now += time;
        self.step(Input::Tick)
    }

    fn wait_until_due(&mut self) -> Vec<String> {
        let due = self.machine.due().expect("a timer is armed");
        self.pass(due.saturating_duration_since(self.now))
    }
}

fn name(action: &Action) -> String {
    match action {
        Action::Dial(epoch, _) => format!("Dial {epoch}"),
        Action::Abort => "Abort".into(),
        Action::Close(frame) => format!("Close {}", frame.code().get()),
        Action::Discard(_) => "Discard".into(),
        Action::Emit(_, LifecycleEvent::BackoffScheduled { attempt, .. }) => {
            format!("Backoff {attempt}")
        }
        Action::Emit(_, LifecycleEvent::Disconnected { code, was_clean, .. }) => {
            let how = if *was_clean { "clean" } else { "unclean" };
            format!("Disconnected {} {how}", code.get())
        }
        Action::Escalate(_) => "Escalate".into(),
        Action::Cascade(_) => "Cascade".into(),
        Action::SignificantEnd => "SignificantEnd".into(),
        Action::Emit(_, event) => {
            let text = format!("{event:?}");
            text.split([' ', '{']).next().unwrap_or_default().to_owned()
        }
    }
}

fn denied() -> PolicyDenied {
    AccessPolicy::deny_all().check("wss://a.example").unwrap_err().into()
}

fn lost() -> ExitReason {
    ExitReason::Eof { mid_message: false }
}

fn closed(code: u16) -> ExitReason {
    ExitReason::ClosedByPeer(Some(CloseFrame::bare(code.into())))
}

fn closed_by_us() -> ExitReason {
    ExitReason::ClosedByUs(Some(CloseFrame::normal()))
}

#[test]
fn alone_it_never_reconnects_by_itself() {
    let mut rig = Rig::alone();
    assert_eq!(rig.step(Input::Connect), ["Dial 1"]);
    assert_eq!(rig.opened(), ["Connected"]);
    assert_eq!(rig.exited(lost()), ["Disconnected 1006 unclean"]);
    assert_eq!(rig.machine.state(), State::Disconnected);
    assert_eq!(rig.machine.due(), None);
    assert_eq!(rig.step(Input::Reconnect), ["Dial 2"]);
}

#[test]
fn alone_reconnect_needs_a_connect_before_it_and_the_disconnected_state() {
    let mut rig = Rig::alone();
    assert_eq!(rig.try_step(Input::Reconnect), Err(Busy::NeverConnected));
    rig.step(Input::Connect);
    assert_eq!(rig.try_step(Input::Reconnect), Err(Busy::InProgress), "while connecting");
    rig.opened();
    assert_eq!(rig.try_step(Input::Reconnect), Err(Busy::InProgress), "while connected");
    rig.disconnect();
    assert_eq!(rig.try_step(Input::Reconnect), Err(Busy::InProgress), "while closing");
    rig.exited(closed_by_us());
    assert_eq!(rig.step(Input::Reconnect), ["Dial 2"]);
    assert_eq!(rig.exited(lost()), ["ConnectionError"]);
    assert_eq!(rig.step(Input::Reconnect), ["Dial 3"], "after a connection error");
}

#[test]
fn connect_is_refused_while_a_connection_exists() {
    let mut rig = Rig::alone();
    rig.step(Input::Connect);
    for state in ["connecting", "connected", "closing"] {
        assert_eq!(rig.try_step(Input::Connect), Err(Busy::InProgress), "while {state}");
        match state {
            "connecting" => drop(rig.opened()),
            _ => drop(rig.disconnect()),
        }
    }
}

#[test]
fn disconnect_while_connecting_ends_in_one_connection_error() {
    let mut rig = Rig::alone();
    rig.step(Input::Connect);
    assert_eq!(rig.disconnect(), ["Abort"]);
    assert_eq!(rig.opened(), [""; 0], "the handshake that finished at the same moment");
    assert_eq!(rig.exited(ExitReason::Cancelled), ["ConnectionError"]);
    assert_eq!(rig.exited(ExitReason::Cancelled), [""; 0], "no second end");
}

#[test]
fn disconnect_twice_or_when_not_connected_does_nothing() {
    let mut rig = Rig::alone();
    assert_eq!(rig.disconnect(), [""; 0]);
    rig.step(Input::Connect);
    rig.opened();
    assert_eq!(rig.disconnect(), ["Close 1000"]);
    assert_eq!(rig.disconnect(), [""; 0]);
    assert_eq!(rig.exited(closed_by_us()), ["Disconnected 1000 clean"]);
    assert_eq!(rig.disconnect(), [""; 0]);
}

#[test]
fn supervised_it_returns_with_rising_epochs_and_backoff() {
    let mut rig = Rig::supervised(RestartPolicy::Permanent);
    assert_eq!(rig.step(Input::Connect), ["Dial 1"]);
    assert_eq!(rig.exited(lost()), ["ConnectionError", "Backoff 1"]);
    assert_eq!(rig.wait_until_due(), ["Dial 2"]);
    assert_eq!(rig.opened(), ["Connected"]);
    assert_eq!(rig.exited(lost()), ["Disconnected 1006 unclean", "Backoff 2"]);
    assert_eq!(rig.wait_until_due(), ["Dial 3"]);
}

#[test]
fn backoff_starts_again_only_after_a_stable_session() {
    let mut rig = Rig::supervised(RestartPolicy::Permanent);
    rig.step(Input::Connect);
    for attempt in 1..=3 {
        rig.opened();
        assert_eq!(rig.pass(Duration::from_secs(29)), [""; 0]);
        assert_eq!(rig.exited(closed(1001))[1], format!("Backoff {attempt}"));
        rig.wait_until_due();
    }
    rig.opened();
    assert!(!rig.machine.is_stable());
    rig.pass(Duration::from_secs(30));
    assert!(rig.machine.is_stable());
    assert_eq!(rig.exited(closed(1001))[1], "Backoff 0");
}

#[test]
fn mark_ready_makes_stable_where_that_was_chosen() {
    let stable_after = StableAfter::Ready;
    let mut rig = Rig::with(Some(Supervision { stable_after, ..Supervision::default() }));
    rig.step(Input::Connect);
    rig.opened();
    assert_eq!(rig.pass(Duration::from_hours(1)), [""; 0]);
    assert!(!rig.machine.is_stable());
    rig.step(Input::MarkReady);
    assert!(rig.machine.is_stable());

    let mut by_uptime = Rig::supervised(RestartPolicy::Permanent);
    by_uptime.step(Input::Connect);
    by_uptime.opened();
    by_uptime.step(Input::MarkReady);
    assert!(!by_uptime.machine.is_stable(), "uptime was chosen");
}

#[test]
fn fatal_stops_even_a_permanent_connection() {
    let mut rig = Rig::supervised(RestartPolicy::Permanent);
    rig.step(Input::Connect);
    rig.opened();
    assert_eq!(rig.exited(closed(1008)), ["Disconnected 1008 clean", "GaveUp"]);
    assert_eq!(rig.machine.state(), State::Failed);
    assert_eq!(rig.step(Input::Reconnect), ["Dial 2"], "a person may try again");
}

#[test]
fn restart_types_decide_after_a_normal_close() {
    let after = |restart| {
        let mut rig = Rig::supervised(restart);
        rig.step(Input::Connect);
        rig.opened();
        rig.exited(closed(1000)).remove(1)
    };
    assert_eq!(after(RestartPolicy::Permanent), "Backoff 1");
    assert_eq!(after(RestartPolicy::Transient), "Stopped");
    assert_eq!(after(RestartPolicy::Temporary), "Stopped");
}

#[test]
fn a_panic_is_an_exit_like_any_other() {
    let mut rig = Rig::supervised(RestartPolicy::Transient);
    rig.step(Input::Connect);
    rig.opened();
    let actions = rig.exited(ExitReason::Crashed("boom".into()));
    assert_eq!(actions, ["Disconnected 1006 unclean", "Backoff 1"]);
}

#[test]
fn supervised_reconnect_skips_the_wait_or_cycles_the_session() {
    let mut rig = Rig::supervised(RestartPolicy::Permanent);
    rig.step(Input::Connect);
    rig.exited(lost());
    assert_eq!(rig.step(Input::Reconnect), ["Restarted", "Dial 2"]);
    rig.opened();
    assert_eq!(rig.step(Input::Reconnect), ["Close 1000"]);
    assert_eq!(rig.exited(closed_by_us()), ["Disconnected 1000 clean", "Restarted", "Dial 3"]);
    assert_eq!(rig.machine.attempt(), 1, "asked for, so not counted");
}

#[test]
fn disconnect_while_backing_off_cancels_the_attempt() {
    let mut rig = Rig::supervised(RestartPolicy::Permanent);
    rig.step(Input::Connect);
    rig.exited(lost());
    assert_eq!(rig.disconnect(), ["Stopped"]);
    assert_eq!(rig.machine.due(), None);
    assert_eq!(rig.pass(Duration::from_hours(1)), [""; 0]);
}

#[test]
fn disconnect_overrules_a_reconnect_under_way() {
    let mut rig = Rig::supervised(RestartPolicy::Permanent);
    rig.step(Input::Connect);
    rig.opened();
    rig.step(Input::Reconnect);
    rig.disconnect();
    assert_eq!(rig.exited(closed_by_us()), ["Disconnected 1000 clean", "Stopped"]);
}

#[derive(Clone, Debug)]
enum Move {
    Connect,
    Reconnect,
    Disconnect,
    MarkReady,
    Forbid,
    Opened { age: u64 },
    Exited { age: u64, reason: usize },
    Pass(u64),
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        Just(Move::Connect),
        Just(Move::Reconnect),
        Just(Move::Disconnect),
        Just(Move::MarkReady),
        Just(Move::Forbid),
        (0u64..3).prop_map(|age| Move::Opened { age: age / 2 }),
        (0u64..3, 0usize..7).prop_map(|(age, reason)| Move::Exited { age: age / 2, reason }),
        (0u64..100_000).prop_map(Move::Pass),
    ]
}

fn reasons() -> [ExitReason; 7] {
    [
        lost(),
        closed(1000),
        closed(1008),
        closed(1012),
        closed(1013),
        closed_by_us(),
        ExitReason::Crashed("boom".into()),
    ]
}

proptest! {
    /// I1–I4, I7 and I9 as far as they are the machine's: over any history, with stale and
    /// impossible inputs among it.
    #[test]
    fn the_invariants_hold_over_any_history(
        restart in proptest::option::of(0usize..3),
        by_ready: bool,
        history in proptest::collection::vec(moves(), 1..120),
    ) {
        let policies = [RestartPolicy::Permanent, RestartPolicy::Transient, RestartPolicy::Temporary];
        let supervision = restart.map(|index| Supervision {
            restart: policies[index],
            stable_after: if by_ready { StableAfter::Ready } else { StableAfter::default() },
            ..Supervision::default()
        });
        let supervised = supervision.is_some();
        let mut rig = Rig::with(supervision);
        let mut live: Option<Epoch> = None;
        let mut connected = false;

        for step in history {
            let epoch_of = |age: u64, current: Epoch| if age == 0 { current } else { Epoch::NONE };
            let before = rig.machine.epoch();
            let input = match step {
                Move::Connect => Input::Connect,
                Move::Reconnect => Input::Reconnect,
                Move::Disconnect => Input::Disconnect(CloseFrame::normal()),
                Move::MarkReady => Input::MarkReady,
                Move::Forbid => Input::Forbid(denied()),
                Move::Opened { age } => Input::Opened { epoch: epoch_of(age, before), subprotocol: None },
                Move::Exited { age, reason } => {
                    let epoch = epoch_of(age, before);
                    if live == Some(epoch) {
                        live = None;
                    }
                    Input::Exited { epoch, reason: reasons()[reason].clone() }
                }
                Move::Pass(ms) => {
                    rig.now += Duration::from_millis(ms);
                    Input::Tick
                }
            };
            let was = rig.machine.state();
            let Ok(actions) = rig.machine.step(input, rig.now, WALL, &mut rig.rng) else {
                prop_assert_eq!(rig.machine.state(), was, "a refused command changes nothing");
                continue;
            };

            let mut ends = 0;
            let mut follow_ups = 0;
            for action in &actions {
                if let Action::Emit(epoch, event) = action {
                    prop_assert_eq!(*epoch, before, "I9: {:?} is of the epoch it ends", event);
                }
                match action {
                    Action::Dial(epoch, _) => {
                        prop_assert_eq!(live, None, "I1: one socket at a time");
                        prop_assert!(*epoch > before, "epochs rise");
                        live = Some(*epoch);
                        connected = false;
                    }
                    Action::Abort | Action::Close(_) | Action::Discard(_) => {
                        prop_assert!(live.is_some());
                    }
                    Action::Emit(_, LifecycleEvent::Connected { .. }) => {
                        prop_assert!(!connected);
                        connected = true;
                    }
                    Action::Emit(_, LifecycleEvent::ConnectionError { .. }) => {
                        prop_assert!(!connected);
                        ends += 1;
                    }
                    Action::Emit(_, LifecycleEvent::Disconnected { .. }) => {
                        prop_assert!(connected, "Disconnected comes only after Connected");
                        connected = false;
                        ends += 1;
                    }
                    Action::Emit(_, LifecycleEvent::BackoffScheduled { .. }) => {
                        prop_assert!(supervised, "alone, nothing reconnects by itself");
                        follow_ups += 1;
                    }
                    Action::Escalate(_) | Action::Cascade(_) | Action::SignificantEnd => {
                        prop_assert!(false, "each is for itself");
                    }
                    Action::Emit(..) => follow_ups += 1,
                }
            }
            if ends > 0 {
                prop_assert_eq!(ends, 1, "I2: one end");
                prop_assert_eq!(follow_ups, usize::from(supervised), "I2: one consequence");
            }
            let backing_off = rig.machine.state() == State::BackingOff;
            if backing_off {
                prop_assert!(rig.machine.due().is_some(), "I3: an armed timer");
            }
            let has_session = matches!(
                rig.machine.state(), State::Connecting | State::Connected | State::Closing
            );
            prop_assert_eq!(has_session, live.is_some(), "state and socket agree");
        }

        // From any state, Disconnect leads to rest as soon as the session is gone.
        let _ = rig.disconnect();
        if live.is_some() {
            rig.exited(closed_by_us());
        }
        prop_assert!(matches!(
            rig.machine.state(), State::Idle | State::Disconnected | State::Failed
        ), "I5: at rest");
        prop_assert_eq!(rig.machine.due(), None);
    }
}
