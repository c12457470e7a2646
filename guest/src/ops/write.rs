//! `write`: bytes from the host to a file. What arrives first is collected, so that a small file is one write(2) and
//! nothing at all when the host goes before it was complete.

use serde_json::json;

use super::Call;
use crate::blocking;
use crate::connection::{Reader, Served};
use crate::error::Failure;
use crate::fields::StringMap;
use crate::files::target::Target;
use crate::frame::{Incoming, BYTES_MAX_BYTES};

/// Longest name and longest set of metadata (e2b-wire 3.5).
const METADATA_NAME_MAX_BYTES: usize = 246;
const METADATA_MAX_BYTES: usize = 4096;

pub async fn write(mut call: Call<'_>) -> Served {
    let path = call.fields.string("path")?.to_owned();
    let metadata = call.fields.opt_string_map("metadata")?.unwrap_or_default();
    check_metadata(&metadata)?;
    let subject = call.agent.subject(call.fields.opt_string("user")?);

    let (first, mut is_complete) = collect(&mut call.reader).await?;
    let open = move |actor: &crate::agent::Actor| {
        let mut target = Target::open(actor.resolve(&path)?, &metadata, actor)?;
        if !first.is_empty() {
            target.write(&first)?;
        }
        Ok(target)
    };
    let mut target = subject.run(open).await?;
    call.writer.reply(&json!({ "path": target.path() })).await?;

    while !is_complete {
        let (bytes, is_last) = collect(&mut call.reader).await?;
        is_complete = is_last;
        target = blocking::run(move || {
            target.write(&bytes)?;
            Ok(target)
        })
        .await?;
    }
    let entry = blocking::run(move || target.describe()).await?;
    call.writer.end(&json!({ "entry": entry })).await
}

/// Gathers input until it is a frame's worth or the last. Returns whether it is the last.
async fn collect(reader: &mut Reader<'_>) -> Result<(Vec<u8>, bool), crate::connection::Closed> {
    let mut bytes = Vec::new();
    while bytes.len() < BYTES_MAX_BYTES {
        let frame = reader.next(&[Incoming::Input, Incoming::Eof]).await?;
        if frame.kind == Incoming::Eof {
            return Ok((bytes, true));
        }
        if bytes.is_empty() {
            bytes = frame.payload;
        } else {
            bytes.extend_from_slice(&frame.payload);
        }
    }
    Ok((bytes, false))
}

fn check_metadata(metadata: &StringMap) -> Result<(), Failure> {
    let total: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    let is_name_wrong = |name: &String| name.is_empty() || name.len() > METADATA_NAME_MAX_BYTES || name.contains('\0');
    if metadata.keys().any(is_name_wrong) {
        let message = format!("Metadata names have 1 to {} bytes, none of them zero.", METADATA_NAME_MAX_BYTES);
        return Err(Failure::invalid(message));
    }
    if total > METADATA_MAX_BYTES {
        return Err(Failure::invalid(format!("Metadata can't be longer than {} bytes in all.", METADATA_MAX_BYTES)));
    }
    Ok(())
}
