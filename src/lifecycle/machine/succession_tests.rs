use super::*;
use crate::{lifecycle::Backoff, protocol::RetryAfter};

const WITHIN: Duration = Duration::from_secs(30);

fn epoch(number: u64) -> Epoch {
    (0..number).fold(Epoch::NONE, |epoch, _| epoch.next())
}

impl Rig {
    /// Connected in epoch 1, and stable.
    fn up() -> Self {
        Self::up_as(RestartPolicy::Permanent)
    }

    fn up_as(restart: RestartPolicy) -> Self {
        let mut rig = Self::supervised(restart);
        rig.step(Input::Connect);
        rig.opened();
        rig.pass(Duration::from_mins(1));
        rig
    }

    fn rotate(&mut self) -> Vec<String> {
        self.step(Input::Rotate { ready_within: WITHIN })
    }

    fn opened_beside(&mut self, number: u64) -> Vec<String> {
        self.step(Input::Opened { epoch: epoch(number), subprotocol: None })
    }

    fn ready_beside(&mut self, number: u64) -> Vec<String> {
        self.step(Input::SuccessorReady(epoch(number)))
    }

    fn exited_beside(&mut self, number: u64, reason: ExitReason) -> Vec<String> {
        self.step(Input::Exited { epoch: epoch(number), reason })
    }
}

#[test]
fn a_successor_takes_over_when_it_is_ready_and_the_old_session_drains() {
    let mut rig = Rig::up();
    assert_eq!(rig.rotate(), ["DialBeside 2"]);
    assert_eq!((rig.machine.state(), rig.machine.epoch()), (State::Connected, epoch(1)));
    assert_eq!(rig.machine.can_rotate(), Err(RotateError::InProgress));
    assert_eq!(rig.opened_beside(2), [""; 0]);
    assert_eq!(rig.machine.outlook(), Outlook::Open(epoch(1), Some(epoch(2))));
    let handed = ["Disconnected 1000 unclean", "HandOver from 1", "Connected"];
    assert_eq!(rig.ready_beside(2), handed);
    assert_eq!((rig.machine.state(), rig.machine.epoch()), (State::Connected, epoch(2)));
    assert_eq!(rig.machine.can_rotate(), Err(RotateError::InProgress), "there are two sockets");
    assert!(!rig.machine.is_stable(), "the new one has to last, too");
    assert_eq!(rig.exited_beside(1, closed_by_us()), [""; 0], "its end was told");
    assert_eq!(rig.rotate(), ["DialBeside 3"]);
}

#[test]
fn nothing_rotates_but_a_session_that_is_up() {
    let mut rig = Rig::supervised(RestartPolicy::Permanent);
    let nothing = Err(RotateError::NotConnected);
    assert_eq!((rig.machine.can_rotate(), rig.rotate()), (nothing, vec![]));
    rig.step(Input::Connect);
    assert_eq!((rig.machine.can_rotate(), rig.rotate()), (nothing, vec![]), "connecting");
    rig.opened();
    rig.step(Input::Wane);
    assert_eq!(rig.machine.can_rotate(), Err(RotateError::Waning));
    rig.disconnect();
    assert_eq!(rig.rotate(), [""; 0], "closing");
}

#[test]
fn a_successor_that_fails_harms_nobody_and_another_is_tried() {
    let mut rig = Rig::up();
    let at_first = rig.machine.attempt();
    rig.rotate();
    let mut number = 2;
    for reason in [lost(), closed(1008), ExitReason::Crashed("boom".into()), closed(1000)] {
        assert_eq!(rig.exited_beside(number, reason.clone()), ["RotationFailed"], "{reason}");
        assert_eq!((rig.machine.state(), rig.machine.epoch()), (State::Connected, epoch(1)));
        assert!(rig.machine.is_stable());
        number += 1;
        assert_eq!(rig.wait_until_due(), [format!("DialBeside {number}")], "{reason}");
    }
    assert_eq!(rig.machine.attempt(), at_first);
    rig.opened_beside(number);
    assert_eq!(rig.ready_beside(number)[2], "Connected");
}

#[test]
fn failures_count_for_no_limit() {
    let supervision = Supervision { budget: RetryBudget::attempts(1), ..Supervision::default() };
    let mut rig = Rig::restrained(Some(supervision), Intensity::new(0, Duration::from_mins(1)));
    rig.step(Input::Connect);
    rig.opened();
    rig.rotate();
    for number in 2..9 {
        let crash = ExitReason::Crashed("boom".into());
        assert_eq!(rig.exited_beside(number, crash), ["RotationFailed"]);
        rig.wait_until_due();
    }
    assert_eq!(rig.machine.state(), State::Connected);
}

