use std::time::Duration;

use super::{rig::*, *};
use crate::{
    lifecycle::{
        ExitClass, ExitReason, Intensity, OnExceeded, Outlook, RefusedCredential, RestartPolicy,
        RetryBudget, RotateError, SharedClassify, State,
    },
    protocol::{CloseFrame, HandshakeError},
};

/// When a connection gives up.
#[path = "giving_up_tests.rs"]
mod giving_up;

/// What an access policy that changes does.
#[path = "forbidding_tests.rs"]
mod forbidding;

/// What a rotation does.
#[path = "succession_tests.rs"]
mod succession;

/// What a supervisor's orders do, and what is told of the machine.
#[path = "orders_tests.rs"]
mod orders;

/// What holds over any history.
#[path = "invariants_tests.rs"]
mod invariants;

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
    assert_eq!(rig.machine.due(), None, "nothing follows but what follows from the next end");
    rig.now += Duration::from_secs(30);
    rig.machine.settle(rig.now);
    assert!(rig.machine.is_stable());
    assert_eq!(rig.exited(closed(1001))[1], "Backoff 0");
}

#[test]
fn the_first_refusal_of_credentials_is_followed_at_once() {
    for (credential, at_once) in
        [(RefusedCredential::First, true), (RefusedCredential::Changed, false)]
    {
        let refusal = HandshakeError::Status {
            code: 401,
            retry_after: None,
            has_location: false,
            has_challenge: true,
        };
        let mut rig = Rig::supervised(RestartPolicy::Permanent);
        rig.step(Input::Connect);
        rig.exited(ExitReason::Unauthorized { credential, refusal });
        assert_eq!(rig.machine.next_attempt() == Some(rig.now), at_once, "{credential}");
    }
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
