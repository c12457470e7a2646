//! What a request asks for, checked field by field before anything is done.

use serde_json::{json, Value};

use crate::error::{Code, Failure};
use crate::fields::Fields;
use crate::layers::Lasting;
use crate::names::{Layer, Sandbox, Upload};
use crate::net::{Egress, Settings};

/// Names in a page, which fit a message by far.
const PAGE_MAX: usize = 4096;
/// Overlay mounts take 500 lower directories.
const LAYERS_MAX: usize = 500;
const NOTE_MAX_BYTES: usize = 4096;
const CPUS_MAX: f64 = 1024.0;
/// The least that an agent and a shell need.
const MEMORY_MIN_MB: u64 = 16;
const MEMORY_MAX_MB: u64 = 1 << 24;
const DISK_MAX_MB: u64 = 1 << 30;
/// Linux's own most
const PIDS_MAX: u64 = 1 << 22;

/// An operation on one sandbox, whose lane it takes.
#[derive(Debug)]
pub enum GuestOp {
    Start { spec: Spec, egress: Egress },
    Boot { egress: Egress },
    Freeze,
    Thaw { egress: Option<Egress> },
    Stop,
    Kill,
    SetEgress { egress: Egress },
    Stats,
    Find,
    Snapshot { layer: Layer, lasting: Lasting },
}

/// An operation on layers.
#[derive(Debug)]
pub enum LayerOp {
    Unpack { upload: Upload, layer: Layer },
    Flatten { layers: Vec<Layer>, layer: Layer },
    Remove { layer: Layer },
    List(Page),
    Share { layer: Layer },
    Adopt { layer: Layer },
    RemoveShared { layer: Layer },
    ListShared(Page),
}

#[derive(Debug)]
pub enum Op {
    Hello { protocol: u64 },
    Cancel { of: u64 },
    Prepare { settings: Settings },
    Guest { sandbox: Sandbox, op: GuestOp },
    Layers(LayerOp),
    List(Page),
    Watch,
    End,
}

/// Which names of a list are asked for.
#[derive(Debug)]
pub struct Page {
    /// Those that sort behind it
    pub after: Option<String>,
    /// So many at most; without it all
    pub limit: Option<usize>,
}

/// What keeps a guest apart from the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Name spaces of the machine's kernel
    Native,
    /// A kernel of its own, gVisor's
    Gvisor,
}

/// What a guest is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    pub isolation: Isolation,
    /// Lowest first
    pub layers: Vec<Layer>,
    pub hostname: String,
    pub cpu_count: f64,
    pub memory_mb: u64,
    pub disk_mb: u64,
    pub pids: u32,
    /// The server's own, given back by `find`
    pub note: String,
}

/// The id of a message, and what it asks for. Without an id there is no reply: the outer failure ends the connection.
pub fn parse(payload: &[u8]) -> Result<(u64, Result<Op, Failure>), Failure> {
    let mut fields = Fields::parse(payload)?;
    let id = fields.number("id", 0, u64::MAX)?;
    Ok((id, parse_op(fields)))
}

fn parse_op(mut fields: Fields) -> Result<Op, Failure> {
    let name = fields.string("op")?;
    let op = match name.as_str() {
        "hello" => Op::Hello { protocol: fields.number("protocol", 0, u64::MAX)? },
        "cancel" => Op::Cancel { of: fields.number("of", 0, u64::MAX)? },
        "prepare" => Op::Prepare { settings: Settings::parse(&fields.value("network")?)? },
        "list" => Op::List(Page::take(&mut fields)?),
        "watch" => Op::Watch,
        "end" => Op::End,
        _ => match layer_op(&name, &mut fields)? {
            Some(op) => Op::Layers(op),
            None => guest_op(&name, &mut fields)?,
        },
    };
    fields.end()?;
    Ok(op)
}

fn layer_op(name: &str, fields: &mut Fields) -> Result<Option<LayerOp>, Failure> {
    Ok(Some(match name {
        "unpack" => {
            if fields.string("format")? != "tar" {
                return Err(Failure::new(Code::Unimplemented, "The only format that is unpacked is 'tar'."));
            }
            LayerOp::Unpack { upload: Upload::parse(&fields.string("upload")?)?, layer: layer(fields)? }
        }
        "flatten" => LayerOp::Flatten { layers: layers(fields)?, layer: layer(fields)? },
        "remove-layer" => LayerOp::Remove { layer: layer(fields)? },
        "layers" => LayerOp::List(Page::take(fields)?),
        "share" => LayerOp::Share { layer: layer(fields)? },
        "adopt" => LayerOp::Adopt { layer: layer(fields)? },
        "remove-shared" => LayerOp::RemoveShared { layer: layer(fields)? },
        "shared-layers" => LayerOp::ListShared(Page::take(fields)?),
        _ => return Ok(None),
    }))
}