#[test]
fn a_successor_that_is_not_ready_in_time_is_ended() {
    let mut rig = Rig::up();
    rig.rotate();
    assert_eq!(rig.pass(Duration::from_hours(1)), [""; 0], "an attempt has its own limits");
    rig.opened_beside(2);
    assert_eq!(rig.pass(Duration::from_secs(29)), [""; 0]);
    assert_eq!(rig.pass(Duration::from_secs(1)), ["EndBeside"]);
    assert_eq!(rig.ready_beside(2), [""; 0], "too late");
    let within = WITHIN;
    assert_eq!(rig.exited_beside(2, ExitReason::NotReady { within }), ["RotationFailed"]);
    assert_eq!(rig.wait_until_due(), ["DialBeside 3"]);
}

#[test]
fn whatever_ends_the_session_drops_the_successor() {
    type End = fn(&mut Rig) -> Vec<String>;
    let ends: [(End, &[&str]); 4] = [
        (Rig::disconnect, &["DropBeside", "Close 1000"]),
        (|rig| rig.step(Input::Reconnect), &["DropBeside", "Close 1000"]),
        (|rig| rig.step(Input::Hold(rig.now)), &["DropBeside", "Close 1000"]),
        (|rig| rig.step(Input::Forbid(denied())), &["DropBeside", "Discard", "Close 1008"]),
    ];
    for (end, actions) in ends {
        for is_open in [false, true] {
            let mut rig = Rig::up();
            rig.rotate();
            if is_open {
                rig.opened_beside(2);
            }
            assert_eq!(end(&mut rig), actions);
            assert_eq!(rig.ready_beside(2), [""; 0]);
            assert_eq!(rig.exited_beside(2, ExitReason::Cancelled), [""; 0]);
        }
    }
    let mut rig = Rig::up();
    rig.rotate();
    assert_eq!(rig.step(Input::Wane), ["DropBeside"]);
    assert_eq!(rig.machine.state(), State::Connected, "its turn comes");
}

#[test]
fn an_epoch_is_never_used_twice() {
    let mut rig = Rig::up();
    rig.rotate();
    assert_eq!(rig.step(Input::Reconnect)[0], "DropBeside");
    assert_eq!(
        rig.exited(closed_by_us()),
        ["Disconnected 1000 clean", "Restarted", "Dial 3"],
        "the successor was 2"
    );
}

#[test]
fn the_successor_is_the_next_attempt_when_the_session_ends_by_itself() {
    let mut rig = Rig::up();
    rig.rotate();
    let taken = ["Disconnected 1006 unclean", "Restarted", "TakeOver"];
    assert_eq!(rig.exited(lost()), taken);
    assert_eq!((rig.machine.state(), rig.machine.epoch()), (State::Connecting, epoch(2)));
    assert_eq!(rig.opened(), ["Connected"]);

    let mut rig = Rig::up();
    rig.rotate();
    rig.opened_beside(2);
    let taken = ["Disconnected 1001 clean", "Restarted", "TakeOver", "Connected"];
    assert_eq!(rig.exited(closed(1001)), taken);
    assert_eq!((rig.machine.state(), rig.machine.epoch()), (State::Connected, epoch(2)));
    assert_eq!(rig.ready_beside(2), [""; 0], "it is up already");
}

#[test]
fn the_successor_is_dropped_where_nothing_follows_or_the_server_asked_for_a_pause() {
    for (restart, code, last) in [
        (RestartPolicy::Permanent, 1008, "GaveUp"),
        (RestartPolicy::Permanent, 1012, "Backoff 0"),
        (RestartPolicy::Transient, 1000, "Stopped"),
        (RestartPolicy::Temporary, 1001, "Stopped"),
    ] {
        let mut rig = Rig::up_as(restart);
        rig.rotate();
        let actions = rig.exited(closed(code));
        assert_eq!((&*actions[0], &*actions[2]), ("DropBeside", last), "{code}");
        assert_eq!(actions.len(), 3);
    }
    let mut alone = Rig::alone();
    alone.step(Input::Connect);
    alone.opened();
    alone.rotate();
    assert_eq!(alone.exited(lost()), ["DropBeside", "Disconnected 1006 unclean"]);
    assert_eq!(alone.machine.state(), State::Disconnected);
}

#[test]
fn the_session_before_drains_for_as_long_as_the_new_one_at_most() {
    let rotated = || {
        let mut rig = Rig::up();
        rig.rotate();
        rig.opened_beside(2);
        rig.ready_beside(2);
        rig
    };
    let mut rig = rotated();
    let ended = ["DropBeside", "Disconnected 1006 unclean", "Backoff 1"];
    assert_eq!(rig.exited(lost()), ended, "the new session did not become stable");

    let mut rig = rotated();
    assert_eq!(rig.disconnect(), ["Close 1000"]);
    assert_eq!(rig.exited(closed_by_us())[0], "DropBeside");

    let mut rig = rotated();
    rig.disconnect();
    rig.exited_beside(1, closed_by_us());
    assert_eq!(rig.exited(closed_by_us()), ["Disconnected 1000 clean", "Stopped"]);
}

