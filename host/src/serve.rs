//! Connections: who may make one, what is asked on it, and the replies.

mod connection;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::io::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{json, Map, Value};

use crate::cancel::Cancel;
use crate::error::{Code, Failure};
use crate::guests::Guests;
use crate::lanes::{Job, Lanes};
use crate::log;
use crate::names::{Instance, Sandbox};
use crate::pool::{lock, Pool};
use crate::protocol;
use crate::requests::{GuestOp, LayerOp, Op};
use crate::signals;
use connection::Connection;

const CONNECTIONS_MAX: usize = 64;

/// Each kind has threads of its own, so that none waits for another: starts for slots, ends for processes that a disk holds
/// up, stops and snapshots for what they write, and layers for as long as it takes to copy them.
const START_THREADS: usize = 32;
const QUICK_THREADS: usize = 32;
const END_THREADS: usize = 32;
const STOP_THREADS: usize = 32;
const SNAPSHOT_THREADS: usize = 8;
const LAYER_THREADS: usize = 4;

pub struct Server {
    guests: Arc<Guests>,
    instance: Instance,
    build: String,
    features: Map<String, Value>,
    allow_uids: Vec<u32>,
    lanes: Lanes,
    pools: Pools,
    prepared: AtomicBool,
    connections: Mutex<Connections>,
    /// Called when there are more or fewer connections
    on_count: Box<dyn Fn() + Send + Sync>,
}

struct Pools {
    starts: Pool,
    quick: Pool,
    ends: Pool,
    stops: Pool,
    snapshots: Pool,
    layers: Pool,
}

impl Pools {
    fn new() -> std::io::Result<Pools> {
        Ok(Pools {
            starts: Pool::new("starts", START_THREADS)?,
            quick: Pool::new("quick", QUICK_THREADS)?,
            ends: Pool::new("ends", END_THREADS)?,
            stops: Pool::new("stops", STOP_THREADS)?,
            snapshots: Pool::new("snapshots", SNAPSHOT_THREADS)?,
            layers: Pool::new("layers", LAYER_THREADS)?,
        })
    }

    fn of(&self, op: &GuestOp) -> &Pool {
        match op {
            GuestOp::Start { .. } | GuestOp::Boot { .. } => &self.starts,
            GuestOp::Kill => &self.ends,
            GuestOp::Stop => &self.stops,
            GuestOp::Snapshot { .. } => &self.snapshots,
            _ => &self.quick,
        }
    }
}

struct Connections {
    open: Vec<Weak<Connection>>,
    count: usize,
    /// When the last one ended, or the server began
    idle_since: Instant,
    is_closed: bool,
}

/// A connection's place among those that may be: taken until all that was asked on it is answered and its threads have ended.
pub struct Seat(Arc<Server>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.left();
    }
}

pub struct Parts {
    pub guests: Arc<Guests>,
    pub instance: Instance,
    pub build: String,
    /// `{"has": …, "why": …}` by name
    pub features: Map<String, Value>,
    pub allow_uids: Vec<u32>,
    pub on_count: Box<dyn Fn() + Send + Sync>,
}

impl Server {
    /// Errors: `resource_exhausted`, where there are no threads for it.
    pub fn new(parts: Parts) -> Result<Server, Failure> {
        let Parts { guests, instance, build, features, allow_uids, on_count } = parts;
        let pools = Pools::new().map_err(no_threads)?;
        let connections = Connections { open: Vec::new(), count: 0, idle_since: Instant::now(), is_closed: false };
        Ok(Server {
            guests,
            instance,
            build,
            features,
            allow_uids,
            lanes: Lanes::new(pools.quick.clone()),
            pools,
            prepared: AtomicBool::new(false),
            connections: Mutex::new(connections),
            on_count,
        })
    }

    /// Accepts connections from now on, in a thread.
    pub fn listen(self: &Arc<Server>) -> Result<(), Failure> {
        let path = self.guests.root.host_socket();
        let failed = |error| Failure::from_io(format!("No connections can be taken at {}", path.display()), &error);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        // Whoever it is, is asked for at each connection.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).map_err(failed)?;
        let server = self.clone();
        let accept = move || {
            for stream in listener.incoming() {
                match stream {
                    Ok(stream) => server.accept(stream),
                    // Too many descriptors, say: others end meanwhile.
                    Err(_) => thread::sleep(Duration::from_millis(100)),
                }
            }
        };
        thread::Builder::new().name("accept".to_owned()).spawn(accept).map(drop).map_err(failed)
    }

    /// How many connections there are, and since when there are none.
    pub fn idle(&self) -> Option<Instant> {
        let connections = lock(&self.connections);
        (connections.count == 0).then(|| connections.idle_since)
    }