fn guest_op(name: &str, fields: &mut Fields) -> Result<Op, Failure> {
    let known = ["start", "boot", "freeze", "thaw", "stop", "kill", "set-egress", "stats", "find", "snapshot"];
    if !known.contains(&name) {
        return Err(Failure::new(Code::Unimplemented, format!("There is no operation '{}'.", name)));
    }
    let sandbox = Sandbox::parse(&fields.string("sandbox")?)?;
    let op = match name {
        "start" => GuestOp::Start { spec: Spec::take(fields)?, egress: egress(fields)? },
        "boot" => GuestOp::Boot { egress: egress(fields)? },
        "freeze" => GuestOp::Freeze,
        "thaw" => GuestOp::Thaw { egress: opt_egress(fields)? },
        "stop" => GuestOp::Stop,
        "kill" => GuestOp::Kill,
        "set-egress" => GuestOp::SetEgress { egress: egress(fields)? },
        "stats" => GuestOp::Stats,
        "find" => GuestOp::Find,
        _ => GuestOp::Snapshot {
            layer: layer(fields)?,
            lasting: if fields.opt_bool("brief")?.unwrap_or(false) { Lasting::Soon } else { Lasting::Now },
        },
    };
    Ok(Op::Guest { sandbox, op })
}

impl Page {
    fn take(fields: &mut Fields) -> Result<Page, Failure> {
        Ok(Page {
            after: fields.opt_string("after")?,
            limit: fields.opt_number("limit", 1, PAGE_MAX as u64)?.map(|limit| limit as usize),
        })
    }

    /// The reply: `{<field>: names, "more": whether there are others behind}`.
    pub fn of(&self, field: &str, mut names: Vec<String>) -> Value {
        names.sort_unstable();
        let from = self.after.as_ref().map_or(0, |after| names.partition_point(|name| name <= after));
        let limit = self.limit.unwrap_or(usize::MAX);
        let more = names.len() - from > limit;
        let page: Vec<String> = names.into_iter().skip(from).take(limit).collect();
        json!({ field: page, "more": more })
    }
}

impl Spec {
    /// Takes a spec's fields out of a request, or out of a record.
    pub fn take(fields: &mut Fields) -> Result<Spec, Failure> {
        Ok(Spec {
            isolation: isolation(fields)?,
            layers: layers(fields)?,
            hostname: hostname(fields.string("hostname")?)?,
            cpu_count: fields.positive("cpuCount", CPUS_MAX)?,
            memory_mb: fields.number("memoryMb", MEMORY_MIN_MB, MEMORY_MAX_MB)?,
            disk_mb: fields.number("diskMb", 0, DISK_MAX_MB)?,
            pids: fields.number("pids", 1, PIDS_MAX)? as u32,
            note: note(fields.opt_string("note")?.unwrap_or_default())?,
        })
    }
}

fn isolation(fields: &mut Fields) -> Result<Isolation, Failure> {
    match fields.opt_string("isolation")?.as_deref() {
        None | Some("native") => Ok(Isolation::Native),
        Some("gvisor") => Ok(Isolation::Gvisor),
        Some(_) => Err(Failure::invalid("The field 'isolation' must be 'native' or 'gvisor'.")),
    }
}

/// Letters, digits, dashes and dots, of which the last two don't come first or last: it becomes a line of files.
fn hostname(text: String) -> Result<String, Failure> {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let is_edge = |byte: Option<u8>| byte.map_or(false, |byte| byte.is_ascii_alphanumeric());
    let fits =
        text.len() <= 63 && text.bytes().all(is_inner) && is_edge(text.bytes().next()) && is_edge(text.bytes().last());
    match fits {
        true => Ok(text),
        false => Err(Failure::invalid("The field 'hostname' must be 1 to 63 letters, digits, dashes and dots.")),
    }
}

fn note(text: String) -> Result<String, Failure> {
    match text.len() <= NOTE_MAX_BYTES {
        true => Ok(text),
        false => Err(Failure::invalid(format!("The field 'note' may have {} bytes.", NOTE_MAX_BYTES))),
    }
}

/// `open` or `closed`.
pub fn egress(fields: &mut Fields) -> Result<Egress, Failure> {
    egress_of(&fields.string("egress")?)
}

fn opt_egress(fields: &mut Fields) -> Result<Option<Egress>, Failure> {
    fields.opt_string("egress")?.as_deref().map(egress_of).transpose()
}

fn egress_of(text: &str) -> Result<Egress, Failure> {
    match text {
        "open" => Ok(Egress::Open),
        "closed" => Ok(Egress::Closed),
        _ => Err(Failure::invalid("The field 'egress' must be 'open' or 'closed'.")),
    }
}

fn layer(fields: &mut Fields) -> Result<Layer, Failure> {
    Layer::parse(&fields.string("layer")?)
}

fn layers(fields: &mut Fields) -> Result<Vec<Layer>, Failure> {
    let layers = fields.strings("layers", LAYERS_MAX)?;
    if layers.is_empty() {
        return Err(Failure::invalid("The field 'layers' must have a layer."));
    }
    layers.iter().map(|name| Layer::parse(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_comes_in_pages() {
        let names = || ["c", "a", "d", "b"].map(str::to_owned).to_vec();
        let page = |after: Option<&str>, limit| Page { after: after.map(str::to_owned), limit }.of("layers", names());
        assert_eq!(page(None, None), json!({ "layers": ["a", "b", "c", "d"], "more": false }));
        assert_eq!(page(None, Some(2)), json!({ "layers": ["a", "b"], "more": true }));
        // The one that the page before ended with may have gone since.
        assert_eq!(page(Some("bb"), Some(2)), json!({ "layers": ["c", "d"], "more": false }));
        assert_eq!(page(Some("d"), Some(2)), json!({ "layers": [], "more": false }));
    }
}
