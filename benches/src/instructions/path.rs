use std::{hint::black_box, sync::Mutex, time::Duration};

use actix::{Actor as _, Addr, AsyncContext as _};
use actix_rt::System;
use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc::UnboundedReceiver, oneshot};
use wsvisor::{
    AccessPolicy, Connection, ConnectionSpec, DialGate, GetSender, Lifecycle, Limits, Received,
    ReceivedBatch, RestartPolicy, SendBatch, SendString, Settings, StartConnection, Subscription,
    Supervisor, SupervisorBuilder,
    protocol::{BatchBuilder, Decoder, OpCode, Step, encode_frame},
    testing::virtual_time,
};

use super::{
    actors::{Idler, Nothing, Subscriber, Teller, Told},
    canned::Canned,
};
use crate::message::Shape;

/// A hot path.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Path {
    /// Bytes to messages.
    Decode,
    /// Messages to masked bytes.
    Encode,
    /// From a socket's read to a subscriber, all messages of one read together.
    DeliverBatches,
    /// From a socket's read to a subscriber, one by one.
    DeliverEach,
    /// A message that is alone in its read, and what the session replies at once.
    Reply,
    /// From a `send` to the socket's write, and its outcome back.
    Send,
    /// The same, each once the one before was written.
    SendOneByOne,
    /// The same for many messages at once.
    SendBatch,
    /// The same as `Send`, by a `Sender`.
    Sender,
    /// The same as `SendOneByOne`, by a `Sender`.
    SenderOneByOne,
    /// What actix takes of a send: it, its answer by an actor that does nothing, and the awaiting of it.
    Actix,
    /// What actix takes of a message that is only told: an actor tells itself the next, by a recipient.
    ActixTold,
    /// From `StartConnection` to `Connected`.
    Connect,
    /// A connection on which nothing happens.
    Idle,
}

const SHAPE: Shape = Shape::Text(64);
/// Messages of one read: 64 KiB hold 992.
const A_READ: usize = 900;
/// Sends whose outcomes are awaited together.
const A_FLOOD: usize = 500;
/// Idle connections.
const CROWD: usize = 200;

impl Path {
    pub(super) const ALL: [Self; 14] = [
        Self::Decode,
        Self::Encode,
        Self::DeliverBatches,
        Self::DeliverEach,
        Self::Reply,
        Self::Send,
        Self::SendOneByOne,
        Self::SendBatch,
        Self::Sender,
        Self::SenderOneByOne,
        Self::Actix,
        Self::ActixTold,
        Self::Connect,
        Self::Idle,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Encode => "encode and mask",
            Self::DeliverBatches => "deliver by ReceivedBatch",
            Self::DeliverEach => "deliver by Received",
            Self::Reply => "reply at once",
            Self::Send => "send",
            Self::SendOneByOne => "send one by one",
            Self::Actix => "actix alone",
            Self::ActixTold => "actix alone, by Recipient",
            Self::SendBatch => "send by SendBatch",
            Self::Sender => "send by Sender",
            Self::SenderOneByOne => "send one by one by Sender",
            Self::Connect => "connect",
            Self::Idle => "idle",
        }
    }

    pub(super) const fn operation(self) -> &'static str {
        match self {
            Self::Connect => "a connection",
            Self::Idle => "a connection's minute",
            Self::Actix | Self::ActixTold => "a message that is nothing",
            _ => "a text of 64 bytes",
        }
    }

    /// How often it is taken, and as often again.
    pub(super) const fn times(self) -> u32 {
        match self {
            Self::Decode | Self::Encode => 200,
            Self::DeliverBatches | Self::SendBatch | Self::Sender => 100,
            Self::DeliverEach
            | Self::Reply
            | Self::Send
            | Self::SendOneByOne
            | Self::SenderOneByOne
            | Self::Actix
            | Self::ActixTold => 20,
            Self::Connect | Self::Idle => 10,
        }
    }

    pub(super) const fn operations_each_time(self) -> f64 {
        match self {
            Self::Decode
            | Self::Encode
            | Self::DeliverBatches
            | Self::DeliverEach
            | Self::ActixTold => A_READ as f64,
            Self::Reply
            | Self::Send
            | Self::SendOneByOne
            | Self::SendBatch
            | Self::Sender
            | Self::SenderOneByOne
            | Self::Actix => A_FLOOD as f64,
            Self::Connect | Self::Idle => CROWD as f64,
        }
    }

    pub(crate) fn take(self, times: u32) -> Result<()> {
        match self {
            Self::Decode => decode(times),
            Self::Encode => {
                encode(times);
                Ok(())
            }
            Self::DeliverBatches => System::new().block_on(deliver(times, |subscriber| {
                subscriber.recipient::<ReceivedBatch>().into()
            })),
            Self::DeliverEach => System::new()
                .block_on(deliver(times, |subscriber| subscriber.recipient::<Received>().into())),
            Self::Reply => System::new().block_on(reply(times)),
            Self::Send => System::new().block_on(send(times)),
            Self::SendOneByOne => System::new().block_on(send_one_by_one(times)),
            Self::SendBatch => System::new().block_on(send_batches(times)),
            Self::Sender => System::new().block_on(send_by_sender(times as usize, A_FLOOD)),
            Self::SenderOneByOne => {
                System::new().block_on(send_by_sender(times as usize * A_FLOOD, 1))
            }
            Self::Actix => System::new().block_on(send_nothing(times)),
            Self::ActixTold => System::new().block_on(tell_nothing(times)),
            Self::Connect => virtual_time(1, connect(times)),
            Self::Idle => virtual_time(1, idle(times)),
        }
    }
}

