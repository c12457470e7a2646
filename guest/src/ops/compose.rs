//! `compose`: several files become one.

use serde_json::json;

use super::Call;
use crate::agent::Actor;
use crate::blocking;
use crate::connection::Served;
use crate::error::Failure;
use crate::files::compose::Composition;
use crate::race::{race, Either};

/// Sources of one composition, at most.
const SOURCES_MAX: usize = 1000;

pub async fn compose(mut call: Call<'_>) -> Served {
    let sources = call.fields.strings("sources")?;
    let destination = call.fields.string("destination")?.to_owned();
    if sources.is_empty() || sources.len() > SOURCES_MAX {
        return Err(Failure::invalid(format!("The field 'sources' must have 1 to {} paths.", SOURCES_MAX)).into());
    }
    let subject = call.agent.subject(call.fields.opt_string("user")?);
    let begin = move |actor: &Actor| {
        let sources = sources.iter().map(|source| actor.resolve(source)).collect::<Result<Vec<_>, _>>()?;
        Composition::begin(sources, actor.resolve(&destination)?, actor)
    };
    let mut composition = subject.run(begin).await?;
    loop {
        let step = blocking::run(move || {
            let mut composition = composition;
            let is_complete = composition.copy_some()?;
            Ok((composition, is_complete))
        });
        // When the host goes, what has been copied goes with it.
        let is_complete = match race(step, call.reader.closed()).await {
            Either::Left(step) => {
                let (rest, is_complete) = step?;
                composition = rest;
                is_complete
            }
            Either::Right(closed) => return Err(closed.into()),
        };
        if is_complete {
            break;
        }
    }
    let entry = blocking::run(move || composition.finish()).await?;
    call.writer.reply(&json!({ "entry": entry })).await
}
