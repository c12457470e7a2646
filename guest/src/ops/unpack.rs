//! `unpack`: an archive from the host becomes files. It is read by a thread of its own, because reading an archive waits
//! for the host, and the threads for blocking calls are few.

use std::sync::Arc;
use std::thread;

use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::Call;
use crate::connection::{Reader, Served, Stop};
use crate::error::{Code, Failure};
use crate::fields::Fields;
use crate::files::unpack::{self, Input, Limits, Order, Piece, Unpacked};
use crate::frame::Incoming;
use crate::race::{race, Either};

/// Archives that are unpacked at once, at most
const AT_ONCE_MAX: usize = 4;
/// Frames of an archive that wait for their turn
const PIECES_MAX: usize = 4;
/// Walks and buffers here don't recurse; gzip's own tables are on the heap
const STACK_BYTES: usize = 512 * 1024;
/// What a request may admit at most
const BYTES_MAX: u64 = 1 << 50;
const ENTRIES_MAX: u64 = 10_000_000;

pub async fn unpack(mut call: Call<'_>) -> Served {
    let order = read_order(&call.fields)?;
    let subject = call.agent.subject(call.fields.opt_string("user")?);
    let turn = Arc::clone(&call.agent.unpacking);
    // One is the agent's own, one is this.
    if Arc::strong_count(&turn) > AT_ONCE_MAX + 1 {
        let message = format!("The sandbox unpacks {} archives already, which is the most.", AT_ONCE_MAX);
        return Err(Failure::new(Code::ResourceExhausted, message).into());
    }
    let (pieces, input) = mpsc::channel(PIECES_MAX);
    let (answer, mut outcome) = oneshot::channel();
    let work = move || {
        let unpacked = subject.find_owner().and_then(|actor| unpack::unpack(Input::new(input), &order, &actor));
        drop(turn);
        // Where the host is gone there is nobody to tell.
        let _ = answer.send(unpacked);
    };
    thread::Builder::new()
        .name("e2b-unpack".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(work)
        .map_err(|error| Failure::from_io("The archive can't be unpacked now", &error))?;
    let refused = match race(feed(&mut call.reader, pieces), &mut outcome).await {
        Either::Left(fed) => {
            fed?;
            None
        }
        Either::Right(refused) => Some(refused),
    };
    let outcome = match refused {
        Some(refused) => refused,
        None => match race(outcome, call.reader.closed()).await {
            Either::Left(outcome) => outcome,
            Either::Right(closed) => return Err(closed.into()),
        },
    };
    let Unpacked { files, bytes } =
        outcome.map_err(|_| Failure::new(Code::Internal, "The archive's unpacking has ended without a result."))??;
    call.writer.reply(&json!({ "files": files, "bytes": bytes })).await
}

/// Hands on what the host sends, at the pace it is unpacked.
async fn feed(reader: &mut Reader<'_>, pieces: mpsc::Sender<Piece>) -> Result<(), Stop> {
    loop {
        let frame = reader.next(&[Incoming::Input, Incoming::Eof]).await?;
        let is_last = frame.kind == Incoming::Eof;
        let piece = if is_last { Piece::End } else { Piece::Bytes(frame.payload) };
        // One that nobody takes any more is of an archive that was refused: the outcome says so.
        if pieces.send(piece).await.is_err() {
            return std::future::pending().await;
        }
        if is_last {
            return Ok(());
        }
    }
}

fn read_order(fields: &Fields) -> Result<Order, Failure> {
    let mode =
        match fields.opt_string("mode")?.filter(|mode| !mode.is_empty()) {
            None => None,
            Some(text) => {
                let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777 && !text.starts_with('+'));
                Some(mode.ok_or_else(|| {
                    Failure::invalid(format!("The mode '{}' is not an octal number up to 7777.", text))
                })?)
            }
        };
    Ok(Order {
        src: fields.string("src")?.to_owned(),
        dest: fields.string("dest")?.to_owned(),
        cwd: fields.opt_string("cwd")?.filter(|cwd| !cwd.is_empty()).map(str::to_owned),
        mode,
        limits: Limits {
            bytes: fields.number("maxBytes", 0, BYTES_MAX)?,
            entries: fields.number("maxEntries", 1, ENTRIES_MAX)?,
        },
    })
}
