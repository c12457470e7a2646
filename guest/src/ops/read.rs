//! `read`: the bytes of a file.

use serde_json::json;

use super::Call;
use crate::blocking;
use crate::connection::Served;
use crate::files::source::Source;
use crate::frame::Outgoing;

pub async fn read(call: Call<'_>) -> Served {
    let path = call.fields.string("path")?.to_owned();
    let offset = call.fields.opt_number("offset", 0, i64::MAX as u64)?.unwrap_or(0);
    let length = call.fields.opt_number("length", 0, u64::MAX)?;
    let subject = call.agent.subject(call.fields.opt_string("user")?);
    let open = move |actor: &crate::agent::Actor| {
        let (mut source, entry) = Source::open(actor.resolve(&path)?, offset, length)?;
        let mut bytes = Vec::new();
        source.next(&mut bytes)?;
        Ok((source, entry, bytes))
    };
    let (mut source, entry, mut bytes) = subject.run(open).await?;
    call.writer.reply(&json!({ "entry": entry, "hasSize": source.has_size(&bytes) })).await?;

    let mut total = 0;
    while !bytes.is_empty() {
        call.writer.bytes(Outgoing::Data, &bytes).await?;
        total += bytes.len();
        let step = move || {
            source.next(&mut bytes)?;
            Ok((source, bytes))
        };
        let (rest, next) = blocking::run(step).await?;
        source = rest;
        bytes = next;
    }
    call.writer.end(&json!({ "bytes": total })).await
}
