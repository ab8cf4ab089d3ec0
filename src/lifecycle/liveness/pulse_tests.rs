use proptest::prelude::*;

use super::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A session from its first second on, whose calendar goes with its clock unless it is told otherwise.
struct Patient {
    plan: Liveness,
    pulse: Pulse,
    began: (Instant, SystemTime),
    slept: Duration,
}

impl Patient {
    fn new(plan: Liveness) -> Self {
        let began = (Instant::now(), SystemTime::now());
        let pulse = Pulse::begin(&plan, began.0, began.1, 0.5);
        Self { plan, pulse, began, slept: Duration::ZERO }
    }

    fn at(&self, time: Duration) -> Instant {
        self.began.0 + time
    }

    fn due(&self) -> Option<Duration> {
        self.pulse.due(&self.plan).map(|due| due - self.began.0)
    }

    /// All that is to be done at this time.
    fn look(&mut self, time: Duration) -> Vec<Order> {
        let (now, calendar) = (self.at(time), self.began.1 + time + self.slept);
        std::iter::from_fn(|| self.pulse.next(&self.plan, now, calendar)).take(3).collect()
    }

    fn heard(&mut self, time: Duration) {
        self.pulse.heard(self.at(time));
    }
}

fn unanswered(misses: u32) -> Order {
    Order::Close(Verdict::PingUnanswered { misses, within: s(20) })
}

#[test]
fn pings_go_out_at_each_interval_whether_or_not_anything_is_heard() {
    let mut patient = Patient::new(Liveness::default());
    for number in 1..5 {
        let time = s(20 * u64::from(number));
        assert_eq!(patient.due(), Some(time));
        assert_eq!(patient.look(time), [Order::Ping(number)]);
        patient.heard(time + s(1));
    }
}

#[test]
fn a_ping_that_nothing_follows_is_judged_at_its_deadline() {
    for (misses, dead_at) in [(1, 40), (2, 60), (3, 80)] {
        let mut patient = Patient::new(Liveness::default().misses(misses));
        for time in (20..dead_at).step_by(20) {
            assert!(matches!(*patient.look(s(time)), [Order::Ping(_)]), "at {time}");
        }
        assert_eq!(patient.due(), Some(s(dead_at)));
        assert_eq!(patient.look(s(dead_at)).first(), Some(&unanswered(misses)));
    }
}

#[test]
fn whatever_is_heard_answers_a_ping() {
    let mut patient = Patient::new(Liveness::default());
    patient.look(s(20));
    patient.heard(s(39));
    assert_eq!(patient.look(s(40)), [Order::Ping(2)]);
    assert_eq!(patient.look(s(60)), [unanswered(1), unanswered(1), unanswered(1)]);
}

#[test]
fn a_ping_that_was_late_puts_none_of_the_next_off() {
    let mut patient = Patient::new(Liveness::default());
    let late = s(20) + Duration::from_millis(500);
    assert_eq!(patient.look(late), [Order::Ping(1)]);
    patient.heard(s(21));
    assert_eq!(patient.due(), Some(s(40)));
}

#[test]
fn a_socket_is_stalled_while_bytes_are_left() {
    let mut patient = Patient::new(Liveness::default());
    assert!(!patient.pulse.is_stalled());
    patient.pulse.wrote(true, true, patient.at(s(1)));
    assert!(patient.pulse.is_stalled());
    patient.pulse.wrote(false, true, patient.at(s(2)));
    assert!(!patient.pulse.is_stalled());
}

#[test]
fn only_the_latest_ping_tells_the_round_trip() {
    let mut patient = Patient::new(Liveness::default().misses(3));
    patient.look(s(20));
    patient.look(s(40));
    assert_eq!(patient.pulse.answered(1, patient.at(s(41))), None);
    assert_eq!(patient.pulse.answered(2, patient.at(s(42))), Some(s(2)));
}

#[test]
fn a_held_socket_is_pinged_and_not_judged() {
    let mut patient = Patient::new(Liveness::default().silence(s(30), Remedy::Close));
    patient.pulse.hold(true, patient.at(s(1)));
    for number in 1..=30 {
        assert_eq!(patient.look(s(20 * u64::from(number))), [Order::Ping(number)]);
    }
    patient.pulse.hold(false, patient.at(s(605)));
    assert_eq!(patient.look(s(620)), [Order::Ping(31)]);
    assert_eq!(patient.look(s(625)).first(), Some(&unanswered(1)), "20 s after it was let go");
}

#[test]
fn a_silent_peer_is_told_once_until_it_speaks() {
    let limit = s(5);
    let plan = Liveness::off().silence(limit, Remedy::Report);
    let mut patient = Patient::new(plan);
    assert_eq!(patient.look(s(5)), [Order::Report(Verdict::Silent { limit })]);
    assert_eq!(patient.due(), None);
    patient.heard(s(9));
    assert_eq!(patient.look(s(13)), []);
    assert_eq!(patient.look(s(14)), [Order::Report(Verdict::Silent { limit })]);
}

