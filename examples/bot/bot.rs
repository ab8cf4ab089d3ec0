//! What the bot does.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use actix::Addr;
use futures_util::{
    FutureExt as _,
    future::{LocalBoxFuture, try_join_all},
};
use serde_json::json;
use tokio::time::sleep;
use wsvisor::{Connection, Request, RequestError, SendJson};

use crate::{Failure, ledger::Ledger};

pub(crate) struct Bot {
    connection: Addr<Connection>,
    pub(crate) ledger: Rc<RefCell<Ledger>>,
    next: Cell<u64>,
}

/// Comes when it is known what became of a message.
type Told = LocalBoxFuture<'static, Result<(), Failure>>;

impl Bot {
    pub(crate) fn over(connection: Addr<Connection>) -> Self {
        Self { connection, ledger: Rc::default(), next: Cell::new(1) }
    }

    /// A newer quote replaces one that is not written: the market is never shown an old price.
    pub(crate) async fn quote_before_it_is_ready(&self) -> Result<(), Failure> {
        println!("Three quotes, before the gateway has accepted the login:");
        let quotes = [101, 102, 103].map(|price| {
            let quote = |number| json!({"op": "quote", "number": number, "price": price});
            self.send("a quote", quote, |quote| quote.durable().after_ready().replacing("quote"))
        });
        try_join_all(quotes).await?;
        Ok(())
    }

    /// Answers find their questions in whatever order they come.
    pub(crate) async fn ask(&self) -> Result<(), Failure> {
        println!("Three calls:");
        let call = |method| Request::json_rpc(method, &()).map(Request::after_ready);
        let (first, second) = (call("first")?, call("second")?);
        let third = call("never answered")?.within(Duration::from_secs(3));
        let first = self.connection.send(first);
        let second = self.connection.send(second);
        let third = self.connection.send(third);
        println!("    the first:  {}", first.await??.result::<u64>()?);
        println!("    the second: {}", second.await??.result::<u64>()?);
        match third.await? {
            Err(error @ RequestError::TimedOut { .. }) => println!("    the third:  {error}"),
            other => return Err(format!("the gateway never answered, and yet: {other:?}").into()),
        }
        Ok(())
    }

    /// An order each half second, whatever becomes of the sessions: one that is a second late is worth
    /// nothing, and one whose receipt is in doubt is not sent twice.
    pub(crate) async fn trade_through_trouble(&self) -> Result<(), Failure> {
        println!("Orders, while sessions come and go:");
        let mut orders = Vec::new();
        for _ in 0..30 {
            orders.push(actix_rt::spawn(self.order("an order")));
            sleep(Duration::from_millis(500)).await;
        }
        for order in orders {
            order.await??;
        }
        Ok(())
    }

    /// What would wait for longer than it is worth is refused at once.
    pub(crate) async fn burst(&self) -> Result<(), Failure> {
        println!("Fifteen orders at once, of which ten a second may go:");
        try_join_all((0..15).map(|_| self.order("an order of a burst"))).await?;
        Ok(())
    }

    pub(crate) fn order(&self, what: &'static str) -> Told {
        let expires = Duration::from_secs(1);
        let order = |number| json!({"op": "order", "number": number});
        self.send(what, order, move |order| {
            order.durable().after_ready().expires_in(expires).confirmed()
        })
    }

    /// Sends a message under the next number, and notes what becomes of it.
    fn send(
        &self,
        what: &'static str,
        message: impl FnOnce(u64) -> serde_json::Value,
        on_terms: impl FnOnce(SendJson) -> SendJson,
    ) -> Told {
        let number = self.next.replace(self.next.get() + 1);
        let message = SendJson::new(&message(number));
        let sent = message.map(|message| self.connection.send(on_terms(message)));
        let ledger = Rc::clone(&self.ledger);
        async move {
            let answer = sent?.await?;
            ledger.borrow_mut().note(number, what, answer);
            Ok(())
        }
        .boxed_local()
    }
}
