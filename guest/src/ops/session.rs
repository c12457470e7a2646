//! The unary operations on the agent itself.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{json, Value};

use crate::agent::{Agent, Settings};
use crate::error::{Code, Failure};
use crate::fields::Fields;
use crate::process::environment;
use crate::users::User;
use crate::{accounts, blocking, init, metrics as sampling, shutdown as stopping};

/// Version of the protocol in spec/guest.md.
const PROTOCOL: u32 = 1;
/// The longest grace that `shutdown` admits, in milliseconds.
const GRACE_MAX_MS: u64 = 60_000;
/// Year 9999, in milliseconds.
const CLOCK_MAX_MS: u64 = 253_402_300_799_000;

pub fn hello(agent: &Agent) -> Result<Value, Failure> {
    Ok(json!({
        "protocol": PROTOCOL,
        "version": env!("CARGO_PKG_VERSION"),
        "boot": agent.boot,
        "configured": agent.is_configured.get(),
        "processes": agent.table.count(),
    }))
}

/// All fields are checked, and what can fail is done, before anything else changes.
pub async fn configure(agent: &Agent, fields: &Fields) -> Result<Value, Failure> {
    let owned = |name| fields.opt_string(name).map(|text| text.map(str::to_owned));
    let settings = Settings {
        env: fields.opt_string_map("env")?.unwrap_or_default(),
        user: owned("user")?,
        workdir: owned("workdir")?,
        sandbox_id: owned("sandboxId")?,
        template_id: owned("templateId")?,
    };
    environment::check("env", &settings.env)?;
    environment::check("sandboxId or templateId", &settings.identity())?;
    let hostname = fields.opt_string("hostname")?;
    let clock = fields.opt_number("clockMs", 0, CLOCK_MAX_MS)?;
    let may_change_system = !agent.is_unprivileged();
    if let Some(hostname) = hostname {
        init::set_hostname(hostname, may_change_system)?;
    }
    if let Some(clock) = clock {
        init::set_clock(clock, may_change_system)?;
    }
    if may_change_system {
        let identity = settings.identity();
        blocking::run(move || init::write_identity_files(&identity)).await?;
    }
    agent.settings.replace(settings);
    agent.is_configured.set(true);
    Ok(json!({}))
}

/// Makes an account that is missing.
pub async fn ensure_user(agent: &Agent, fields: &Fields) -> Result<Value, Failure> {
    let name = fields.string("name")?.to_owned();
    let has_sudo = fields.opt_boolean("sudo")?.unwrap_or(false);
    if agent.is_unprivileged() {
        // Here every account has the agent's own id, and the files are this machine's.
        let failure = Failure::new(Code::FailedPrecondition, "Accounts can't be made without a sandbox of one's own.");
        return Err(failure);
    }
    let account = blocking::run(move || accounts::ensure(Path::new("/"), &name, has_sudo)).await?;
    let User { name, uid, gid, home, .. } = account.user;
    Ok(json!({ "user": name, "uid": uid, "gid": gid, "home": home, "created": account.is_new }))
}

pub async fn metrics(agent: &Agent) -> Result<Value, Failure> {
    let sample = blocking::run(|| Ok(sampling::sample())).await?;
    let used_percent = agent.cpu.borrow_mut().percent_since_last(&sample);
    Ok(sample.to_json(used_percent))
}

pub fn shutdown(agent: &Rc<Agent>, fields: &Fields) -> Result<Value, Failure> {
    let grace = fields.number("graceMs", 0, GRACE_MAX_MS)?;
    stopping::begin(agent, Duration::from_millis(grace));
    Ok(json!({}))
}
