//! What is known of a guest, on the disk before it is done: `guests/<sandbox>/record.json`, replaced at once and whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use crate::error::Failure;
use crate::fields::Fields;
use crate::names::Layer;
use crate::net::Egress;
use crate::requests::{Isolation, Spec};

/// The layout of the file; another one isn't read.
const VERSION: u64 = 1;
/// A spec with 500 layers and a note is far below it.
const RECORD_MAX_BYTES: u64 = 256 * 1024;

#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub spec: Spec,
    pub egress: Egress,
    pub phase: Phase,
    /// Frozen for as long as its files are copied: whoever finds it so lets it go on
    pub is_copied: bool,
    /// Of a guest with a kernel of its own that runs: its processes stand still
    pub is_paused: bool,
}

/// ```text
/// starting ─→ running ─→ stopping ─→ stopped ─→ booting ─→ running
/// ```
/// `starting` that breaks off leaves nothing; `stopping` and `booting` that break off leave `stopped`.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    Starting(Place),
    Running(Place, Process),
    Stopping(Place),
    Stopped,
    Booting(Place),
}

/// What a guest has of the machine beside its process.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub slot: u32,
    pub address: Ipv4Addr,
}

/// Names one process and no later one.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    pub pid: u32,
    pub start_time: u64,
    /// The machine's start that these are of
    pub boot_id: String,
}

/// Why there is no record to go by.
#[derive(Debug, PartialEq)]
pub enum NoRecord {
    /// None was written
    Missing,
    /// There is one, of another form, as another version writes it
    Strange(Failure),
    /// It couldn't be looked at, and may be as good as any
    Unseen(Failure),
}

impl Record {
    pub fn read(guest: &Path) -> Result<Record, NoRecord> {
        let bytes = read_bounded(&guest.join("record.json")).map_err(|error| match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => NoRecord::Missing,
            _ => NoRecord::Unseen(Failure::from_io("The sandbox's record can't be read", &error)),
        })?;
        Fields::parse(&bytes).and_then(from_fields).map_err(NoRecord::Strange)
    }

    pub fn write(&self, guest: &Path) -> Result<(), Failure> {
        let (path, next) = (guest.join("record.json"), guest.join("record.next"));
        let written = (|| {
            let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&next)?;
            file.write_all(self.to_json().to_string().as_bytes())?;
            // What runs is gone after the machine has stopped, so only what is to outlive that is worth a wait.
            if self.phase == Phase::Stopped {
                file.sync_all()?;
            }
            fs::rename(&next, &path)?;
            if self.phase == Phase::Stopped {
                File::open(guest)?.sync_all()?;
            }
            Ok(())
        })();
        written.map_err(|error: io::Error| Failure::from_io("The sandbox's record can't be written", &error))
    }

    fn to_json(&self) -> Value {
        let spec = &self.spec;
        let (phase, place, process) = match &self.phase {
            Phase::Starting(place) => ("starting", Some(place), None),
            Phase::Running(place, process) => ("running", Some(place), Some(process)),
            Phase::Stopping(place) => ("stopping", Some(place), None),
            Phase::Stopped => ("stopped", None, None),
            Phase::Booting(place) => ("booting", Some(place), None),
        };
        let mut value = json!({
            "version": VERSION,
            "layers": spec.layers.iter().map(Layer::as_str).collect::<Vec<_>>(),
            "hostname": spec.hostname,
            "cpuCount": spec.cpu_count,
            "memoryMb": spec.memory_mb,
            "diskMb": spec.disk_mb,
            "pids": spec.pids,
            "note": spec.note,
            "egress": match self.egress { Egress::Open => "open", Egress::Closed => "closed" },
            "phase": phase,
        });
        // What native guests' records say nothing of, so that helpers from before there were others read them.
        if spec.isolation == Isolation::Gvisor {
            value["isolation"] = "gvisor".into();
        }
        if self.is_copied {
            value["isCopied"] = true.into();
        }
        if self.is_paused {
            value["isPaused"] = true.into();
        }
        if let Some(Place { slot, address }) = place {
            value["slot"] = (*slot).into();
            value["address"] = address.to_string().into();
        }
        if let Some(Process { pid, start_time, boot_id }) = process {
            value["pid"] = (*pid).into();
            value["startTime"] = (*start_time).into();
            value["bootId"] = boot_id.as_str().into();
        }
        value
    }
}

fn read_bounded(path: &PathBuf) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(File::open(path)?, RECORD_MAX_BYTES), &mut bytes)?;
    Ok(bytes)
}

fn from_fields(mut fields: Fields) -> Result<Record, Failure> {
    if fields.number("version", 0, u64::MAX)? != VERSION {
        return Err(Failure::invalid("The record is of another version."));
    }
    let spec = Spec::take(&mut fields)?;
    let egress = crate::requests::egress(&mut fields)?;
    let phase = match fields.string("phase")?.as_str() {
        "starting" => Phase::Starting(place(&mut fields)?),
        "running" => Phase::Running(place(&mut fields)?, process(&mut fields)?),
        "stopping" => Phase::Stopping(place(&mut fields)?),
        "stopped" => Phase::Stopped,
        "booting" => Phase::Booting(place(&mut fields)?),
        _ => return Err(Failure::invalid("The record's phase isn't known.")),
    };
    let is_copied = fields.opt_bool("isCopied")?.unwrap_or(false);
    let is_paused = fields.opt_bool("isPaused")?.unwrap_or(false);
    fields.end()?;
    Ok(Record { spec, egress, phase, is_copied, is_paused })
}

fn place(fields: &mut Fields) -> Result<Place, Failure> {
    let address = fields.string("address")?;
    let address = address.parse().map_err(|_| Failure::invalid("The record's address is none."))?;
    Ok(Place { slot: fields.number("slot", 0, u32::MAX.into())? as u32, address })
}

fn process(fields: &mut Fields) -> Result<Process, Failure> {
    Ok(Process {
        pid: fields.number("pid", 1, u32::MAX.into())? as u32,
        start_time: fields.number("startTime", 0, u64::MAX)?,
        boot_id: fields.string("bootId")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_and_nothing_else() {
        let directory = std::env::temp_dir().join(format!("e2b-host-record-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let mut spec = Spec {
            isolation: Isolation::Native,
            layers: vec![Layer::parse("base").unwrap()],
            hostname: "e2b.local".to_owned(),
            cpu_count: 0.5,
            memory_mb: 512,
            disk_mb: 1024,
            pids: 100,
            note: "{}".to_owned(),
        };
        let place = Place { slot: 3, address: Ipv4Addr::new(10, 0, 0, 3) };
        let process = Process { pid: 7, start_time: 99, boot_id: "b".to_owned() };
        for phase in [
            Phase::Starting(place.clone()),
            Phase::Running(place.clone(), process),
            Phase::Stopping(place.clone()),
            Phase::Stopped,
            Phase::Booting(place),
        ] {
            let is_copied = matches!(phase, Phase::Running(..));
            spec.isolation = if is_copied { Isolation::Gvisor } else { Isolation::Native };
            let record = Record { spec: spec.clone(), egress: Egress::Closed, phase, is_copied, is_paused: is_copied };
            record.write(&directory).unwrap();
            assert_eq!(Record::read(&directory), Ok(record));
        }
        fs::write(directory.join("record.json"), "{\"version\": 2}").unwrap();
        assert!(matches!(Record::read(&directory), Err(NoRecord::Strange(_))));
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(Record::read(&directory), Err(NoRecord::Missing));
    }
}
