use proptest::prelude::*;

use super::*;
use crate::lifecycle::{Backoff, ExitRules};

fn supervision() -> Supervision {
    Supervision::default()
}

fn crashed() -> ExitReason {
    ExitReason::Crashed("boom".into())
}

/// Lets a rig fail until it gives up, or so many times. What it did each time.
fn failures(rig: &mut Rig, reason: &ExitReason, times: usize) -> Vec<Vec<String>> {
    rig.step(Input::Connect);
    let mut seen = Vec::new();
    for _ in 0..times {
        seen.push(rig.exited(reason.clone()));
        if rig.machine.state() == State::Failed {
            break;
        }
        rig.wait_until_due();
    }
    seen
}

#[test]
fn what_is_left_of_the_budgets_is_told() {
    let budget = RetryBudget::attempts(3).elapsed(Duration::from_mins(10));
    let mut rig = Rig::with(Some(Supervision { budget, ..supervision() }));
    let left = |rig: &Rig| {
        let budgets = rig.machine.budgets(rig.now);
        (budgets.failed, budgets.attempts_left, budgets.time_left)
    };
    assert_eq!(left(&rig), (0, Some(3), Some(Duration::from_mins(10))));
    rig.step(Input::Connect);
    rig.exited(lost());
    rig.now += Duration::from_millis(1);
    let almost = Duration::from_mins(10) - Duration::from_millis(1);
    assert_eq!(left(&rig), (1, Some(2), Some(almost)));
    let (restarts, intensity) = rig.machine.budgets(rig.now).restarts_left.unwrap();
    assert_eq!((restarts, intensity), (5, Intensity::default()));
    let alone = Rig::alone().machine.budgets(rig.now);
    assert_eq!((alone.attempts_left, alone.time_left, alone.restarts_left), (None, None, None));
}

#[test]
fn the_retry_budget_ends_a_row_of_failures() {
    let budget = RetryBudget::attempts(3);
    let mut rig = Rig::with(Some(Supervision { budget, ..supervision() }));
    let seen = failures(&mut rig, &lost(), 9);
    assert_eq!(
        seen,
        [
            ["ConnectionError", "Backoff 1"],
            ["ConnectionError", "Backoff 2"],
            ["ConnectionError", "GaveUp"]
        ]
    );
    assert_eq!(rig.step(Input::Reconnect), ["Dial 4"], "a person may begin anew");
    assert_eq!(rig.exited(lost()), ["ConnectionError", "Backoff 1"]);
}

#[test]
fn a_stable_session_renews_the_retry_budget() {
    let budget = RetryBudget::attempts(2);
    let mut rig = Rig::with(Some(Supervision { budget, ..supervision() }));
    rig.step(Input::Connect);
    for _ in 0..5 {
        assert_eq!(rig.exited(lost()).last().unwrap(), "Backoff 1");
        rig.wait_until_due();
        rig.opened();
        rig.pass(Duration::from_secs(30));
        assert!(rig.machine.is_stable());
        assert_eq!(rig.exited(lost()).last().unwrap(), "Backoff 0");
        rig.wait_until_due();
    }
}

#[test]
fn the_retry_budget_may_be_time() {
    let budget = RetryBudget::default().elapsed(Duration::from_mins(10));
    let mut rig = Rig::with(Some(Supervision { budget, ..supervision() }));
    let began = rig.now;
    let seen = failures(&mut rig, &lost(), 10_000);
    assert_eq!(seen.last().unwrap(), &["ConnectionError", "GaveUp"]);
    let took = rig.now - began;
    assert!(took <= Duration::from_mins(10), "the last attempt began after {took:?}");
    assert!(took >= Duration::from_secs(500), "it gave up after {took:?}");
}

#[test]
fn crashes_beyond_the_intensity_are_put_in_quarantine() {
    let intensity = Intensity::new(2, Duration::from_hours(1));
    let mut rig = Rig::restrained(Some(supervision()), intensity);
    let seen = failures(&mut rig, &crashed(), 9);
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[2], ["ConnectionError", "GaveUp"]);
}

#[test]
fn the_networks_ends_are_no_crashes() {
    let intensity = Intensity::new(0, Duration::from_hours(1));
    let mut rig = Rig::restrained(Some(supervision()), intensity);
    assert_eq!(failures(&mut rig, &lost(), 50).len(), 50);
    assert_eq!(rig.machine.state(), State::Connecting);
}

#[test]
fn all_restarts_may_be_counted_as_in_otp() {
    let intensity = Intensity::new(3, Duration::from_hours(1)).all_restarts();
    let mut rig = Rig::restrained(Some(supervision()), intensity);
    assert_eq!(failures(&mut rig, &lost(), 9).len(), 4);
    assert_eq!(rig.machine.state(), State::Failed);
}

#[test]
fn old_crashes_leave_the_window() {
    let intensity = Intensity::new(1, Duration::from_secs(10));
    let mut rig = Rig::restrained(Some(supervision()), intensity);
    rig.step(Input::Connect);
    for _ in 0..9 {
        assert_eq!(rig.exited(crashed()).len(), 2);
        rig.wait_until_due();
        rig.now += Duration::from_secs(11);
        assert_eq!(rig.machine.state(), State::Connecting);
    }
}

#[test]
fn exceeding_may_delay_instead() {
    let hour = Duration::from_hours(1);
    let intensity = Intensity::new(1, hour).on_exceeded(OnExceeded::Delay(hour));
    let mut rig = Rig::restrained(Some(supervision()), intensity);
    rig.step(Input::Connect);
    rig.exited(crashed());
    assert!(rig.machine.due().unwrap() < rig.now + hour);
    rig.wait_until_due();
    assert_eq!(rig.exited(crashed()), ["ConnectionError", "Backoff 2"]);
    assert_eq!(rig.machine.due().unwrap(), rig.now + hour);
}

