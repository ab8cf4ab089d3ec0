use actix::{
    Actor, ActorContext as _, AsyncContext as _, Context, StreamHandler, io::SinkWrite,
    io::WriteHandler,
};
use anyhow::{Context as _, Result};
use awc::{
    error::WsProtocolError,
    ws::{Frame, Message},
};
use futures_util::{
    StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use tokio::sync::oneshot;

use super::{
    Peer, Show,
    awc::{Awc, Framed},
};

/// awc's `Framed` as a stream of an actor: what an actix program does without a library. Writing
/// and single reads are as with awc alone.
pub(crate) struct AwcStreamHandler;

struct Reader<S> {
    show: S,
    sink: SinkWrite<Message, SplitSink<Framed, Message>>,
    ended: Option<oneshot::Sender<()>>,
}

impl Peer for AwcStreamHandler {
    type Socket = Framed;

    async fn connect(url: &str) -> Result<Framed> {
        Awc::connect(url).await
    }

    async fn next(framed: &mut Framed, show: &mut impl Show) -> Result<bool> {
        Awc::next(framed, show).await
    }

    async fn feed(framed: &mut Framed, text: &str) -> Result<()> {
        Awc::feed(framed, text).await
    }

    async fn flush(framed: &mut Framed) -> Result<()> {
        Awc::flush(framed).await
    }

    async fn read(framed: Framed, show: impl Show) -> Result<()> {
        let (ended, wait) = oneshot::channel();
        let (sink, stream): (_, SplitStream<Framed>) = framed.split();
        let _reader = Reader::create(|ctx: &mut Context<_>| {
            ctx.add_stream(stream);
            Reader { show, sink: SinkWrite::new(sink, ctx), ended: Some(ended) }
        });
        wait.await.context("the reader is gone")
    }
}

impl<S: Show> Actor for Reader<S> {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Context<Self>) {
        self.ended.take().map(|ended| ended.send(()));
    }
}

impl<S: Show> StreamHandler<Result<Frame, WsProtocolError>> for Reader<S> {
    fn handle(&mut self, frame: Result<Frame, WsProtocolError>, ctx: &mut Context<Self>) {
        match frame {
            Ok(Frame::Text(bytes) | Frame::Binary(bytes)) => self.show.bytes(&bytes),
            Ok(Frame::Ping(payload)) => {
                let _ = self.sink.write(Message::Pong(payload));
            }
            Ok(Frame::Close(_)) | Err(_) => ctx.stop(),
            Ok(_) => {}
        }
    }
}

impl<S: Show> WriteHandler<WsProtocolError> for Reader<S> {}
