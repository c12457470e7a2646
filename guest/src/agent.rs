//! What all operations share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use crate::blocking;
use crate::error::Failure;
use crate::fields::StringMap;
use crate::init;
use crate::metrics::CpuMeter;
use crate::paths::{self, Base};
use crate::process::table::Table;
use crate::users::{self, User};
use crate::watch::Watching;

/// What `configure` sets, all at once.
#[derive(Clone, Default)]
pub struct Settings {
    /// The global environment
    pub env: StringMap,
    pub user: Option<String>,
    pub workdir: Option<String>,
    pub sandbox_id: Option<String>,
    pub template_id: Option<String>,
}

impl Settings {
    /// The variables that tell a process where it is.
    pub fn identity(&self) -> StringMap {
        let mut identity = StringMap::new();
        identity.insert("E2B_SANDBOX".to_owned(), "true".to_owned());
        for (name, value) in [("E2B_SANDBOX_ID", &self.sandbox_id), ("E2B_TEMPLATE_ID", &self.template_id)] {
            if let Some(value) = value {
                identity.insert(name.to_owned(), value.clone());
            }
        }
        identity
    }
}

/// How the agent was started.
pub enum Mode {
    /// As root, for a sandbox of its own
    Sandbox,
    /// As whoever started it, with this directory as everybody's home
    Unprivileged { home: String },
}

pub struct Agent {
    pub mode: Mode,
    /// A new uuid at each start
    pub boot: String,
    /// The limit on open files that processes get; the agent raises its own
    pub nofile: Option<libc::rlimit>,
    pub table: Rc<Table>,
    pub settings: RefCell<Settings>,
    pub is_configured: Cell<bool>,
    pub is_stopping: Cell<bool>,
    pub cpu: RefCell<CpuMeter>,
    pub watching: Watching,
    /// Each archive that is being unpacked holds one more of it
    pub unpacking: Arc<()>,
}

impl Agent {
    pub fn new(mode: Mode, nofile: Option<libc::rlimit>) -> Agent {
        Agent {
            mode,
            boot: init::random_uuid(),
            nofile,
            table: Rc::new(Table::default()),
            settings: RefCell::new(Settings::default()),
            is_configured: Cell::new(false),
            is_stopping: Cell::new(false),
            cpu: RefCell::new(CpuMeter::start()),
            watching: Watching::default(),
            unpacking: Arc::new(()),
        }
    }

    pub fn is_unprivileged(&self) -> bool {
        matches!(self.mode, Mode::Unprivileged { .. })
    }

    /// What operations on behalf of `user` need to know; plain data, to take beside the event loop.
    pub fn subject(&self, user: Option<&str>) -> Subject {
        let settings = self.settings.borrow();
        let default = settings.user.as_deref().filter(|name| !name.is_empty()).unwrap_or("root");
        Subject {
            user: user.filter(|name| !name.is_empty()).unwrap_or(default).to_owned(),
            workdir: settings.workdir.clone().filter(|workdir| !workdir.is_empty()),
            home: match &self.mode {
                Mode::Sandbox => None,
                Mode::Unprivileged { home } => Some(home.clone()),
            },
        }
    }
}

/// On whose behalf an operation is done, not yet looked up.
#[derive(Clone)]
pub struct Subject {
    user: String,
    workdir: Option<String>,
    /// The home of everybody in unprivileged mode
    home: Option<String>,
}

impl Subject {
    /// Looks the user up. Reads files. Errors: `unauthenticated`.
    pub fn find(&self) -> Result<Actor, Failure> {
        let mut user = users::find(&self.user)?;
        if let Some(home) = &self.home {
            user.uid = unsafe { libc::geteuid() };
            user.gid = unsafe { libc::getegid() };
            user.home = home.clone();
        }
        Ok(Actor { user, workdir: self.workdir.clone(), is_unprivileged: self.home.is_some() })
    }

    /// As `find`, where `user:group` and numbers are understood too. Errors: `unauthenticated`, `invalid_argument` (group).
    pub fn find_owner(&self) -> Result<Actor, Failure> {
        match self.home {
            None => Ok(Actor { user: users::find_owner(&self.user)?, workdir: None, is_unprivileged: false }),
            Some(_) => self.find(),
        }
    }

    /// Runs `work` for the user, beside the event loop.
    pub async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce(&Actor) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        blocking::run(move || work(&self.find()?)).await
    }
}

/// On whose behalf an operation is done.
#[derive(Clone)]
pub struct Actor {
    pub user: User,
    pub workdir: Option<String>,
    /// Ownership can't be given away, and isn't
    pub is_unprivileged: bool,
}

impl Actor {
    /// Errors: `invalid_argument`.
    pub fn resolve(&self, path: &str) -> Result<String, Failure> {
        paths::resolve(path, &Base { home: &self.user.home, workdir: self.workdir.as_deref() })
    }
}
