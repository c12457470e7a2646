//! `attach`: streams what a process says from now on.

use serde_json::json;
use tokio::sync::mpsc;

use super::Call;
use crate::connection::Served;
use crate::process::output::Event;
use crate::process::table::{Found, Selector};
use crate::race::{race, Either};

pub async fn attach(call: Call<'_>) -> Served {
    match call.agent.table.find(&Selector::from_fields(&call.fields)?)? {
        Found::Running(process) => {
            let events = process.output.subscribe();
            stream_events(call, process.pid, events).await
        }
        Found::Ended { pid, end } => {
            call.writer.reply(&json!({ "pid": pid })).await?;
            call.writer.end(&end.to_json()).await
        }
    }
}

/// Answers with the pid, then sends events until the end or until the host has gone.
pub async fn stream_events(mut call: Call<'_>, pid: u32, mut events: mpsc::Receiver<Event>) -> Served {
    call.writer.reply(&json!({ "pid": pid })).await?;
    loop {
        match race(events.recv(), call.reader.closed()).await {
            Either::Left(Some(Event::Bytes(kind, bytes))) => call.writer.bytes(kind, &bytes).await?,
            Either::Left(Some(Event::End(end))) => return call.writer.end(&end.to_json()).await,
            Either::Left(None) => return Ok(()),
            Either::Right(closed) => return Err(closed.into()),
        }
    }
}
