//! What shows, and which secrets are in it.

use std::{
    fmt::{Debug, Display},
    io,
    sync::{Arc, Mutex},
};

use actix::{Actor, Context, Handler};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::{filter::LevelFilter, fmt::format::FmtSpan, util::SubscriberInitExt as _};
use wsvisor::{Lifecycle, Received, ReceivedBatch};

/// Every secret of these tests begins with this, in one of these forms: as it is, in Base64, and as
/// `Debug` and hexadecimal dumps have bytes.
const FORMS: [&str; 4] = ["canary-", "y2fuyxj5l", "99, 97, 110, 97, 114, 121", "63616e617279"];

/// Where a secret is in `text`, with what is around it.
fn secret_in(text: &str) -> Option<String> {
    let text = text.to_lowercase();
    let at = FORMS.iter().find_map(|form| text.find(form))?;
    let around = text.as_bytes().get(at.saturating_sub(200)..(at + 60).min(text.len()))?;
    Some(String::from_utf8_lossy(around).into_owned())
}

/// All that is logged on this thread, with all fields of all events and spans, while it lives; and all
/// texts that are to be looked through.
#[derive(Clone, Default)]
pub(super) struct Shown {
    log: Log,
    texts: Arc<Mutex<Vec<(String, String)>>>,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shown {
    /// Records of `log` come too.
    pub(super) fn listen(&self) -> DefaultGuard {
        let log = self.log.clone();
        tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_span_events(FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(move || log.clone())
            .finish()
            .set_default()
    }

    pub(super) fn debug(&self, what: &str, value: &impl Debug) {
        let mut texts = self.texts.lock().unwrap();
        texts.push((format!("Debug of {what}"), format!("{value:?}")));
        texts.push((format!("alternate Debug of {what}"), format!("{value:#?}")));
    }

    pub(super) fn both(&self, what: &str, value: &(impl Debug + Display)) {
        self.debug(what, value);
        self.texts.lock().unwrap().push((format!("Display of {what}"), value.to_string()));
    }

    pub(super) fn logged(&self) -> String {
        String::from_utf8(self.log.0.lock().unwrap().clone()).unwrap()
    }

    /// Texts that are to be looked through, beside the log.
    pub(super) fn texts(&self) -> usize {
        self.texts.lock().unwrap().len()
    }

    /// Each secret, and where it shows.
    pub(super) fn secrets(&self) -> Vec<(String, String)> {
        let logged = self.logged();
        let lines = logged.lines().map(|line| ("the log", line));
        let texts = self.texts.lock().unwrap();
        let texts = texts.iter().map(|(what, text)| (what.as_str(), text.as_str()));
        let found = |(what, text)| Some((String::from(what), secret_in(text)?));
        lines.chain(texts).filter_map(found).collect()
    }
}

/// A subscriber that shows what it is told as it comes.
impl Actor for Shown {
    type Context = Context<Self>;
}

impl Handler<Lifecycle> for Shown {
    type Result = ();

    fn handle(&mut self, told: Lifecycle, _: &mut Context<Self>) {
        self.debug("Lifecycle", &told);
        self.both("LifecycleEvent", &told.event);
    }
}

impl Handler<Received> for Shown {
    type Result = ();

    fn handle(&mut self, told: Received, _: &mut Context<Self>) {
        self.debug("Received", &told);
    }
}

impl Handler<ReceivedBatch> for Shown {
    type Result = ();

    fn handle(&mut self, told: ReceivedBatch, _: &mut Context<Self>) {
        self.debug("ReceivedBatch", &told);
    }
}