fn decode(times: u32) -> Result<()> {
    let read = SHAPE.frame().repeat(A_READ);
    let (mut decoder, mut batch) = (Decoder::new(Limits::default()), BatchBuilder::default());
    for _ in 0..times {
        let mut at = 0;
        while !matches!(decoder.decode(&read, &mut at, &mut batch)?, Step::NeedMore) {}
        ensure!(batch.len() == A_READ, "{} messages of {A_READ}", batch.len());
        black_box(&batch);
        batch.clear();
    }
    Ok(())
}

fn encode(times: u32) {
    let payload = SHAPE.payload();
    let mut out = Vec::with_capacity(128 * 1024);
    for _ in 0..times {
        for mask in (0..=u32::MAX).take(A_READ).map(u32::to_le_bytes) {
            encode_frame(&mut out, OpCode::Text, &payload, mask);
        }
        black_box(&out);
        out.clear();
    }
}

async fn deliver(
    times: u32,
    subscription: impl FnOnce(Addr<Subscriber>) -> Subscription,
) -> Result<()> {
    let (mut subscriber, mut told) = Subscriber::new();
    subscriber.awaited = A_READ * times as usize;
    let subscriber = subscriber.start();
    let read = SHAPE.frame().repeat(A_READ);
    let spec = ConnectionSpec::string("deliver", URL)
        .subscribe(subscriber.clone().recipient::<Lifecycle>())
        .subscribe(subscription(subscriber));
    let supervisor = supervisor(Canned::that_sends(read, times))?.start()?;
    start(&supervisor, spec).await?;
    while !matches!(told.recv().await.context("nobody listens")?, Told::Messages) {}
    Ok(())
}

async fn reply(times: u32) -> Result<()> {
    let (done, told) = oneshot::channel();
    let left = Mutex::new((A_FLOOD * times as usize, Some(done)));
    let text = String::from_utf8(SHAPE.payload())?;
    let settings = Settings::default().reply_with(move |_, replies| {
        replies.text(&text);
        let Ok(mut left) = left.lock() else { return };
        left.0 -= 1;
        if left.0 == 0
            && let Some(done) = left.1.take()
        {
            // Whoever waits for it is there.
            let _ = done.send(());
        }
    });
    let server = Canned::that_sends(SHAPE.frame(), u32::try_from(A_FLOOD)? * times);
    let supervisor = supervisor(server)?.start()?;
    start(&supervisor, ConnectionSpec::string("reply", URL).settings(settings)).await?;
    told.await.context("the session ended")
}

async fn send(times: u32) -> Result<()> {
    let connection = connected().await?;
    let text = String::from_utf8(SHAPE.payload())?;
    for _ in 0..times {
        let sends = (0..A_FLOOD).map(|_| connection.send(SendString::new(text.clone())));
        for outcome in try_join_all(sends).await? {
            outcome?;
        }
    }
    Ok(())
}

