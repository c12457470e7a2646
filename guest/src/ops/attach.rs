//! `attach`: streams what a process says from now on and, where that is asked for, what it said before.

use serde_json::json;
use tokio::sync::mpsc;

use super::Call;
use crate::connection::Served;
use crate::error::Failure;
use crate::fields::Fields;
use crate::process::output::Event;
use crate::process::replay::{Past, Ring};
use crate::process::table::{Found, Selector};
use crate::race::{race, Either};

pub async fn attach(call: Call<'_>) -> Served {
    let wanted = Wanted::from_fields(&call.fields)?;
    match call.agent.table.find(&Selector::from_fields(&call.fields)?)? {
        Found::Running(process) => {
            let past = wanted.of(&process.output.ring)?;
            // In the same moment, so that nothing comes twice or not at all.
            let events = process.output.subscribe();
            stream_events(call, process.pid, past, events).await
        }
        Found::Ended { pid, end, ring } => {
            begin(&call, pid, wanted.of(&ring)?).await?;
            call.writer.end(&end.to_json()).await
        }
    }
}

/// What the host wants of what was said before.
enum Wanted {
    Nothing,
    /// All that is kept or, of that, what is at this offset and later
    Past(Option<u64>),
}

impl Wanted {
    /// Errors: `invalid_argument`.
    fn from_fields(fields: &Fields) -> Result<Wanted, Failure> {
        let since = fields.opt_number("since", 0, u64::MAX)?;
        match fields.opt_boolean("replay")?.unwrap_or(false) {
            true => Ok(Wanted::Past(since)),
            false if since.is_some() => Err(Failure::invalid("The field 'since' is only for a replay.")),
            false => Ok(Wanted::Nothing),
        }
    }

    /// Errors: `invalid_argument`.
    fn of(&self, ring: &Ring) -> Result<Past, Failure> {
        match self {
            Wanted::Nothing => Ok(ring.present()),
            Wanted::Past(since) => ring.past(*since),
        }
    }
}

/// Answers with the pid and sends what was said before.
async fn begin(call: &Call<'_>, pid: u32, past: Past) -> Served {
    call.writer.reply(&json!({ "pid": pid, "replayFrom": past.from })).await?;
    for piece in past.pieces {
        call.writer.bytes(piece.kind, &piece.bytes).await?;
    }
    Ok(())
}

/// Answers with the pid, then sends what was said before, then events until the end or until the host has gone.
pub async fn stream_events(mut call: Call<'_>, pid: u32, past: Past, mut events: mpsc::Receiver<Event>) -> Served {
    begin(&call, pid, past).await?;
    loop {
        match race(events.recv(), call.reader.closed()).await {
            Either::Left(Some(Event::Bytes(kind, bytes))) => call.writer.bytes(kind, &bytes).await?,
            Either::Left(Some(Event::End(end))) => return call.writer.end(&end.to_json()).await,
            Either::Left(None) => return Ok(()),
            Either::Right(closed) => return Err(closed.into()),
        }
    }
}
