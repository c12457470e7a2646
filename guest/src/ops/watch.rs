//! The operations on watchers: a stream of events, and watchers that are asked.

use serde_json::{json, Value};

use super::Call;
use crate::agent::Agent;
use crate::connection::{Served, Stop};
use crate::error::Failure;
use crate::fields::Fields;
use crate::frame::Outgoing;
use crate::race::{race, Either};
use crate::watch::{Watch, WatchOptions, WatcherId};

/// `watch`: events as they come, until the host goes or events are lost.
pub async fn watch(mut call: Call<'_>) -> Served {
    let watch = add(call.agent, &call.fields).await?;
    let streamed = stream(&mut call, &watch).await;
    call.agent.watching.remove(watch.id).await?;
    streamed
}

async fn stream(call: &mut Call<'_>, watch: &Watch) -> Served {
    call.writer.reply(&json!({})).await?;
    loop {
        if let Either::Right(closed) = race(watch.news.notified(), call.reader.closed()).await {
            return Err(closed.into());
        }
        let events = call.agent.watching.take(watch.id).await?;
        // Another ring may be for what was taken already.
        if !events.is_empty() {
            call.writer.text(Outgoing::Item, &list(&events)).await?;
        }
    }
}

/// `create-watcher`: one that lives on without its connection.
pub async fn create(call: Call<'_>) -> Served {
    let watch = add(call.agent, &call.fields).await?;
    let replied = call.writer.reply(&json!({ "watcherId": watch.id.to_text() })).await;
    if let Err(Stop::Closed) = replied {
        // Nobody knows of it.
        call.agent.watching.remove(watch.id).await?;
    }
    replied
}

/// `watcher-events`: what has happened since the last call, up to this moment.
pub async fn events(call: Call<'_>) -> Served {
    let id = WatcherId::parse(call.fields.string("watcherId")?)?;
    call.agent.watching.drain().await?;
    let events = call.agent.watching.take(id).await?;
    call.writer.text(Outgoing::Reply, &list(&events)).await
}

pub async fn remove(agent: &Agent, fields: &Fields) -> Result<Value, Failure> {
    let id = WatcherId::parse(fields.string("watcherId")?)?;
    agent.watching.remove(id).await?;
    Ok(json!({}))
}

async fn add(agent: &Agent, fields: &Fields) -> Result<Watch, Failure> {
    let path = fields.string("path")?.to_owned();
    let flag = |name| fields.opt_boolean(name).map(Option::unwrap_or_default);
    let options = WatchOptions {
        recursive: flag("recursive")?,
        include_entry: flag("includeEntry")?,
        allow_network_mounts: flag("allowNetworkMounts")?,
    };
    agent.watching.add(agent.subject(fields.opt_string("user")?), path, options).await
}

fn list(events: &str) -> String {
    format!("{{\"events\":[{}]}}", events)
}
