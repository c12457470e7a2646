//! Files: what they are, walks, reading, writing. All of it blocks and runs beside the event loop.

pub mod attributes;
pub mod compose;
pub mod dirs;
pub mod entry;
pub mod kind;
pub mod list;
pub mod remove;
pub mod rename;
pub mod source;
pub mod target;
pub mod unpack;
pub mod xattr;

#[cfg(test)]
pub mod test_dir;
