use std::time::Duration;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Move {
    Connect,
    Reconnect,
    Disconnect,
    MarkReady,
    Forbid,
    Opened { age: u64 },
    Exited { age: u64, reason: usize },
    Rotate,
    OpenedBeside,
    ReadyBeside,
    ExitedBeside { reason: usize },
    ForbidBeside,
    Pass(u64),
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        1 => Just(Move::Connect),
        1 => Just(Move::Reconnect),
        1 => Just(Move::Disconnect),
        1 => Just(Move::MarkReady),
        1 => Just(Move::Forbid),
        2 => (0u64..3).prop_map(|age| Move::Opened { age: age / 2 }),
        1 => (0u64..3, 0usize..7).prop_map(|(age, reason)| Move::Exited { age: age / 2, reason }),
        1 => (0u64..100_000).prop_map(Move::Pass),
        2 => Just(Move::Rotate),
        2 => Just(Move::OpenedBeside),
        2 => Just(Move::ReadyBeside),
        1 => (0usize..7).prop_map(|reason| Move::ExitedBeside { reason }),
        1 => Just(Move::ForbidBeside),
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
        // In a rotation: the successor, or the session before.
        let mut beside: Option<Epoch> = None;
        let mut connected = false;
        let mut latest = Epoch::NONE;

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
                Move::Rotate => Input::Rotate { ready_within: Duration::from_secs(30) },
                Move::OpenedBeside => {
                    Input::Opened { epoch: beside.unwrap_or_default(), subprotocol: None }
                }
                Move::ReadyBeside => Input::SuccessorReady(beside.unwrap_or_default()),
                Move::ExitedBeside { reason } => {
                    let epoch = beside.take().unwrap_or_default();
                    Input::Exited { epoch, reason: reasons()[reason].clone() }
                }
                Move::ForbidBeside => Input::ForbidBeside(denied()),
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
            let mut told = before;
            let mut rotated = false;
            for action in &actions {
                if let Action::Emit(epoch, event) = action {
                    prop_assert_eq!(*epoch, told, "I9: {:?} is of the session that is up", event);
                }
                match action {
                    Action::Dial(epoch, _) => {
                        prop_assert_eq!((live, beside), (None, None), "I1: one socket at a time");
                        prop_assert!(*epoch > latest, "epochs rise");
                        (live, latest) = (Some(*epoch), *epoch);
                        connected = false;
                    }
                    Action::DialBeside(epoch) => {
                        prop_assert!(live.is_some() && connected, "beside a session that is up");
                        prop_assert_eq!(beside, None, "two sockets at most");
                        prop_assert!(*epoch > latest, "epochs rise");
                        (beside, latest) = (Some(*epoch), *epoch);
                    }
                    Action::HandOver { old } => {
                        prop_assert_eq!(live, Some(*old));
                        prop_assert!(beside > live, "epochs rise");
                        std::mem::swap(&mut live, &mut beside);
                        told = live.unwrap_or_default();
                        rotated = true;
                    }
                    Action::TakeOver => {
                        prop_assert!(live.is_none() && beside.is_some());
                        live = beside.take();
                        told = live.unwrap_or_default();
                        connected = false;
                    }
                    Action::EndBeside(_) => prop_assert!(beside.is_some()),
                    Action::DropBeside(_) => {
                        prop_assert!(beside.take().is_some(), "{:?}", actions);
                    }
                    Action::Emit(_, LifecycleEvent::RotationFailed { .. }) => {
                        prop_assert!(live.is_some() && connected, "the session goes on");
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
                prop_assert_eq!(follow_ups, usize::from(supervised && !rotated), "I2: one consequence");
            }
            let backing_off = rig.machine.state() == State::BackingOff;
            if backing_off {
                prop_assert!(rig.machine.due().is_some(), "I3: an armed timer");
            }
            let has_session = matches!(
                rig.machine.state(), State::Connecting | State::Connected | State::Closing
            );
            prop_assert_eq!(has_session, live.is_some(), "state and socket agree");
            prop_assert!(beside.is_none() || live.is_some(), "nothing is beside nothing");
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
        prop_assert_eq!(rig.machine.successor(), None);
    }
}
