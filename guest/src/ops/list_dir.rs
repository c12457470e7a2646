//! `list-dir`: a walk, one batch at a time, at the pace of the host.

use serde_json::json;

use super::Call;
use crate::blocking;
use crate::connection::Served;
use crate::files::list::Walk;
use crate::race::{race, Either};

pub async fn list_dir(mut call: Call<'_>) -> Served {
    let path = call.fields.string("path")?.to_owned();
    let depth = call.fields.number("depth", 1, u64::MAX)?;
    let subject = call.agent.subject(call.fields.opt_string("user")?);
    let mut walk = subject.run(move |actor| Walk::start(&actor.resolve(&path)?, depth)).await?;
    call.writer.reply(&json!({})).await?;
    loop {
        let step = blocking::run(move || {
            let batch = walk.next_batch()?;
            Ok((walk, batch))
        });
        let (rest, batch) = match race(step, call.reader.closed()).await {
            Either::Left(step) => step?,
            Either::Right(closed) => return Err(closed.into()),
        };
        if batch.is_empty() {
            return call.writer.end(&json!({})).await;
        }
        call.writer.item(&json!({ "entries": batch })).await?;
        walk = rest;
    }
}
