use super::*;
use crate::lifecycle::{Backoff, ClassRule, Classify, ExitRules};

fn supervised() -> Rig {
    Rig::supervised(RestartPolicy::Permanent)
}

impl Rig {
    fn release(&mut self, everything: bool) -> Vec<String> {
        self.step(Input::Release { everything })
    }

    fn waits(&self) -> Duration {
        self.machine.next_attempt().expect("it backs off") - self.now
    }
}

#[test]
fn who_is_released_while_its_session_closes_dials_once_that_has_ended() {
    let mut rig = supervised();
    rig.step(Input::Connect);
    rig.opened();
    assert_eq!(rig.step(Input::Hold(rig.now)), ["Close 1000"]);
    assert_eq!(rig.release(false), [""; 0]);
    assert_eq!(rig.exited(closed_by_us()), ["Disconnected 1000 clean", "Restarted", "Dial 2"]);
}

#[test]
fn a_release_starts_what_was_stopped_and_what_gave_up_only_with_everything() {
    let mut stopped = supervised();
    stopped.step(Input::Connect);
    stopped.exited(lost());
    assert_eq!(stopped.disconnect(), ["Stopped"]);
    assert_eq!(stopped.release(false), ["Dial 2"]);
    assert_eq!(stopped.exited(lost()), ["ConnectionError", "Backoff 1"], "counted anew");

    let mut failed = supervised();
    failed.step(Input::Connect);
    assert_eq!(failed.exited(closed(1008)), ["ConnectionError", "GaveUp"]);
    assert_eq!(failed.release(false), [""; 0]);
    assert_eq!(failed.release(true), ["Dial 2"]);
}

#[test]
fn nothing_is_started_while_the_supervisor_ends() {
    let mut rig = supervised();
    rig.step(Input::Connect);
    rig.exited(lost());
    assert_eq!(rig.step(Input::Wane), ["Stopped"]);
    assert_eq!(rig.try_step(Input::Connect), Err(Busy::Waning));
    assert_eq!(rig.try_step(Input::Reconnect), Err(Busy::Waning));
    assert_eq!(rig.machine.can_connect(), Err(Busy::Waning));
    assert_eq!(rig.release(false), [""; 0]);
    assert_eq!(rig.release(true), ["Dial 2"], "it begins again with all its children");
    assert_eq!(rig.try_step(Input::Reconnect), Err(Busy::InProgress));
}

#[test]
fn attempts_in_a_row_are_counted() {
    let mut rig = supervised();
    assert_eq!(rig.machine.attempt(), 0);
    rig.step(Input::Connect);
    for attempt in 1..4 {
        rig.exited(lost());
        assert_eq!(rig.machine.attempt(), attempt);
        rig.wait_until_due();
    }
}

#[test]
fn other_terms_hold_from_the_next_end_on() {
    let mut rig = supervised();
    rig.step(Input::Connect);
    rig.opened();
    let restart = RestartPolicy::Temporary;
    rig.machine.update(Arc::new(Supervision { restart, ..Supervision::default() }));
    assert_eq!(rig.exited(lost()), ["Disconnected 1006 unclean", "Stopped"]);
}

#[test]
fn terms_that_nobody_changed_are_shared() {
    assert!(Arc::ptr_eq(&Supervision::shared_default(), &Supervision::shared_default()));
}

#[test]
fn the_end_of_a_significant_connection_is_told() {
    for (restart, reason, last) in [
        (RestartPolicy::Transient, closed(1000), "Stopped"),
        (RestartPolicy::Temporary, lost(), "Stopped"),
        (RestartPolicy::Permanent, closed(1008), "GaveUp"),
    ] {
        for significant in [false, true] {
            let terms = Supervision { restart, significant, ..Supervision::default() };
            let mut rig = Rig::with(Some(terms));
            rig.step(Input::Connect);
            let told: &[&str] = if significant { &[last, "SignificantEnd"] } else { &[last] };
            assert_eq!(rig.exited(reason.clone())[1..], *told, "{reason}");
        }
    }
}

/// What an endpoint asks for does not hold for the next; what all ask for does.
#[test]
fn the_next_endpoint_is_dialled_soon_and_a_round_of_overload_waits_long() {
    let mut rig = supervised();
    rig.machine.rotate_over(3);
    rig.step(Input::Connect);
    let backoff = Backoff::default();
    let overloaded = ExitReason::Handshake(HandshakeError::Status {
        code: 429,
        retry_after: None,
        has_location: false,
        has_challenge: false,
    });
    for endpoint in [1, 2] {
        rig.exited(overloaded.clone());
        assert_eq!(rig.machine.endpoint(), endpoint);
        assert!(rig.waits() <= backoff.cap(rig.machine.attempt()), "{:?}", rig.waits());
        rig.wait_until_due();
    }
    rig.exited(overloaded);
    assert_eq!(rig.machine.endpoint(), 0);
    assert!(rig.waits() >= backoff.max() / 2, "{:?}", rig.waits());
}

#[test]
fn which_rule_decided_is_told() {
    struct Own(ExitClass);
    impl Classify for Own {
        fn classify(&self, _: &ExitReason, _: ExitClass) -> ExitClass {
            self.0
        }
    }
    let of = |classify| {
        let rig = Rig::with(Some(Supervision { classify, ..Supervision::default() }));
        move |reason: &ExitReason, class| rig.machine.rule_of(reason, class)
    };
    let row = ClassRule::Table("close 4000".into());
    let plain = of(None);
    assert_eq!(plain(&closed(4000), ExitClass::RETRY), row);
    assert_eq!(plain(&closed(4000), ExitClass::Shutdown), ClassRule::Command);
    let rules =
        of(Some(SharedClassify::new(ExitRules::new().close(4001..=4001, ExitClass::Fatal))));
    assert_eq!(rules(&closed(4001), ExitClass::Fatal), ClassRule::Exception("close 4001".into()));
    assert_eq!(rules(&closed(4000), ExitClass::RETRY), row);
    let own = of(Some(SharedClassify::new(Own(ExitClass::Fatal))));
    assert_eq!(own(&closed(4000), ExitClass::Fatal), ClassRule::Classify);
    assert_eq!(own(&closed(4000), ExitClass::RETRY), row, "it says what the table says");
}
