//! Layers: directories that guests' roots are made of, below `<root>/layers/<layer>/`, and those that the helpers of one
//! machine share. One that is being made or removed has a name that is no layer's, so a layer is whole or not there.

pub mod attributes;
mod copy;
mod data;
mod job;
mod reading;
mod remove;
mod sys;
#[cfg(test)]
mod tests;
mod unpack;
pub mod worker;

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::io::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use copy::Made;
pub use remove::remove_tree;

use crate::cancel::Cancel;
use crate::error::{Code, Failure};
use crate::names::{Layer, Upload};
use reading::Readers;

/// For so long a shared layer stays, whoever may need it: what says that somebody does is about to be written.
const FRESH: Duration = Duration::from_secs(3600);

pub struct Layers {
    own: Arc<Place>,
    shared: Option<Arc<Place>>,
    /// Of `own`; of those that are shared its lock says it, which other helpers see
    readers: Readers,
    spool: PathBuf,
    /// What is run with `layer-worker`
    program: PathBuf,
}

/// A directory of layers.
struct Place {
    path: PathBuf,
    dir: OwnedFd,
    drafts: AtomicU64,
}

/// When what is made is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    /// Once it has its name
    Now,
    /// When the kernel gets to it: for what runs will change meanwhile anyway, and is on no disk either
    Soon,
}

/// A layer that is whole but for the disk and its name. Dropped, it is gone.
pub struct Draft {
    place: Arc<Place>,
    name: CString,
    layer: Layer,
    made: Made,
    is_published: bool,
}

impl Layers {
    /// Removes what a crash has left. `shared` is made if missing. `owner`: who puts files into the spool.
    pub fn open(root: &Path, shared: Option<&Path>, owner: u32) -> io::Result<Layers> {
        let spool = root.join("spool");
        make_dir(&spool)?;
        sys::chown(File::open(&spool)?.as_fd(), owner, 0)?;
        let own = Arc::new(Place::open(&root.join("layers"))?);
        for name in own.remainders()? {
            own.remove_behind(name);
        }
        let shared = match shared {
            Some(path) => Some(Arc::new(Place::open(&path.join("layers"))?)),
            None => None,
        };
        if let Some(shared) = &shared {
            // Another helper's drafts are there while it makes them.
            if let Ok(_lock) = shared.lock(libc::LOCK_EX | libc::LOCK_NB) {
                for name in shared.remainders()? {
                    shared.remove_behind(name);
                }
            }
        }
        Ok(Layers { own, shared, readers: Readers::default(), spool, program: PathBuf::from("/proc/self/exe") })
    }

    /// Where the layer's files are, for a mount. Errors: `not_found`.
    pub fn diff(&self, layer: &Layer) -> Result<PathBuf, Failure> {
        self.own.diff(layer)
    }

    pub fn list(&self) -> Result<Vec<String>, Failure> {
        self.own.list()
    }

    /// Errors: `conflict` (layer), `not_found` (upload), `invalid_argument` (archive), `resource_exhausted`, those of `cancel`.
    pub fn unpack(&self, upload: &Upload, layer: &Layer, cancel: &Cancel) -> Result<Made, Failure> {
        let mut draft = self.own.draft(layer)?;
        let archive = self.spool.join(upload.as_str());
        let args = ["unpack".into(), archive, draft.diff()];
        let done = job::run(&self.program, &args, cancel)?;
        let diff: OwnedFd = File::open(draft.diff()).map_err(failed)?.into();
        worker::mark_opaque(&diff, &done.opaque).map_err(failed)?;
        draft.made = done.made;
        draft.publish(Lasting::Now)
    }

    /// A copy of a guest's upper directory, which nobody changes until this returns. Errors: `conflict`, `resource_exhausted`.
    pub fn copy_upper(&self, upper: &Path, layer: &Layer, lasting: Lasting, cancel: &Cancel) -> Result<Draft, Failure> {
        let how = if lasting == Lasting::Now { "copy" } else { "copy-brief" };
        self.fill(how, &[upper.to_owned()], self.own.draft(layer)?, cancel)
    }

    /// Errors: `not_found`, `conflict`, `resource_exhausted`.
    pub fn flatten(&self, layers: &[Layer], layer: &Layer, cancel: &Cancel) -> Result<Made, Failure> {
        let _reading = self.readers.add(layers);
        let sources = layers.iter().map(|each| self.own.diff(each)).collect::<Result<Vec<_>, _>>()?;
        self.fill("merge", &sources, self.own.draft(layer)?, cancel)?.publish(Lasting::Now)
    }

