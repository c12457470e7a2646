//! The unary operations on files.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::io::AsRawFd;
use std::path::Path;

use serde_json::{json, Value};

use crate::agent::{Actor, Agent};
use crate::blocking;
use crate::error::Failure;
use crate::fields::Fields;
use crate::files::entry::{describe, path_failure};
use crate::files::{dirs, remove as removal, rename as renaming};
use crate::users::Names;

pub async fn stat(agent: &Agent, fields: &Fields) -> Result<Value, Failure> {
    let path = fields.string("path")?.to_owned();
    let subject = agent.subject(fields.opt_string("user")?);
    subject.run(move |actor| entry_reply(&actor.resolve(&path)?)).await
}

pub async fn make_dir(agent: &Agent, fields: &Fields) -> Result<Value, Failure> {
    let path = fields.string("path")?.to_owned();
    let subject = agent.subject(fields.opt_string("user")?);
    let make = move |actor: &Actor| {
        let path = actor.resolve(&path)?;
        dirs::make(&path, actor)?;
        entry_reply(&path)
    };
    subject.run(make).await
}

pub async fn rename(agent: &Agent, fields: &Fields) -> Result<Value, Failure> {
    let source = fields.string("source")?.to_owned();
    let destination = fields.string("destination")?.to_owned();
    let subject = agent.subject(fields.opt_string("user")?);
    let rename = move |actor: &Actor| {
        let (source, destination) = (actor.resolve(&source)?, actor.resolve(&destination)?);
        let fail = |error: io::Error| path_failure("moved", &source, &error);
        // First, so that a wrong source leaves no directories behind.
        fs::symlink_metadata(&source).map_err(fail)?;
        dirs::make_parents(&destination, actor)?;
        renaming::rename(Path::new(&source), Path::new(&destination)).map_err(fail)?;
        entry_reply(&destination)
    };
    subject.run(rename).await
}

pub async fn remove(agent: &Agent, fields: &Fields) -> Result<Value, Failure> {
    let path = fields.string("path")?.to_owned();
    let subject = agent.subject(fields.opt_string("user")?);
    let remove = move |actor: &Actor| {
        let path = actor.resolve(&path)?;
        if is_root(&path) {
            return Err(Failure::invalid("The root directory can't be removed."));
        }
        // With a slash at its end a link would stand for what it points to.
        removal::remove(Path::new(path.trim_end_matches('/')))
            .map_err(|error| path_failure("removed", &path, &error))?;
        Ok(json!({}))
    };
    subject.run(remove).await
}

/// Returns once all that was written to the root file system is on its disk.
pub async fn sync() -> Result<Value, Failure> {
    let sync = || {
        let root = fs::File::open("/")?;
        match unsafe { libc::syncfs(root.as_raw_fd()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    blocking::run(move || sync().map_err(|error| Failure::from_io("The file system can't be written out", &error)))
        .await?;
    Ok(json!({}))
}

fn is_root(path: &str) -> bool {
    match (fs::symlink_metadata(path), fs::metadata("/")) {
        (Ok(path), Ok(root)) => (path.dev(), path.ino()) == (root.dev(), root.ino()),
        _ => false,
    }
}

fn entry_reply(path: &str) -> Result<Value, Failure> {
    let entry = describe(Path::new(path), path, &Names::load()).map_err(|error| path_failure("read", path, &error))?;
    Ok(json!({ "entry": entry }))
}
