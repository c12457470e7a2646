//! `exec`: starts a process and streams what it says.

use std::collections::VecDeque;
use std::ffi::CString;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::attach::stream_events;
use super::Call;
use crate::agent::{Actor, Agent};
use crate::connection::Served;
use crate::error::{Code, Failure};
use crate::fields::{Fields, StringMap};
use crate::process::child::{Credentials, Plan, PlanParts};
use crate::process::environment;
use crate::process::fds::TerminalSize;
use crate::process::output::Event;
use crate::process::process::{Config, Process};
use crate::process::replay::{self, Past, Ring};
use crate::process::spawn::{spawn, wire, Wiring};
use crate::process::tree::Tree;

/// Tags are kept for a while after their process has gone, so they are short.
const TAG_MAX_BYTES: usize = 1024;
/// About a hundred years; more is the same as no timeout.
const TIMEOUT_MAX_MS: u64 = 100 * 365 * 86_400_000;

/// The request as it came.
struct Request {
    config: Config,
    user: Option<String>,
    has_stdin: bool,
    terminal: Option<TerminalSize>,
    timeout: Option<Duration>,
    /// Bytes of output to keep
    replay_bytes: usize,
}

pub async fn exec(call: Call<'_>) -> Served {
    let request = parse(&call.fields)?;
    let (pid, events) = start(call.agent, request).await?;
    stream_events(call, pid, Past { from: 0, pieces: VecDeque::new() }, events).await
}

fn parse(fields: &Fields) -> Result<Request, Failure> {
    let env = fields.opt_string_map("env")?.unwrap_or_default();
    environment::check("env", &env)?;
    let config = Config {
        cmd: fields.string("cmd")?.to_owned(),
        args: fields.strings("args")?,
        env,
        cwd: fields.opt_string("cwd")?.map(str::to_owned),
        tag: fields.opt_string("tag")?.map(str::to_owned),
    };
    if config.tag.as_ref().map_or(false, |tag| tag.len() > TAG_MAX_BYTES) {
        return Err(Failure::invalid(format!("A tag can't be longer than {} bytes.", TAG_MAX_BYTES)));
    }
    Ok(Request {
        config,
        user: fields.opt_string("user")?.map(str::to_owned),
        has_stdin: fields.boolean("stdin")?,
        terminal: fields.opt_object("pty")?.map(|size| terminal_size(&size)).transpose()?,
        timeout: fields.opt_number("timeoutMs", 0, TIMEOUT_MAX_MS)?.map(Duration::from_millis),
        replay_bytes: fields
            .opt_number("replayBytes", 0, replay::MAX_BYTES as u64)?
            .map_or(replay::DEFAULT_BYTES, |bytes| bytes as usize),
    })
}

/// Reads `cols` and `rows`; 0 is what terminals say that don't know their size. Errors: `invalid_argument`.
pub fn terminal_size(fields: &Fields) -> Result<TerminalSize, Failure> {
    let side = |name| fields.number(name, 0, u16::MAX.into()).map(|side| side as u16);
    Ok(TerminalSize { cols: side("cols")?, rows: side("rows")? })
}

async fn start(agent: &Rc<Agent>, request: Request) -> Result<(u32, mpsc::Receiver<Event>), Failure> {
    if agent.is_stopping.get() {
        return Err(Failure::new(Code::Unavailable, "The sandbox is shutting down."));
    }
    let starting = agent.table.start()?;
    let wiring = match request.terminal {
        Some(size) => Wiring::Terminal(size),
        None => Wiring::Pipes { stdin: request.has_stdin },
    };
    let (agent_ends, child_ends) = wire(wiring).map_err(|error| start_failure(&error))?;
    let (config, context) = (request.config, Context::of(agent));
    let exits = Arc::clone(&agent.table.exits);
    let (pid, supervisor, config) = agent
        .subject(request.user.as_deref())
        .run(move |actor| {
            let plan = plan(context, &config, actor)?;
            let (pid, supervisor) = spawn(plan, child_ends, exits).map_err(|error| start_failure(&error))?;
            Ok((pid, supervisor, config))
        })
        .await?;

    let ring = Ring::new(&agent.table.keeper, request.replay_bytes);
    let (process, sources) = Process::new(pid, config, agent_ends, Tree::new(supervisor.pid), ring);
    let events = process.output.subscribe();
    agent.table.insert(Rc::clone(&process), supervisor);
    drop(starting);
    let (table, timeout) = (Rc::clone(&agent.table), request.timeout);
    tokio::task::spawn_local(async move {
        let end = process.supervise(sources, timeout).await;
        table.end(&process, end);
    });
    Ok((pid, events))
}

fn start_failure(error: &io::Error) -> Failure {
    let failure = Failure::from_io("The command can't be started", error);
    match error.raw_os_error() {
        // Too many processes.
        Some(libc::EAGAIN) => Failure { code: Code::ResourceExhausted, ..failure },
        _ => failure,
    }
}

/// What a process gets from the agent's settings; plain data, to take beside the event loop.
struct Context {
    identity: StringMap,
    env: StringMap,
    switches_user: bool,
    nofile: Option<libc::rlimit>,
}

impl Context {
    fn of(agent: &Agent) -> Context {
        let settings = agent.settings.borrow();
        Context {
            identity: settings.identity(),
            env: settings.env.clone(),
            switches_user: !agent.is_unprivileged(),
            nofile: agent.nofile,
        }
    }
}

fn plan(context: Context, config: &Config, actor: &Actor) -> Result<Plan, Failure> {
    let cwd = find_cwd(actor, config.cwd.as_deref())?;
    let env = environment::compose(&actor.user, &[&context.identity, &context.env, &config.env]);
    Ok(Plan::new(PlanParts {
        cmd: c_string("cmd", config.cmd.as_str())?,
        args: config.args.iter().map(|arg| c_string("args", arg.as_str())).collect::<Result<_, _>>()?,
        candidates: environment::candidates(&config.cmd, &env),
        env: pairs(&env)?,
        cwd: c_string("cwd", cwd)?,
        credentials: if context.switches_user { Some(Credentials::from(&actor.user)) } else { None },
        nofile: context.nofile,
    }))
}

/// The directory to start in. Errors: `invalid_argument`.
fn find_cwd(actor: &Actor, asked: Option<&str>) -> Result<String, Failure> {
    let asked = asked.unwrap_or("");
    let cwd = actor.resolve(asked)?;
    let is_directory = std::fs::metadata(&cwd).map_or(false, |metadata| metadata.is_dir());
    if is_directory {
        return Ok(cwd);
    }
    if asked.is_empty() && actor.workdir.is_none() {
        // A user without a home starts at the root, as at a login.
        return Ok("/".to_owned());
    }
    Err(Failure::invalid(format!("cwd '{}' does not exist", cwd)))
}

fn pairs(env: &StringMap) -> Result<Vec<CString>, Failure> {
    env.iter().map(|(name, value)| c_string("env", format!("{}={}", name, value))).collect()
}

fn c_string(field: &str, text: impl Into<Vec<u8>>) -> Result<CString, Failure> {
    CString::new(text).map_err(|_| Failure::invalid(format!("The field '{}' can't contain a zero byte.", field)))
}
