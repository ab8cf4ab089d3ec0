//! A user's recipient that says when a session is ready.

use std::{collections::VecDeque, time::Duration};

use actix::prelude::*;
use futures_util::FutureExt as _;
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::{Instant, sleep},
};
use wsvisor::{
    AskReady, Connect, Connection, Delivery, LifecycleEvent, Liveness, MarkReady, Readiness,
    Reconnect, SendString, Settings, Verdict,
    testing::{
        ClientFrame, Matcher, Peer, Recorder, Server, connected, disconnected, frame, lifecycle,
        text, virtual_time,
    },
};

use crate::support::{alone, listen, settings};

/// Passes each question on, with its epoch, and answers as it was told to.
struct Oracle {
    asked: UnboundedSender<(u64, Vec<String>)>,
    answers: VecDeque<Answer>,
}

#[derive(Clone, Copy)]
enum Answer {
    After(Duration, bool),
    Never,
}

const NO: Answer = Answer::After(Duration::ZERO, false);
const YES: Answer = Answer::After(Duration::ZERO, true);

impl Actor for Oracle {
    type Context = Context<Self>;
}

impl Handler<AskReady> for Oracle {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, question: AskReady, _: &mut Context<Self>) -> ResponseFuture<bool> {
        let texts = question.iter().filter_map(|message| message.as_text().map(str::to_owned));
        self.asked.send((question.epoch.get(), texts.collect())).unwrap();
        match self.answers.pop_front().unwrap() {
            Answer::After(pause, answer) => Box::pin(sleep(pause).map(move |()| answer)),
            Answer::Never => Box::pin(std::future::pending()),
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

impl Handler<Stop> for Oracle {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

type Questions = UnboundedReceiver<(u64, Vec<String>)>;

fn oracle(answers: &[Answer]) -> (Addr<Oracle>, Questions) {
    let (asked, questions) = unbounded_channel();
    (Oracle { asked, answers: answers.iter().copied().collect() }.start(), questions)
}

async fn expect_question(questions: &mut Questions, epoch: u64, texts: &[&str]) {
    let about: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
    assert_eq!(questions.recv().await, Some((epoch, about)));
}

async fn open(server: &Server, settings: Settings) -> (Addr<Connection>, Recorder, Peer) {
    let (connection, mut events) = alone(Connection::string("bot").settings(settings));
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let peer = server.open().await;
    events.expect(connected().epoch(1)).await;
    (connection, events, peer)
}

fn suspected(wanted: Verdict) -> Matcher {
    let name = wanted.to_string();
    lifecycle(
        &name,
        move |event| matches!(event, LifecycleEvent::Suspected { verdict } if *verdict == wanted),
    )
}

#[test]
fn a_recipient_is_asked_about_each_message_until_it_says_yes() {
    virtual_time(1, async {
        let (oracle, mut questions) = oracle(&[NO, YES, YES]);
        let server = listen();
        let settings = settings().readiness(Readiness::asked(oracle));
        let (connection, mut events, mut peer) = open(&server, settings).await;
        let waits = connection.send(SendString::new("order").after_ready());
        // What one read completes is one question.
        peer.write([frame(0x81, "one"), frame(0x81, "two")].concat()).await;
        expect_question(&mut questions, 1, &["one", "two"]).await;
        peer.text("three").await;
        expect_question(&mut questions, 1, &["three"]).await;
        assert_eq!(peer.read().await, ClientFrame::text("order"));
        assert_eq!(waits.await.unwrap().unwrap(), Delivery::Written);
        events.expect_all([text("one"), text("two"), text("three")]).await;
        events.expect("1 Ready").await;
        // Nobody is asked any more in this session, and somebody is in the next.
        peer.text("four").await;
        events.expect(text("four")).await;
        peer.reset();
        events.expect(disconnected()).await;
        connection.send(Reconnect).await.unwrap().unwrap();
        peer = server.open().await;
        peer.text("again").await;
        expect_question(&mut questions, 2, &["again"]).await;
        events.until("2 Ready").await;
    });
}

#[test]
fn one_question_is_asked_at_a_time_and_pings_go_out_meanwhile() {
    virtual_time(2, async {
        let slowly = |answer| Answer::After(Duration::from_secs(5), answer);
        let (oracle, mut questions) = oracle(&[slowly(false), slowly(true)]);
        let server = listen();
        let liveness = Liveness::default().ping_every(Duration::from_secs(2));
        let settings = settings().liveness(liveness).readiness(Readiness::asked(oracle));
        let (_connection, mut events, mut peer) = open(&server, settings).await;
        let began = Instant::now();
        peer.text("one").await;
        expect_question(&mut questions, 1, &["one"]).await;
        peer.text("two").await;
        // It is read when the first is answered.
        let pinged = peer.read().await;
        assert_eq!((pinged.opcode, began.elapsed().as_secs()), (9, 2));
        peer.write(frame(0x8A, &pinged.payload)).await;
        expect_question(&mut questions, 1, &["two"]).await;
        assert_eq!(began.elapsed().as_secs(), 5);
        events.expect_all([text("one"), text("two")]).await;
        events.expect("1 Ready").await;
        assert_eq!(began.elapsed().as_secs(), 10);
    });
}

#[test]
fn a_recipient_that_does_not_answer_is_told_of_and_holds_nothing_up() {
    virtual_time(3, async {
        let (oracle, mut questions) = oracle(&[Answer::Never, YES]);
        let server = listen();
        let settings = settings().readiness(Readiness::asked(oracle));
        let (connection, mut events, mut peer) = open(&server, settings).await;
        let began = Instant::now();
        peer.text("one").await;
        peer.text("two").await;
        events.expect(text("one")).await;
        let within = Duration::from_secs(10);
        events.until(suspected(Verdict::ReadinessUnanswered { within })).await;
        assert_eq!(began.elapsed().as_secs(), 10);
        // The session goes on, and may be marked.
        peer.text("three").await;
        events.until(text("three")).await;
        let waits = connection.send(SendString::new("order").after_ready());
        connection.send(MarkReady).await.unwrap();
        events.expect("1 Ready").await;
        assert_eq!(peer.read().await, ClientFrame::text("order"));
        assert_eq!(waits.await.unwrap().unwrap(), Delivery::Written);
        assert!(questions.try_recv().is_ok());
        assert!(questions.try_recv().is_err(), "it was asked again");
    });
}

#[test]
fn a_recipient_that_has_stopped_is_told_of_at_once() {
    virtual_time(4, async {
        let (oracle, _questions) = oracle(&[]);
        let server = listen();
        let settings = settings().readiness(Readiness::asked(oracle.clone()));
        oracle.send(Stop).await.unwrap();
        let (_connection, mut events, mut peer) = open(&server, settings).await;
        let began = Instant::now();
        peer.text("one").await;
        events.expect(text("one")).await;
        events.expect(suspected(Verdict::NobodyToAsk)).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        peer.text("two").await;
        events.expect(text("two")).await;
    });
}

#[test]
fn a_mark_ends_the_wait_for_an_answer() {
    virtual_time(5, async {
        let (oracle, _questions) = oracle(&[Answer::Never]);
        let server = listen();
        let settings = settings().readiness(Readiness::asked(oracle));
        let (connection, mut events, mut peer) = open(&server, settings).await;
        let began = Instant::now();
        peer.text("one").await;
        events.expect(text("one")).await;
        connection.send(MarkReady).await.unwrap();
        events.expect("1 Ready").await;
        peer.text("two").await;
        events.expect(text("two")).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        events.expect_none(Duration::from_secs(15)).await;
    });
}
