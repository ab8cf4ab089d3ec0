use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::*;

struct Rig {
    queue: Queue,
    now: Instant,
    rng: ChaCha8Rng,
}

impl Rig {
    fn new(gate: DialGate) -> Self {
        let queue = Queue::new(gate, Some(HostBreaker::default()));
        Self { queue, now: Instant::now(), rng: ChaCha8Rng::seed_from_u64(1) }
    }

    /// All whose turn it is now.
    fn turns(&mut self) -> Vec<u64> {
        std::iter::from_fn(|| self.queue.next(self.now)).map(|Ticket(number)| number).collect()
    }

    fn ended(&mut self, host: &Arc<str>, outcome: Outcome) {
        self.queue.ended(host, outcome, self.now, &mut self.rng);
    }

    fn wake(&mut self) -> Duration {
        let at = self.queue.wake_at(self.now).expect("somebody waits for time to pass");
        let waited = at - self.now;
        self.now = at;
        waited
    }
}

fn host(name: &str) -> Arc<str> {
    name.into()
}

#[test]
fn no_more_dial_at_once_than_allowed_and_in_order() {
    let (mut rig, a) = (Rig::new(DialGate::new(3, 1_000).unwrap()), host("a"));
    for _ in 0..5 {
        rig.queue.arrive(&a, Heed::Host);
    }
    assert_eq!(rig.turns(), [0, 1, 2]);
    assert_eq!(rig.queue.wake_at(rig.now), None, "an end decides, not time");
    rig.ended(&a, Outcome::Reached);
    rig.wake();
    assert_eq!(rig.turns(), [3]);
}

#[test]
fn dials_come_at_the_rate_after_the_burst() {
    let (mut rig, a) = (Rig::new(DialGate::new(100, 10).unwrap().burst(2).unwrap()), host("a"));
    for _ in 0..5 {
        rig.queue.arrive(&a, Heed::Host);
    }
    assert_eq!(rig.turns(), [0, 1]);
    for number in 2..5 {
        let waited = rig.wake();
        assert!(waited.abs_diff(Duration::from_millis(100)) < Duration::from_millis(1));
        assert_eq!(rig.turns(), [number]);
    }
}

#[test]
fn a_host_that_is_down_holds_up_nobody_elses() {
    let (mut rig, a, b) = (Rig::new(DialGate::default()), host("a"), host("b"));
    for _ in 0..5 {
        rig.queue.arrive(&a, Heed::Host);
        rig.turns();
        rig.ended(&a, Outcome::Failed);
    }
    let to_a = [rig.queue.arrive(&a, Heed::Host), rig.queue.arrive(&a, Heed::Host)];
    let to_b = rig.queue.arrive(&b, Heed::Host);
    assert_eq!(rig.turns(), [to_b.0]);
    assert_eq!(rig.queue.look("a"), (true, 2));
    // One probe goes, and the rest wait for its end.
    assert!(rig.wake() >= Duration::from_millis(500));
    assert_eq!(rig.turns(), [to_a[0].0]);
    assert_eq!(rig.queue.wake_at(rig.now), None);
    rig.ended(&a, Outcome::Reached);
    assert_eq!(rig.turns(), [to_a[1].0]);
}