    /// Takes no more connections, and no more requests of those that are open. What is under way goes on to its end, or to where it is taken back.
    pub fn close(&self) -> Vec<Arc<Connection>> {
        let open = {
            let mut connections = lock(&self.connections);
            connections.is_closed = true;
            std::mem::take(&mut connections.open)
        };
        let open: Vec<_> = open.iter().filter_map(Weak::upgrade).collect();
        for connection in &open {
            connection.close_reading();
            connection.cancel_all(Failure::new(Code::Unavailable, "The helper is ending."));
        }
        open
    }

    /// Resolves once nothing is under way any more, or after `most`: whether there is nothing.
    pub fn drain(&self, most: Duration) -> bool {
        let deadline = Instant::now() + most;
        let Pools { starts, quick, ends, stops, snapshots, layers } = &self.pools;
        [starts, quick, ends, stops, snapshots, layers].iter().all(|pool| pool.drain(deadline))
    }

    /// Tells those who watch that a guest ended.
    pub fn tell_gone(&self, sandbox: &Sandbox) {
        let open: Vec<_> = lock(&self.connections).open.iter().filter_map(Weak::upgrade).collect();
        for connection in open.iter().filter(|connection| connection.is_watching()) {
            connection.tell(&json!({ "event": "gone", "sandbox": sandbox.as_str() }));
        }
    }

    /// A guest's end was seen: takes its turn among what is asked of the guest.
    pub fn guest_ended(self: &Arc<Server>, sandbox: Sandbox, pidfd: Arc<std::os::unix::io::OwnedFd>) {
        let (guests, name) = (self.guests.clone(), sandbox.clone());
        let run = Box::new(move || guests.ended(&name, &pidfd));
        self.lanes.add(&sandbox, Job { pool: self.pools.ends.clone(), cancel: Cancel::new(), ends: false, run });
    }

    fn accept(self: &Arc<Server>, stream: UnixStream) {
        match peer(&stream) {
            Some(uid) if uid == 0 || self.allow_uids.contains(&uid) => {}
            uid => return log::warn("A connection was refused.", json!({ "uid": uid })),
        }
        let seat = match self.take_seat() {
            Some(seat) => seat,
            None => return,
        };
        let opened = Connection::open(stream, seat).and_then(|(connection, reader)| {
            let (server, connection_there) = (self.clone(), connection.clone());
            let read = move || connection_there.read(reader, |id, op| server.handle(&connection_there, id, op));
            thread::Builder::new().name("connection".to_owned()).spawn(read)?;
            Ok(connection)
        });
        match opened {
            Ok(connection) => {
                let mut connections = lock(&self.connections);
                connections.open.retain(|other| other.strong_count() > 0);
                connections.open.push(Arc::downgrade(&connection));
                if connections.is_closed {
                    // Nobody has closed this one: it wasn't in the list then.
                    connection.close();
                }
            }
            Err(error) => log::warn("A connection can't be taken.", json!({ "error": error.to_string() })),
        }
    }

    fn take_seat(self: &Arc<Server>) -> Option<Arc<Seat>> {
        let mut connections = lock(&self.connections);
        if connections.is_closed || connections.count >= CONNECTIONS_MAX {
            return None;
        }
        connections.count += 1;
        drop(connections);
        (self.on_count)();
        Some(Arc::new(Seat(self.clone())))
    }

    fn left(&self) {
        let mut connections = lock(&self.connections);
        connections.count -= 1;
        connections.idle_since = Instant::now();
        drop(connections);
        (self.on_count)();
    }

    /// One request that was read. The reply may come much later.
    fn handle(self: &Arc<Server>, connection: &Arc<Connection>, id: u64, op: Op) {
        let hello = matches!(op, Op::Hello { .. });
        if !hello && !connection.is_greeted() {
            let why = "The first request of a connection must be 'hello'.";
            return connection.reply(id, Err(Failure::new(Code::FailedPrecondition, why)));
        }
        match op {
            Op::Hello { protocol } => connection.reply(id, Ok(self.hello(connection, protocol))),
            Op::Cancel { of } => {
                connection.cancel(of);
                connection.reply(id, Ok(json!({})));
            }
            Op::Watch => {
                connection.watch();
                connection.reply(id, Ok(json!({})));
            }
            Op::End => match self.end_if_unused() {
                Ok(()) => {
                    connection.reply(id, Ok(json!({})));
                    signals::end();
                }
                Err(failure) => connection.reply(id, Err(failure)),
            },
            Op::List(page) => connection.reply(id, self.guests.list().map(|names| page.of("sandboxes", names))),
            Op::Prepare { settings } => {
                let server = self.clone();
                // Starts wait for it, and copies of layers may take long.
                self.do_in(&self.pools.quick, connection, id, move |_| {
                    server.guests.network.prepare(&settings)?;
                    if !server.prepared.swap(true, Ordering::AcqRel) {
                        server.guests.slots.begin();
                    }
                    Ok(json!({}))
                });
            }
            Op::Guest { sandbox, op } => self.handle_guest(connection, id, sandbox, op),
            Op::Layers(LayerOp::List(page)) => {
                connection.reply(id, self.guests.layers.list().map(|names| page.of("layers", names)));
            }
            Op::Layers(op) => {
                let guests = self.guests.clone();
                self.do_in(&self.pools.layers, connection, id, move |cancel| handle_layers(&guests, op, cancel));
            }
        }
    }

