//! `input`: bytes from the host to a process.

use serde_json::json;

use super::Call;
use crate::connection::{Reader, Served, Stop};
use crate::error::Failure;
use crate::frame::{Frame, Incoming};
use crate::process::process::{InputKind, Process};
use crate::process::table::Selector;
use crate::race::{race, Either};

const ADMITTED: [Incoming; 2] = [Incoming::Input, Incoming::Eof];

pub async fn input(mut call: Call<'_>) -> Served {
    let process = call.agent.table.find_running(&Selector::from_fields(&call.fields)?)?;
    let kind = match call.fields.string("kind")? {
        "stdin" => InputKind::Stdin,
        "pty" => InputKind::Pty,
        _ => return Err(Failure::invalid("The field 'kind' must be 'stdin' or 'pty'.").into()),
    };
    process.check_input(kind)?;
    call.writer.reply(&json!({})).await?;

    let mut written = 0;
    let mut frame = call.reader.next(&ADMITTED).await?;
    while frame.kind == Incoming::Input {
        written += frame.payload.len();
        frame = write(&process, kind, &frame.payload, &mut call.reader).await?;
    }
    call.writer.end(&json!({ "bytes": written })).await
}

/// Writes one piece and returns the next frame. That is awaited meanwhile, so that a host that goes away while the
/// process doesn't read ends the write.
async fn write(process: &Process, kind: InputKind, bytes: &[u8], reader: &mut Reader<'_>) -> Result<Frame, Stop> {
    let write = process.write_input(kind, bytes);
    tokio::pin!(write);
    match race(&mut write, reader.next(&ADMITTED)).await {
        Either::Left(written) => written?,
        Either::Right(next) => {
            let next = next?;
            write.await?;
            return Ok(next);
        }
    }
    Ok(reader.next(&ADMITTED).await?)
}
