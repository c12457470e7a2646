//! `write`: bytes from the host to a file. What arrives first is collected, so that a small file is one write(2) and
//! nothing at all when the host goes before it was complete.

use serde_json::json;

use super::Call;
use crate::blocking;
use crate::connection::Served;
use crate::error::Failure;
use crate::fields::StringMap;
use crate::files::target::Target;
use crate::frame::BYTES_MAX_BYTES;

/// Longest name and longest set of metadata (e2b-wire 3.5).
const METADATA_NAME_MAX_BYTES: usize = 246;
const METADATA_MAX_BYTES: usize = 4096;

pub async fn write(mut call: Call<'_>) -> Served {
    let path = call.fields.string("path")?.to_owned();
    let metadata = call.fields.opt_string_map("metadata")?.unwrap_or_default();
    check_metadata(&metadata)?;
    let subject = call.agent.subject(call.fields.opt_string("user")?);

    let mut batch = Vec::new();
    let mut is_complete = call.reader.gather(&mut batch, BYTES_MAX_BYTES).await?;
    let open = move |actor: &crate::agent::Actor| {
        let mut target = Target::open(actor.resolve(&path)?, &metadata, actor)?;
        if !batch.is_empty() {
            target.write(&batch)?;
        }
        Ok((target, batch))
    };
    let (mut target, mut batch) = subject.run(open).await?;
    call.writer.reply(&json!({ "path": target.path() })).await?;

    while !is_complete {
        batch.clear();
        is_complete = call.reader.gather(&mut batch, BYTES_MAX_BYTES).await?;
        let step = move || {
            target.write(&batch)?;
            Ok((target, batch))
        };
        (target, batch) = blocking::run(step).await?;
    }
    let entry = blocking::run(move || target.describe()).await?;
    call.writer.end(&json!({ "entry": entry })).await
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
