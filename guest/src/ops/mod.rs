//! The operations, one function each: read the fields, do it, answer.

mod attach;
mod compose;
mod dial;
mod exec;
mod files;
mod input;
mod list_dir;
mod process;
mod read;
mod session;
mod unpack;
mod watch;
mod write;

use std::rc::Rc;

use crate::agent::Agent;
use crate::connection::{Reader, Served, Writer};
use crate::error::{Code, Failure};
use crate::fields::Fields;
use crate::stream::Stream;

/// What an operation gets.
pub struct Call<'a> {
    pub agent: &'a Rc<Agent>,
    pub fields: Fields,
    pub stream: &'a Stream,
    pub reader: Reader<'a>,
    pub writer: Writer<'a>,
}

/// Those that touch no file, and those that read the system's events themselves.
const UNSETTLED: [&str; 7] =
    ["hello", "metrics", "shutdown", "watch", "create-watcher", "watcher-events", "remove-watcher"];

/// Serves one request until its connection has nothing more to say.
pub async fn serve(call: Call<'_>) -> Served {
    let op = call.fields.string("op")?.to_owned();
    if !UNSETTLED.contains(&op.as_str()) {
        // What this request changes in a directory that an earlier one made must be seen (e2b-wire 8.37).
        call.agent.watching.settle().await;
    }
    match op.as_str() {
        "exec" => exec::exec(call).await,
        "attach" => attach::attach(call).await,
        "list" => process::list(call).await,
        "input" => input::input(call).await,
        "list-dir" => list_dir::list_dir(call).await,
        "read" => read::read(call).await,
        "write" => write::write(call).await,
        "unpack" => unpack::unpack(call).await,
        "compose" => compose::compose(call).await,
        "watch" => watch::watch(call).await,
        "create-watcher" => watch::create(call).await,
        "watcher-events" => watch::events(call).await,
        "dial" => dial::dial(call).await,
        op => {
            let reply = unary(op, call.agent, &call.fields).await?;
            call.writer.reply(&reply).await
        }
    }
}

async fn unary(op: &str, agent: &Rc<Agent>, fields: &Fields) -> Result<serde_json::Value, Failure> {
    match op {
        "hello" => session::hello(agent),
        "configure" => session::configure(agent, fields).await,
        "metrics" => session::metrics(agent).await,
        "shutdown" => session::shutdown(agent, fields),
        "close-input" => process::close_input(agent, fields),
        "signal" => process::signal(agent, fields).await,
        "resize" => process::resize(agent, fields),
        "stat" => files::stat(agent, fields).await,
        "make-dir" => files::make_dir(agent, fields).await,
        "move" => files::rename(agent, fields).await,
        "remove" => files::remove(agent, fields).await,
        "remove-watcher" => watch::remove(agent, fields).await,
        "ensure-user" => session::ensure_user(agent, fields).await,
        "sync" => files::sync().await,
        _ => Err(Failure::new(Code::Unimplemented, format!("The agent has no operation '{}'.", op))),
    }
}
