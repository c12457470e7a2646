//! The unary operations on running processes.

use serde_json::{json, Value};

use super::exec::terminal_size;
use crate::agent::Agent;
use crate::error::Failure;
use crate::fields::Fields;
use crate::process::process::Process;
use crate::process::table::Selector;

pub fn list(agent: &Agent) -> Result<Value, Failure> {
    let processes: Vec<Value> = agent.table.list().iter().map(|process| describe(process)).collect();
    Ok(json!({ "processes": processes }))
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

pub async fn close_input(agent: &Agent, fields: &Fields) -> Result<Value, Failure> {
    let process = agent.table.find_running(&Selector::from_fields(fields)?)?;
    process.close_stdin().await?;
    Ok(json!({}))
}

pub fn signal(agent: &Agent, fields: &Fields) -> Result<Value, Failure> {
    let process = agent.table.find_running(&Selector::from_fields(fields)?)?;
    match fields.number("signal", 1, 64)? as i32 {
        signal @ (libc::SIGKILL | libc::SIGTERM) => process.kill(signal),
        _ => return Err(Failure::invalid("The field 'signal' must be 9 or 15.")),
    }
    Ok(json!({}))
}

pub fn resize(agent: &Agent, fields: &Fields) -> Result<Value, Failure> {
    let process = agent.table.find_running(&Selector::from_fields(fields)?)?;
    process.resize(terminal_size(fields)?)?;
    Ok(json!({}))
}