    /// Gives the machine's other helpers one of ours. Idempotent. Errors: `not_found`, `unimplemented`.
    pub fn share(&self, layer: &Layer, cancel: &Cancel) -> Result<Made, Failure> {
        let shared = self.shared()?;
        let _lock = shared.lock(libc::LOCK_SH)?;
        let _reading = self.readers.add(std::slice::from_ref(layer));
        self.link(&self.own, shared, layer, cancel)
    }

    /// Takes one that helpers share. Idempotent. Errors: `not_found`, `unimplemented`.
    pub fn adopt(&self, layer: &Layer, cancel: &Cancel) -> Result<Made, Failure> {
        let shared = self.shared()?;
        let _lock = shared.lock(libc::LOCK_SH)?;
        // What is there already is looked at once more.
        let _reading = self.readers.add(std::slice::from_ref(layer));
        self.link(shared, &self.own, layer, cancel)
    }

    pub fn list_shared(&self) -> Result<Vec<String>, Failure> {
        self.shared()?.list()
    }

    /// Idempotent. That no guest is made of it is the caller's to see. Errors: `conflict` (somebody copies from it).
    pub fn remove(&self, layer: &Layer) -> Result<(), Failure> {
        let removed = self.readers.without(layer, || self.own.remove(layer));
        removed.unwrap_or_else(|| Err(Failure::new(Code::Conflict, format!("The layer {} is being copied.", layer))))
    }

    /// What others have adopted is theirs by now. Idempotent. Errors: `conflict` (somebody has just shared it), `unimplemented`.
    pub fn remove_shared(&self, layer: &Layer) -> Result<(), Failure> {
        let shared = self.shared()?;
        // Not while somebody takes or gives one.
        let _lock = shared.lock(libc::LOCK_EX)?;
        if shared.is_fresh(layer)? {
            return Err(Failure::new(Code::Conflict, format!("The layer {} has been shared a moment ago.", layer)));
        }
        shared.remove(layer)
    }

    fn shared(&self) -> Result<&Arc<Place>, Failure> {
        let message = "This helper shares no layers with others: it runs without --shared.";
        self.shared.as_ref().ok_or_else(|| Failure::new(Code::Unimplemented, message))
    }

    fn link(&self, from: &Arc<Place>, to: &Arc<Place>, layer: &Layer, cancel: &Cancel) -> Result<Made, Failure> {
        if let Some(made) = to.made(layer) {
            to.touch(layer)?;
            return Ok(made);
        }
        let draft = self.fill("link", &[from.diff(layer)?], to.draft(layer)?, cancel)?;
        match draft.publish(Lasting::Now) {
            Err(failure) if failure.code == Code::Conflict => to.made(layer).ok_or(failure),
            other => other,
        }
    }

    fn fill(&self, how: &str, sources: &[PathBuf], mut draft: Draft, cancel: &Cancel) -> Result<Draft, Failure> {
        let mut args = vec![PathBuf::from(how), draft.diff()];
        args.extend_from_slice(sources);
        draft.made = job::run(&self.program, &args, cancel)?.made;
        Ok(draft)
    }
}

impl Place {
    fn open(path: &Path) -> io::Result<Place> {
        make_dir(path)?;
        Ok(Place { dir: File::open(path)?.into(), path: path.to_owned(), drafts: AtomicU64::new(0) })
    }

    fn diff(&self, layer: &Layer) -> Result<PathBuf, Failure> {
        let path = self.path.join(layer.as_str());
        match path.is_dir() {
            true => Ok(path.join("diff")),
            false => Err(Failure::not_found(format!("There is no layer {}.", layer))),
        }
    }