#[test]
fn silence_can_be_asked_about_with_a_ping() {
    let mut patient = Patient::new(Liveness::off().silence(s(5), Remedy::Ping));
    assert_eq!(patient.look(s(5)), [Order::Ping(1)]);
    assert_eq!(patient.due(), Some(s(25)));
    assert_eq!(patient.look(s(25)).first(), Some(&unanswered(1)));
}

#[test]
fn a_socket_that_takes_nothing_is_judged_by_that_and_not_by_its_pings() {
    let mut patient = Patient::new(Liveness::default());
    let write = |patient: &mut Patient, time, left, some| {
        let now = patient.at(time);
        patient.pulse.wrote(left, some, now);
    };
    write(&mut patient, s(10), true, true);
    assert_eq!(patient.look(s(20)), [Order::Ping(1)]);
    assert_eq!(patient.look(s(40)), [Order::Ping(2)]);
    // It took a little.
    write(&mut patient, s(45), true, true);
    write(&mut patient, s(46), true, false);
    assert_eq!(patient.look(s(60)), [Order::Ping(3)]);
    assert_eq!(patient.look(s(80)), [Order::Ping(4)]);
    assert_eq!(patient.due(), Some(s(85)));
    let stalled = Order::Close(Verdict::SendStalled { limit: s(40) });
    assert_eq!(patient.look(s(85)).first(), Some(&stalled));

    let mut patient = Patient::new(Liveness::default());
    write(&mut patient, s(10), true, false);
    patient.look(s(20));
    write(&mut patient, s(30), false, true);
    patient.look(s(40));
    assert_eq!(patient.due(), Some(s(50)), "the ping left at 30 s");
}

#[test]
fn a_late_judgement_asks_once_more_first() {
    let mut patient = Patient::new(Liveness::default());
    patient.look(s(20));
    // The thread was blocked.
    assert_eq!(patient.look(s(47)), [Order::Ping(2)]);
    assert_eq!(patient.due(), Some(s(67)), "in step from here on, and no burst");
    assert_eq!(patient.look(s(67)).first(), Some(&unanswered(1)));

    let mut patient = Patient::new(Liveness::default());
    patient.look(s(20));
    patient.look(s(47));
    assert_eq!(patient.look(s(90)).first(), Some(&unanswered(1)), "once, not for ever");
}

#[test]
fn pings_that_were_missed_are_not_made_up_for() {
    let mut patient = Patient::new(Liveness::default());
    assert_eq!(patient.look(s(500)), [Order::Ping(1)]);
    patient.heard(s(501));
    assert_eq!(patient.due(), Some(s(520)));
}

#[test]
fn it_listens_while_something_that_is_heard_would_matter() {
    let mut patient = Patient::new(Liveness::default());
    assert!(!patient.pulse.listens(&patient.plan));
    patient.look(s(20));
    assert!(patient.pulse.listens(&patient.plan), "a ping is under way");
    patient.heard(s(21));
    assert!(!patient.pulse.listens(&patient.plan));
    let silent = Patient::new(Liveness::off().silence(s(9), Remedy::Close));
    assert!(silent.pulse.listens(&silent.plan));
}

#[test]
fn a_probe_is_a_ping_by_the_next_number() {
    let mut patient = Patient::new(Liveness::default());
    assert_eq!(patient.look(s(20)), [Order::Ping(1)]);
    let now = patient.at(s(21));
    assert_eq!([2, 3].map(|_| patient.pulse.probe(&patient.plan, now)), [2, 3]);
    assert_eq!(patient.due(), Some(s(40)));
    assert!(!patient.pulse.is_held());
    patient.pulse.hold(true, now);
    assert!(patient.pulse.is_held());
}

#[test]
fn a_judgement_is_late_after_more_than_a_second() {
    let dead_at = s(40);
    for (late, order) in [(LATE, unanswered(1)), (LATE + Duration::from_nanos(1), Order::Ping(2))] {
        let mut patient = Patient::new(Liveness::default());
        patient.look(s(20));
        assert_eq!(patient.look(dead_at + late)[0], order, "{late:?}");
    }
}

#[test]
fn a_ping_that_is_late_by_its_interval_goes_out_once() {
    let mut patient = Patient::new(Liveness::default().ping_every(s(5)));
    assert_eq!(patient.look(s(10)), [Order::Ping(1)]);
    assert_eq!(patient.due(), Some(s(15)));
}

#[test]
fn a_jump_of_the_calendar_by_the_least_that_counts_is_one() {
    for (slept, pings) in [(s(5), 1), (Duration::from_millis(4_999), 0)] {
        let mut patient = Patient::new(Liveness::default());
        patient.slept = slept;
        assert_eq!(patient.look(s(1)).len(), pings, "{slept:?}");
    }
}

