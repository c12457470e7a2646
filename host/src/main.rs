//! The only part of the server that needs root: makes sandboxes of Linux name spaces. spec/host.md is its contract.
#![allow(dead_code)]

mod cancel;
mod cgroups;
mod error;
mod launch;
mod layers;
mod names;
mod net;
mod views;

fn main() {}