/// No host is down, and none is dialled but by one at a time.
#[test]
fn a_machine_without_sockets_dials_nobody_for_a_while() {
    let (mut rig, a, b) = (Rig::new(DialGate::default()), host("a"), host("b"));
    for _ in 0..3 {
        rig.queue.arrive(&a, Heed::Host);
    }
    assert_eq!(rig.turns().len(), 3);
    for outcome in [Outcome::Local, Outcome::Local, Outcome::Reached] {
        rig.ended(&a, outcome);
    }
    let tickets = [(); 5].map(|()| rig.queue.arrive(&b, Heed::Host));
    let last = tickets[4];
    let place = rig.queue.place(last, rig.now).unwrap();
    assert!(place.to_string().starts_with("this machine had no socket left, and dials again in"));
    assert_eq!(
        (rig.turns(), rig.queue.look("a"), rig.queue.look("b")),
        (vec![], (false, 0), (false, 5))
    );
    // Equal jitter: a half of it at least. It doubles while nothing gets better.
    for (ticket, least, most) in
        [(tickets[0], 500, 1_000), (tickets[1], 1_000, 2_000), (tickets[2], 2_000, 4_000)]
    {
        let waited = rig.wake();
        let bounds = Duration::from_millis(least)..=Duration::from_millis(most);
        assert!(bounds.contains(&waited), "{waited:?}");
        assert_eq!(rig.turns(), [ticket.0], "one at a time");
        assert_eq!(rig.queue.wake_at(rig.now), None, "its end decides");
        let reason = rig.queue.place(last, rig.now).map(|place| place.reason);
        assert_eq!(reason, Some(WaitReason::Machine { next_probe_in: None }));
        rig.ended(&b, Outcome::Local);
    }
    // Who insists is let through, and what it meets counts.
    let by_hand = rig.queue.arrive(&a, Heed::GateOnly);
    assert_eq!(rig.turns(), [by_hand.0]);
    rig.ended(&a, Outcome::Failed);
    rig.wake();
    assert_eq!(rig.turns().len(), 2, "a dial that was refused had a socket");
}

#[test]
fn each_knows_its_place_and_what_it_waits_for() {
    let (mut rig, a) = (Rig::new(DialGate::new(1, 10).unwrap()), host("a"));
    let tickets = [(); 3].map(|()| rig.queue.arrive(&a, Heed::Host));
    assert_eq!(rig.turns(), [0]);
    let place = |rig: &Rig, ticket| rig.queue.place(ticket, rig.now);
    assert_eq!(place(&rig, tickets[0]), None, "it was let through");
    let reason = WaitReason::Concurrency { dialling: 1 };
    assert_eq!(place(&rig, tickets[2]), Some(Place { ahead: 1, reason }));
    rig.ended(&a, Outcome::Reached);
    let reason = WaitReason::Rate { per_second: 10 };
    assert_eq!(place(&rig, tickets[1]), Some(Place { ahead: 0, reason }));
    rig.queue.hold(&a, Duration::from_secs(10), rig.now, &mut rig.rng);
    let held = place(&rig, tickets[1]).unwrap();
    assert!(matches!(held.reason, WaitReason::HostAsked { until_in } if until_in.as_secs() >= 10));
    let by_hand = rig.queue.arrive(&a, Heed::GateOnly);
    assert_eq!(place(&rig, by_hand), Some(Place { ahead: 0, reason }));
    assert_eq!(held.to_string().split_once(" for ").unwrap().0, "its host asked to be left alone");

    let mut rig = Rig::new(DialGate::default());
    for _ in 0..5 {
        rig.queue.arrive(&a, Heed::Host);
        rig.turns();
        rig.ended(&a, Outcome::Failed);
    }
    let tickets = [(); 2].map(|()| rig.queue.arrive(&a, Heed::Host));
    let down = place(&rig, tickets[0]).unwrap();
    assert!(matches!(down.reason, WaitReason::HostDown { .. }), "{down}");
    rig.wake();
    rig.turns();
    assert_eq!(place(&rig, tickets[1]), Some(Place { ahead: 0, reason: WaitReason::Probe }));
}

#[test]
fn a_person_overrules_what_is_known_of_the_host_and_not_the_gate() {
    let (mut rig, a) = (Rig::new(DialGate::new(1, 1_000).unwrap()), host("a"));
    rig.queue.hold(&a, Duration::from_secs(10), rig.now, &mut rig.rng);
    rig.queue.arrive(&a, Heed::Host);
    rig.queue.arrive(&a, Heed::GateOnly);
    rig.queue.arrive(&a, Heed::GateOnly);
    assert_eq!(rig.turns(), [1]);
    rig.ended(&a, Outcome::Reached);
    rig.wake();
    assert_eq!(rig.turns(), [2]);
    rig.ended(&a, Outcome::Reached);
    assert!(rig.wake() >= Duration::from_secs(9));
    assert_eq!(rig.turns(), [0]);
}

