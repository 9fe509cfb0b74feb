//! Runs the exercise over the view and gathers what was used.

mod gather;
mod used_list;
mod var;

pub use used_list::{UsedLine, UsedList, UsedListError};