    fn handle_guest(self: &Arc<Server>, connection: &Arc<Connection>, id: u64, sandbox: Sandbox, op: GuestOp) {
        let is_start = matches!(op, GuestOp::Start { .. } | GuestOp::Boot { .. });
        if is_start && !self.prepared.load(Ordering::Acquire) {
            let why = "What sandboxes may reach has to be said by 'prepare' first.";
            return connection.reply(id, Err(Failure::new(Code::FailedPrecondition, why)));
        }
        let pool = self.pools.of(&op).clone();
        let (ends, cancel) = (matches!(op, GuestOp::Kill), connection.cancel_of(id));
        let (guests, connection) = (self.guests.clone(), connection.clone());
        let (name, given) = (sandbox.clone(), cancel.clone());
        let run = Box::new(move || connection.reply(id, guests.run(&name, op, &given)));
        self.lanes.add(&sandbox, Job { pool, cancel, ends, run });
    }

    fn do_in(
        &self,
        pool: &Pool,
        connection: &Arc<Connection>,
        id: u64,
        work: impl FnOnce(&Cancel) -> Result<Value, Failure> + Send + 'static,
    ) {
        let (connection, cancel) = (connection.clone(), connection.cancel_of(id));
        pool.run(move || connection.reply(id, cancel.check().and_then(|()| work(&cancel))));
    }

    /// Takes no more connections where nobody needs the helper. Errors: `conflict`.
    fn end_if_unused(&self) -> Result<(), Failure> {
        let mut connections = lock(&self.connections);
        if connections.count > 1 || self.guests.count() > 0 {
            return Err(Failure::new(Code::Conflict, "There are sandboxes, or others that are connected."));
        }
        connections.is_closed = true;
        Ok(())
    }

    fn hello(&self, connection: &Connection, asked: u64) -> Value {
        // Whoever speaks another version learns all the same what this is, so that it can be replaced.
        if asked == protocol::VERSION {
            connection.greet();
        }
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "protocol": protocol::VERSION,
            "instance": self.instance.as_str(),
            "build": self.build,
            "pid": std::process::id(),
            "features": self.features,
        })
    }
}

fn handle_layers(guests: &Guests, op: LayerOp, cancel: &Cancel) -> Result<Value, Failure> {
    let layers = &guests.layers;
    match op {
        LayerOp::Unpack { upload, layer } => {
            let made = layers.unpack(&upload, &layer, cancel)?;
            Ok(json!({ "sizeBytes": made.size_bytes, "entries": made.entries }))
        }
        LayerOp::Flatten { layers: sources, layer } => {
            Ok(json!({ "sizeBytes": layers.flatten(&sources, &layer, cancel)?.size_bytes }))
        }
        LayerOp::Remove { layer } => guests.remove_layer(&layer),
        LayerOp::List(page) => Ok(page.of("layers", layers.list()?)),
        LayerOp::Share { layer } => Ok(json!({ "sizeBytes": layers.share(&layer, cancel)?.size_bytes })),
        LayerOp::Adopt { layer } => Ok(json!({ "sizeBytes": layers.adopt(&layer, cancel)?.size_bytes })),
        LayerOp::RemoveShared { layer } => layers.remove_shared(&layer).map(|()| json!({})),
        LayerOp::ListShared(page) => Ok(page.of("layers", layers.list_shared()?)),
    }
}

fn no_threads(error: std::io::Error) -> Failure {
    Failure::from_io("Threads can't be made", &error)
}

/// The user at the other end, as the kernel knows it.
fn peer(stream: &UnixStream) -> Option<u32> {
    let mut found = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = std::mem::size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the structure is as long as is said, and lives for the call.
    let got = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&mut found as *mut libc::ucred).cast(),
            &mut length,
        )
    };
    (got == 0).then_some(found.uid)
}
