//! What becomes of events that a subscriber has no room for, which of them it wants, and what it is
//! told when it comes late.

use std::{cell::RefCell, rc::Rc, time::Duration};

use actix::prelude::*;
use wsvisor::{
    Connect, Connection, ConnectionSpec, GetStatus, History, Lifecycle, LifecycleEvent,
    LifecycleKind, Received, ReceivedBatch, Settings, StartConnection, Subscribe, Subscription,
    testing::{Peer, Recorder, connected, disconnected, lifecycle, text, virtual_time},
};

use crate::support::{listen, loopback_policy, recorded, settings, supervisor};

/// A subscriber that keeps what it is told, and with it its places, until it is let go.
#[derive(Default)]
struct Slow {
    events: Vec<Lifecycle>,
    messages: Vec<Received>,
    batches: Vec<ReceivedBatch>,
    log: Rc<RefCell<Vec<String>>>,
    panics_at: Option<String>,
}

impl Slow {
    fn start_with(log: &Rc<RefCell<Vec<String>>>) -> Addr<Self> {
        Self { log: Rc::clone(log), ..Self::default() }.start()
    }

    fn note(&self, text: String) {
        assert!(self.panics_at.as_ref() != Some(&text), "told to panic at {text}");
        self.log.borrow_mut().push(text);
    }
}

impl Actor for Slow {
    type Context = Context<Self>;
}

fn lagged(count: u64) -> String {
    if count == 0 { String::new() } else { format!("{count} lost, then ") }
}

impl Handler<Received> for Slow {
    type Result = ();

    fn handle(&mut self, message: Received, _: &mut Context<Self>) {
        self.note(format!("{}{}", lagged(message.lagged()), message.text().unwrap()));
        self.messages.push(message);
    }
}

impl Handler<ReceivedBatch> for Slow {
    type Result = ();

    fn handle(&mut self, batch: ReceivedBatch, _: &mut Context<Self>) {
        let texts: Vec<_> = batch.iter().filter_map(wsvisor::Payload::as_text).collect();
        self.note(format!("{}{}", lagged(batch.lagged()), texts.join(" ")));
        self.batches.push(batch);
    }
}

impl Handler<Lifecycle> for Slow {
    type Result = ();