    /// Makes it one that has been shared just now.
    fn touch(&self, layer: &Layer) -> Result<(), Failure> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs() as i64);
        let record = File::open(self.record(layer)).map_err(failed)?;
        sys::set_times(record.as_fd(), [(now, 0), (now, 0)]).map_err(failed)
    }

    fn is_fresh(&self, layer: &Layer) -> Result<bool, Failure> {
        match fs::metadata(self.record(layer)).and_then(|record| record.modified()) {
            Ok(at) => Ok(at.elapsed().map_or(true, |age| age < FRESH)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    fn record(&self, layer: &Layer) -> PathBuf {
        self.path.join(layer.as_str()).join("layer.json")
    }

    /// What is recorded of a layer that is there.
    fn made(&self, layer: &Layer) -> Option<Made> {
        let text = fs::read(self.record(layer)).ok()?;
        job::made_of(&serde_json::from_slice(&text).ok()?)
    }

    fn list(&self) -> Result<Vec<String>, Failure> {
        let names = sys::names(self.dir.as_fd()).map_err(failed)?;
        let layers = names.iter().filter_map(|name| name.to_str().ok()).filter(|name| Layer::parse(name).is_ok());
        Ok(layers.map(str::to_owned).collect())
    }

    fn draft(self: &Arc<Place>, layer: &Layer) -> Result<Draft, Failure> {
        if self.diff(layer).is_ok() {
            return Err(taken(layer));
        }
        let draft = Draft {
            place: Arc::clone(self),
            name: self.hidden_name("draft"),
            layer: layer.clone(),
            made: Made::default(),
            is_published: false,
        };
        sys::mkdir(self.dir.as_fd(), &draft.name, 0o700).map_err(failed)?;
        fs::DirBuilder::new().mode(0o755).create(draft.diff()).map_err(failed)?;
        fs::set_permissions(draft.diff(), fs::Permissions::from_mode(0o755)).map_err(failed)?;
        Ok(draft)
    }

    fn remove(self: &Arc<Place>, layer: &Layer) -> Result<(), Failure> {
        let name = CString::new(layer.as_str()).expect("has no zero");
        let hidden = self.hidden_name("gone");
        match sys::rename_new(self.dir.as_fd(), &name, self.dir.as_fd(), &hidden) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(()),
            other => other.map_err(failed)?,
        }
        self.remove_behind(hidden);
        Ok(())
    }

    /// What can't be removed now is at the next start.
    fn remove_behind(self: &Arc<Place>, name: CString) {
        let place = Arc::clone(self);
        // Nor is that without a thread a reason to end.
        let remove = move || drop(remove_tree(place.dir.as_fd(), &name));
        let _ = std::thread::Builder::new().name("layers".to_owned()).spawn(remove);
    }

    /// What is neither whole nor being made: nobody may be at work here.
    fn remainders(&self) -> io::Result<Vec<CString>> {
        let names = sys::names(self.dir.as_fd())?;
        let is_one =
            |name: &CString| [".draft-", ".gone-"].iter().any(|start| name.to_bytes().starts_with(start.as_bytes()));
        Ok(names.into_iter().filter(is_one).collect())
    }

    fn hidden_name(&self, what: &str) -> CString {
        let number = self.drafts.fetch_add(1, Ordering::Relaxed);
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_nanos());
        CString::new(format!(".{}-{}-{}-{}", what, std::process::id(), time, number)).expect("has no zero")
    }

    /// Held until what comes back is dropped. Of every helper that has this directory.
    fn lock(&self, kind: i32) -> Result<File, Failure> {
        let file = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(self.path.join(".lock"));
        let file = file.map_err(failed)?;
        sys::lock(file.as_fd(), kind).map_err(failed)?;
        Ok(file)
    }
}

impl Draft {
    fn diff(&self) -> PathBuf {
        self.place.path.join(self.name.to_str().expect("made of letters")).join("diff")
    }

    /// By its name when this returns. Errors: `conflict`, `resource_exhausted`.
    pub fn publish(mut self, lasting: Lasting) -> Result<Made, Failure> {
        let record = serde_json::json!({ "sizeBytes": self.made.size_bytes, "entries": self.made.entries });
        fs::write(self.diff().with_file_name("layer.json"), record.to_string()).map_err(failed)?;
        let dir = self.place.dir.as_fd();
        if lasting == Lasting::Now {
            sys::sync_all(dir).map_err(failed)?;
        }
        let name = CString::new(self.layer.as_str()).expect("has no zero");
        match sys::rename_new(dir, &self.name, dir, &name) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => return Err(taken(&self.layer)),
            other => other.map_err(failed)?,
        }
        self.is_published = true;
        if lasting == Lasting::Now {
            File::open(&self.place.path).and_then(|dir| dir.sync_all()).map_err(failed)?;
        }
        Ok(self.made)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_published {
            self.place.remove_behind(self.name.clone());
        }
    }
}

fn make_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn taken(layer: &Layer) -> Failure {
    Failure::new(Code::Conflict, format!("There is a layer {} already.", layer))
}

fn failed(error: io::Error) -> Failure {
    Failure::from_io("The layer can't be kept", &error)
}