#[test]
fn exceeding_may_end_the_supervisor() {
    let intensity = Intensity::new(0, Duration::from_secs(5))
        .per_supervisor()
        .on_exceeded(OnExceeded::ShutdownSupervisor);
    let mut rig = Rig::restrained(Some(supervision()), intensity);
    rig.step(Input::Connect);
    assert_eq!(rig.exited(crashed()), ["ConnectionError", "GaveUp", "Escalate"]);
}

#[test]
fn connections_may_be_counted_together() {
    let restraint =
        Arc::new(Restraint::new(Intensity::new(1, Duration::from_mins(1)).per_supervisor(), None));
    let supervised =
        || Supervised { supervision: Arc::new(supervision()), restraint: Arc::clone(&restraint) };
    let mut one = Rig { machine: Machine::new(Some(supervised())), ..Rig::alone() };
    let mut two = Rig { machine: Machine::new(Some(supervised())), now: one.now, ..Rig::alone() };
    one.step(Input::Connect);
    two.step(Input::Connect);
    assert_eq!(one.exited(crashed()), ["ConnectionError", "Backoff 1"]);
    assert_eq!(two.exited(crashed()), ["ConnectionError", "GaveUp"]);
}

#[test]
fn the_limits_of_another_supervisor_hold_from_then_on() {
    let mut rig = Rig::restrained(Some(supervision()), Intensity::new(1, Duration::from_mins(1)));
    rig.step(Input::Connect);
    assert_eq!(rig.exited(crashed()), ["ConnectionError", "Backoff 1"]);
    let two = Intensity::new(2, Duration::from_mins(1));
    rig.machine.restrain(Arc::new(Restraint::new(two, None)));
    let left = rig.machine.budgets(rig.now).restarts_left;
    assert_eq!(left, Some((2, two)), "what was counted for the first counts no more");
}

/// OTP's `supervisor`, as data: what follows from the exit of its one child.
struct Otp {
    restart: RestartPolicy,
    intensity: usize,
    period: u64,
    restarts: Vec<u64>,
}

impl Otp {
    fn exit(&mut self, is_normal: bool, now: u64) -> &'static str {
        let restarts = match self.restart {
            RestartPolicy::Permanent => true,
            RestartPolicy::Transient => !is_normal,
            RestartPolicy::Temporary => false,
        };
        if !restarts {
            return "stopped";
        }
        let period = self.period;
        let kept = self.restarts.iter().copied().take_while(|at| *at + period >= now);
        self.restarts = std::iter::once(now).chain(kept).collect();
        if self.restarts.len() <= self.intensity { "restarted" } else { "supervisor shut down" }
    }
}

proptest! {
    /// All restarts counted together, without a backoff: OTP to the letter.
    #[test]
    fn without_backoff_and_with_all_restarts_counted_it_is_otp(
        restart in prop_oneof![
            Just(RestartPolicy::Permanent),
            Just(RestartPolicy::Transient),
            Just(RestartPolicy::Temporary),
        ],
        intensity in 0_u32..5,
        period in 1_u64..2_000,
        exits in proptest::collection::vec((any::<bool>(), 0_u64..1_000), 1..40),
    ) {
        let limit = Intensity::new(intensity, Duration::from_millis(period))
            .all_restarts()
            .per_supervisor()
            .on_exceeded(OnExceeded::ShutdownSupervisor);
        let terms = Supervision { restart, backoff: Backoff::none(), ..supervision() };
        let mut rig = Rig::restrained(Some(terms), limit);
        let mut otp = Otp { restart, intensity: intensity as usize, period, restarts: Vec::new() };
        let mut now = 0;
        rig.step(Input::Connect);
        for (is_normal, pause) in exits {
            now += pause;
            rig.now += Duration::from_millis(pause);
            rig.opened();
            let actions = rig.exited(if is_normal { closed(1000) } else { lost() });
            let follows = match actions.last().map(String::as_str) {
                Some("Stopped") => "stopped",
                Some("Escalate") => "supervisor shut down",
                _ => {
                    prop_assert_eq!(rig.machine.due(), Some(rig.now), "at once");
                    rig.step(Input::Tick);
                    "restarted"
                }
            };
            prop_assert_eq!(follows, otp.exit(is_normal, now), "{:?} at {} ms", actions, now);
            if follows != "restarted" {
                break;
            }
        }
    }
}

#[test]
fn the_users_rules_come_before_the_default_table() {
    let rules = ExitRules::new()
        .close(1008..=1008, ExitClass::RETRY)
        .close(1001..=1001, ExitClass::Fatal)
        .close(1012..=1012, ExitClass::RETRY);
    let classify = Some(SharedClassify::new(rules));
    let mut rig = Rig::with(Some(Supervision { classify, ..supervision() }));
    rig.step(Input::Connect);
    rig.opened();
    assert_eq!(rig.exited(closed(1008)), ["Disconnected 1008 clean", "Backoff 1"]);
    rig.wait_until_due();
    rig.opened();
    // What the server asks for is kept whatever the class.
    rig.exited(closed(1012));
    assert!(rig.machine.due().unwrap() >= rig.now + Duration::from_secs(5));
    rig.wait_until_due();
    rig.opened();
    assert_eq!(rig.exited(closed(1001)), ["Disconnected 1001 clean", "GaveUp"]);
}