    fn handle(&mut self, told: Lifecycle, _: &mut Context<Self>) {
        self.note(format!("#{} {:?}", told.seq, told.event.kind()));
        self.events.push(told);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct LetGo;

impl Handler<LetGo> for Slow {
    type Result = ();

    fn handle(&mut self, _: LetGo, _: &mut Context<Self>) {
        self.events.clear();
        self.messages.clear();
        self.batches.clear();
    }
}

/// A connected connection with these subscribers, and one that is recorded.
async fn open(
    subscriptions: Vec<Subscription>,
    settings: Settings,
) -> (Addr<Connection>, Recorder, Peer) {
    let server = listen();
    let mut events = Recorder::start();
    let mut builder = Connection::string("a")
        .settings(settings)
        .policy(loopback_policy())
        .subscribe(events.lifecycle());
    for subscription in subscriptions {
        builder = builder.subscribe(subscription);
    }
    let connection = builder.start().unwrap();
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let peer = server.open().await;
    events.expect(connected()).await;
    (connection, events, peer)
}

/// Each of these arrives with a read of its own.
async fn say(peer: &mut Peer, texts: impl IntoIterator<Item = impl AsRef<str>>) {
    for text in texts {
        peer.text(text).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn numbers(range: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    range.map(|number| number.to_string())
}

#[test]
fn each_choice_decides_who_is_held_back_and_what_is_lost() {
    virtual_time(1, async {
        let logs: [Rc<RefCell<Vec<String>>>; 4] = Default::default();
        let [newest, oldest, leaver, batches] = logs.each_ref().map(Slow::start_with);
        let fast = Recorder::start();
        let to =
            |slow: &Addr<Slow>| Subscription::to(slow.clone().recipient::<Received>()).capacity(4);
        let subscriptions = vec![
            to(&newest).drop_newest(),
            to(&oldest).drop_oldest(),
            to(&leaver).unsubscribe_when_full(),
            Subscription::to(batches.clone().recipient::<ReceivedBatch>())
                .capacity(2)
                .drop_oldest(),
            fast.messages().into(),
        ];
        let (connection, mut events, mut peer) = open(subscriptions, settings()).await;
        say(&mut peer, numbers(0..10)).await;
        let read = |log: usize| logs[log].borrow().clone();
        assert_eq!(read(0), ["0", "1", "2", "3"]);
        assert_eq!(read(1), ["0", "1"], "half of its room is a queue");
        assert_eq!(read(2), ["0", "1", "2", "3"]);
        assert_eq!(read(3), ["0"]);
        let mut fast = fast;
        for number in numbers(0..10) {
            fast.expect(text(number)).await;
        }
        events
            .expect(lifecycle("Unsubscribed", |event| {
                matches!(event, LifecycleEvent::Unsubscribed { .. })
            }))
            .await;
        for slow in [&newest, &oldest, &leaver, &batches] {
            slow.send(LetGo).await.unwrap();
        }
        say(&mut peer, ["last"]).await;
        assert_eq!(read(0), ["0", "1", "2", "3", "6 lost, then last"]);
        assert_eq!(read(1), ["0", "1", "6 lost, then 8", "9"], "the latest are kept");
        assert_eq!(read(2), ["0", "1", "2", "3"]);
        assert_eq!(read(3), ["0", "8 lost, then 9"]);
        oldest.send(LetGo).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(read(1).last().unwrap(), "last");
        assert_eq!(connection.send(GetStatus).await.unwrap().received, 11);
    });
}

/// One slow, one panicking and one fast subscriber: nobody is held back who did not choose it.
#[test]
fn a_slow_and_a_panicking_subscriber_hold_nobody_back_unless_they_chose_to() {
    virtual_time(2, async {
        for holds in [false, true] {
            let (slow_log, panics_log) = (Rc::default(), Rc::default());
            let slow = Slow::start_with(&slow_log);
            let panics = Slow {
                log: Rc::clone(&panics_log),
                panics_at: Some("3".into()),
                ..Slow::default()
            };
            let panics = panics.start();
            let mut fast = Recorder::start();
            let slow_wants = Subscription::to(slow.clone().recipient::<Received>()).capacity(5);
            let subscriptions = vec![
                if holds { slow_wants.hold_back() } else { slow_wants.drop_newest() },
                panics.recipient::<Received>().into(),
                fast.messages().into(),
            ];
            let (connection, mut events, mut peer) = open(subscriptions, settings()).await;
            say(&mut peer, numbers(0..50)).await;
            let comes = if holds { 5 } else { 50 };
            for number in numbers(0..comes) {
                fast.expect(text(number)).await;
            }
            fast.expect_none(Duration::from_secs(1)).await;
            assert_eq!(*panics_log.borrow(), ["0", "1", "2"]);
            assert_eq!(slow_log.borrow().len(), 5);
            if holds {
                for _ in 0..20 {
                    slow.send(LetGo).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                for number in numbers(5..50) {
                    fast.expect(text(number)).await;
                }
                assert_eq!(slow_log.borrow().len(), 50, "nothing is lost");
            }
            assert_eq!(events.history().len(), 1, "the session goes on");
            assert_eq!(connection.send(GetStatus).await.unwrap().received, 50);
        }
    });
}

/// What is in the mailbox of a subscriber that dies comes back, and the socket is read again.
#[test]
fn a_subscriber_that_dies_while_it_holds_the_socket_back_lets_it_go() {
    virtual_time(3, async {
        let log = Rc::default();
        let slow =
            Slow { log: Rc::clone(&log), panics_at: Some("9".into()), ..Slow::default() }.start();
        let mut fast = Recorder::start();
        let subscriptions = vec![
            Subscription::to(slow.recipient::<Received>()).capacity(10),
            fast.messages().into(),
        ];
        let (_connection, _events, mut peer) = open(subscriptions, settings()).await;
        say(&mut peer, numbers(0..100)).await;
        for number in numbers(0..100) {
            fast.expect(text(number)).await;
        }
        assert_eq!(log.borrow().len(), 9);
    });
}

#[test]
fn a_lifecycle_subscriber_is_told_of_its_loss_as_soon_as_there_is_room() {
    virtual_time(4, async {
        let logs: [Rc<RefCell<Vec<String>>>; 3] = Default::default();
        let [newest, oldest, leaver] = logs.each_ref().map(Slow::start_with);
        let to =
            |slow: &Addr<Slow>| Subscription::to(slow.clone().recipient::<Lifecycle>()).capacity(2);
        let server =
            listen().play((0..3).map(|_| wsvisor::testing::Script::new().accept().reset()));
        let (spec, mut events) =
            recorded(ConnectionSpec::string("a", server.url()).settings(settings()));
        let spec = spec
            .subscribe(to(&newest).drop_newest())
            .subscribe(to(&oldest).drop_oldest())
            .subscribe(to(&leaver).unsubscribe_when_full());
        let supervisor = supervisor();
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        events.until(disconnected().epoch(3)).await;
        let read = |log: usize| logs[log].borrow().clone();
        tokio::time::sleep(Duration::ZERO).await;
        assert_eq!(read(0), ["#1 Connected", "#2 Disconnected"]);
        assert_eq!(read(1), ["#1 Connected"]);
        assert_eq!(read(2), ["#1 Connected", "#2 Disconnected", "#4 Unsubscribed"]);
        drop(server);
        // Nothing more happens for a while, and they are told all the same.
        for slow in [&newest, &oldest] {
            slow.send(LetGo).await.unwrap();
        }
        tokio::time::sleep(Duration::ZERO).await;
        let told = read(0);
        assert!(told[2].ends_with("Lagged"), "{told:?}");
        let told = read(1);
        assert!(told[1].ends_with("Lagged"), "{told:?}");
        let seqs =
            told.iter().map(|line| line[1..].split(' ').next().unwrap().parse::<u64>().unwrap());
        assert!(seqs.is_sorted_by(|a, b| a < b), "{told:?}");
    });
}

#[test]
fn a_subscriber_gets_what_it_wants_only() {
    virtual_time(5, async {
        let [mut texts, mut binaries, mut trades, mut batches] =
            [(); 4].map(|()| Recorder::start());
        let subscriptions = vec![
            Subscription::to(texts.messages()).only_text(),
            Subscription::to(binaries.messages()).only_binary(),
            Subscription::to(trades.messages()).where_field("channel", "trades"),
            Subscription::to(batches.batches()).where_field("n", 2),
        ];
        let (_connection, events, mut peer) = open(subscriptions, settings()).await;
        let said = [
            r#"{"channel":"trades","n":1}"#,
            r#"{"channel":"quotes","n":2}"#,
            "plain",
            r#"{"n":2,"channel":"trades"}"#,
        ];
        for text in said {
            peer.text(text).await;
        }
        peer.binary([1, 2, 3]).await;
        for said in said {
            texts.expect(text(said)).await;
        }
        assert_eq!(binaries.next().await.seq, 6);
        trades.expect(text(said[0])).await;
        assert_eq!(trades.expect(text(said[3])).await.seq, 5, "its place among all events");
        assert_eq!(batches.expect(text(said[1])).await.seq, 3);
        assert_eq!(batches.expect(text(said[3])).await.seq, 5);
        for mut recorder in [texts, binaries, trades, batches] {
            recorder.expect_none(Duration::from_secs(1)).await;
        }
        drop(events);
    });
}

#[test]
fn a_supervisors_subscriber_chooses_connections_and_kinds() {
    virtual_time(6, async {
        let supervisor = supervisor();
        let mut ends = Recorder::start();
        let wanted = Subscription::to(ends.lifecycle())
            .only_connections(["b", "c"])
            .only_events([LifecycleKind::Disconnected]);
        supervisor.send(Subscribe::new(wanted)).await.unwrap();
        let mut sorted = Recorder::start();
        let wanted = Subscription::to(sorted.lifecycle()).connections_where(|id| id.as_str() < "b");
        supervisor.send(Subscribe::new(wanted)).await.unwrap();
        for id in ["a", "b", "c"] {
            let server = listen();
            let spec = ConnectionSpec::string(id, server.url()).settings(settings());
            supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
            server.open().await.reset();
            if id != "a" {
                ends.expect(disconnected().of(id)).await;
            }
        }
        sorted.expect(connected().of("a")).await;
        ends.expect_none(Duration::from_secs(5)).await;
        assert!(sorted.history().iter().all(|told| told.connection.as_str() == "a"));
    });
}

#[test]
fn who_comes_late_is_told_the_state_and_the_last_events_and_messages() {
    virtual_time(7, async {
        let (connection, _events, mut peer) =
            open(vec![], settings().history(History::last(3))).await;
        say(&mut peer, numbers(0..10)).await;
        let mut late = Recorder::start();
        let subscribe = |subscription: Subscription| connection.send(Subscribe::new(subscription));
        subscribe(Subscription::to(late.messages()).replay(2)).await.unwrap();
        late.expect(text("8")).await;
        assert_eq!(late.expect(text("9")).await.seq, 11, "as it was told first");
        subscribe(Subscription::to(late.lifecycle()).with_state()).await.unwrap();
        late.expect("1 Currently: connected").await;
        say(&mut peer, ["live"]).await;
        late.expect(text("live")).await;

        let mut later = Recorder::start();
        subscribe(Subscription::to(later.batches()).replay(100).where_field("x", 1)).await.unwrap();
        subscribe(Subscription::to(later.lifecycle()).replay(100)).await.unwrap();
        later.expect(connected()).await;
        later.expect_none(Duration::from_secs(1)).await;

        let mut without = Recorder::start();
        subscribe(without.messages().into()).await.unwrap();
        without.expect_none(Duration::from_secs(1)).await;
    });
}

#[test]
fn nothing_is_kept_unless_it_is_asked_for() {
    virtual_time(8, async {
        let (connection, _events, mut peer) = open(vec![], settings()).await;
        say(&mut peer, numbers(0..10)).await;
        let mut late = Recorder::start();
        let wanted = Subscription::to(late.messages()).replay(10);
        connection.send(Subscribe::new(wanted)).await.unwrap();
        late.expect_none(Duration::from_secs(1)).await;
        assert_eq!(connection.send(GetStatus).await.unwrap().unheard, 10);
    });
}
