use proptest::prelude::*;

use super::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

struct Watched {
    vigil: Vigil,
    began: Instant,
}

impl Watched {
    fn new(plan: &Liveness) -> Self {
        let began = Instant::now();
        let mut vigil = Vigil::over(plan, began).unwrap();
        vigil.begin(began, 0.5);
        Self { vigil, began }
    }

    fn at(&self, time: u64) -> Instant {
        self.began + s(time)
    }

    fn due(&self) -> Option<u64> {
        self.vigil.due().map(|due| (due - self.began).as_secs())
    }

    fn look(&mut self, time: u64) -> Vec<Order> {
        let now = self.at(time);
        std::iter::from_fn(|| self.vigil.next(now)).take(4).collect()
    }

    fn say(&mut self, time: u64, text: &str) {
        let now = self.at(time);
        self.vigil.feed(Payload::Text(text), now);
    }
}

fn trades(remedy: Remedy) -> Liveness {
    let food = Filter::field("channel", "trades");
    Liveness::off().watch(Watchdog::new("trades", s(30)).fed_by(food).remedy(remedy))
}

fn stale() -> Verdict {
    Verdict::DataStale { watchdog: "trades".into(), limit: s(30) }
}

const TRADE: &str = r#"{"channel":"trades"}"#;

#[test]
fn a_watchdog_is_fed_by_its_data_alone() {
    let mut watched = Watched::new(&trades(Remedy::Close));
    watched.say(20, TRADE);
    watched.say(40, r#"{"channel":"quotes"}"#);
    assert_eq!(watched.due(), Some(50));
    assert_eq!(watched.look(49), []);
    assert_eq!(watched.look(50), [Order::Close(stale())]);
}

#[test]
fn a_report_is_made_once_until_the_dog_is_fed() {
    let mut watched = Watched::new(&trades(Remedy::Report));
    assert_eq!(watched.look(30), [Order::Report(stale())]);
    assert_eq!(watched.due(), None);
    watched.say(100, TRADE);
    assert_eq!(watched.look(130), [Order::Report(stale())]);
}

#[test]
fn a_watchdog_that_is_off_allows_quiet_and_stays_off_over_sessions() {
    let mut watched = Watched::new(&trades(Remedy::Close));
    let now = watched.at(5);
    assert!(watched.vigil.turn("trades", false, now));
    assert!(!watched.vigil.turn("quotes", false, now));
    assert_eq!(watched.due(), None);
    let later = watched.at(1_000);
    watched.vigil.begin(later, 0.0);
    assert_eq!(watched.due(), None);
    assert!(watched.vigil.turn("trades", true, later));
    assert_eq!(watched.due(), Some(1_030));
}

#[test]
fn a_held_socket_feeds_nobody_and_nobody_barks() {
    let mut watched = Watched::new(&trades(Remedy::Close));
    watched.vigil.hold(true, watched.at(10));
    assert_eq!((watched.due(), watched.look(100)), (None, vec![]));
    watched.vigil.hold(false, watched.at(200));
    assert_eq!(watched.due(), Some(230));
}

#[test]
fn a_late_judgement_waits_once_more() {
    let mut watched = Watched::new(&trades(Remedy::Close));
    assert_eq!(watched.look(60), []);
    assert_eq!(watched.look(95), [Order::Close(stale())], "once");
}

fn discord() -> Liveness {
    Liveness::off().heartbeat(
        Heartbeat::when_told()
            .first_at_random()
            .remembers_field("s")
            .sends_made_by(|beat| format!("{}:{:?}", beat.number, beat.remembered))
            .answered_by(Filter::field("op", 11)),
    )
}

fn beat(text: &str) -> Order {
    Order::Send(text.to_owned())
}

#[test]
fn the_server_tells_the_interval_and_each_beat_carries_the_last_sequence_number() {
    let mut watched = Watched::new(&discord());
    assert_eq!(watched.due(), None);
    watched.say(1, r#"{"op":10,"d":{"heartbeat_interval":40000},"s":null}"#);
    assert!(watched.vigil.set_heartbeat(Some(s(40)), watched.at(1), 0.25));
    assert_eq!(watched.due(), Some(11), "the first comes at random");
    assert_eq!(watched.look(11), [beat("1:None")]);
    watched.say(12, r#"{"op":11}"#);
    watched.say(13, r#"{"op":0,"s":42}"#);
    watched.say(14, r#"{"op":0,"s":43,"d":{"s":99}}"#);
    assert_eq!(watched.look(51), [beat("2:Some(43)")]);
    assert!(watched.vigil.beat_now(watched.at(60)));
    assert_eq!(watched.look(60), [beat("3:Some(43)")]);
    assert_eq!(watched.due(), Some(91), "not answered since the second");
    let dead = Verdict::HeartbeatUnanswered { misses: 1, within: s(40) };
    assert_eq!(watched.look(91).first(), Some(&Order::Close(dead)));
    // The next session goes on with what is remembered, and waits to be told again.
    let later = watched.at(100);
    watched.vigil.begin(later, 0.0);
    assert_eq!(watched.due(), None);
    watched.vigil.set_heartbeat(Some(s(40)), later, 0.0);
    assert_eq!(watched.look(100), [beat("1:Some(43)")]);
}

fn beating(misses: u32) -> Watched {
    let heartbeat = Heartbeat::every(s(10)).sends("beat").answered_by(Filter::field("op", 11));
    Watched::new(&Liveness::off().heartbeat(heartbeat.misses(misses)))
}

#[test]
fn only_its_answer_answers_a_beat() {
    let mut watched = beating(1);
    assert_eq!(watched.look(10), [beat("beat")]);
    watched.say(11, r#"{"op":1}"#);
    let verdict = Verdict::HeartbeatUnanswered { misses: 1, within: s(10) };
    assert_eq!(watched.look(20)[0], Order::Close(verdict));
    let mut answered = beating(1);
    answered.look(10);
    answered.say(11, r#"{"op":11}"#);
    assert_eq!(answered.look(20), [beat("beat")]);
}

#[test]
fn beats_keep_their_step_and_those_that_were_missed_are_not_made_up_for() {
    for (late, due) in [(10, 20), (13, 20), (19, 20), (20, 30), (47, 57)] {
        let mut watched = beating(9);
        assert_eq!(watched.look(late), [beat("beat")], "at {late} s");
        assert_eq!(watched.due(), Some(due), "after one at {late} s");
    }
}

#[test]
fn a_socket_that_was_not_held_gives_nobody_more_time() {
    let mut watched = Watched::new(&trades(Remedy::Close));
    watched.vigil.hold(false, watched.at(10));
    assert_eq!(watched.due(), Some(30));
    watched.vigil.hold(true, watched.at(20));
    watched.vigil.hold(true, watched.at(25));
    watched.vigil.hold(false, watched.at(26));
    assert_eq!(watched.due(), Some(56));
}

#[test]
fn a_judgement_is_late_after_more_than_a_second() {
    let judged = |late| {
        let mut watched = Watched::new(&trades(Remedy::Close));
        watched.vigil.next(watched.began + s(30) + late)
    };
    assert_eq!(judged(LATE), Some(Order::Close(stale())));
    assert_eq!(judged(LATE + Duration::from_nanos(1)), None);
}

#[test]
fn beats_without_an_answer_are_only_sent() {
    let mut watched = Watched::new(&Liveness::off().heartbeat(Heartbeat::every(s(30)).sends("hi")));
    for number in 1..5 {
        assert_eq!(watched.due(), Some(30 * number));
        assert_eq!(watched.look(30 * number), [beat("hi")]);
    }
    assert_eq!(watched.look(500), [beat("hi")], "no burst");
}

proptest! {
    /// Against a list of the beats and the answers.
    #[test]
    fn a_heart_is_judged_when_so_many_beats_in_a_row_are_missed(
        every in 2u64..20, within in 1u64..30, misses in 1u32..4,
        answers in proptest::collection::btree_set(0u64..300, 0..40),
    ) {
        let heartbeat = Heartbeat::every(s(every)).sends("b").within(s(within)).misses(misses)
            .answered_by(Filter::any());
        let mut watched = Watched::new(&Liveness::off().heartbeat(heartbeat));
        let mut unanswered: Vec<u64> = Vec::new();
        for time in 1..300 {
            let missed = unanswered.iter().filter(|beat| **beat + within <= time).count();
            let orders = watched.look(time);
            let dead = matches!(orders.first(), Some(Order::Close(_)));
            prop_assert_eq!(dead, missed >= misses as usize, "at {}", time);
            if dead {
                return Ok(());
            }
            if time % every == 0 {
                prop_assert_eq!(orders, vec![beat("b")]);
                unanswered.push(time);
            } else {
                prop_assert_eq!(orders, vec![]);
            }
            if answers.contains(&time) {
                watched.say(time, "");
                unanswered.clear();
            }
        }
    }
}
