//! Puts what a COPY step names from an archive in its place, by Docker's rules (spec/guest.md, unpack). The archive is
//! hostile: all of it goes into a private directory first, on the file system where it is to end up, so that nothing of
//! a bad one is ever seen, and putting it in place is renaming.

mod extract;
mod input;
mod place;
mod scratch;
mod select;

use std::path::{Path, PathBuf};

use self::extract::Extraction;
use self::scratch::Scratch;
use super::dirs;
use crate::agent::Actor;
use crate::error::Failure;

pub use self::extract::Limits;
pub use self::input::{Input, Piece};

/// What is to be done with an archive.
pub struct Order {
    /// What of the archive: a file, a directory or a pattern, relative to its root
    pub src: String,
    /// Where to; relative to `cwd`
    pub dest: String,
    /// Absolute; absent: the home of the owner
    pub cwd: Option<String>,
    /// Permission bits of everything; absent: each entry's own
    pub mode: Option<u32>,
    pub limits: Limits,
}

/// What an archive had.
pub struct Unpacked {
    /// Entries that aren't directories
    pub files: u64,
    /// Contents of all files
    pub bytes: u64,
}

/// Unpacks all of `input`, then places what `order.src` names as the actor's. On failure nothing is left, unless placing
/// itself has failed half-way. Errors: `invalid_argument` (the archive, `src`, `dest`), `not_found` (`src`),
/// `resource_exhausted` (the limits, the disk).
pub fn unpack(input: Input, order: &Order, actor: &Actor) -> Result<Unpacked, Failure> {
    let pattern = select::Pattern::parse(&order.src)?;
    let dest = place::Destination::resolve(&order.dest, order.cwd.as_deref(), actor)?;
    let scratch = Scratch::create(dest.existing())?;
    let extraction = Extraction { root: scratch.root(), actor, mode: order.mode, limits: &order.limits };
    let unpacked = extraction.run(input)?;
    let chosen = pattern.choose(scratch.root(), &order.src)?;
    place::place(scratch.root(), &chosen, &dest, actor)?;
    Ok(unpacked)
}

/// What a pattern has chosen, relative to the archive's root; none of them lies in another.
pub struct Chosen {
    pub paths: Vec<PathBuf>,
}

/// An entry's name for people.
fn shown(path: &Path) -> String {
    const SHOWN_MAX_CHARS: usize = 200;
    let text = path.to_string_lossy();
    match text.char_indices().nth(SHOWN_MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

/// Makes a directory for the actor, with its parents. Success where it is there.
fn make_dir(path: &Path, actor: &Actor) -> Result<(), Failure> {
    let text = path.to_str().ok_or_else(|| Failure::invalid("The destination's path is not UTF-8."))?;
    dirs::make_all(text, actor)
}
