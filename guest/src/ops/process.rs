//! The operations on running processes that carry none of their bytes.

use serde_json::{json, Value};

use super::exec::terminal_size;
use super::Call;
use crate::agent::Agent;
use crate::connection::Served;
use crate::error::Failure;
use crate::fields::Fields;
use crate::process::process::Process;
use crate::process::table::Selector;

/// One item for each, so that no number of them is too many for a frame.
pub async fn list(call: Call<'_>) -> Served {
    call.writer.reply(&json!({})).await?;
    for process in call.agent.table.list() {
        call.writer.item(&json!({ "process": describe(&process) })).await?;
    }
    call.writer.end(&json!({})).await
}

fn describe(process: &Process) -> Value {
    let config = &process.config;
    let mut value = json!({ "pid": process.pid, "cmd": config.cmd, "args": config.args, "env": config.env });
    if let Some(cwd) = &config.cwd {
        value["cwd"] = cwd.as_str().into();
    }
    if let Some(tag) = &config.tag {
        value["tag"] = tag.as_str().into();
    }
    value
}

pub fn close_input(agent: &Agent, fields: &Fields) -> Result<Value, Failure> {
    let process = agent.table.find_running(&Selector::from_fields(fields)?)?;
    process.close_stdin()?;
    Ok(json!({}))
}

/// Answers a SIGKILL when the processes have gone.
pub async fn signal(agent: &Agent, fields: &Fields) -> Result<Value, Failure> {
    let process = agent.table.find_running(&Selector::from_fields(fields)?)?;
    match fields.number("signal", 1, 64)? as i32 {
        libc::SIGKILL => {
            process.kill();
            process.killed().await;
        }
        libc::SIGTERM => process.terminate(),
        _ => return Err(Failure::invalid("The field 'signal' must be 9 or 15.")),
    }
    Ok(json!({}))
}

pub fn resize(agent: &Agent, fields: &Fields) -> Result<Value, Failure> {
    let process = agent.table.find_running(&Selector::from_fields(fields)?)?;
    process.resize(terminal_size(fields)?)?;
    Ok(json!({}))
}