#[test]
fn the_first_is_who_overrules_and_else_who_came_first() {
    let (mut rig, a, b) = (Rig::new(DialGate::new(1, 1_000).unwrap()), host("a"), host("b"));
    assert_eq!(rig.queue.first(), None);
    let of_a = [rig.queue.arrive(&a, Heed::Host), rig.queue.arrive(&a, Heed::Host)];
    let of_b = rig.queue.arrive(&b, Heed::Host);
    assert_eq!(rig.queue.first(), Some(of_a[0]));
    rig.queue.withdraw(&a, of_a[0], rig.now);
    rig.queue.withdraw(&a, of_a[1], rig.now);
    assert_eq!(rig.queue.first(), Some(of_b));
    let by_hand = rig.queue.arrive(&b, Heed::GateOnly);
    assert_eq!(rig.queue.first(), Some(by_hand));
}

#[test]
fn a_hint_heard_by_one_holds_all() {
    let (mut rig, a) = (Rig::new(DialGate::default()), host("a"));
    rig.queue.hold(&a, Duration::from_secs(10), rig.now, &mut rig.rng);
    rig.queue.arrive(&a, Heed::Host);
    assert!(rig.turns().is_empty());
    let waited = rig.wake();
    assert!((10.0..=12.0).contains(&waited.as_secs_f64()), "{waited:?}");
    assert_eq!(rig.turns(), [0]);
}

#[test]
fn who_withdraws_is_passed_over_and_nothing_is_kept_of_healthy_hosts() {
    let (mut rig, a) = (Rig::new(DialGate::new(1, 1_000).unwrap()), host("a"));
    let tickets = [(); 3].map(|()| rig.queue.arrive(&a, Heed::Host));
    assert_eq!(rig.turns(), [0]);
    rig.queue.withdraw(&a, tickets[1], rig.now);
    rig.ended(&a, Outcome::Reached);
    rig.wake();
    assert_eq!(rig.turns(), [2]);
    rig.ended(&a, Outcome::Reached);
    assert!(rig.queue.hosts.is_empty());
}

#[test]
fn without_limits_all_go_at_once() {
    let (mut rig, a) = (Rig::new(DialGate::unlimited()), host("a"));
    for _ in 0..10_000 {
        rig.queue.arrive(&a, Heed::Host);
    }
    assert_eq!(rig.turns().len(), 10_000);
}

#[test]
fn who_withdraws_takes_nobody_elses_turn() {
    let (mut rig, a) = (Rig::new(DialGate::new(1, 1_000).unwrap()), host("a"));
    for heed in [Heed::GateOnly, Heed::GateOnly, Heed::Host] {
        rig.queue.arrive(&a, heed);
    }
    rig.queue.withdraw(&a, Ticket(0), rig.now);
    assert_eq!(rig.turns(), [1]);
    rig.ended(&a, Outcome::Reached);
    rig.wake();
    assert_eq!(rig.turns(), [2]);
}

#[test]
fn a_turn_comes_once_the_rest_of_its_token_is_there() {
    let (mut rig, a) = (Rig::new(DialGate::new(9, 10).unwrap().burst(1).unwrap()), host("a"));
    rig.queue.arrive(&a, Heed::Host);
    assert_eq!(rig.turns(), [0]);
    rig.queue.arrive(&a, Heed::GateOnly);
    rig.now += Duration::from_millis(60);
    assert_eq!(rig.turns(), [0; 0]);
    let waited = rig.wake();
    assert!(waited.abs_diff(Duration::from_millis(40)) < Duration::from_micros(1), "{waited:?}");
    assert_eq!(rig.turns(), [1]);
}

/// A host is remembered while somebody waits or it failed, whoever dials it.
#[test]
fn what_dials_begun_before_find_out_is_remembered() {
    let (mut rig, a) = (Rig::new(DialGate::new(9, 1_000).unwrap()), host("a"));
    for _ in 0..2 {
        rig.queue.arrive(&a, Heed::Host);
    }
    assert_eq!(rig.turns(), [0, 1]);
    rig.ended(&a, Outcome::Reached);
    assert!(rig.queue.hosts.is_empty(), "nothing is known of it but good");
    rig.ended(&a, Outcome::Failed);
    assert_eq!(rig.queue.hosts.len(), 1);
}
