//! `verify`: reads everything, counts it, and names what is wrong.
//!
//! One pass over every file or object, in bounded memory. What a check needs of all rows at once (the doubles) goes through
//! [`Spill`](crate::spill::Spill).

pub(crate) mod command;
mod doubles;
mod file;
mod folder;
mod objects;
mod place;
mod report;

pub(crate) use file::check_file;
pub(crate) use place::Place;
pub(crate) use report::{Kind, Problem, Report};
