//! `backup`: a copy of everything that is a store itself.
//!
//! What is the same in the copy already is not copied again. Between two buckets whole objects are copied, told apart by name
//! and hash, and put together where both have rows of their own; else rows, day by day, so that the copy holds each row once. Days
//! and usage files that did not change since the last time, on neither side, are not read (`backup.json` in the copy).

pub(crate) mod command;
mod days;
mod destination;
mod objects;
mod rest;
mod rows;
mod state;
