use super::*;

/// The reason and the class of the end among these actions.
fn end(actions: &[Action]) -> (ExitReason, ExitClass) {
    let end = actions.iter().find_map(|action| match action {
        Action::Emit(
            _,
            LifecycleEvent::ConnectionError { reason, class }
            | LifecycleEvent::Disconnected { reason, class, .. },
        ) => Some((reason.clone(), *class)),
        _ => None,
    });
    end.unwrap_or_else(|| panic!("no end among {actions:?}"))
}

impl Rig {
    fn forbid(&mut self) -> Vec<String> {
        self.step(Input::Forbid(denied()))
    }

    fn ends_with(&mut self, reason: ExitReason) -> (ExitReason, ExitClass) {
        let epoch = self.machine.epoch();
        let exited = Input::Exited { epoch, reason };
        let actions = self.machine.step(exited, self.now, WALL, &mut self.rng).unwrap();
        end(&actions)
    }
}

#[test]
fn a_forbidden_session_is_closed_and_gives_up_under_every_restart_type() {
    for restart in [RestartPolicy::Permanent, RestartPolicy::Transient, RestartPolicy::Temporary] {
        let mut rig = Rig::supervised(restart);
        rig.step(Input::Connect);
        rig.opened();
        assert_eq!(rig.forbid(), ["Discard", "Close 1008"]);
        assert_eq!(rig.machine.state(), State::Closing);
        assert_eq!(rig.exited(closed_by_us()), ["Disconnected 1000 clean", "GaveUp"]);
        assert_eq!(rig.machine.state(), State::Failed);
        assert_eq!((rig.machine.due(), rig.forbid()), (None, vec![]));
    }
    let mut alone = Rig::alone();
    alone.step(Input::Connect);
    alone.opened();
    alone.forbid();
    let (reason, class) = alone.ends_with(ExitReason::CloseUnanswered);
    assert!(matches!(reason, ExitReason::PolicyDenied(_)), "{reason}");
    assert_eq!(class, ExitClass::Fatal);
    assert_eq!(alone.machine.state(), State::Failed);
}

#[test]
fn a_forbidden_attempt_is_cancelled() {
    let mut rig = Rig::supervised(RestartPolicy::Permanent);
    rig.step(Input::Connect);
    assert_eq!(rig.forbid(), ["Abort"]);
    let (reason, class) = rig.ends_with(ExitReason::Cancelled);
    assert!(matches!(reason, ExitReason::PolicyDenied(_)), "{reason}");
    assert_eq!((class, rig.machine.state()), (ExitClass::Fatal, State::Failed));
}

#[test]
fn who_backs_off_gives_up_at_once() {
    let mut rig = Rig::supervised(RestartPolicy::Permanent);
    rig.step(Input::Connect);
    rig.exited(lost());
    assert_eq!(rig.machine.state(), State::BackingOff);
    assert_eq!(rig.forbid(), ["GaveUp"]);
    assert_eq!((rig.machine.state(), rig.machine.due()), (State::Failed, None));
}

#[test]
fn who_is_held_is_settled_and_who_backs_off_is_not() {
    let mut rig = Rig::supervised(RestartPolicy::Permanent);
    assert!(rig.machine.is_settled(), "at rest");
    rig.step(Input::Connect);
    assert!(!rig.machine.is_settled());
    rig.exited(lost());
    assert!(!rig.machine.is_settled() && !rig.machine.is_held(), "it dials by itself");
    assert_eq!(rig.machine.held_until(), None);
    rig.step(Input::Hold(rig.now));
    assert!(rig.machine.is_held() && rig.machine.is_settled());
}

#[test]
fn who_is_held_waits_for_its_time_and_its_supervisor() {
    let mut rig = Rig::supervised(RestartPolicy::Permanent);
    let due = rig.now + Duration::from_secs(9);
    rig.step(Input::Connect);
    rig.opened();
    rig.step(Input::Hold(due));
    assert_eq!(rig.machine.held_until(), Some(due), "while its session ends");
    rig.exited(closed_by_us());
    assert_eq!((rig.machine.held_until(), rig.machine.due()), (Some(due), None));
    assert_eq!(rig.step(Input::Release { everything: false }), Vec::<String>::new());
    assert_eq!((rig.machine.held_until(), rig.machine.due()), (None, Some(due)), "its time");
    rig.step(Input::Hold(due));
    rig.now = due;
    assert_eq!(rig.step(Input::Release { everything: false }), ["Dial 2"]);
}

#[test]
fn only_who_has_no_session_and_wants_none_is_at_rest() {
    let mut rig = Rig::supervised(RestartPolicy::Permanent);
    assert!(rig.machine.is_at_rest() && !rig.machine.wanes());
    rig.step(Input::Connect);
    assert!(!rig.machine.is_at_rest());
    rig.step(Input::Wane);
    assert!(rig.machine.wanes());
    rig.exited(ExitReason::Cancelled);
    assert!(rig.machine.is_at_rest());
}

#[test]
fn who_is_held_for_its_group_gives_up_and_is_not_released() {
    let mut rig = Rig::supervised(RestartPolicy::Permanent);
    rig.step(Input::Connect);
    rig.opened();
    rig.step(Input::Hold(rig.now));
    // While its session ends, and nothing that is queued is written.
    assert_eq!(rig.forbid(), ["Discard"]);
    assert_eq!(rig.exited(closed_by_us()), ["Disconnected 1000 clean", "GaveUp"]);
    assert_eq!(rig.step(Input::Release { everything: false }), Vec::<String>::new());
}

#[test]
fn who_was_told_to_stop_stops() {
    let mut rig = Rig::supervised(RestartPolicy::Permanent);
    rig.step(Input::Connect);
    rig.opened();
    rig.disconnect();
    assert_eq!(rig.forbid(), ["Discard"]);
    assert_eq!(rig.exited(closed_by_us()), ["Disconnected 1000 clean", "Stopped"]);
    assert_eq!(rig.machine.state(), State::Disconnected);
}

#[test]
fn who_rests_does_not_notice() {
    for history in [vec![], vec![lost()], vec![closed(1008)]] {
        let mut rig = Rig::alone();
        for reason in history {
            rig.step(Input::Connect);
            rig.exited(reason);
        }
        let before = rig.machine.state();
        assert_eq!((rig.forbid(), rig.machine.state()), (vec![], before));
    }
}

#[test]
fn a_policys_end_counts_nowhere() {
    // One crash would be too many.
    let intensity = Intensity::new(0, Duration::from_mins(1)).all_restarts();
    let mut rig = Rig::restrained(Some(Supervision::default()), intensity);
    rig.step(Input::Connect);
    rig.opened();
    rig.forbid();
    assert_eq!(rig.exited(closed_by_us()), ["Disconnected 1000 clean", "GaveUp"]);
}
