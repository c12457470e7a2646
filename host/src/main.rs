//! The only part of the server that needs root: makes sandboxes of Linux name spaces. spec/host.md is its contract.
// What it finds too new are libc's own names of C's types, which are older than core's.
#![allow(clippy::incompatible_msrv)]

mod args;
mod cancel;
mod cgroups;
mod claim;
mod disks;
mod engine;
mod error;
mod fields;
mod guests;
mod gvisor;
mod helper;
mod lanes;
mod launch;
mod layers;
mod log;
mod names;
mod net;
mod pool;
mod processes;
mod protocol;
mod records;
mod requests;
mod root;
mod serve;
mod signals;
mod slots;
#[cfg(test)]
mod test_dir;
mod views;
mod watch;

use std::process::exit;

fn main() {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("serve") => match args::parse(args) {
            Ok(options) => {
                close_inherited();
                exit(helper::run(options))
            }
            Err(message) => usage(&message),
        },
        Some("layer-worker") => exit(layers::worker::main(&args.collect::<Vec<_>>())),
        Some("host") => {
            if let Err(message) = engine::run(args) {
                eprintln!("e2b-host: {}", message);
                exit(1)
            }
        }
        Some("--version") => println!("e2b-host {}", env!("CARGO_PKG_VERSION")),
        _ => usage(args::USAGE),
    }
}

/// What whoever started this had open isn't the helper's to hold: it outlives them, and their locks and connections would.
fn close_inherited() {
    const CLOSE_RANGE: libc::c_long = 436;
    // Nothing has been opened yet, so no descriptor above the standard streams is anybody's here.
    unsafe { libc::syscall(CLOSE_RANGE, 3, u32::MAX, 0) };
}

fn usage(message: &str) -> ! {
    eprintln!("{}", message);
    exit(64)
}