#[test]
fn after_a_sleep_one_ping_is_sent_before_anything_is_judged() {
    let plan = Liveness::default().silence(s(30), Remedy::Close);
    let mut patient = Patient::new(plan);
    patient.look(s(20));
    patient.slept = s(3_600);
    assert_eq!(patient.look(s(40)), [Order::Ping(2)]);
    assert_eq!(patient.due(), Some(s(60)));
    patient.heard(s(41));
    assert_eq!(patient.look(s(60)), [Order::Ping(3)]);

    let by = s(3_600);
    let jumped = Verdict::ClockJumped { by };
    for (remedy, orders) in [
        (Remedy::Report, vec![Order::Report(jumped.clone()), Order::Ping(3)]),
        (Remedy::Close, vec![Order::Close(jumped), Order::Ping(3)]),
    ] {
        let mut patient = Patient::new(Liveness::default().clock_jump(s(5), remedy));
        patient.look(s(20));
        patient.slept = by;
        assert_eq!(patient.look(s(40)), orders);
        assert_eq!(patient.due(), Some(s(60)));
    }
}

#[test]
fn a_calendar_that_is_set_back_or_creeps_means_nothing() {
    let mut patient = Patient::new(Liveness::default());
    patient.slept = s(4);
    assert_eq!(patient.look(s(10)), []);
    patient.began.1 -= s(1_000);
    assert_eq!(patient.look(s(15)), []);
    assert_eq!(patient.due(), Some(s(20)));
}

#[test]
fn a_session_that_is_too_old_is_told_or_closed() {
    let max_age = super::super::MaxAge::of(s(100)).jitter(s(20));
    let old = |age| Verdict::TooOld { age: s(age) };
    let mut patient = Patient::new(Liveness::off().max_age(max_age.remedy(Remedy::Report)));
    assert_eq!(patient.look(s(90)), [Order::Report(old(90))]);
    assert_eq!(patient.due(), None);
    let mut patient = Patient::new(Liveness::off().max_age(max_age));
    assert_eq!(patient.due(), Some(s(90)));
    assert_eq!(patient.look(s(90)), [Order::Close(old(90))]);
}

#[derive(Clone, Debug)]
enum Event {
    Heard,
    Hold(bool),
    Wrote { left: bool, some: bool },
    Nothing,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => Just(Event::Heard),
        1 => any::<bool>().prop_map(Event::Hold),
        1 => any::<(bool, bool)>().prop_map(|(left, some)| Event::Wrote { left, some }),
        2 => Just(Event::Nothing),
    ]
}

proptest! {
    /// Against the obvious model: a list of the pings, and the times from which each watch could have
    /// been satisfied. Time passes in steps of a second and the judge is asked at its times.
    #[test]
    fn nobody_is_judged_unjustly_or_too_late(
        interval in 2u64..30, within in 1u64..40, misses in 1u32..4, limit in 3u64..60,
        events in proptest::collection::vec((0u64..20, event()), 0..60),
    ) {
        let plan = Liveness::off()
            .ping_every(s(interval)).pong_within(s(within)).misses(misses).send_stall(s(limit));
        let mut patient = Patient::new(plan);
        let mut pings: Vec<u64> = Vec::new();
        // From when on the peer could have been heard, and the socket could have taken something.
        let (mut deaf_until, mut stalled_since): (u64, Option<u64>) = (0, None);
        let (mut held, mut heard) = (false, 0);
        let mut time = 0;
        for (wait, event) in events {
            for _ in 0..wait {
                time += 1;
                for order in patient.look(s(time)) {
                    match order {
                        Order::Ping(_) => {
                            let last = pings.last().copied().unwrap_or(0);
                            prop_assert_eq!(time - last, interval, "in step, held or not");
                            pings.push(time);
                        }
                        Order::Close(Verdict::PingUnanswered { .. }) => {
                            prop_assert!(!held && stalled_since.is_none());
                            let missed = pings.iter().filter(|ping| {
                                **ping > heard && (**ping).max(deaf_until) + within <= time
                            });
                            prop_assert!(missed.count() >= misses as usize);
                            return Ok(());
                        }
                        Order::Close(Verdict::SendStalled { .. }) => {
                            prop_assert!(stalled_since.is_some_and(|since| since + limit <= time));
                            return Ok(());
                        }
                        other => prop_assert!(false, "{:?}", other),
                    }
                }
                // Nobody who should have been judged goes on.
                prop_assert!(stalled_since.is_none_or(|since| time < since + limit));
                let latest = deaf_until + interval * u64::from(misses) + within;
                prop_assert!(held || stalled_since.is_some() || time <= latest, "{} > {}", time, latest);
            }
            match event {
                Event::Heard if held => {}
                Event::Heard => {
                    patient.heard(s(time));
                    (heard, deaf_until) = (time, time);
                }
                Event::Hold(hold) => {
                    patient.pulse.hold(hold, patient.at(s(time)));
                    if held && !hold {
                        deaf_until = time;
                    }
                    held = hold;
                }
                Event::Wrote { left, some } => {
                    patient.pulse.wrote(left, some, patient.at(s(time)));
                    if stalled_since.is_some() && !left {
                        deaf_until = time;
                    }
                    stalled_since = left.then_some(match stalled_since {
                        Some(since) if !some => since,
                        _ => time,
                    });
                }
                Event::Nothing => {}
            }
        }
    }
}