async fn send_one_by_one(times: u32) -> Result<()> {
    let connection = connected().await?;
    let text = String::from_utf8(SHAPE.payload())?;
    for _ in 0..times as usize * A_FLOOD {
        connection.send(SendString::new(text.clone())).await??;
    }
    Ok(())
}

async fn send_by_sender(times: usize, at_once: usize) -> Result<()> {
    let sender = connected().await?.send(GetSender).await?;
    let text = String::from_utf8(SHAPE.payload())?;
    let mut under_way = Vec::with_capacity(at_once);
    for _ in 0..times {
        under_way.extend((0..at_once).map(|_| sender.send_text(&text)));
        for outcome in under_way.drain(..) {
            outcome.await?;
        }
    }
    Ok(())
}

async fn send_nothing(times: u32) -> Result<()> {
    let idler = Idler.start();
    for _ in 0..times {
        try_join_all((0..A_FLOOD).map(|_| idler.send(Nothing))).await?;
    }
    Ok(())
}

async fn tell_nothing(times: u32) -> Result<()> {
    let (done, is_done) = oneshot::channel();
    let left = A_READ * times as usize;
    let teller =
        Teller::create(|ctx| Teller { left, to: ctx.address().recipient(), done: Some(done) });
    teller.do_send(Nothing);
    Ok(is_done.await?)
}

async fn send_batches(times: u32) -> Result<()> {
    let connection = connected().await?;
    let text = String::from_utf8(SHAPE.payload())?;
    for _ in 0..times {
        let mut batch = SendBatch::new();
        (0..A_FLOOD).for_each(|_| batch.push_text(&text));
        connection.send(batch).await?.into_result()?;
    }
    Ok(())
}

/// A connection to a server that says nothing.
async fn connected() -> Result<Addr<Connection>> {
    let (subscriber, mut told) = Subscriber::new();
    let subscriber = subscriber.start();
    let spec = ConnectionSpec::string("send", URL).subscribe(subscriber.recipient::<Lifecycle>());
    let supervisor = supervisor(Canned::silent())?.start()?;
    let connection = start(&supervisor, spec).await?;
    while !matches!(told.recv().await, Some(Told::Connected)) {}
    // It lives as long as the path is taken.
    std::mem::forget(supervisor);
    Ok(connection)
}

async fn connect(times: u32) -> Result<()> {
    let mut crowd = Crowd::new()?;
    for _ in 0..times {
        crowd.grow().await?;
    }
    Ok(())
}

async fn idle(minutes: u32) -> Result<()> {
    let mut crowd = Crowd::new()?;
    crowd.grow().await?;
    tokio::time::sleep(Duration::from_mins(minutes.into())).await;
    Ok(())
}

/// Connections of one supervisor to a server that says nothing, and the subscriber of all of them.
struct Crowd {
    supervisor: Addr<Supervisor>,
    told: UnboundedReceiver<Told>,
    len: usize,
}

impl Crowd {
    fn new() -> Result<Self> {
        let (subscriber, told) = Subscriber::new();
        let subscriber = subscriber.start();
        let supervisor = supervisor(Canned::silent())?
            .subscribe(subscriber.clone().recipient::<Lifecycle>())
            .subscribe(subscriber.recipient::<ReceivedBatch>())
            .start()?;
        Ok(Self { supervisor, told, len: 0 })
    }

    /// More connections, each when the one before is connected.
    async fn grow(&mut self) -> Result<()> {
        for _ in 0..CROWD {
            let spec = ConnectionSpec::string(format!("one-of-crowd-{}", self.len), URL);
            start(&self.supervisor, spec).await?;
            while !matches!(self.told.recv().await, Some(Told::Connected)) {}
            self.len += 1;
        }
        Ok(())
    }
}

const URL: &str = "ws://canned.example/";

fn supervisor(network: Canned) -> Result<SupervisorBuilder> {
    let policy = AccessPolicy::from_rules(["allow ws://canned.example"])?;
    let supervisor = Supervisor::builder().policy(policy).dialler(network);
    Ok(supervisor.dial_gate(DialGate::unlimited()))
}

async fn start(supervisor: &Addr<Supervisor>, spec: ConnectionSpec) -> Result<Addr<Connection>> {
    Ok(supervisor.send(StartConnection(spec.restart(RestartPolicy::Temporary))).await??)
}
