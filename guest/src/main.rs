//! The agent inside every sandbox: one static binary that knows system calls, not protocols. spec/guest.md is its
//! contract with the server.
//!
//! One thread runs everything but calls that a disk can hold up. State is shared by `Rc` and `Cell`, and borrowed only
//! between two awaits.

mod accounts;
mod agent;
mod args;
mod blocking;
mod connection;
mod error;
mod fields;
mod files;
mod frame;
mod http;
mod init;
mod interfaces;
mod metrics;
mod mounts;
mod ops;
mod paths;
mod process;
mod race;
mod scratch;
mod server;
mod shutdown;
mod stream;
mod sudo;
mod users;
mod watch;

use std::io;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::LocalSet;

use agent::Agent;
use args::Args;
use server::Server;

/// Time that a thread for blocking calls waits for its next one.
const THREAD_KEEP_ALIVE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    if sudo::is_asked_for() {
        return sudo::run().map_or_else(|message| say("sudo", &message), |()| ExitCode::SUCCESS);
    }
    let args = match args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(message) => return fail(&message),
    };
    // A bug must end the sandbox, not leave it half alive: the same in every build.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("The agent can't start: {}.", error)),
    }
}

fn run(args: Args) -> io::Result<()> {
    let nofile = init::prepare_process();
    if std::process::id() != 1 {
        process::reaper::adopt_orphans();
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(blocking::MAX_THREADS)
        .thread_stack_size(blocking::STACK_BYTES)
        .thread_keep_alive(THREAD_KEEP_ALIVE)
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        let agent = Rc::new(Agent::new(args.mode, nofile));
        process::reaper::start(Rc::clone(&agent.table))?;
        shutdown::on_signals(&agent)?;
        if let Some(fd) = args.mounts {
            mounts::start(fd)?;
        }
        if args.has_http {
            http::start(Rc::clone(&agent)).await;
        }
        Server::bind(&args.listen, agent, args.secret).await?.run().await;
        Ok(())
    })
}

fn fail(message: &str) -> ExitCode {
    say("e2b-guest", message)
}

fn say(name: &str, message: &str) -> ExitCode {
    eprintln!("{}: {}", name, message);
    ExitCode::FAILURE
}