#[test]
fn a_rotation_that_is_due_while_the_session_before_drains_waits_for_its_end() {
    let mut rig = Rig::up();
    rig.rotate();
    rig.opened_beside(2);
    rig.ready_beside(2);
    assert_eq!(rig.rotate(), [""; 0]);
    rig.exited_beside(1, closed_by_us());
    assert_eq!(rig.wait_until_due(), ["DialBeside 3"]);
}

#[test]
fn a_policy_that_forbids_the_successor_alone_leaves_the_session() {
    let mut rig = Rig::up();
    rig.rotate();
    assert_eq!(rig.step(Input::ForbidBeside(denied())), ["DropBeside", "RotationFailed"]);
    assert_eq!(rig.machine.state(), State::Connected);
    assert_eq!(rig.step(Input::ForbidBeside(denied())), [""; 0]);
    rig.wait_until_due();
    rig.opened_beside(3);
    rig.ready_beside(3);
    assert_eq!(rig.step(Input::ForbidBeside(denied())), ["DropBeside"], "the one that drains");
    assert_eq!(rig.rotate(), ["DialBeside 4"]);
}

#[test]
fn a_mark_is_for_the_successor_once_that_is_open() {
    let stable_after = StableAfter::Ready;
    let mut rig = Rig::with(Some(Supervision { stable_after, ..Supervision::default() }));
    rig.step(Input::Connect);
    rig.opened();
    rig.rotate();
    rig.step(Input::MarkReady);
    assert!(rig.machine.is_stable());
    rig.opened_beside(2);
    rig.step(Input::MarkReady);
    rig.ready_beside(2);
    assert!(rig.machine.is_stable(), "the successor was marked before it took over");
}

#[test]
fn alone_it_rotates_too() {
    let mut rig = Rig::alone();
    rig.step(Input::Connect);
    rig.opened();
    assert_eq!(rig.rotate(), ["DialBeside 2"]);
    assert_eq!(rig.exited_beside(2, lost()), ["RotationFailed"]);
    assert_eq!(rig.wait_until_due(), ["DialBeside 3"]);
    rig.opened_beside(3);
    assert_eq!(rig.ready_beside(3)[2], "Connected");
}

#[test]
fn a_successor_that_was_given_up_says_nothing_of_the_next() {
    let mut rig = Rig::up();
    rig.rotate();
    rig.exited_beside(2, lost());
    assert_eq!(rig.wait_until_due(), ["DialBeside 3"]);
    assert_eq!(rig.opened_beside(2), [""; 0]);
    assert_eq!(rig.ready_beside(3), [""; 0], "it is not open");
    rig.opened_beside(3);
    assert_eq!(rig.ready_beside(2), [""; 0]);
    assert_eq!(rig.machine.epoch(), epoch(1));
    assert_eq!(rig.ready_beside(3)[2], "Connected");
}

#[test]
fn what_would_fail_again_is_tried_again_late() {
    let mut rig = Rig::up();
    rig.rotate();
    rig.exited_beside(2, closed(1008));
    let waits = rig.machine.due().unwrap() - rig.now;
    assert!(waits >= Backoff::default().max() / 2, "{waits:?}");
}

#[test]
fn nothing_is_done_beside_before_its_time() {
    let within = Duration::from_hours(1);
    for is_open in [false, true] {
        let mut rig = Rig::supervised(RestartPolicy::Permanent);
        rig.step(Input::Connect);
        rig.opened();
        rig.step(Input::Rotate { ready_within: within });
        if is_open {
            rig.opened_beside(2);
        } else {
            let refusal = HandshakeError::Status {
                code: 503,
                retry_after: RetryAfter::parse("300"),
                has_location: false,
                has_challenge: false,
            };
            rig.exited_beside(2, ExitReason::Handshake(refusal));
        }
        assert_eq!(
            rig.pass(Duration::from_secs(30)),
            [""; 0],
            "it is the session that becomes stable"
        );
        assert!(rig.machine.is_stable());
        assert_eq!(rig.wait_until_due(), [if is_open { "EndBeside" } else { "DialBeside 3" }]);
    }
}

#[test]
fn a_session_that_drains_when_the_next_ends_is_dropped_without_an_answer() {
    let mut rig = Rig::up();
    rig.rotate();
    rig.opened_beside(2);
    rig.ready_beside(2);
    let input = Input::Exited { epoch: epoch(2), reason: lost() };
    let actions = rig.machine.step(input, rig.now, WALL, &mut rig.rng).unwrap();
    let dropped = actions.iter().find_map(|action| match action {
        Action::DropBeside(reason) => Some(reason),
        _ => None,
    });
    assert!(matches!(dropped, Some(ExitReason::CloseUnanswered)), "{actions:?}");
}

#[test]
fn what_is_lost_with_its_actor_is_beside_no_more() {
    let mut rig = Rig::up();
    rig.rotate();
    rig.opened_beside(2);
    rig.machine.lose_beside();
    assert_eq!(rig.machine.successor(), None);
    assert_eq!(rig.ready_beside(2), [""; 0]);
    assert_eq!(rig.rotate(), ["DialBeside 3"]);
}
