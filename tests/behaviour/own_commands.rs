//! Commands that a program adds to `Connection`: its context runs what their handlers spawn.

use std::time::Duration;

use actix::{
    ActorContext as _, ActorFutureExt as _, Addr, AsyncContext as _, Handler, MailboxError,
    Message, ResponseActFuture, WrapFuture as _, clock::sleep,
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::Instant,
};
use wsvisor::{
    Connection, ConnectionContext, Epoch, GetStatus,
    testing::{disconnected, virtual_time},
};

use crate::support::{alone, connected_with, ms, settings, soon};

type Notes = (UnboundedSender<&'static str>, UnboundedReceiver<&'static str>);

/// Does something with the connection's context.
#[derive(Message)]
#[rtype(result = "()")]
struct Do(Box<dyn FnOnce(&mut ConnectionContext) + Send>);

impl Handler<Do> for Connection {
    type Result = ();

    fn handle(&mut self, Do(this): Do, ctx: &mut ConnectionContext) {
        this(ctx);
    }
}

/// Asks the connection itself, later, for its epoch.
#[derive(Message)]
#[rtype(result = "Epoch")]
struct EpochIn(Duration);

impl Handler<EpochIn> for Connection {
    type Result = ResponseActFuture<Self, Epoch>;

    fn handle(&mut self, EpochIn(time): EpochIn, _: &mut ConnectionContext) -> Self::Result {
        let status = |(), _: &mut Self, ctx: &mut ConnectionContext| ctx.address().send(GetStatus);
        let later = sleep(time).into_actor(self).map(status);
        Box::pin(later.then(|asked, connection, _| {
            let epoch = async { asked.await.expect("it asks itself").epoch };
            epoch.into_actor(connection)
        }))
    }
}

async fn run(
    connection: &Addr<Connection>,
    this: impl FnOnce(&mut ConnectionContext) + Send + 'static,
) -> Result<(), MailboxError> {
    connection.send(Do(Box::new(this))).await
}

/// Notes this after so long.
fn note(ctx: &mut ConnectionContext, notes: &Notes, after: Duration, what: &'static str) {
    let notes = notes.0.clone();
    ctx.run_later(after, move |_, _| notes.send(what).expect("the test reads"));
}

#[test]
fn an_answer_may_come_later() {
    virtual_time(1, async {
        let (connection, _events, _peer) = connected_with(settings()).await;
        let began = Instant::now();
        let epoch = connection.send(EpochIn(ms(50))).await.unwrap();
        assert_eq!((epoch.get(), began.elapsed()), (1, ms(50)));
    });
}

#[test]
fn what_is_spawned_runs_and_what_is_cancelled_does_not() {
    virtual_time(2, async {
        let (connection, _events, _peer) = connected_with(settings()).await;
        let mut notes: Notes = unbounded_channel();
        let tell = notes.0.clone();
        run(&connection, move |ctx| {
            let notes = (tell, unbounded_channel().1);
            note(ctx, &notes, ms(20), "second");
            note(ctx, &notes, ms(10), "first");
            let cancelled = ctx.run_later(ms(5), |_, _| panic!("it was cancelled"));
            ctx.cancel_future(cancelled);
            // One that is spawned by another, and cancels it.
            let sleeper = ctx.run_later(ms(40), |_, _| panic!("it was cancelled, too"));
            let tell = notes.0.clone();
            ctx.run_later(ms(30), move |_, ctx| {
                ctx.cancel_future(sleeper);
                ctx.run_later(ms(0), move |_, _| tell.send("third").expect("the test reads"));
            });
        })
        .await
        .unwrap();
        let began = Instant::now();
        for (what, at) in [("first", 10), ("second", 20), ("third", 30)] {
            assert_eq!(soon(what, notes.1.recv()).await, Some(what));
            assert_eq!(began.elapsed(), ms(at), "{what}");
        }
        sleep(ms(100)).await;
        connection.send(GetStatus).await.expect("nothing panicked");
    });
}

/// A handle of what is done cancels nothing that is spawned later.
#[test]
fn no_two_handles_are_the_same() {
    virtual_time(5, async {
        let (connection, _events, _peer) = connected_with(settings()).await;
        let mut notes: Notes = unbounded_channel();
        let (first, second) = (notes.0.clone(), notes.0.clone());
        let (tell, told) = std::sync::mpsc::channel();
        run(&connection, move |ctx| {
            let done = ctx.run_later(ms(10), move |_, _| first.send("first").unwrap());
            tell.send(done).unwrap();
        })
        .await
        .unwrap();
        assert_eq!(soon("the first", notes.1.recv()).await, Some("first"));
        run(&connection, move |ctx| {
            ctx.run_later(ms(10), move |_, _| second.send("second").unwrap());
            ctx.cancel_future(told.recv().unwrap());
        })
        .await
        .unwrap();
        assert_eq!(soon("the second", notes.1.recv()).await, Some("second"));
    });
}

/// The mailbox waits for what its handler waits for, and the session does not.
#[test]
fn commands_wait_where_a_handler_has_them_wait() {
    virtual_time(3, async {
        let (connection, mut events, peer) = connected_with(settings()).await;
        let began = Instant::now();
        let wait = |ctx: &mut ConnectionContext| {
            ctx.wait(actix::fut::wrap_future::<_, Connection>(sleep(ms(50))));
        };
        run(&connection, wait).await.unwrap();
        let status = actix_rt::spawn(connection.send(GetStatus));
        peer.reset();
        events.until(disconnected()).await;
        assert_eq!(began.elapsed(), ms(0), "the session goes on");
        status.await.unwrap().unwrap();
        assert_eq!(began.elapsed(), ms(50));
    });
}

/// As with any actor, what is spawned keeps it, although nobody has its address any more.
#[test]
fn what_is_spawned_keeps_the_actor_and_stop_does_not_ask() {
    virtual_time(4, async {
        let (connection, _events) = alone(Connection::string("kept"));
        let mut notes: Notes = unbounded_channel();
        let tell = notes.0.clone();
        run(&connection, move |ctx| {
            note(ctx, &(tell, unbounded_channel().1), ms(10), "done");
        })
        .await
        .unwrap();
        let weak = connection.downgrade();
        drop(connection);
        assert_eq!(soon("the note", notes.1.recv()).await, Some("done"));
        soon("the end", async {
            while weak.upgrade().is_some_and(|address| address.connected()) {
                actix_rt::task::yield_now().await;
            }
        })
        .await;

        let (connection, _events, mut peer) = connected_with(settings()).await;
        run(&connection, |ctx| {
            ctx.run_later(ms(10), |_, _| panic!("the actor has stopped"));
            ctx.stop();
        })
        .await
        .unwrap();
        assert!(connection.send(GetStatus).await.is_err());
        assert!(soon("the end of the socket", peer.try_read()).await.is_err());
    });
}
