//! `import`: other files' records into the store, each once.
//!
//! Each file is read once, in bounded memory, and its rows are sorted by day on the way ([`Spill`](crate::spill::Spill));
//! then each day, oldest first, is compared with what the store has of it, and what is missing is appended.

pub(crate) mod command;
mod input;
mod sorted;
